"""Composed scenes: pictures of a few shapes, of which it is known exactly which patch shows what.

A scene has one to four objects (shape, colour, size, texture, place) on a background that says nothing about them, at
times labels with a short word, and things that are never asked about: arrows, blobs, lines, specks. A small
vision-language model can be trained on such scenes from nothing, and a pruned one be examined on them.

- Scene 17 of a split is the same whatever batch it is drawn in: every scene has its own stream of random numbers, and
  everything that is summed over a background is a whole number.
- The place of an object is one of nine cells of 32 × 32 pixels, and no two things share a cell, so nothing is hidden.
- In half of the scenes the first object, the focus, is hard to see: small, faint or among specks.
- Some objects share a trait: `repeated` says which trait the first `copies` objects share, and nobody else has it. So
  the answers to "how many" are equally frequent.
- A shape has one colour that it never has except in the split `ood`, whose sizes are others too, and which has more
  objects and more specks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, UInt8

from tamis.core.errors import ConfigError
from tamis.core.seed import derive
from tamis.vision.dice import Dice
from tamis.vision.lettering import PLATE, WORDS, plates
from tamis.vision.silhouettes import DISTRACTORS, SHAPES, TEXTURES, WINDOW, silhouettes, textures

SPLITS = ("train", "validation", "test", "ood")
"""No two of them share a scene."""

SIDE, PATCH, CELL = 96, 8, 32
"""Pixels of a picture's side, a patch's side and a cell's side."""
GRID = SIDE // PATCH
OBJECTS, LABELS = 6, 2
"""Most objects and most labels of a scene."""

COLORS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
SIZES = ("small", "medium", "large")
TRAITS = {"size": SIZES, "texture": TEXTURES, "color": COLORS, "shape": SHAPES}
"""What an object has, in the order in which English says it."""
CELLS = ("top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right")
HUES = ("red", "yellow", "green", "blue", "purple")
"""Colours of backgrounds."""
LABEL_COLORS = ("white", "black")
HARD = ("no", "small", "faint", "clutter")
"""Why the focus of a scene is hard to see, if it is."""

_PAINT = np.array(
    [
        [225, 35, 35],
        [250, 145, 25],
        [250, 230, 40],
        [35, 175, 60],
        [70, 225, 235],
        [45, 75, 235],
        [140, 40, 190],
        [255, 140, 200],
    ]
)
_GROUND = np.array([[150, 92, 86], [152, 142, 84], [88, 138, 94], [88, 106, 156], [128, 94, 146]])
_NEUTRAL = np.array([[250, 250, 250], [15, 15, 15], [120, 75, 35], [185, 185, 185]])
SIZE_PX = {"ood": np.array([[12, 13], [18, 20], [26, 28]])}
SIZE_PX |= dict.fromkeys(("train", "validation", "test"), np.array([[9, 11], [15, 17], [22, 24]]))
"""Split → smallest and largest extent of small, medium and large objects, pixels."""
HELD_OUT = (np.arange(len(COLORS))[:, None] + 3 * np.arange(len(SHAPES))) % len(COLORS) == 5
"""(colours, shapes): true for the pairs that only the split `ood` shows, one of each colour and of each shape."""


