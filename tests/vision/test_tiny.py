from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from tamis.core.errors import ConfigError
from tamis.vision import questions, scenes
from tamis.vision.config import TinyConfig
from tamis.vision.loading import SHIPPED, load, shipped
from tamis.vision.tiny import BOS, EOS, IMAGE, PAD, TOKENS, build, processor, save

SMALL = TinyConfig(
    tower_width=32,
    tower_blocks=3,
    tower_heads=2,
    language_width=32,
    language_blocks=2,
    language_heads=2,
    language_hidden=48,
)


def picture(image: Any) -> Image.Image:
    return Image.fromarray(image.transpose(1, 2, 0))


def test_special_tokens_have_the_ids_that_the_model_is_told() -> None:
    words = processor().tokenizer
    assert words.convert_tokens_to_ids(["<pad>", "<s>", "</s>", "<image>"]) == [PAD, BOS, EOS, IMAGE]
    config = build(SMALL).config
    assert (config.image_token_id, config.text_config.eos_token_id, config.text_config.pad_token_id) == (
        IMAGE,
        EOS,
        PAD,
    )


def test_a_prompt_has_a_placeholder_for_each_patch_and_training_pixels_are_the_processors() -> None:
    drawn = scenes.draw(0, "validation", 0, 2)
    inputs = processor()(images=picture(drawn.images[1]), text="<image> Where is the ring?", return_tensors="pt")
    assert int((inputs["input_ids"] == IMAGE).sum()) == TOKENS == 144
    wanted = torch.from_numpy(drawn.images[1]) / 127.5 - 1
    torch.testing.assert_close(inputs["pixel_values"][0], wanted, atol=1e-5, rtol=0)


def test_the_chat_template_writes_what_the_model_was_trained_on() -> None:
    ask = [{"role": "user", "content": [{"type": "text", "text": "where is it ?"}, {"type": "image"}]}]
    assert processor().apply_chat_template(ask) == "<s> <image> where is it ?"


def test_weights_are_written_in_16_bits_and_read_in_32_and_transformers_loads_them(tmp_path: Path) -> None:
    model = build(SMALL, seed=3)
    save(model, tmp_path)
    assert model.dtype == torch.float32
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert loaded.dtype == torch.float32
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor.half().float())
    stored = sum(file.stat().st_size for file in tmp_path.glob("*.safetensors"))
    assert stored < 2.3 * sum(parameter.numel() for parameter in model.parameters())
    inputs = AutoProcessor.from_pretrained(tmp_path)(
        images=Image.new("RGB", (96, 96)), text="<image> where is the ring ?", return_tensors="pt"
    )
    assert loaded.generate(**inputs, max_new_tokens=2, do_sample=False).shape[0] == 1


def test_seeds_differ_and_leave_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = build(SMALL, seed=1), build(SMALL, seed=1), build(SMALL, seed=2)
    assert torch.equal(before, torch.get_rng_state())
    name = "model.multi_modal_projector.linear_1.weight"
    assert torch.equal(first.state_dict()[name], again.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"tower_blocks": 1}, "expected at least 2"),
        ({"language_hidden": 0}, "language_hidden is 0"),
        ({"tower_width": 100}, "tower_width is 100"),
    ],
)
def test_sizes_that_make_no_model_are_refused(values: dict[str, int], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        TinyConfig(**values)


def test_the_shipped_model_answers_through_stock_generate() -> None:
    loaded = load("tiny")
    assert "tiny" in shipped()
    model: Any = loaded.model
    reader = AutoProcessor.from_pretrained(SHIPPED / "tiny")
    drawn = scenes.draw(0, "test", 0, 4)
    asked = questions.ask(drawn)
    right = []
    for row, text, answer in list(zip(asked.scene, asked.text, asked.answer, strict=True))[:30]:
        inputs = reader(images=picture(drawn.images[row]), text=f"<image> {text}", return_tensors="pt")
        output = model.generate(**inputs, max_new_tokens=3, do_sample=False)
        said = reader.tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        right.append(said.strip() == answer)
    assert np.mean(right) > 0.9


def test_the_shipped_model_is_small() -> None:
    assert sum(file.stat().st_size for file in (SHIPPED / "tiny").iterdir()) < 15e6
    assert (SHIPPED / "tiny" / "README.md").is_file()
