"""What the small vision-language model is taught with: batches of scenes, with questions and answers as tokens.

A batch is known by its number. Two of three are composed scenes, the third is sprites. All questions about a picture
are put into one row; each sees the picture and itself, and starts at the position that it would have alone.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor

from tamis.core.errors import InputError
from tamis.core.files import write_whole
from tamis.vision import canvases, clips, questions, scenes, sprites
from tamis.vision.lettering import WORDS
from tamis.vision.scenes import LABEL_COLORS, TRAITS, Scenes
from tamis.vision.tiny import BOS, EOS, IMAGE, PAD, TOKENS
from tamis.vision.vocabulary import vocabulary

Kind = Literal["scenes", "sprites", "scenes-tiles", "scenes-video"]


class Subject(NamedTuple):
    """What there is to know of a kind of scenes."""

    draw: Callable[[int, str, int, int], Any]
    """Draws the scenes of a seed and a split from one number to another."""
    ask: Callable[[Any], questions.Questions]
    """Asks about them."""
    targets: Callable[[Scenes], Bool[np.ndarray, "scenes targets"]]
    """Says their captions as a multi-hot vector."""
    facts: int
    """Length of that vector."""
    room: int
    """Text tokens of a row: with the image tokens and `<s>` they make 272, 192, 572 and 580."""


KINDS: dict[Kind, Subject] = {
    "scenes": Subject(scenes.draw, questions.ask, questions.targets, questions.FACTS, room=127),
    "sprites": Subject(sprites.draw, sprites.ask, sprites.targets, sprites.FACTS, room=47),
    "scenes-tiles": Subject(canvases.draw, questions.ask, questions.targets, questions.FACTS, room=127),
    "scenes-video": Subject(clips.draw, clips.ask, questions.targets, questions.FACTS, room=144),
}
"""Every kind of scenes."""
NAMED: dict[str, int] = {
    **{name: len(values) for name, values in TRAITS.items()},
    "name": len(sprites.NAMES),
    "word": len(WORDS),
    "label": len(LABEL_COLORS),
}
"""What a patch can be asked to name, and how many names there are."""
_IGNORED = -100
_CHUNK = 64


def kind_of(number: int) -> Kind:
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
    kind = KINDS[kind_of(number)]
    drawn = kind.draw(seed, split, number * size, (number + 1) * size)
    return {
        "images": torch.from_numpy(drawn.images),
        "facts": torch.from_numpy(kind.targets(drawn)),
        "names": torch.from_numpy(names(drawn)),
        **pack(kind.ask(drawn), size, kind.room),
    }


def write_scenes(out: str | Path, *, kind: Kind, split: str, count: int, seed: int = 0) -> Path:
    """Write scenes as PNG files, with their questions and answers in `questions.jsonl`, a JSON object a line.

    Args:
        out: Folder to write into.
        kind: Of the scenes.
        split: Of the scenes.
        count: How many.
        seed: Of the scenes.

    Returns:
        The file of the questions.

    Raises:
        FileError: If the folder cannot be written, or the font of the sprites is not installed.
    """
    folder = Path(out)
    lines = []
    for start in range(0, count, _CHUNK):
        drawn = KINDS[kind].draw(seed, split, start, min(start + _CHUNK, count))
        asked = KINDS[kind].ask(drawn)
        files = [f"{kind}-{split}-{number:04}.png" for number in drawn.index.tolist()]
        for file, image in zip(files, drawn.images, strict=True):
            buffer = io.BytesIO()
            Image.fromarray(image.transpose(1, 2, 0)).save(buffer, format="PNG")
            write_whole(folder / file, buffer.getvalue())
        for row, about, text, answer in zip(asked.scene.tolist(), asked.kind, asked.text, asked.answer, strict=True):
            lines.append({"image": files[row], "kind": about, "question": text, "answer": answer})
    questions_file = folder / "questions.jsonl"
    write_whole(questions_file, "".join(json.dumps(line) + "\n" for line in lines))
    return questions_file


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
    return {word: index for index, word in enumerate(vocabulary(video=True))}


@cache
def tokens_of(text: str) -> tuple[int, ...]:
    """Turn words and marks, separated by spaces, into tokens."""
    return tuple(_numbers()[word] for word in text.split())


def graded(
    logits: Float[Tensor, "rows room words"], packed: Mapping[str, Tensor], asked: questions.Questions
) -> list[tuple[str, bool]]:
    """Say for each question that was packed what kind it is of, and whether its answer is right.

    Args:
        logits: Of what follows each text token.
        packed: From `pack`.
        asked: The questions.
    """
    places = packed["questions"] >= 0
    hits = (logits.argmax(2) == packed["labels"])[places].tolist()
    return [(asked.kind[number], hit) for number, hit in zip(packed["questions"][places].tolist(), hits, strict=True)]


def shares(grades: Iterable[tuple[str, bool]]) -> dict[str, float]:
    """Give the share of right answers of each kind, in the order in which kinds come."""
    of_kind: dict[str, list[bool]] = {}
    for kind, hit in grades:
        of_kind.setdefault(kind, []).append(hit)
    return {kind: sum(hits) / len(hits) for kind, hits in of_kind.items()}


def prompts(
    texts: Sequence[str], most: int, picture: Sequence[int] = (IMAGE,) * TOKENS
) -> Iterator[tuple[list[int], Int[Tensor, "questions length"]]]:
    """Write the prompts of questions, each with a picture of its own; those of one length come together.

    Args:
        texts: Questions.
        most: How many come together at most.
        picture: The placeholders of a picture.

    Yields:
        Numbers of some of the questions, and their token ids.
    """
    tokens = [tokens_of(text) for text in texts]
    for length in sorted({len(one) for one in tokens}):
        group = [number for number, one in enumerate(tokens) if len(one) == length]
        for start in range(0, len(group), most):
            chosen = group[start : start + most]
            yield chosen, torch.tensor([[BOS, *picture, *tokens[number]] for number in chosen])


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

    Raises:
        InputError: If an answer is not one token.
    """
    if wrong := [answer for answer in asked.answer if len(tokens_of(answer)) != 1]:
        raise InputError(f"an answer is {wrong[0]!r}; expected one word, whose token alone is the answer")
    ids = np.full((size, room), PAD, dtype=np.int64)
    segments, positions = np.zeros((2, size, room), dtype=np.int64)
    labels = np.full((size, room), _IGNORED, dtype=np.int64)
    number = np.full((size, room), -1, dtype=np.int64)
    filled = [0] * size
    counted = [0] * size
    for place, (row, text, answer) in enumerate(zip(asked.scene.tolist(), asked.text, asked.answer, strict=True)):
        tokens = (*tokens_of(text), *tokens_of(answer), EOS)
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


