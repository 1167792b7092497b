from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from tamis.core.errors import ConfigError
from tamis.vision.scenes import (
    _GROUND,
    _PAINT,
    COLORS,
    HARD,
    HELD_OUT,
    SPLITS,
    TRAITS,
    Scenes,
    draw,
    stamp,
)
from tamis.vision.silhouettes import SHAPES, TEXTURES


@pytest.fixture(scope="module", params=SPLITS)
def scenes(request: pytest.FixtureRequest) -> Scenes:
    return draw(0, request.param, 0, 400)


def columns(scenes: Scenes) -> dict[str, Any]:
    known = {field.name: getattr(scenes, field.name) for field in fields(Scenes)}
    return {**known.pop("traits"), **known}


@pytest.mark.parametrize("split", ["train", "ood"])
def test_a_scene_is_the_same_whatever_batch_it_is_drawn_in(split: str) -> None:
    whole, part, single = draw(3, split, 0, 90), draw(3, split, 40, 77), draw(3, split, 41, 42)
    for name, column in columns(whole).items():
        if isinstance(column, np.ndarray):
            assert np.array_equal(column[40:77], columns(part)[name]), name
            assert np.array_equal(column[41:42], columns(single)[name]), name


def test_seeds_and_splits_share_no_picture() -> None:
    drawn = [draw(seed, split, 0, 20).images for seed in (0, 1) for split in SPLITS]
    assert len({image.tobytes() for batch in drawn for image in batch}) == 2 * len(SPLITS) * 20


def test_no_two_things_share_a_cell(scenes: Scenes) -> None:
    for cells in np.concatenate([scenes.cells, scenes.label_cells], axis=1):
        taken = cells[cells >= 0]
        assert len(set(taken.tolist())) == len(taken)
    shown = np.concatenate([scenes.object_patches, scenes.label_patches], axis=1).any(2)
    assert (shown == (np.concatenate([scenes.cells, scenes.label_cells], axis=1) >= 0)).all()


def test_a_thing_is_seen_in_its_cell_only(scenes: Scenes) -> None:
    patch = np.arange(144)
    cell_of_patch = patch // 12 // 4 * 3 + patch % 12 // 4
    for patches, cells in ((scenes.object_patches, scenes.cells), (scenes.label_patches, scenes.label_cells)):
        assert not (patches & (cell_of_patch != cells[:, :, None])).any()


def test_patches_of_an_object_are_those_with_its_color(scenes: Scenes) -> None:
    plain = scenes.traits["texture"] == TEXTURES.index("plain")
    plain[scenes.hard == HARD.index("faint"), 0] = False
    unlike_ground = [COLORS.index(name) for name in ("orange", "cyan", "pink")]
    for row, slot in np.argwhere(plain & np.isin(scenes.traits["color"], unlike_ground)):
        off = np.abs(scenes.images[row].astype(int) - _PAINT[scenes.traits["color"][row, slot]][:, None, None]).max(0)
        tiles = (off <= 14).reshape(12, 8, 12, 8)
        cell = scenes.cells[row, slot]
        mask = scenes.object_patches[row, slot].reshape(12, 12)
        inside = np.zeros_like(mask)
        inside[cell // 3 * 4 :, cell % 3 * 4 :][:4, :4] = True
        seen = tiles.any((1, 3)) & inside & ~scenes.distractor_patches[row].reshape(12, 12)
        assert not (seen & ~mask).any()
        assert tiles.sum((1, 3))[mask].sum() > 10


def test_half_of_the_scenes_are_hard_and_only_there_the_focus_is_small() -> None:
    scenes = draw(0, "train", 0, 1000)
    assert abs((scenes.hard > 0).mean() - 0.5) < 0.06
    small = scenes.traits["size"][:, 0] == 0
    assert small[scenes.hard == HARD.index("small")].all()
    assert not small[scenes.hard == HARD.index("no")].any()
    assert abs(small.mean() - 1 / 3) < 0.06


def test_clutter_covers_more_patches() -> None:
    scenes = draw(0, "train", 0, 400)
    covered = scenes.distractor_patches.sum(1)
    assert covered[scenes.hard == HARD.index("clutter")].mean() > covered[scenes.hard == 0].mean() + 5


def test_a_faint_object_stands_out_less() -> None:
    scenes = draw(0, "train", 0, 600)
    contrast = [
        scenes.images[row][:, np.kron(scenes.object_patches[row, 0].reshape(12, 12), np.ones((8, 8), bool))].std()
        for row in range(len(scenes))
    ]
    faint, easy = scenes.hard == HARD.index("faint"), scenes.hard == HARD.index("no")
    assert np.mean(np.array(contrast)[faint]) < 0.8 * np.mean(np.array(contrast)[easy])


def test_one_pair_of_each_color_and_each_shape_is_held_out() -> None:
    assert HELD_OUT.sum(0).tolist() == [1] * len(SHAPES)
    assert HELD_OUT.sum(1).tolist() == [1] * len(COLORS)


def test_held_out_pairs_are_in_the_split_ood_only(scenes: Scenes) -> None:
    there = scenes.cells >= 0
    held_out = HELD_OUT[scenes.traits["color"], scenes.traits["shape"]]
    if scenes.split == "ood":
        assert held_out[:, 0].all()
    else:
        assert not held_out[there].any()


def test_the_split_ood_has_more_and_other_things() -> None:
    known, new = draw(0, "train", 0, 300), draw(0, "ood", 0, 300)
    assert set((known.cells >= 0).sum(1).tolist()) == {1, 2, 3, 4}
    assert set((new.cells >= 0).sum(1).tolist()) == {3, 4, 5, 6}
    largest = [scenes.object_patches.sum(2)[scenes.traits["size"] == 2].mean() for scenes in (known, new)]
    assert largest[1] > 1.2 * largest[0]


def test_as_many_objects_as_said_share_a_trait_with_the_focus(scenes: Scenes) -> None:
    for row in range(len(scenes)):
        values = scenes.traits[list(TRAITS)[scenes.repeated[row]]][row]
        assert (values == values[0]).sum() == scenes.copies[row]


def test_the_background_shows_its_hue(scenes: Scenes) -> None:
    right = 0
    for image, patches, hue in zip(scenes.images, scenes.background_patches, scenes.hue, strict=True):
        mean = image[:, np.kron(patches.reshape(12, 12), np.ones((8, 8), bool))].mean(1)
        tint, tints = mean - mean.mean(), _GROUND - _GROUND.mean(1, keepdims=True)
        right += np.abs(tints - tint).sum(1).argmin() == hue
    assert right / len(scenes) > 0.97


def test_a_stamp_is_blended_where_it_covers_and_marks_the_patches_it_is_on() -> None:
    images = np.zeros((2, 3, 96, 96), dtype=np.uint8)
    cover = np.array([[[1, 0.5], [0.25, 0]]], dtype=np.float32)
    paint = np.full((1, 2, 2, 3), 200, dtype=np.uint8)
    patches = stamp(
        images, np.array([1]), np.array([7]), np.array([15]), cover, paint, opacity=np.array([1], dtype=np.float32)
    )
    assert images[1, 2, 7:9, 15:17].tolist() == [[200, 100], [50, 0]]
    assert images.sum() == 3 * 350
    assert np.argwhere(patches).tolist() == [[0, 1], [0, 2]]


@pytest.mark.parametrize(("split", "start", "stop"), [("holdout", 0, 1), ("train", 4, 4), ("train", -1, 4)])
def test_what_cannot_be_drawn_is_refused(split: str, start: int, stop: int) -> None:
    with pytest.raises(ConfigError, match="expected"):
        draw(0, split, start, stop)