@dataclass(frozen=True)
class Scenes:
    """Some scenes and everything that is true of them; −1 stands where an object or a label does not exist."""

    seed: int
    split: str
    index: Int[np.ndarray, " scenes"]
    """Numbers of the scenes in their split."""
    images: UInt8[np.ndarray, "scenes 3 height width"]
    """One picture of 96 × 96 pixels; canvases and clips have several, side by side."""
    traits: dict[str, Int[np.ndarray, "scenes objects"]]
    """Trait → which of its values each object has. The first object is the focus."""
    cells: Int8[np.ndarray, "scenes objects"]
    """Place of each object, an index into `CELLS`."""
    hard: Int8[np.ndarray, " scenes"]
    """An index into `HARD`."""
    repeated: Int8[np.ndarray, " scenes"]
    """The trait that several objects may share with the focus, an index into the keys of `traits`."""
    copies: Int8[np.ndarray, " scenes"]
    """How many objects have it, the focus included."""
    hue: Int8[np.ndarray, " scenes"]
    """Main colour of the background, an index into `HUES`."""
    words: Int8[np.ndarray, "scenes labels"]
    """Word on each label, an index into `WORDS`."""
    label_colors: Int8[np.ndarray, "scenes labels"]
    """Colour of each label, an index into `LABEL_COLORS`."""
    label_cells: Int8[np.ndarray, "scenes labels"]
    """Place of each label, an index into `CELLS`."""
    object_patches: Bool[np.ndarray, "scenes objects patches"]
    """Patches with at least one pixel that is half covered by the object, in raster order, picture after picture."""
    label_patches: Bool[np.ndarray, "scenes labels patches"]
    distractor_patches: Bool[np.ndarray, "scenes patches"]
    """Patches that an arrow, a blob or a speck was drawn on; an object may have been drawn over it."""

    @property
    def background_patches(self) -> Bool[np.ndarray, "scenes patches"]:
        """Patches that show neither an object nor a label nor a distractor; grid lines count as background."""
        return ~(self.object_patches.any(1) | self.label_patches.any(1) | self.distractor_patches)

    def __len__(self) -> int:
        return len(self.index)


Drawn = TypeVar("Drawn", bound=Scenes)


def draw(seed: int, split: str, start: int, stop: int) -> Scenes:
    """Draw the scenes `start` … `stop` − 1 of a split.

    Args:
        seed: The seed of all scenes.
        split: The split; each has as many scenes as anybody asks for.
        start: Number of the first scene.
        stop: Number after the last scene.

    Raises:
        ConfigError: If the split is unknown, or the range is empty or negative.

    >>> draw(0, "train", 5, 8).images.shape
    (3, 3, 96, 96)
    """
    return join([_draw(seed, split, index) for index in pieces_of(split, start, stop)])


def pieces_of(split: str, start: int, stop: int) -> list[Int[np.ndarray, " _"]]:
    """Check a range of scenes, and cut it into pieces that fit a processor's cache.

    Args:
        split: Of the scenes.
        start: Number of the first scene.
        stop: Number after the last scene.

    Returns:
        Numbers of the scenes of each piece.

    Raises:
        ConfigError: If the split is unknown, or the range is empty or negative.
    """
    if split not in SPLITS:
        raise ConfigError(f"no split {split!r}; expected one of {', '.join(SPLITS)}")
    if not 0 <= start < stop:
        raise ConfigError(f"scenes {start}…{stop} (without the last) asked for; expected 0 ≤ start < stop")
    return [np.arange(low, min(low + 32, stop)) for low in range(start, stop, 32)]


def join(pieces: Sequence[Drawn]) -> Drawn:
    """Put scenes of one seed and split together.

    Args:
        pieces: In their order.
    """
    kind = type(pieces[0])
    joined: dict[str, Any] = {"seed": pieces[0].seed, "split": pieces[0].split}
    joined["traits"] = {name: np.concatenate([piece.traits[name] for piece in pieces]) for name in pieces[0].traits}
    for field in fields(kind):
        if field.name not in joined:
            joined[field.name] = np.concatenate([getattr(piece, field.name) for piece in pieces])
    return kind(**joined)


class Things(NamedTuple):
    """What a scene is to show, before anything has its place."""

    present: Bool[np.ndarray, "scenes objects"]
    """Which objects there are."""
    hard: Int[np.ndarray, " scenes"]
    """Why the focus is hard to see, an index into `HARD`."""
    facts: dict[str, Any]
    """Traits, `hard`, `repeated` and `copies`, as `Scenes` holds them."""


