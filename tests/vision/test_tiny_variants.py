from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.vision.test_tiny import SMALL, picture
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

from tamis.core.errors import ConfigError
from tamis.vision import canvases, clips
from tamis.vision.baselines.simple import All, TextOnly
from tamis.vision.baselines.visionzip import VisionZip
from tamis.vision.config import Layout
from tamis.vision.evaluation import _Sight, examine, lines
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.loading import Loaded, load
from tamis.vision.selector import Selector
from tamis.vision.tamis import Tamis
from tamis.vision.tiny import IMAGE, build, save
from tamis.vision.tiny_data import KINDS, Kind
from tamis.vision.tiny_variants import FAMILIES, as_next, as_video, batch_of, order_of, prepares, stays_of, units
from tamis.vision.vocabulary import VIDEO, tokenizer, vocabulary

TAUGHT: tuple[Kind, ...] = ("scenes-tiles", "scenes-video")


@pytest.fixture(scope="module")
def variants() -> dict[str, Loaded]:
    tiny: Any = load("tiny").model
    tiles, video = as_next(tiny).eval(), as_video(tiny).eval()
    return {
        "scenes-tiles": Loaded("next", "llava_next", tiles.model.vision_tower, None, -2, tiles, tokenizer()),
        "scenes-video": Loaded("video", "video_llava", video.model.video_tower, None, -2, video, tokenizer(video=True)),
    }


def test_weights_are_those_of_the_small_model_and_only_new_tokens_are_new(variants: dict[str, Loaded]) -> None:
    tiny: Any = load("tiny").model
    known = tiny.state_dict()
    tiles, video = (variants[kind].model.state_dict() for kind in TAUGHT)
    assert tiles.keys() - known.keys() == {"model.image_newline"}
    assert all(torch.equal(tiles[name], tensor) for name, tensor in known.items())
    for name, tensor in known.items():
        for tower in ("image_tower", "video_tower"):
            same = video[name.replace("vision_tower", tower)]
            assert torch.equal(same[: len(tensor)] if tensor.ndim else same, tensor)
    assert len(video["lm_head.weight"]) == len(vocabulary(video=True))


