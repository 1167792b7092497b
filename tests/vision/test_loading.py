from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.vision.small import build, save, vision_config
from transformers import CLIPVisionModel, LlamaConfig, LlamaForCausalLM, SiglipVisionConfig, SiglipVisionModel
from transformers.utils import logging as transformers_logging

from tamis.core.errors import ConfigError, FileError
from tamis.vision.loading import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(build("llava"), tmp_path_factory.mktemp("models") / "llava")


def picture(size: tuple[int, int] = (60, 40)) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.parametrize("name", ["llava", "llava_next", "video_llava"])
def test_a_directory_gives_the_same_weights_and_prepared_pictures(name: str, tmp_path: Path) -> None:
    model = build(name)
    loaded = load(str(save(model, tmp_path / name)))
    assert loaded.family == name
    ours, theirs = loaded.model.state_dict(), model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    pixels = loaded.pixels([picture(), picture((30, 90))])
    assert pixels.shape == (2, 3, 32, 32)


def test_a_bare_tower_loads_and_shows_what_it_saw(tmp_path: Path) -> None:
    tower = CLIPVisionModel(vision_config())
    loaded = load(str(save(tower, tmp_path / "tower")))
    assert loaded.model is None
    square = picture((32, 32))
    seen = loaded.shown(loaded.pixels([square]))[0]
    assert int(np.abs(seen.astype(int) - np.asarray(square).astype(int)).max()) <= 1


def test_bytes_of_a_token_are_those_of_keys_and_values(folder: Path) -> None:
    assert load(str(folder)).bytes_per_token == 2 * 3 * 2 * 8 * 4  # keys and values, layers, heads, head size, float32


def edited(folder: Path, tmp_path: Path, **changes: Any) -> str:
    copy = tmp_path / "edited"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, **changes}))
    return str(copy)


def test_a_model_that_brings_code_along_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="code of its own"):
        load(edited(folder, tmp_path, auto_map={"AutoModel": "modeling_evil.Evil"}))


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_directory_that_lacks_a_part_is_refused(folder: Path, tmp_path: Path, missing: str) -> None:
    path = Path(edited(folder, tmp_path))
    (path / missing).unlink()
    with pytest.raises(FileError, match=r"no config\.json|no weights"):
        load(str(path))


def test_pickled_weights_are_not_read(folder: Path, tmp_path: Path) -> None:
    path = Path(edited(folder, tmp_path))
    (path / "model.safetensors").rename(path / "pytorch_model.bin")
    with pytest.raises(FileError, match="pickled"):
        load(str(path))


def test_damaged_weights_and_configurations_are_one_clear_line(folder: Path, tmp_path: Path) -> None:
    path = Path(edited(folder, tmp_path))
    (path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0garbage")
    with pytest.raises(FileError, match="cannot be loaded") as caught:
        load(str(path))
    assert "\n" not in str(caught.value)
    (path / "config.json").write_text("{")
    with pytest.raises(FileError, match="JSON"):
        load(str(path))


def test_models_of_other_kinds_are_refused_by_name(tmp_path: Path) -> None:
    language = LlamaForCausalLM(
        LlamaConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=20)
    )
    language.save_pretrained(tmp_path / "llama")
    siglip = SiglipVisionModel(
        SiglipVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    )
    siglip.save_pretrained(tmp_path / "siglip")
    with pytest.raises(ConfigError, match="'llama' model"):
        load(str(tmp_path / "llama"))
    with pytest.raises(ConfigError, match="siglip"):
        load(str(tmp_path / "siglip"))


@pytest.mark.parametrize("name", ["no-such-model", "./nowhere", "/nowhere/at/all", "~/nowhere"])
def test_an_unknown_name_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(ConfigError, match="vit-s14-focus"):
        load(name)


def test_a_hub_id_without_a_network_is_one_clear_line() -> None:
    with pytest.raises(ConfigError, match="some-org/some-model"):
        load("some-org/some-model")


def test_a_known_name_that_was_not_pulled_says_how() -> None:
    with pytest.raises(ConfigError, match="tamis models pull vit-s14-focus"):
        load("vit-s14-focus")


@pytest.mark.parametrize("device", ["cuda:7", "toaster", "meta"])
def test_a_device_that_is_not_here_is_refused(folder: Path, device: str) -> None:
    with pytest.raises(ConfigError, match="device"):
        load(str(folder), device)


@pytest.mark.parametrize("target", ["evil.bin", "../outside.safetensors", "/etc/passwd"])
def test_an_index_may_only_name_safetensors_of_its_own_directory(folder: Path, tmp_path: Path, target: str) -> None:
    path = Path(edited(folder, tmp_path))
    names = {"weight_map": {"lm_head.weight": target}, "metadata": {}}
    (path / "model.safetensors.index.json").write_text(json.dumps(names))
    with pytest.raises(FileError, match="same directory only"):
        load(str(path))


def test_missing_weights_are_not_made_up(folder: Path, tmp_path: Path) -> None:
    path = Path(edited(folder, tmp_path))
    tensors = load_file(path / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "layers.0" not in name}
    save_file(kept, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(FileError, match="weights are missing"):
        load(str(path))


@pytest.mark.parametrize("name", ["nosuchdir/", "a/b/c", "a b/c"])
def test_a_mistyped_path_is_no_hub_id(name: str) -> None:
    with pytest.raises(ConfigError, match="no model"):
        load(name)


def test_a_kernel_or_an_adapter_from_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="from elsewhere"):
        load(edited(folder, tmp_path, attn_implementation="evil/kernel"))


def test_the_notes_of_transformers_are_back_afterwards(folder: Path) -> None:
    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    load(str(folder))
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == before
