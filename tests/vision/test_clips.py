from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tamis.core.errors import ConfigError
from tamis.vision import clips, questions
from tamis.vision.clips import CHOICES, FRAMES, WAYS, Clips
from tamis.vision.questions import Questions
from tamis.vision.vocabulary import vocabulary


@pytest.fixture(scope="module")
def drawn() -> Clips:
    return clips.draw(0, "validation", 0, 400)


@pytest.fixture(scope="module")
def asked(drawn: Clips) -> Questions:
    return clips.ask(drawn)


def places(clip: Clips, row: int, slot: int) -> np.ndarray:
    """Mean row and column of an object's patches, frame by frame, in cells of 4 patches."""
    marked = clip.object_patches[row, slot].reshape(FRAMES, 12, 12)
    return np.array([np.argwhere(frame).mean(0) for frame in marked]) / 4


def test_a_clip_is_the_same_alone_and_in_a_batch(drawn: Clips, asked: Questions) -> None:
    alone = clips.draw(0, "validation", 33, 34)
    for field in dataclasses.fields(Clips):
        whole, part = getattr(drawn, field.name), getattr(alone, field.name)
        if isinstance(whole, np.ndarray):
            np.testing.assert_array_equal(part[0], whole[33])
    assert clips.ask(alone).text == [text for scene, text in zip(asked.scene, asked.text, strict=True) if scene == 33]


def test_the_mover_goes_its_way_by_whole_cells_and_all_else_rests(drawn: Clips) -> None:
    for row in range(100):
        for slot in np.nonzero(drawn.cells[row] >= 0)[0]:
            steps = np.diff(places(drawn, row, slot), axis=0)
            np.testing.assert_allclose(steps, steps.round(), atol=1e-6)
            if slot != drawn.mover[row]:
                assert not steps.any()
                continue
            down, right = steps.sum(0)
            assert (
                WAYS[drawn.way[row]]
                == {(0, 1): "right", (0, -1): "left", (1, 0): "down", (-1, 0): "up"}[
                    (int(np.sign(down)), int(np.sign(right)))
                ]
            )
            assert (steps.sum(1) * np.sign(down + right) >= 0).all()  # never back


def test_nothing_is_ever_hidden(drawn: Clips) -> None:
    things = np.concatenate([drawn.object_patches, drawn.label_patches], axis=1)
    assert things.sum(1).max() == 1
    assert things.any(2)[:, :6].sum() == (drawn.cells >= 0).sum()


def test_frames_differ_only_where_the_mover_was(drawn: Clips) -> None:
    frames = drawn.images[:50].reshape(50, 3, 96, FRAMES, 96).transpose(3, 0, 1, 2, 4)
    changed = (frames[0] != frames[-1]).any(1).reshape(50, 12, 8, 12, 8).any((2, 4)).reshape(50, 144)
    mover = drawn.object_patches[np.arange(50), drawn.mover[:50]].reshape(50, FRAMES, 144)
    assert (changed & (mover[:, 0] | mover[:, -1])).any(1).all()
    cells = [(np.argwhere(one.reshape(12, 12)).mean(0) // 4).astype(int) for clip in mover for one in clip[[0, -1]]]
    allowed = np.zeros((50, 3, 4, 3, 4), dtype=bool)
    for number, (row, column) in enumerate(cells):
        allowed[number // 2, row, :, column] = True
    assert not (changed & ~allowed.reshape(50, 144)).any()


def test_one_frame_does_not_tell_the_way(drawn: Clips) -> None:
    """Who knows only where the mover is in the last frame is wrong often."""
    seen: dict[int, list[int]] = {}
    for row in range(len(drawn)):
        seen.setdefault(int(drawn.cells[row, drawn.mover[row]]), []).append(int(drawn.way[row]))
    best = sum(max(ways.count(way) for way in set(ways)) for ways in seen.values()) / len(drawn)
    assert best < 0.55  # by chance a quarter


def test_answers_of_the_new_kinds_are_about_equally_frequent(asked: Questions) -> None:
    for kind, most in (("way", 0.27), ("mover", 0.2)):
        answers = [answer for one, answer in zip(asked.kind, asked.answer, strict=True) if one == kind]
        assert set(answers) == set(CHOICES[kind])
        assert max(answers.count(answer) for answer in CHOICES[kind]) / len(answers) < most
        assert len(answers) > 350


def test_answers_follow_from_the_patches_that_they_rest_on(drawn: Clips, asked: Questions) -> None:
    for number, (kind, row) in enumerate(zip(asked.kind, asked.scene.tolist(), strict=True)):
        if kind == "way":
            marked = asked.patches[number].reshape(FRAMES, 12, 12)
            step = np.argwhere(marked[-1]).mean(0) - np.argwhere(marked[0]).mean(0)
            named = {"nowhere": (0, 0), "right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}
            assert tuple(np.sign(step.round())) == named[asked.answer[number]]
        elif kind == "mover":
            assert (asked.patches[number] == drawn.object_patches[row, drawn.mover[row]]).all()


def test_still_questions_are_those_of_scenes_and_come_clip_by_clip(drawn: Clips, asked: Questions) -> None:
    still = questions.ask(drawn)
    kept = [place for place, kind in enumerate(asked.kind) if kind not in ("way", "mover")]
    assert [asked.text[place] for place in kept] == still.text
    assert [asked.answer[place] for place in kept] == still.answer
    for place, patches in zip(kept, still.patches, strict=True):
        words = set(asked.text[place].split())
        about_place = asked.kind[place] == "where" or words & {"left", "right", "above", "below"}
        first = 144 * (FRAMES - 1) if about_place else 0  # a place is that of the last frame
        assert not asked.patches[place][:first].any()
        np.testing.assert_array_equal(asked.patches[place][first:], patches[first:])
    assert (np.diff(asked.scene) >= 0).all()


def test_every_word_is_in_the_vocabulary_of_videos_and_the_others_keep_their_numbers(asked: Questions) -> None:
    words = vocabulary(video=True)
    assert len(set(words)) == len(words)
    assert words[: len(vocabulary())] == vocabulary()
    assert {word for text in [*asked.text, *asked.answer] for word in text.split()} <= set(words)


def test_there_are_no_clips_of_the_split_ood() -> None:
    with pytest.raises(ConfigError, match="no split 'ood'"):
        clips.draw(0, "ood", 0, 1)