def read(
    model: Any,
    patches: Float[Tensor, "rows patches width"],
    packed: dict[str, Tensor],
    kept: Bool[Tensor, "rows patches"] | None = None,
    *,
    contiguous: bool = False,
) -> Float[Tensor, "rows room vocabulary"]:
    """Run projector and language model over patches of pictures and their packed questions.

    Args:
        model: A LLaVA of transformers.
        patches: Features of the tower.
        packed: As `pack` returns it.
        kept: Which patches the language model sees, as many of each picture; None: all.
        contiguous: Whether position ids are 0, 1, 2 … instead of those of the full prompt.

    Returns:
        Logits of what follows each text token.
    """
    return follow(model, model.model.multi_modal_projector(patches), packed, kept, contiguous=contiguous)


def follow(
    model: Any,
    pictures: Float[Tensor, "rows tokens width"],
    packed: dict[str, Tensor],
    kept: Bool[Tensor, "rows tokens"] | None = None,
    *,
    contiguous: bool = False,
) -> Float[Tensor, "rows room vocabulary"]:
    """Run the language model over the projected tokens of pictures and their packed questions.

    Args:
        model: A LLaVA, LLaVA-NeXT or Video-LLaVA of transformers.
        pictures: All image tokens of the full prompt, as the language model takes them.
        packed: As `pack` returns it.
        kept: Which of them it sees, as many of each picture; None: all.
        contiguous: As for `read`.

    Returns:
        Logits of what follows each text token.
    """
    language, ids = model.model.language_model, packed["ids"]
    rows, total, _ = pictures.shape
    place = torch.arange(total, device=ids.device).expand(rows, -1)
    if kept is not None:
        place = place[kept].view(rows, -1)
        pictures = pictures[kept].view(rows, place.shape[1], pictures.shape[2])
    count = place.shape[1]
    words = language.embed_tokens(ids)
    start = language.embed_tokens(torch.full_like(ids[:, :1], BOS))
    if contiguous:
        place, total = torch.arange(count, device=ids.device).expand(rows, -1), count
    positions = torch.cat([place.new_zeros(rows, 1), 1 + place, packed["positions"] + 1 + total], dim=1)
    hidden = language(
        inputs_embeds=torch.cat([start, pictures.to(start.dtype), words], dim=1),
        attention_mask=attention(packed["segments"], 1 + count),
        position_ids=positions,
        use_cache=False,
    ).last_hidden_state
    logits: Tensor = model.lm_head(hidden[:, 1 + count :])
    return logits
