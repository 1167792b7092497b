import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from tamis.core.checkpoint import Checkpoint
from tamis.core.errors import ConfigError, FileError


@dataclass(frozen=True)
class ToyConfig:
    width: int = 3
    kernels: tuple[int, ...] = (3, 5)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernels", tuple(self.kernels))
        if self.width < 1:
            raise ConfigError(f"width is {self.width}; expected at least 1")


class Toy(nn.Module, Checkpoint, license="apache-2.0", paper_url="https://arxiv.org/abs/0000.00000"):
    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.layer = nn.Linear(config.width, 2)
        self.tied = self.layer.weight


class Other(nn.Module, Checkpoint):
    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Toy(ToyConfig(width=4, kernels=(7,))).save_pretrained(tmp_path / "toy")
    return tmp_path / "toy"


@pytest.fixture
def changed(folder: Path) -> Any:
    """Change the configuration on disk."""

    def change(**values: Any) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def test_a_saved_model_loads_with_equal_tensors_and_an_equal_hashable_config(tmp_path: Path) -> None:
    model = Toy(ToyConfig(width=4, kernels=(7, 9)))
    model.save_pretrained(tmp_path / "a" / "toy")
    loaded = Toy.from_pretrained(str(tmp_path / "a" / "toy"))
    assert loaded.config == model.config
    assert hash(loaded.config) == hash(model.config)
    assert loaded.tied is loaded.layer.weight
    assert not loaded.training
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=0, atol=0)


def test_a_model_directory_holds_weights_configuration_and_card_and_nothing_else(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert json.loads((folder / "config.json").read_text()) == {
        "format": 1,
        "class": "Toy",
        "config": {"width": 4, "kernels": [7]},
    }
    card = (folder / "README.md").read_text()
    assert all(
        part in card for part in ("license: apache-2.0", "library_name: tamis", "# Toy", "arxiv.org/abs/0000.00000")
    )


def test_saving_again_replaces_the_weights_and_keeps_what_people_wrote(folder: Path) -> None:
    (folder / "README.md").write_text("mine")
    model = Toy(ToyConfig(width=9))
    model.save_pretrained(folder)
    assert (folder / "README.md").read_text() == "mine"
    assert Toy.from_pretrained(folder).config.width == 9


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), SafetensorError("I/O error: No space left on device")]
)
def test_a_save_that_fails_leaves_the_old_model_whole(
    error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(self: Any, directory: Path) -> None:
        (directory / "model.safetensors").write_bytes(b"half")
        raise error

    monkeypatch.setattr("huggingface_hub.PyTorchModelHubMixin._save_pretrained", full)
    with pytest.raises(FileError, match="No space left"):
        Toy(ToyConfig()).save_pretrained(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda tensors: tensors.pop("layer.bias"), "Missing key.*layer.bias"),
        (lambda tensors: tensors.update(more=torch.zeros(1)), "Unexpected key.*more"),
        (lambda tensors: tensors.update({"layer.bias": torch.zeros(3)}), "size mismatch for layer.bias"),
    ],
)
def test_tensors_that_are_missing_left_over_or_misshapen_are_refused(edit: Any, message: str, folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(FileError, match=message) as caught:
        Toy.from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_damaged_or_missing_weights_are_refused_and_pickled_ones_are_not_looked_for(folder: Path) -> None:
    path = folder / "model.safetensors"
    torch.save({}, folder / "pytorch_model.bin")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(FileError, match=r"model\.safetensors: does not fit Toy"):
        Toy.from_pretrained(folder)
    path.unlink()
    with pytest.raises(FileError, match=r"model\.safetensors: no such file"):
        Toy.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"widht": 4}}, "unknown key 'widht'; did you mean 'width'"),
        ({"config": {"width": "4"}}, "width is '4'; expected type int"),
        ({"config": {"width": 4.5}}, "width is 4.5; expected type int"),
        ({"config": {"width": True}}, "width is True; expected type int"),
        ({"config": {"zzz": 4}}, "unknown key 'zzz'; expected one of width, kernels"),
        ({"config": {"width": 0}}, r"config\.json: width is 0"),
        ({"config": {"kernels": 3}}, "does not make a ToyConfig"),
        ({"class": "Other"}, "a Other; expected a Toy"),
        ({"format": 2}, "format 2; this tamis reads format 1"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(change: Any, message: str, changed: Any, folder: Path) -> None:
    changed(**change)
    with pytest.raises(ConfigError, match=message):
        Toy.from_pretrained(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1, "class": "Toy", "config": 3}'])
def test_a_configuration_that_is_none_of_ours_is_refused(content: str, folder: Path) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(FileError, match=r"config\.json: not the configuration of a tamis model"):
        Toy.from_pretrained(folder)


def test_no_memory_is_taken_for_a_model_that_the_file_does_not_hold(changed: Any, folder: Path) -> None:
    made: list[torch.device] = []

    class Watched(Toy):
        def __init__(self, config: ToyConfig) -> None:
            super().__init__(config)
            made.append(next(self.parameters()).device)

    Watched.__name__ = "Toy"
    changed(config={"width": 1_000_000, "kernels": [7]})
    with pytest.raises(FileError, match="weights, and it holds fewer"):
        Watched.from_pretrained(folder)
    assert [device.type for device in made] == ["meta"]


def test_weights_may_be_read_by_who_may_read_the_configuration(folder: Path) -> None:
    assert len({(folder / name).stat().st_mode for name in ("model.safetensors", "config.json")}) == 1


def test_an_init_that_could_not_be_rebuilt_is_refused_when_the_class_is_made() -> None:
    with pytest.raises(ConfigError, match=r"must be \(self, config\)"):

        class Bad(nn.Module, Checkpoint):
            def __init__(self, config: ToyConfig, depth: int = 3) -> None: ...


def test_a_name_without_a_slash_is_a_shipped_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"no Toy of this name comes with tamis \(none does\)"):
        Toy.from_pretrained("toy")
    monkeypatch.setattr(Toy, "shipped", folder.parent)
    assert Toy.from_pretrained("toy").config.width == 4
    with pytest.raises(ConfigError, match=r"'tyo': .*\(toy\); write a directory with a slash: './tyo'"):
        Toy.from_pretrained("tyo")