def test_units_of_a_canvas_are_what_the_stock_processor_makes() -> None:
    drawn = canvases.draw(0, "validation", 0, 3)
    (reader,) = prepares("llava_next")
    wanted = reader(images=[picture(drawn.images[1])], text=["<image> what moves ?"], return_tensors="pt")
    made = units(torch.from_numpy(drawn.images[1:2]), "llava_next")
    batch = batch_of(made, "llava_next")
    assert wanted["image_sizes"].tolist() == batch["image_sizes"].tolist()
    torch.testing.assert_close(batch["pixel_values"][0, 1:], wanted["pixel_values"][0, 1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(batch["pixel_values"], wanted["pixel_values"], atol=3.1 / 127.5, rtol=0)
    model = as_next(build(SMALL))
    assert int((wanted["input_ids"] == IMAGE).sum()) == len(order_of(model)) == 144 + 12 * 25


def test_units_of_a_clip_are_its_frames_in_order() -> None:
    drawn = clips.draw(0, "validation", 0, 2)
    made = batch_of(units(torch.from_numpy(drawn.images), "video_llava"), "video_llava")["pixel_values_videos"]
    assert made.shape == (2, 3, 3, 96, 96)
    strip = torch.cat(list(made[1]), dim=2)
    torch.testing.assert_close(strip, torch.from_numpy(drawn.images[1]) / 127.5 - 1)


def test_the_order_of_tiles_is_row_by_row_over_both_with_a_newline_after_each() -> None:
    order = order_of(as_next(build(SMALL))).tolist()
    wanted = list(range(1, 145))
    for row in range(12):
        wanted += [145 * tile + 1 + 12 * row + column for tile in (1, 2) for column in range(12)] + [-1]
    assert order == wanted


def test_newlines_and_cls_stay_as_the_layout_says() -> None:
    mask = torch.zeros(6, 144, dtype=torch.bool)
    mask[0, 0] = mask[4, 7] = True
    order = torch.tensor([1, 152, 2, -1])
    stays = stays_of(mask, order, "llava_next", Layout())
    assert stays.tolist() == [[True, False, False, True], [False, False, False, True]]
    stays = stays_of(mask, torch.tensor([152, 153, -1]), "llava_next", Layout(newline="none"))
    assert stays.tolist() == [[False, False, False], [False, True, False]]
    frames = stays_of(torch.ones(3, 144, dtype=torch.bool), torch.tensor([0, 1]), "video_llava", Layout(cls="drop"))
    assert frames.tolist() == [[False, True]]
    with pytest.raises(ConfigError, match="nonempty"):
        stays_of(mask, order, "llava_next", Layout(newline="nonempty"))


@pytest.mark.parametrize("kind", TAUGHT)
@pytest.mark.parametrize(
    "selector",
    [FasterVLM(9), VisionZip(20, layout=Layout(positions="original")), Tamis(14), All(), TextOnly()],
    ids=lambda one: one.name,
)
def test_the_packed_route_is_the_stock_one(variants: dict[str, Loaded], kind: Kind, selector: Selector) -> None:
    loaded = variants[kind]
    of = KINDS[kind]
    drawn = of.draw(0, "validation", 3, 5)
    sight = _Sight(loaded, drawn, of.ask(drawn), kind)
    packed, stays = sight.answers(selector)
    stock = sight._one_by_one(selector)
    torch.testing.assert_close(packed, stock, atol=2e-3, rtol=1e-3)
    assert stays is not None


@pytest.mark.parametrize("kind", TAUGHT)
def test_variants_are_examined_as_the_small_model_is(variants: dict[str, Loaded], kind: Kind) -> None:
    sheet = examine(variants[kind], [FasterVLM(14), TextOnly()], kind=kind, split="validation", count=12)
    made = {run.method: run for run in lines(sheet)}
    assert made["all"].dataset.startswith(f"{kind}@sha256:")
    fixed = 12 if kind == "scenes-tiles" else 3
    patches = 3 * 14
    assert made["fastervlm"].metrics["image_tokens"] == patches + fixed
    assert made["all"].metrics["image_tokens"] == len(order_of(variants[kind].model))
    assert made["text-only"].metrics["image_tokens"] == 0
    assert made["all"].metrics["answer_token_recall"] == 1
    assert 0.2 < made["fastervlm"].metrics["answer_token_recall"] < 1
    assert made["all"].metrics["accuracy_color"] > 0.8  # what it knows from scenes, before any further training


def test_a_model_is_shown_its_own_kind_of_pictures_only(variants: dict[str, Loaded]) -> None:
    with pytest.raises(ConfigError, match="scenes are for a llava"):
        examine(variants["scenes-tiles"], [], count=1)
    with pytest.raises(
        ConfigError, match="scenes-video are for a video_llava that was taught on them: what tamis vision tune-tiny"
    ):
        examine(load("tiny"), [], kind="scenes-video", count=1)


@pytest.mark.parametrize("kind", TAUGHT)
def test_a_saved_variant_is_loaded_by_transformers_and_by_us(kind: Kind, tmp_path: Path) -> None:
    tiny = build(SMALL)
    model = as_next(tiny) if kind == "scenes-tiles" else as_video(tiny)
    save(model, tmp_path, prepares(FAMILIES[kind]))
    loaded = load(str(tmp_path))
    assert loaded.family == FAMILIES[kind] == AutoModelForImageTextToText.from_pretrained(tmp_path).config.model_type
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[name], tensor.half().float())
    examine(loaded, [FasterVLM(14)], kind=kind, split="validation", count=1)


def test_a_saved_tile_reader_answers_through_stock_generate(tmp_path: Path) -> None:
    save(as_next(load("tiny").model), tmp_path, prepares("llava_next"))
    model: Any = AutoModelForImageTextToText.from_pretrained(tmp_path)
    reader = AutoProcessor.from_pretrained(tmp_path)
    drawn = canvases.draw(0, "test", 0, 3)
    asked = KINDS["scenes-tiles"].ask(drawn)
    right = []
    for row, kind, text, answer in zip(asked.scene, asked.kind, asked.text, asked.answer, strict=True):
        if kind == "color":
            inputs = reader(images=picture(drawn.images[row]), text=f"<image> {text}", return_tensors="pt")
            output = model.generate(**inputs, max_new_tokens=1, do_sample=False)
            right.append(reader.tokenizer.decode(output[0, -1:]).strip() == answer)
    assert np.mean(right) > 0.6


def test_frames_and_words_of_a_saved_clip_reader_are_prepared_in_parts(tmp_path: Path) -> None:
    save(as_video(build(SMALL)), tmp_path, prepares("video_llava"))
    pixels = AutoImageProcessor.from_pretrained(tmp_path, backend="pil")(Image.new("RGB", (96, 96)))
    assert np.asarray(next(iter(pixels.values()))).shape[-3:] == (3, 96, 96)
    words = AutoTokenizer.from_pretrained(tmp_path)
    assert words(f"{VIDEO} what moves ?")["input_ids"][1] == vocabulary(video=True).index(VIDEO)
