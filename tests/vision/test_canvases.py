from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from tamis.vision import canvases, questions
from tamis.vision.scenes import CELLS, HARD, Scenes

_FAINT = HARD.index("faint")


@pytest.fixture(scope="module")
def drawn() -> Scenes:
    return canvases.draw(0, "validation", 0, 300)


def columns(marked: np.ndarray) -> np.ndarray:
    """Columns of 8 pixels, over both tiles, of the patches that are marked."""
    tile, patch = np.divmod(np.nonzero(marked)[0], 144)
    return tile * 12 + patch % 12


def test_a_canvas_is_the_same_alone_and_in_a_batch_and_no_other_split_has_it(drawn: Scenes) -> None:
    alone = canvases.draw(0, "validation", 17, 18)
    for field in dataclasses.fields(Scenes):
        whole, part = getattr(drawn, field.name), getattr(alone, field.name)
        if isinstance(whole, np.ndarray):
            np.testing.assert_array_equal(part[0], whole[17])
    assert drawn.images.shape == (300, 3, 96, 192)
    assert not np.array_equal(canvases.draw(0, "test", 17, 18).images[0], drawn.images[17])


def test_everything_is_where_it_is_said_to_be(drawn: Scenes) -> None:
    for row, slot in zip(*np.nonzero(drawn.cells >= 0), strict=True):
        name = CELLS[drawn.cells[row, slot]]
        middle = columns(drawn.object_patches[row, slot]).mean() / 8
        side = "left" if middle < 1 else "right" if middle > 2 else ""
        assert ("left" in name, "right" in name) == (side == "left", side == "right"), name
        lines = np.nonzero(drawn.object_patches[row, slot])[0] % 144 // 12
        assert ("top" in name, "bottom" in name) == (lines.max() < 4, lines.min() >= 8)


def test_both_tiles_have_objects_and_none_lies_in_two(drawn: Scenes) -> None:
    present = drawn.object_patches[drawn.cells >= 0].reshape(-1, 2, 144).any(2)
    assert (present.sum(1) == 1).all()
    assert 0.45 < present[:, 0].mean() < 0.55


def test_no_two_things_share_a_patch_and_nothing_is_absent(drawn: Scenes) -> None:
    things = np.concatenate([drawn.object_patches, drawn.label_patches], axis=1)
    assert things.sum(1).max() == 1
    assert (drawn.label_patches.any(2) == (drawn.words >= 0)).all()


def test_patches_of_an_object_look_unlike_the_rest_of_the_canvas(drawn: Scenes) -> None:
    large = [(row, slot) for row, slot in np.argwhere(drawn.traits["size"] == 2) if drawn.hard[row] != _FAINT]
    assert len(large) > 100
    for row, slot in large:
        tile, patch = np.divmod(np.nonzero(drawn.object_patches[row, slot])[0], 144)
        inside = np.zeros((12, 24), dtype=bool)
        inside[patch // 12, tile * 12 + patch % 12] = True
        pixels = drawn.images[row].reshape(3, 12, 8, 24, 8).transpose(1, 3, 0, 2, 4).reshape(12, 24, -1)
        ground = np.median(pixels[~inside], axis=0)
        assert np.abs(pixels[inside] - ground).mean() > np.abs(pixels[~inside] - ground).mean()


def test_questions_are_those_of_scenes_and_answers_are_as_frequent(drawn: Scenes) -> None:
    asked = questions.ask(drawn)
    assert set(asked.kind) == set(questions.CHOICES)
    assert asked.patches.shape[1] == 288
    for kind in ("where", "compare"):
        answers = [answer for one, answer in zip(asked.kind, asked.answer, strict=True) if one == kind]
        most = max(answers.count(answer) for answer in set(answers)) / len(answers)
        even = 1 / len(questions.CHOICES[kind])
        assert most < even + 3.5 * math.sqrt(even * (1 - even) / len(answers))
