from __future__ import annotations

import numpy as np
import pytest

from tamis.core.errors import ConfigError, FileError
from tamis.vision import sprites
from tamis.vision.questions import Questions
from tamis.vision.scenes import CELLS, SIZES, Scenes
from tamis.vision.sprites import CHARACTERS, CHOICES, NAMES, ask, captions, draw, font_path


@pytest.fixture(scope="module", params=["train", "ood"])
def scenes(request: pytest.FixtureRequest) -> Scenes:
    try:
        font_path()
    except FileError:
        pytest.skip("needs the font Noto Color Emoji: apt install fonts-noto-color-emoji")
    return draw(0, request.param, 0, 200)


@pytest.fixture(scope="module")
def questions(scenes: Scenes) -> Questions:
    return ask(scenes)


def test_there_are_more_than_a_hundred_things_with_names_of_their_own() -> None:
    assert len(NAMES) == len(CHARACTERS) == len(set(NAMES)) == len(set(CHARACTERS)) > 100
    assert all(len(character) == 1 and name.isascii() for character, name in zip(CHARACTERS, NAMES, strict=True))


def test_a_missing_font_is_told_with_the_package_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sprites, "_FONT_FOLDERS", ("/no/such/folder",))
    with pytest.raises(FileError, match="apt install fonts-noto-color-emoji"):
        font_path()


def test_every_thing_looks_like_no_other(scenes: Scenes) -> None:
    drawn = sprites._pictures(False)[:, 4, 1].reshape(len(NAMES), -1).astype(np.float32)
    distance = np.stack([np.abs(drawn - one).mean(axis=1) for one in drawn])
    assert (drawn.std(axis=1) > 0).all()
    assert (distance + 99 * np.eye(len(NAMES)) > 5).all()


def test_a_scene_is_the_same_whatever_batch_it_is_drawn_in(scenes: Scenes) -> None:
    part = draw(0, scenes.split, 40, 50)
    assert np.array_equal(scenes.images[40:50], part.images)
    assert np.array_equal(scenes.object_patches[40:50], part.object_patches)


def test_every_object_is_seen_in_its_cell_only(scenes: Scenes) -> None:
    patch = np.arange(144)
    cell_of_patch = patch // 12 // 4 * 3 + patch % 12 // 4
    assert (scenes.object_patches.any(2) == (scenes.cells >= 0)).all()
    assert not (scenes.object_patches & (cell_of_patch != scenes.cells[:, :, None])).any()


def test_every_answer_is_what_one_finds_by_reading_the_question(scenes: Scenes, questions: Questions) -> None:
    assert set(questions.kind) == set(CHOICES)
    for index, (text, answer) in enumerate(zip(questions.text, questions.answer, strict=True)):
        row, words = int(questions.scene[index]), text.split()
        there = np.nonzero(scenes.cells[row] >= 0)[0]
        seen = [
            (SIZES[scenes.traits["size"][row, i]], NAMES[scenes.traits["name"][row, i]], CELLS[scenes.cells[row, i]])
            for i in there
        ]
        match questions.kind[index]:
            case "exists":
                asked = [i for i, thing in enumerate(seen) if thing[:2] == (words[3], words[4])]
                assert (answer == "yes") == bool(asked)
            case "where":
                asked = [i for i, thing in enumerate(seen) if thing[1] == words[3]]
                assert [seen[i][2] for i in asked] == [answer]
            case "which":
                asked = [i for i, thing in enumerate(seen) if thing[2] == words[4]]
                assert [seen[i][1] for i in asked] == [answer]
            case "count":
                asked = [i for i, thing in enumerate(seen) if thing[1] == words[5]]
                assert ["one", "two", "three"].index(answer) + 1 == len(asked)
        assert (questions.patches[index] == scenes.object_patches[row][there[asked]].any(0)).all()


def test_yes_and_no_are_equally_frequent(questions: Questions) -> None:
    answers = [answer for kind, answer in zip(questions.kind, questions.answer, strict=True) if kind == "exists"]
    assert abs(np.mean([answer == "yes" for answer in answers]) - 0.5) < 0.15


def test_a_caption_tells_every_object(scenes: Scenes) -> None:
    for row, caption in enumerate(captions(scenes)):
        assert caption.count(" at the ") == (scenes.cells[row] >= 0).sum()
        assert f"{NAMES[scenes.traits['name'][row, 0]]} at the {CELLS[scenes.cells[row, 0]]}" in caption


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of train"):
        draw(0, "holdout", 0, 1)