def things(dice: Dice, new: bool) -> Things:
    """Roll the objects of scenes and their traits.

    Args:
        dice: Of the scenes.
        new: Whether they are of the split `ood`.
    """
    present, copies = cast(dice, new)
    hard, size = handicap(dice, new)
    repeated = 2 + dice.below(2)
    color, shape = _pairs(dice, repeated, copies, new)
    rolled = {"size": size, "texture": dice.below(len(TEXTURES), OBJECTS), "color": color, "shape": shape}
    traits = {name: np.where(present, rolled[name], -1).astype(np.int8) for name in TRAITS}
    small = {"hard": hard, "repeated": repeated, "copies": copies}
    return Things(present, hard, {"traits": traits, **{name: rolls.astype(np.int8) for name, rolls in small.items()}})


def written(
    dice: Dice,
) -> tuple[Bool[np.ndarray, "scenes labels"], Int8[np.ndarray, "scenes labels"], Int8[np.ndarray, "scenes labels"]]:
    """Roll the labels of scenes: which there are, their words and their colours.

    Args:
        dice: Of the scenes.

    Returns:
        Whether each is there, and indices into `WORDS` and into its colours, -1 where it is not.
    """
    there = np.arange(LABELS) < np.array([0, 0, 1, 1, 2])[dice.below(5)][:, None]
    words = np.where(there, dice.below(len(WORDS), LABELS), -1).astype(np.int8)
    colors = np.where(there, np.arange(LABELS) ^ dice.below(2)[:, None], -1).astype(np.int8)
    return there, words, colors


def _draw(seed: int, split: str, index: Int[np.ndarray, " scenes"]) -> Scenes:
    dice = Dice(derive(seed, "scenes", split), index)
    new = split == "ood"
    present, hard, facts = things(dice, new)
    seats = dice.uniform(len(CELLS)).argsort(axis=1, kind="stable")
    cells = np.where(present, seats[:, :OBJECTS], -1).astype(np.int8)
    there, words, label_colors = written(dice)
    label_cells = np.where(there, seats[:, OBJECTS : OBJECTS + LABELS], -1).astype(np.int8)

    hue = dice.below(len(HUES))
    images = backdrop(dice, hue)
    distractors = distract(dice, images, seats[:, -1], hard, new)
    return Scenes(
        seed=seed,
        split=split,
        index=index,
        images=images,
        **facts,
        cells=cells,
        hue=hue.astype(np.int8),
        words=words,
        label_colors=label_colors,
        label_cells=label_cells,
        object_patches=paint(dice, images, facts["traits"], cells, hard, SIZE_PX[split]),
        label_patches=label(dice, images, words, label_colors, label_cells),
        distractor_patches=distractors,
    )


def cast(dice: Dice, new: bool) -> tuple[Bool[np.ndarray, "scenes objects"], Int[np.ndarray, " scenes"]]:
    """Choose how many objects there are, and how many of them, the focus included, are alike in one trait.

    Args:
        dice: Where chance comes from.
        new: Whether this is the split `ood`, which has three to six objects, not one to four.

    Returns:
        Which objects exist, and the number of those that are alike: one, two or three, equally often.
    """
    copies = 1 + dice.below(3)
    least = np.maximum(copies, 3) if new else copies
    count = least + dice.below((OBJECTS if new else 4) + 1 - least)
    return np.arange(OBJECTS) < count[:, None], copies


def handicap(dice: Dice, new: bool) -> tuple[Int[np.ndarray, " scenes"], Int[np.ndarray, "scenes objects"]]:
    """Choose what makes the focus hard to see, and the sizes of all objects.

    Every size is equally frequent, for the focus too; a small focus is in hard scenes only.

    Args:
        dice: Where chance comes from.
        new: Whether this is the split `ood`, where a scene that is not hard otherwise has clutter.

    Returns:
        Indices into `HARD` and into `SIZES`.
    """
    hard = np.array([0, 0, 0, 0, 1, 1, 2, 3])[dice.below(8)]
    size = dice.below(3, OBJECTS)
    size[:, 0] = np.where(hard == 0, 1 + dice.below(2), np.where(hard == 1, 0, size[:, 0]))
    if new:
        hard[hard == 0] = HARD.index("clutter")
    return hard, size