def test_a_mistyped_directory_is_said_to_be_missing_without_asking_the_hub(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    for name in (
        "./tyo",
        "toy/tyo",
        "../a/b",
        str(folder.parent / "tyo"),
        Path("tyo"),
        Path("owner/tyo"),
        "~/tyo",
        "a/b/c",
    ):
        with pytest.raises(FileError, match="no such directory"):
            Toy.from_pretrained(name)


def test_a_hub_id_is_loaded_by_its_three_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(repo_id: str, **options: Any) -> str:
        asked.append((repo_id, options["revision"], options["allow_patterns"]))
        return str(folder)

    monkeypatch.setattr("tamis.core.checkpoint.snapshot_download", download)
    assert Toy.from_pretrained("owner/toy", revision="v1").config.width == 4
    assert asked == [("owner/toy", "v1", ["model.safetensors", "config.json", "README.md"])]


def test_a_hub_id_offline_is_refused_in_one_line() -> None:
    assert huggingface_hub.constants.HF_HUB_OFFLINE
    with pytest.raises(ConfigError, match="owner/nothing: no such directory, and not loaded from the Hub") as caught:
        Toy.from_pretrained("owner/nothing")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ReadTimeout("The read operation timed out"), "The read operation timed out"),
        (httpx.ConnectTimeout(""), "ConnectTimeout"),
        (httpx.RemoteProtocolError("peer closed connection\nwithout sending the body"), "connection without sending"),
        (
            HfHubHTTPError(
                "404 Client Error.\n\nRepository Not Found.",
                response=httpx.Response(404, request=httpx.Request("GET", "https://hub.example")),
            ),
            r"404 Client Error\. Repository Not Found\.",
        ),
        (RuntimeError("Data processing error: cut off"), "Data processing error: cut off"),
    ],
)
def test_a_hub_that_cannot_be_reached_or_fails_is_one_line(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(repo_id: str, **options: Any) -> str:
        raise error

    monkeypatch.setattr("tamis.core.checkpoint.snapshot_download", download)
    with pytest.raises(ConfigError, match=rf"^owner/toy: .*not loaded from the Hub \(.*{reason}.*\); check") as caught:
        Toy.from_pretrained("owner/toy")
    assert "\n" not in str(caught.value)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A double of the Hub that stores what is uploaded."""

    class Api:
        def __init__(self, token: str | None = None) -> None: ...

        def create_repo(self, repo_id: str, **options: Any) -> Any:
            return type("Url", (), {"repo_id": repo_id})

        def upload_folder(self, *, folder_path: Path, **options: Any) -> str:
            Path(folder_path).rename(tmp_path / "uploaded")
            return "commit"

    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Api)
    return tmp_path / "uploaded"


def test_what_is_pushed_to_the_hub_is_a_model_directory_that_loads(hub: Path) -> None:
    assert Toy(ToyConfig(width=5)).push_to_hub("owner/toy") == "commit"
    assert sorted(path.name for path in hub.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert Toy.from_pretrained(hub).config.width == 5


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", '"text"', " " * 10_000_001])
def test_a_configuration_that_is_none_is_one_line(content: str, folder: Path) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(FileError, match="not the configuration of a tamis model") as raised:
        Toy.from_pretrained(folder)
    assert "\n" not in str(raised.value)


def test_a_configuration_that_never_ends_is_not_waited_for(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(FileError, match="it is no regular file"):
        Toy.from_pretrained(folder)


@pytest.mark.parametrize("name", ["a" * 300 + "/b", "~nobody-of-this-name/b"])
def test_a_directory_that_cannot_be_is_one_line(name: str) -> None:
    with pytest.raises(FileError, match="no such directory"):
        Toy.from_pretrained(name)
