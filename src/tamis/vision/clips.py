"""Composed clips: three frames of a scene in which one object moves, with questions that one frame cannot answer.

Objects, labels and backgrounds are those of `tamis.vision.scenes`. One object, the mover, has a row or a column of
cells to itself and goes along it by whole cells, the same way from first to last, four times in five with a rest.
Everything else stands still. All questions of `tamis.vision.questions` are asked, about the last frame where places
matter; and two kinds more: which way something moves, and what moves.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int, Int8

from tamis.core.errors import ConfigError
from tamis.core.seed import derive
from tamis.vision import questions
from tamis.vision.dice import Dice
from tamis.vision.questions import Pool, Questions, choose, one_of, phrases, unique
from tamis.vision.scenes import (
    CELLS,
    HUES,
    LABELS,
    OBJECTS,
    SIZE_PX,
    TRAITS,
    Scenes,
    backdrop,
    distract,
    join,
    label,
    paint,
    pieces_of,
    things,
    written,
)

FRAMES = 3
WAYS = ("right", "left", "down", "up", "nowhere")
"""Which way an object moves."""
CHOICES = {**questions.CHOICES, "way": WAYS, "mover": TRAITS["shape"]}
"""Kind of question → its possible answers."""

_STEPS = np.array([[0, 1, 2], [0, 1, 1], [0, 0, 1], [1, 1, 2], [1, 2, 2]])
"""Where on its way, of three cells, the mover is in each frame."""
_PLACES = {"left", "right", "above", "below"}
_NAMES = (("shape",), ("color",), ("color", "shape"))
"""Sets of traits by which an object may be named when its motion is asked for."""


@dataclass(frozen=True)
class Clips(Scenes):
    """Some clips and everything that is true of them; frames lie side by side, places are those of the last one."""

    mover: Int8[np.ndarray, " scenes"]
    """Which object moves."""
    way: Int8[np.ndarray, " scenes"]
    """Where to, an index into `WAYS`."""


def draw(seed: int, split: str, start: int, stop: int) -> Clips:
    """Draw the clips `start` … `stop` − 1 of a split; no two splits share one.

    Args:
        seed: The seed of all clips.
        split: As of scenes, without `ood`.
        start: Number of the first clip.
        stop: Number after the last clip.

    Raises:
        ConfigError: If there is no such split of clips, or the range is empty or negative.

    >>> draw(0, "train", 5, 8).images.shape
    (3, 3, 96, 288)
    """
    pieces = pieces_of(split, start, stop)
    if split == "ood":
        raise ConfigError("clips have no split 'ood': its six objects leave no room to move; take test")
    return join([_draw(seed, split, index) for index in pieces])


def _draw(seed: int, split: str, index: Int[np.ndarray, " scenes"]) -> Clips:
    dice = Dice(derive(seed, "clips", split), index)
    present, hard, facts = things(dice, False)

    mover, way = dice.below(present.sum(axis=1)), dice.below(len(WAYS) - 1)
    lane = np.arange(3) * np.where(way < 2, 1, 3)[:, None] + (dice.below(3) * np.where(way < 2, 3, 1))[:, None]
    lane = np.where((way % 2 == 0)[:, None], lane, lane[:, ::-1])
    route = np.take_along_axis(lane, _STEPS[dice.below(len(_STEPS))], axis=1)
    lots = dice.uniform(len(CELLS))
    np.put_along_axis(lots, lane, 1 + np.arange(3, dtype=np.float32), axis=1)  # nobody else sits on the lane
    free = lots.argsort(axis=1, kind="stable")[:, : len(CELLS) - 3]
    others = np.arange(OBJECTS) - (np.arange(OBJECTS) > mover[:, None])  # the mover takes none of the free cells
    seats = np.where(present, np.take_along_axis(free, np.minimum(others, 5), axis=1), -1)
    there, words, label_colors = written(dice)
    label_cells = np.where(there, free[:, 3 : 3 + LABELS], -1).astype(np.int8)

    hue = dice.below(len(HUES))
    ground = backdrop(dice, hue)
    distractors = distract(dice, ground, free[:, -1], hard, False)
    frames, object_patches, label_patches = [], [], []
    for frame in range(FRAMES):
        images, same = ground.copy(), copy.copy(dice)  # the same rolls for every frame
        cells = np.where(np.arange(OBJECTS) == mover[:, None], route[:, frame, None], seats).astype(np.int8)
        object_patches.append(paint(same, images, facts["traits"], cells, hard, SIZE_PX[split]))
        label_patches.append(label(same, images, words, label_colors, label_cells))
        frames.append(images)
    return Clips(
        seed=seed,
        split=split,
        index=index,
        images=np.concatenate(frames, axis=3),
        **facts,
        cells=cells,
        hue=hue.astype(np.int8),
        words=words,
        label_colors=label_colors,
        label_cells=label_cells,
        object_patches=np.concatenate(object_patches, axis=2),
        label_patches=np.concatenate(label_patches, axis=2),
        distractor_patches=np.tile(distractors, (1, FRAMES)),
        mover=mover.astype(np.int8),
        way=way.astype(np.int8),
    )


def ask(clips: Clips) -> Questions:
    """Ask about a dozen questions on each clip: those that scenes are asked, which way something moves, what moves.

    One of five questions about the way is about something that rests, so all five answers are about equally frequent.

    Args:
        clips: Clips drawn by `draw`.
    """
    still = _last_frame_only(questions.ask(clips))
    dice = Dice(derive(clips.seed, "motion", clips.split), clips.index)
    pool = Pool(clips)
    named = unique(clips, _NAMES)
    moves = np.arange(OBJECTS) == clips.mover[:, None]
    wanted = np.where((dice.uniform() < 0.12)[:, None], ~moves, moves)  # more rest: not every mover has a name
    wanted |= ~(named & wanted[:, :, None]).any((1, 2))[:, None]
    rows, chosen, reference = choose(dice, named & wanted[:, :, None])
    text = [f"what way does the {name} move ?" for name in phrases(clips, _NAMES, rows, chosen, reference)]
    way = np.where(chosen == clips.mover[rows], clips.way[rows], WAYS.index("nowhere"))
    pool.add("way", rows, text, [WAYS[one] for one in way.tolist()], objects=one_of(chosen))
    rows = np.arange(len(clips))
    shapes = [TRAITS["shape"][shape] for shape in clips.traits["shape"][rows, clips.mover].tolist()]
    pool.add("mover", rows, ["what moves ?"] * len(rows), shapes, objects=one_of(clips.mover))
    return questions.merged([still, pool.sorted()])


def _last_frame_only(asked: Questions) -> Questions:
    """Let answers about places rest on the frame that they are about; still traits are seen in any frame."""
    words = (set(text.split()) for text in asked.text)
    about = [kind == "where" or bool(said & _PLACES) for kind, said in zip(asked.kind, words, strict=True)]
    patches = asked.patches.copy()
    patches[np.array(about), : patches.shape[1] // FRAMES * (FRAMES - 1)] = False
    return replace(asked, patches=patches)


def spoken() -> set[str]:
    """Every word that a question about motion or its answer can hold, and scenes never do."""
    return {"way", "move", "moves", *WAYS} - questions.spoken()
