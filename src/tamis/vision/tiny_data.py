"""What the small vision-language model is taught with: batches of scenes, with questions and answers as tokens.

A batch is known by its number. Two of three are composed scenes, the third is sprites. All questions about a picture
are put into one row; each sees the picture and itself, and starts at the position that it would have alone.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from tamis.vision import questions, scenes, sprites
from tamis.vision.lettering import WORDS
from tamis.vision.scenes import LABEL_COLORS, TRAITS, Scenes
from tamis.vision.tiny import EOS, PAD, TOKENS
from tamis.vision.vocabulary import vocabulary

KINDS: dict[str, tuple[ModuleType, ModuleType]] = {"scenes": (scenes, questions), "sprites": (sprites, sprites)}
"""Kind of scenes → what draws them, and what asks about them."""
ROOM = {"scenes": 127, "sprites": 47}
"""Text tokens of a row: with the image tokens and `<s>` they make 272 and 192."""
NAMED: dict[str, int] = {
    **{name: len(values) for name, values in TRAITS.items()},
    "name": len(sprites.NAMES),
    "word": len(WORDS),
    "label": len(LABEL_COLORS),
}
"""What a patch can be asked to name, and how many names there are."""
_IGNORED = -100


def kind_of(number: int) -> str:
    """Tell the kind of scenes that a batch shows."""
    return "sprites" if number % 3 == 2 else "scenes"


def batch(seed: int, split: str, number: int, size: int) -> dict[str, Tensor]:
    """Make a batch; its scenes are those from `number` · `size` on.

    Args:
        seed: Of the scenes.
        split: Of the scenes.
        number: Of the batch.
        size: Pictures in it.

    Returns:
        `images` (size, 3, 96, 96) in bytes, `facts` (size, facts) multi-hot, `names` (size, traits, 144) with −100
        where there is nothing to name; and what `pack` returns.
    """
    kind = kind_of(number)
    draw, ask = KINDS[kind]
    drawn = draw.draw(seed, split, number * size, (number + 1) * size)
    return {
        "images": torch.from_numpy(drawn.images),
        "facts": torch.from_numpy(ask.targets(drawn)),
        "names": torch.from_numpy(names(drawn)),
        **pack(ask.ask(drawn), size, ROOM[kind]),
    }


def names(drawn: Scenes) -> Int[np.ndarray, "scenes traits patches"]:
    """Say for each patch what it shows: the traits of the object on it, or the word and the colour of the label."""
    told = np.full((len(drawn), len(NAMED), TOKENS), _IGNORED, dtype=np.int16)
    rows, slots, patches = np.nonzero(drawn.object_patches)
    for place, name in enumerate(NAMED):
        if name in drawn.traits:
            told[rows, place, patches] = drawn.traits[name][rows, slots]
    rows, slots, patches = np.nonzero(drawn.label_patches)
    listed = list(NAMED)
    told[rows, listed.index("word"), patches] = drawn.words[rows, slots]
    told[rows, listed.index("label"), patches] = drawn.label_colors[rows, slots]
    return told


@cache
def _numbers() -> dict[str, int]:
    return {word: index for index, word in enumerate(vocabulary())}


@cache
def _tokens(text: str) -> tuple[int, ...]:
    return tuple(_numbers()[word] for word in text.split())


def pack(asked: questions.Questions, size: int, room: int) -> dict[str, Tensor]:
    """Put the questions about each picture, with their answers, one behind the other; what has no room is left out.

    Args:
        asked: Questions about `size` pictures.
        size: Rows.
        room: Tokens of a row.

    Returns:
        `ids` (size, room) with padding at the end, `segments` alike with the number of the question from 1, 0 for
        padding, `positions` alike, counted from the first token of each question, and `labels` alike: the token that
        follows, where that is an answer or the end of one, else −100. `questions` (size, room): at the token before an
        answer the number of the question in `asked`, else −1.
    """
    ids = np.full((size, room), PAD, dtype=np.int64)
    segments, positions = np.zeros((2, size, room), dtype=np.int64)
    labels = np.full((size, room), _IGNORED, dtype=np.int64)
    number = np.full((size, room), -1, dtype=np.int64)
    filled = [0] * size
    counted = [0] * size
    for place, (row, text, answer) in enumerate(zip(asked.scene.tolist(), asked.text, asked.answer, strict=True)):
        tokens = (*_tokens(text), *_tokens(answer), EOS)
        start, stop = filled[row], filled[row] + len(tokens)
        if stop > room:
            continue
        filled[row], counted[row] = stop, counted[row] + 1
        ids[row, start:stop] = tokens
        segments[row, start:stop] = counted[row]
        positions[row, start:stop] = range(len(tokens))
        labels[row, stop - 3 : stop - 1] = tokens[-2:]
        number[row, stop - 3] = place
    packed = {"ids": ids, "segments": segments, "positions": positions, "labels": labels, "questions": number}
    return {name: torch.from_numpy(array) for name, array in packed.items()}


def attention(segments: Int[Tensor, "rows room"], before: int) -> Bool[Tensor, "rows 1 length length"]:
    """Say who sees whom: the picture sees what came before in it, a question sees the picture and itself so far.

    Args:
        segments: As `pack` returns them.
        before: Tokens of `<s>` and the picture, which come first.
    """
    rows, room = segments.shape
    seen = torch.ones(rows, 1, before + room, before + room, dtype=torch.bool, device=segments.device).tril()
    seen[:, 0, before:, before:] &= segments[:, :, None] == segments[:, None, :]
    return seen