def _pairs(
    dice: Dice, repeated: Int[np.ndarray, " scenes"], copies: Int[np.ndarray, " scenes"], new: bool
) -> tuple[Int[np.ndarray, "scenes objects"], Int[np.ndarray, "scenes objects"]]:
    """Choose colours and shapes: any pair that is not held out, with the repeated trait where it belongs only.

    Args:
        dice: Where chance comes from.
        repeated: The trait that may be repeated, an index into the keys of `TRAITS`: colour or shape.
        copies: How many objects have it.
        new: Whether this is the split `ood`, whose focus has a pair that is held out.
    """
    by_color = (repeated == 2)[:, None, None, None]
    value = dice.below(8)[:, None, None, None]
    has = np.where(by_color, np.arange(8)[:, None] == value, np.arange(8) == value)
    allowed = has == (np.arange(OBJECTS) < copies[:, None])[:, :, None, None]
    if new:
        allowed[:, 0] &= HELD_OUT
    else:
        allowed &= ~HELD_OUT
    lots = np.where(allowed, dice.uniform(OBJECTS, 8, 8), -1)
    pair = lots.reshape(*lots.shape[:2], 64).argmax(axis=2)
    return pair // 8, pair % 8


@cache
def _basis() -> Float[np.ndarray, "nodes pixels"]:
    """Weights of 4 × 4 nodes for bilinear interpolation, in whole 256ths, so that sums are exact in any order."""
    place = np.arange(SIDE) * 3 / (SIDE - 1)
    tents = np.clip(1 - np.abs(place - np.arange(4)[:, None]), 0, 1)
    whole = np.floor(16 * tents)
    whole[tents.argmax(axis=0), np.arange(SIDE)] += 16 - whole.sum(axis=0)
    products: Float[np.ndarray, "nodes pixels"] = np.kron(whole, whole).astype(np.float32)
    return products


def backdrop(dice: Dice, hue: Int[np.ndarray, " scenes"]) -> UInt8[np.ndarray, "scenes 3 side side"]:
    """Paint backgrounds: a smooth field, mostly of one muted hue, with noise and at times with grid lines.

    Args:
        dice: Where chance comes from.
        hue: Main colour of each background, an index into `HUES`.
    """
    strangers = dice.uniform(16).argsort(axis=1, kind="stable") < dice.below(5)[:, None]
    hues = np.where(strangers, dice.below(len(HUES), 16), hue[:, None])
    light = (dice.below(101, 16) - 50) * (10 + dice.below(50))[:, None] // 50
    nodes = _GROUND[hues] + light[:, :, None] + dice.below(17, 16, 3) - 8
    colors = nodes.transpose(0, 2, 1).reshape(-1, 16).astype(np.float32)
    field = (colors @ _basis()).reshape(-1, 3, SIDE * SIDE)

    grain = dice.noise(SIDE * SIDE).astype(np.float32) - 128
    grain *= (4 + 2 * dice.below(16))[:, None].astype(np.float32)
    ruled, period, phase = dice.uniform() < 0.2, 12 + dice.below(13), dice.below(12)
    ink = 256 * (25 + dice.below(20)) * (2 * dice.below(2) - 1)
    line = (np.arange(SIDE) + phase[ruled, None]) % period[ruled, None] == 0
    grain[ruled] += (ink[ruled, None, None] * (line[:, :, None] | line[:, None, :])).reshape(-1, SIDE * SIDE)

    field += grain[:, None]
    field *= np.float32(1 / 256)
    np.clip(field, 0, 255, out=field)
    painted: UInt8[np.ndarray, "scenes 3 side side"] = field.astype(np.uint8).reshape(-1, 3, SIDE, SIDE)
    return painted


