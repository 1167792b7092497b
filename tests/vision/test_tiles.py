"""LLaVA-NeXT's layout, against the stock model's own packing and against loops over rows and tiles."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.vision.small import IMAGE, PATCHES, collate, sample
from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape, unpad_image

from tamis.core.errors import ConfigError
from tamis.vision.config import Layout
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.tiles import packed_order, padded_order, staying

SIZES = [(40, 60), (64, 20), (33, 90), (50, 50), (10, 200), (200, 10), (32, 32)]
EDGE = 4


def grid_of(model: Any, size: tuple[int, int]) -> tuple[int, int]:
    return get_anyres_image_grid_shape(size, model.config.image_grid_pinpoints, 32)


def naive_order(model: Any, size: tuple[int, int], unpad: bool) -> list[int]:
    """The base picture, then every row of the canvas from left to right over its tiles, then a newline."""
    rows, columns = grid_of(model, size)
    canvas = [
        [
            (1 + (y // EDGE) * columns + x // EDGE) * PATCHES + (y % EDGE) * EDGE + x % EDGE
            for x in range(columns * EDGE)
        ]
        for y in range(rows * EDGE)
    ]
    if unpad:
        canvas = unpad_image(torch.tensor(canvas)[None], size)[0].tolist()
    return list(range(PATCHES)) + [entry for row in canvas for entry in [*row, -1]]


@pytest.mark.parametrize("size", SIZES)
def test_orders_equal_loops_over_rows_and_tiles(models: Any, size: tuple[int, int]) -> None:
    model = models("llava_next")
    rows, columns = grid_of(model, size)
    tiles = 1 + rows * columns
    where = torch.tensor(size)
    assert packed_order(model.model, PATCHES, tiles, where).tolist() == naive_order(model, size, unpad=True)
    assert padded_order(model.model, PATCHES, tiles, where).tolist() == naive_order(model, size, unpad=False)


def test_newline_policies_keep_all_none_or_those_of_filled_rows() -> None:
    order = torch.tensor([0, 1, 2, 3, -1, 4, 5, -1, 6, 7, -1])
    kept = torch.tensor([True, False, False, False, False, False, True, False])
    #        patches       0     1      2      3      4      5      6     7
    assert staying(kept, order, "none").tolist() == [0, 8]
    assert staying(kept, order, "all").tolist() == [0, 4, 7, 8, 10]
    assert staying(kept, order, "nonempty").tolist() == [0, 4, 8, 10]


@pytest.mark.parametrize("newline", ["all", "none", "nonempty"])
@pytest.mark.parametrize("unpad", [True, False])
@pytest.mark.parametrize("budget", ["per_tile", "per_image"])
def test_every_layout_gives_the_features_that_its_order_says(
    models: Any, newline: Any, unpad: bool, budget: Any
) -> None:
    model = models("llava_next")
    one = sample(model, 2, 2)
    layout = Layout(newline=newline, unpad=unpad, budget=budget)
    prepared = FasterVLM(0.25, layout).prepare(model, **collate([one]))
    features = prepared["mm_encoder_outputs"]["image"].pooler_output
    assert sum(len(image) for image in features) == int((prepared["input_ids"] == IMAGE).sum())

    inner, unit = model.model, 0
    for image, size in enumerate(one.pixels["image_sizes"]):
        rows, columns = grid_of(model, tuple(size.tolist()))
        tiles = 1 + rows * columns
        kept = {(tile * PATCHES + patch) for tile in range(tiles) for patch in prepared.kept[unit + tile].tolist()}
        unit += tiles
        with torch.no_grad():
            pixels = one.pixels["pixel_values"][image, :tiles]
            states = inner.vision_tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
            projected = inner.multi_modal_projector(states).flatten(0, 1)
        expected, line = [], []
        order = naive_order(model, tuple(size.tolist()), unpad)
        for place, entry in enumerate(order):
            if entry in kept:
                line.append(projected[entry])
            elif entry < 0:
                filled = bool(line) or (place == order.index(-1) and any(base in kept for base in range(PATCHES)))
                if newline == "all" or (newline == "nonempty" and filled):
                    line.append(inner.image_newline)
                expected, line = expected + line, []
        assert torch.allclose(features[image], torch.stack(expected), atol=1e-5)


def test_padding_is_never_kept_while_it_is_excluded(models: Any) -> None:
    model = models("llava_next")
    one = sample(model, 1, 4)
    size = tuple(one.pixels["image_sizes"][0].tolist())
    prepared = FasterVLM(0.5).prepare(model, **collate([one]))
    seen = set(naive_order(model, size, unpad=True))
    for tile, kept in enumerate(prepared.kept):
        assert all(tile * PATCHES + patch in seen for patch in kept.tolist())


def test_a_budget_for_the_whole_image_is_one_ranking_over_its_tiles(models: Any) -> None:
    model = models("llava_next")
    one = sample(model, 1, 3)
    with torch.no_grad():
        prepared = FasterVLM(0.1, Layout(budget="per_image", unpad=False)).prepare(model, **collate([one]))
        tiles = len(prepared.kept)
        pixels = one.pixels["pixel_values"][0, :tiles]
        slow = type(model.model.vision_tower)(model.config.vision_config).eval()
        slow.load_state_dict(model.model.vision_tower.state_dict())
        slow.set_attn_implementation("eager")
        scores = slow(pixels, output_attentions=True).attentions[4][:, :, 0, 1:].mean(1).flatten()
    budget = round(0.1 * tiles * PATCHES)
    best = set(scores.argsort(descending=True)[:budget].tolist())
    ours = {tile * PATCHES + patch for tile, kept in enumerate(prepared.kept) for patch in kept.tolist()}
    assert ours == best


def test_the_papers_layout_keeps_the_same_number_in_every_tile(models: Any) -> None:
    model = models("llava_next")
    one = sample(model, 1, 3)
    prepared = FasterVLM(4, Layout.paper()).prepare(model, **collate([one]))
    assert [len(kept) for kept in prepared.kept] == [4] * len(prepared.kept)
    assert int((prepared["input_ids"] == IMAGE).sum()) == 4 * len(prepared.kept)


def test_the_padded_layout_may_need_more_placeholders_than_the_prompt_had(models: Any) -> None:
    model = models("llava_next")
    one = sample(model, 1, 5)
    layout = Layout(newline="all", unpad=False)
    prepared = FasterVLM(1.0, layout).prepare(model, **collate([one]))
    order = naive_order(model, tuple(one.pixels["image_sizes"][0].tolist()), unpad=False)
    assert int((prepared["input_ids"] == IMAGE).sum()) == len(order) > one.ids.count(IMAGE)
    assert model.generate(**prepared, max_new_tokens=2, do_sample=False, pad_token_id=2).shape[0] == 1


def test_original_positions_of_padded_tiles_are_refused(models: Any) -> None:
    model = models("llava_next")
    with pytest.raises(ConfigError, match="unpad"):
        FasterVLM(4, Layout(positions="original", unpad=False)).prepare(model, **collate([sample(model, 1, 2)]))
