"""Composed scenes on a canvas of two pictures side by side, of which a small copy shows too little.

Objects, labels and what is never asked about are those of `tamis.vision.scenes`, at the same size in pixels, on
192 × 96 pixels in place of 96 × 96. LLaVA-NeXT sees such a canvas as a copy of 96 × 96, in which all things are half as
wide, and as two tiles. Patches that answers rest on are those of the tiles.

A canvas has nine places as a picture has, each 64 × 32 pixels, so `tamis.vision.questions` asks about it unchanged.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from tamis.core.seed import derive
from tamis.vision.dice import Dice
from tamis.vision.scenes import (
    CELLS,
    HUES,
    LABELS,
    OBJECTS,
    SIZE_PX,
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

TILES = 2
"""Pictures side by side."""


def draw(seed: int, split: str, start: int, stop: int) -> Scenes:
    """Draw the canvases `start` … `stop` − 1 of a split; no two splits share one.

    Args:
        seed: The seed of all canvases.
        split: As of scenes.
        start: Number of the first canvas.
        stop: Number after the last canvas.

    Raises:
        ConfigError: If the split is unknown, or the range is empty or negative.

    >>> draw(0, "train", 5, 8).images.shape
    (3, 3, 96, 192)
    """
    return join([_draw(seed, split, index) for index in pieces_of(split, start, stop)])


def _draw(seed: int, split: str, index: Int[np.ndarray, " scenes"]) -> Scenes:
    dice = Dice(derive(seed, "canvases", split), index)
    new = split == "ood"
    present, hard, facts = things(dice, new)

    lots = dice.uniform(TILES, len(CELLS))
    seats = lots.reshape(len(index), -1).argsort(axis=1, kind="stable")
    places = np.where(present, seats[:, :OBJECTS], -1)
    there, words, label_colors = written(dice)
    label_places = np.where(there, seats[:, OBJECTS : OBJECTS + LABELS], -1)

    hue = dice.below(len(HUES))
    pictures, distractors, object_patches, label_patches = [], [], [], []
    for tile in range(TILES):
        images = backdrop(dice, hue)
        distractors.append(distract(dice, images, lots[:, tile].argmax(axis=1), hard, new))  # no thing sits there
        object_patches.append(paint(dice, images, facts["traits"], _inside(places, tile), hard, SIZE_PX[split]))
        label_patches.append(label(dice, images, words, label_colors, _inside(label_places, tile)))
        pictures.append(images)
    return Scenes(
        seed=seed,
        split=split,
        index=index,
        images=np.concatenate(pictures, axis=3),
        **facts,
        cells=_cells(places),
        hue=hue.astype(np.int8),
        words=words,
        label_colors=label_colors,
        label_cells=_cells(label_places),
        object_patches=np.concatenate(object_patches, axis=2),
        label_patches=np.concatenate(label_patches, axis=2),
        distractor_patches=np.concatenate(distractors, axis=1),
    )


def _inside(places: Int[np.ndarray, "scenes things"], tile: int) -> Int[np.ndarray, "scenes things"]:
    """Turn places of the canvas, tile · 9 + cell, into cells of one tile; −1 where a thing is not in it."""
    cells: Int[np.ndarray, "scenes things"] = np.where(places // len(CELLS) == tile, places % len(CELLS), -1)
    return cells.astype(np.int8)


def _cells(places: Int[np.ndarray, "scenes things"]) -> Int[np.ndarray, "scenes things"]:
    """Turn places of the canvas into its nine cells, each of which is two cells of a tile wide."""
    tile, cell = np.divmod(places, len(CELLS))
    cells: Int[np.ndarray, "scenes things"] = np.where(places >= 0, cell // 3 * 3 + (3 * tile + cell % 3) // 2, -1)
    return cells.astype(np.int8)