def stamp(
    images: UInt8[np.ndarray, "scenes 3 side side"],
    rows: Int[np.ndarray, " stamps"],
    top: Int[np.ndarray, " stamps"],
    left: Int[np.ndarray, " stamps"],
    cover: Float[np.ndarray, "stamps height width"],
    paint: UInt8[np.ndarray, "stamps height width 3"],
    opacity: Float[np.ndarray, " stamps"],
) -> Bool[np.ndarray, "stamps patches"]:
    """Lay stamps over pictures, in place.

    Stamps laid in one call must not overlap, except where it does not matter which one is seen.

    Args:
        images: The pictures.
        rows: Which picture each stamp goes to.
        top: Row of pixels of each stamp's upper edge.
        left: Column of pixels of its left edge.
        cover: How much of each pixel it covers, in [0, 1].
        paint: Its colours.
        opacity: How much of it is seen where it covers, in [0, 1].

    Returns:
        The patches that each stamp is on: those with a pixel that it covers by half or more.
    """
    which, y, x = np.nonzero(cover)
    weight = cover[which, y, x]
    color = paint[which, y, x].T.astype(np.float32)
    y_image, x_image = y + top[which], x + left[which]
    flat = images.reshape(-1)
    place = ((rows[which] * 3) * SIDE + y_image) * SIDE + x_image + np.array([[0], [SIDE**2], [2 * SIDE**2]])
    under = flat[place].astype(np.float32)
    flat[place] = (under + (color - under) * (weight * opacity[which]) + 0.5).astype(np.uint8)

    patches = np.zeros((len(rows), GRID * GRID), dtype=bool)
    solid = weight >= 0.5
    patches[which[solid], (y_image[solid] // PATCH) * GRID + x_image[solid] // PATCH] = True
    return patches


def seat(
    dice: Dice, cells: Int[np.ndarray, "scenes things"], height: Any, width: Any
) -> tuple[Int[np.ndarray, "scenes things"], Int[np.ndarray, "scenes things"]]:
    """Place things somewhere in their cells, a pixel away from the upper and the left edge at least.

    Args:
        dice: Where chance comes from.
        cells: Cell of each thing, an index into `CELLS`.
        height: Heights in pixels, at most `CELL` − 2; a number or (scenes, things).
        width: Widths, alike.

    Returns:
        Top rows and left columns, in pixels.
    """
    rooms = [np.broadcast_to(CELL - 1 - np.asarray(extent), cells.shape) for extent in (height, width)]
    down, right = (dice.below(room, cells.shape[1]) for room in rooms)
    return cells // 3 * CELL + 1 + down, cells % 3 * CELL + 1 + right


def paint(
    dice: Dice,
    images: UInt8[np.ndarray, "scenes 3 side side"],
    traits: dict[str, Int[np.ndarray, "scenes objects"]],
    cells: Int8[np.ndarray, "scenes objects"],
    hard: Int[np.ndarray, " scenes"],
    size_px: Int[np.ndarray, "sizes 2"],
) -> Bool[np.ndarray, "scenes objects patches"]:
    """Paint objects over pictures, in place.

    Args:
        dice: Where chance comes from; rolled as often wherever the objects are.
        images: The pictures.
        traits: As `Scenes` has them.
        cells: Cell of each object, −1 for one that is not painted.
        hard: An index into `HARD` for each picture.
        size_px: An entry of `SIZE_PX`.

    Returns:
        The patches that each object is on.
    """
    low, high = size_px[traits["size"], 0], size_px[traits["size"], 1]
    extent = low + dice.below(high - low + 1, OBJECTS)
    top, left = seat(dice, cells, extent, extent)
    shades = dice.below(29, OBJECTS, 3) - 14
    opacity = np.ones(cells.shape, dtype=np.float32)
    opacity[hard == HARD.index("faint"), 0] = 0.5

    rows, slots = np.nonzero(cells >= 0)
    color, texture, shape = (traits[name][rows, slots] for name in ("color", "texture", "shape"))
    light = np.clip(_PAINT[color] + shades[rows, slots], 0, 255)
    inks = np.stack([light, light * 4 // 10], axis=1).astype(np.uint8)
    paint = inks[np.arange(len(rows))[:, None, None], textures()[texture]]
    where = (rows, top[rows, slots], left[rows, slots])
    patches = np.zeros((*cells.shape, GRID * GRID), dtype=bool)
    cover = silhouettes()[shape, extent[rows, slots]]
    patches[rows, slots] = stamp(images, *where, cover, paint, opacity[rows, slots])
    return patches


def label(
    dice: Dice,
    images: UInt8[np.ndarray, "scenes 3 side side"],
    words: Int8[np.ndarray, "scenes labels"],
    colors: Int8[np.ndarray, "scenes labels"],
    cells: Int8[np.ndarray, "scenes labels"],
) -> Bool[np.ndarray, "scenes labels patches"]:
    """Lay labels over pictures, in place.

    Args:
        dice: Where chance comes from; rolled as often wherever the labels are.
        images: The pictures.
        words: As `Scenes` has them.
        colors: As `Scenes` has them.
        cells: Cell of each label, −1 for one that is not laid.

    Returns:
        The patches that each label is on.
    """
    top, left = seat(dice, cells, *PLATE)
    rows, slots = np.nonzero(cells >= 0)
    drawn = plates()[words[rows, slots]]
    inks = np.array([[245, 245, 25], [20, 20, 235]], dtype=np.uint8)[colors[rows, slots]]  # by code: none, blank, ink
    painted = np.repeat(inks[np.arange(len(rows))[:, None, None], drawn][..., None], 3, axis=3)
    where = (rows, top[rows, slots], left[rows, slots])
    patches = np.zeros((*cells.shape, GRID * GRID), dtype=bool)
    cover = (drawn > 0).astype(np.float32)
    patches[rows, slots] = stamp(images, *where, cover, painted, np.ones(len(rows), np.float32))
    return patches


def distract(
    dice: Dice,
    images: UInt8[np.ndarray, "scenes 3 side side"],
    cells: Int[np.ndarray, " scenes"],
    hard: Int[np.ndarray, " scenes"],
    new: bool,
) -> Bool[np.ndarray, "scenes patches"]:
    """Draw what is never asked about, in place: in half of the scenes an arrow or a blob; in clutter, specks.

    Args:
        dice: Where chance comes from.
        images: The pictures.
        cells: The cell of each picture where the arrow or the blob may be.
        hard: An index into `HARD` for each picture.
        new: Whether this is the split `ood`, which has twice as many specks.

    Returns:
        The patches that show it, before anything is drawn over it.
    """
    first = len(SHAPES)
    extent = 12 + dice.below(13, 1)
    top, left = seat(dice, cells[:, None], extent, extent)
    glyph, ink = first + dice.below(len(DISTRACTORS)), _NEUTRAL[dice.below(len(_NEUTRAL))]
    shown = np.nonzero(dice.below(2))[0]
    patches = np.zeros((len(images), GRID * GRID), dtype=bool)
    patches[shown] = stamp(
        images,
        shown,
        top[shown, 0],
        left[shown, 0],
        silhouettes()[glyph[shown], extent[shown, 0]],
        np.broadcast_to(ink[shown, None, None].astype(np.uint8), (len(shown), WINDOW, WINDOW, 3)),
        np.ones(len(shown), np.float32),
    )
    most = 24
    extent = 3 + dice.below(4, most)
    top, left = dice.below(SIDE - extent + 1, most), dice.below(SIDE - extent + 1, most)
    inks = np.concatenate([_PAINT, _NEUTRAL])[dice.below(len(_PAINT) + len(_NEUTRAL), most)].astype(np.uint8)
    specks = np.where(hard == HARD.index("clutter"), most if new else most // 2, 0)
    rows, slots = np.nonzero(np.arange(most) < specks[:, None])
    touched = stamp(
        images,
        rows,
        top[rows, slots],
        left[rows, slots],
        silhouettes()[first + slots % 2, extent[rows, slots], :6, :6],
        np.broadcast_to(inks[rows, slots, None, None], (len(rows), 6, 6, 3)),
        np.ones(len(rows), np.float32),
    )
    np.logical_or.at(patches, rows, touched)
    return patches
