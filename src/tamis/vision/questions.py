"""Questions about composed scenes, whose answers and answering patches are known, and captions of the scenes.

Every question has one right answer out of a closed list, all of whose entries are as good a guess as another to who
has not seen the picture. The kinds `prior` (the text alone is enough) and `background` (no object matters) are
controls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Int8

from tamis.core.seed import derive
from tamis.vision.dice import Dice
from tamis.vision.lettering import WORDS
from tamis.vision.scenes import CELLS, HARD, HELD_OUT, HUES, LABEL_COLORS, OBJECTS, TRAITS, Scenes

COUNTS = ("one", "two", "three")
TRUTH = ("yes", "no")
CHOICES: dict[str, tuple[str, ...]] = {
    **TRAITS,
    "where": CELLS,
    "count": COUNTS,
    "exists": TRUTH,
    "compare": TRUTH,
    "read": WORDS,
    "prior": TRUTH,
    "background": HUES,
}
"""Kind of question → its possible answers. Chance is one over their number."""

_REFERENCES = {
    "size": (("shape",), ("color",), ("color", "shape")),
    "texture": (("shape",), ("color",), ("color", "shape")),
    "color": (("shape",), ("size", "shape"), ("texture", "shape")),
    "shape": (("color",), ("size", "color"), ("texture", "color")),
    "where": (("shape",), ("color",), ("color", "shape")),
    "compare": (("shape",), ("color",), ("color", "shape")),
}
"""Kind → the sets of traits by which an object may be named in it, if no other object has them all."""
_TEMPLATES = {
    "size": "what size is the {} ?",
    "texture": "what texture is the {} ?",
    "color": "what color is the {} ?",
    "shape": "what shape is the {} ?",
    "where": "where is the {} ?",
    "count": "how many {} are there ?",
    "exists": "is there {} ?",
    "bigger": "is the {} bigger than the {} ?",
    "smaller": "is the {} smaller than the {} ?",
    "left": "is the {} left of the {} ?",
    "right": "is the {} right of the {} ?",
    "above": "is the {} above the {} ?",
    "below": "is the {} below the {} ?",
    "read": "what word is printed ?",
    "read on": "what word is on the {} label ?",
    "prior": "is {} a {} ?",
    "background": "what color is the background ?",
}
_RELATIONS = (("bigger", "smaller"), ("right", "left"), ("below", "above"))
"""Pairs of relations: the first holds where a number (size, column, row) is the larger one, the second its opposite."""
_CATEGORY = tuple((name, value) for name, values in TRAITS.items() for value in values)


@dataclass(frozen=True)
class Questions:
    """Questions about some scenes, scene by scene."""

    scene: Int[np.ndarray, " questions"]
    """Row of the scene that each is about."""
    kind: list[str]
    """A key of the `CHOICES` that the questions were made with."""
    text: list[str]
    """Words and marks, separated by spaces."""
    answer: list[str]
    """One word."""
    patches: Bool[np.ndarray, "questions patches"]
    """The patches that the answer rests on. None for what the text tells, or for what is not in the picture."""
    hard: Int8[np.ndarray, " questions"]
    """Why an object that is asked about is hard to see, an index into `HARD`; "no" where none is."""

    def __len__(self) -> int:
        return len(self.text)


class Pool:
    """Collects questions kind by kind, and puts them in the order of the scenes."""

    def __init__(self, scenes: Scenes) -> None:
        self._scenes = scenes
        self._parts: list[tuple[Int[np.ndarray, " _"], Bool[np.ndarray, "_ patches"], Int8[np.ndarray, " _"]]] = []
        self._kind: list[str] = []
        self._text: list[str] = []
        self._answer: list[str] = []

    def add(
        self,
        kind: str,
        rows: Int[np.ndarray, " questions"],
        text: Iterable[str],
        answer: Iterable[str],
        *,
        objects: Bool[np.ndarray, "questions objects"] | None = None,
        patches: Bool[np.ndarray, "questions patches"] | None = None,
    ) -> None:
        """Add questions of one kind.

        Args:
            kind: The kind.
            rows: Row of the scene of each.
            text: The questions.
            answer: The answers.
            objects: The objects that the answers rest on, where they are objects.
            patches: The patches that the answers rest on, where they are no objects; neither given: none.
        """
        scenes = self._scenes
        hard = np.zeros(len(rows), dtype=np.int8)
        if objects is not None:
            patches = (scenes.object_patches[rows] & objects[:, :, None]).any(1)
            hard[(objects & (scenes.traits["size"][rows] == 0)).any(1)] = HARD.index("small")
            hard[objects.any(1) & (scenes.hard[rows] == HARD.index("clutter"))] = HARD.index("clutter")
            hard[objects[:, 0] & (scenes.hard[rows] == HARD.index("faint"))] = HARD.index("faint")
        elif patches is None:
            patches = np.zeros((len(rows), scenes.object_patches.shape[-1]), dtype=bool)
        self._parts.append((rows, patches, hard))
        self._kind += [kind] * len(rows)
        self._text += text
        self._answer += answer

    def sorted(self) -> Questions:
        """All questions so far, scene by scene; one that was asked before on the same scene is left out."""
        rows, patches, hard = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        order = _first_asked(rows, self._text)
        kind, text, answer = ([column[i] for i in order.tolist()] for column in (self._kind, self._text, self._answer))
        return Questions(rows[order], kind, text, answer, patches[order], hard[order])


def merged(parts: Sequence[Questions]) -> Questions:
    """Put questions about the same scenes together, scene by scene; one that was asked before is left out.

    Args:
        parts: Sets of questions.
    """
    scene, patches, hard = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("scene", "patches", "hard")
    )
    kind, text, answer = ([one for part in parts for one in getattr(part, name)] for name in ("kind", "text", "answer"))
    order = _first_asked(scene, text)
    kind, text, answer = ([column[place] for place in order.tolist()] for column in (kind, text, answer))
    return Questions(scene[order], kind, text, answer, patches[order], hard[order])


def _first_asked(scene: Int[np.ndarray, " questions"], text: Sequence[str]) -> Int[np.ndarray, " first"]:
    """Number the questions scene by scene, each the first time that it is asked of its scene."""
    first = {asked: place for place, asked in reversed([*enumerate(zip(scene.tolist(), text, strict=True))])}
    places = np.sort(np.fromiter(first.values(), dtype=np.int64))
    order: Int[np.ndarray, " first"] = places[scene[places].argsort(kind="stable")]
    return order


def ask(scenes: Scenes) -> Questions:
    """Ask about ten questions on each scene; the same ones whatever batch the scene is in.

    Kinds that a scene does not allow (no label to read, no two objects to compare) are left out.

    Args:
        scenes: Scenes drawn by `tamis.vision.scenes.draw`.
    """
    dice = Dice(derive(scenes.seed, "questions", scenes.split), scenes.index)
    pool = Pool(scenes)
    for kind in ("color", "color", "size", "texture", "shape", "shape", "where"):
        _ask_trait(pool, scenes, dice, kind)
    _ask_count(pool, scenes)
    ask_exists(pool, scenes, dice, TRAITS, ("color", "shape"))
    ask_exists(pool, scenes, dice, TRAITS, ("texture", "shape"))
    _ask_compare(pool, scenes, dice)
    _ask_read(pool, scenes, dice)
    _ask_prior(pool, scenes, dice)
    rows = np.arange(len(scenes))
    hues = [HUES[hue] for hue in scenes.hue.tolist()]
    text = [_TEMPLATES["background"]] * len(rows)
    pool.add("background", rows, text, hues, patches=scenes.background_patches)
    return pool.sorted()


def contents(scenes: Scenes, asked: Questions) -> bytes:
    """Give pictures with their questions and answers as bytes, scene by scene: those of parts make those of the whole.

    Args:
        scenes: The scenes.
        asked: Questions about them.
    """
    told: list[list[str]] = [[] for _ in range(len(scenes))]
    for row, text, answer in zip(asked.scene.tolist(), asked.text, asked.answer, strict=True):
        told[row].append(f"{text}\t{answer}\n")
    return b"".join(image.tobytes() + "".join(lines).encode() for image, lines in zip(scenes.images, told, strict=True))


def unique(scenes: Scenes, references: Sequence[Sequence[str]]) -> Bool[np.ndarray, "scenes objects references"]:
    """Say which objects are the only one with their traits.

    Args:
        scenes: The scenes.
        references: Sets of traits.
    """
    present = scenes.cells >= 0
    same = {name: value[:, :, None] == value[:, None, :] for name, value in scenes.traits.items()}
    alone = [np.logical_and.reduce([same[name] for name in names]).sum(2) == 1 for names in references]
    named: Bool[np.ndarray, "scenes objects references"] = np.stack(alone, axis=2) & present[:, :, None]
    return named


def choose(dice: Dice, valid: Bool[np.ndarray, "scenes objects references"]) -> list[Int[np.ndarray, " _"]]:
    """Choose an object and a way to name it, in half of the cases the focus if it can be; leave out what has none.

    Args:
        dice: Where chance comes from.
        valid: Which choices there are.

    Returns:
        Row of the scene, object and reference of each choice.
    """
    lots = dice.uniform(*valid.shape[1:])
    lots[:, 0] += dice.below(2)[:, None]
    lots[~valid] = -1
    best = lots.reshape(len(lots), -1).argmax(axis=1)
    rows = np.nonzero(valid.any((1, 2)))[0]
    return [rows, *np.divmod(best[rows], valid.shape[2])]


def one_of(chosen: Int[np.ndarray, " choices"]) -> Bool[np.ndarray, "choices objects"]:
    """Mark the chosen object of each choice."""
    marked: Bool[np.ndarray, "choices objects"] = chosen[:, None] == np.arange(OBJECTS)
    return marked


def phrases(
    scenes: Scenes,
    references: Sequence[Sequence[str]],
    rows: Int[np.ndarray, " names"],
    objects: Int[np.ndarray, " names"],
    chosen: Int[np.ndarray, " names"],
) -> list[str]:
    """Name objects: "striped star", or "small red one" where the shape is not said.

    Args:
        scenes: The scenes.
        references: Sets of traits.
        rows: Row of the scene of each.
        objects: The objects.
        chosen: Which set each is named by.
    """
    known = np.stack([scenes.traits[name][rows, objects] for name in TRAITS], axis=1).tolist()
    spoken = []
    for values, reference in zip(known, chosen.tolist(), strict=True):
        names = references[reference]
        words = [TRAITS[name][value] for name, value in zip(TRAITS, values, strict=True) if name in names]
        spoken.append(" ".join(words if "shape" in names else [*words, "one"]))
    return spoken


def _ask_trait(pool: Pool, scenes: Scenes, dice: Dice, kind: str) -> None:
    rows, chosen, reference = choose(dice, unique(scenes, _REFERENCES[kind]))
    values = (scenes.cells if kind == "where" else scenes.traits[kind])[rows, chosen]
    text = map(_TEMPLATES[kind].format, phrases(scenes, _REFERENCES[kind], rows, chosen, reference))
    pool.add(kind, rows, text, [CHOICES[kind][value] for value in values.tolist()], objects=one_of(chosen))


def _ask_count(pool: Pool, scenes: Scenes) -> None:
    """Ask how many objects have the trait of the focus that is repeated."""
    names, rows = list(TRAITS), np.arange(len(scenes))
    values = np.stack([scenes.traits[name] for name in names])[scenes.repeated, rows]
    asked = zip(scenes.repeated.tolist(), values[:, 0].tolist(), strict=True)
    words = [(names[trait], TRAITS[names[trait]][value]) for trait, value in asked]
    text = [_TEMPLATES["count"].format(f"{word} ones" if name == "color" else _plural(word)) for name, word in words]
    answers = [COUNTS[copies - 1] for copies in scenes.copies.tolist()]
    pool.add("count", rows, text, answers, objects=values == values[:, :1])


def _plural(word: str) -> str:
    return word + ("es" if word.endswith("s") else "s")


def _with_article(phrase: str) -> str:
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def ask_exists(
    pool: Pool, scenes: Scenes, dice: Dice, tables: dict[str, tuple[str, ...]], names: tuple[str, str]
) -> None:
    """Ask whether two traits occur on one object; a "no" is about two that both occur, where there are such.

    Args:
        pool: Where the questions go.
        scenes: The scenes.
        dice: Where chance comes from.
        tables: Trait → its values.
        names: The two traits, the one that names the object last.
    """
    values = [scenes.traits[name] for name in names]
    has_first, has_second = (
        value[:, :, None] == np.arange(len(tables[name])) for name, value in zip(names, values, strict=True)
    )
    bound = (has_first[:, :, :, None] & has_second[:, :, None, :]).any(1)
    known = has_first.any(1)[:, :, None].astype(np.float32) + has_second.any(1)[:, None, :]
    allowed = (known > 0) & ~bound
    if names == ("color", "shape") and scenes.split != "ood":
        allowed &= ~HELD_OUT
    lots = dice.uniform(*bound.shape[1:]) + known
    lots[~allowed] = -1
    absent = np.divmod(lots.reshape(len(lots), -1).argmax(axis=1), bound.shape[2])

    rows, chosen, _ = choose(dice, (scenes.cells >= 0)[:, :, None])
    no = dice.below(2).astype(bool)
    asked = [np.where(no, other, value[rows, chosen]) for other, value in zip(absent, values, strict=True)]
    words = [[tables[name][i] for i in index.tolist()] for name, index in zip(names, asked, strict=True)]
    text = [_TEMPLATES["exists"].format(_with_article(" ".join(pair))) for pair in zip(*words, strict=True)]
    matching = (values[0] == asked[0][:, None]) & (values[1] == asked[1][:, None])
    pool.add("exists", rows, text, [TRUTH[answer] for answer in no.tolist()], objects=matching)


def _ask_compare(pool: Pool, scenes: Scenes, dice: Dice) -> None:
    valid = unique(scenes, _REFERENCES["compare"])
    lots = np.where(valid, dice.uniform(*valid.shape[1:]), -1)
    reference, named = lots.argmax(axis=2), lots.max(axis=2) >= 0
    axis, opposite = dice.below(len(_RELATIONS)), dice.below(2)
    measures = np.stack([scenes.traits["size"], scenes.cells % 3, scenes.cells // 3])
    measure = measures[axis, np.arange(len(scenes))].astype(np.int64)
    pairs = named[:, :, None] & named[:, None, :] & (measure[:, :, None] != measure[:, None, :])
    rows, pair, _ = choose(dice, pairs.reshape(len(scenes), -1, 1))
    first, second = np.divmod(pair, OBJECTS)
    holds = (measure[rows, first] > measure[rows, second]) ^ opposite[rows].astype(bool)
    names = [phrases(scenes, _REFERENCES["compare"], rows, one, reference[rows, one]) for one in (first, second)]
    relations = [_RELATIONS[a][b] for a, b in zip(axis[rows].tolist(), opposite[rows].tolist(), strict=True)]
    text = [_TEMPLATES[relation].format(a, b) for relation, a, b in zip(relations, *names, strict=True)]
    pool.add("compare", rows, text, [TRUTH[not yes] for yes in holds.tolist()], objects=one_of(first) | one_of(second))


def _ask_read(pool: Pool, scenes: Scenes, dice: Dice) -> None:
    rows, label, _ = choose(dice, (scenes.words >= 0)[:, :, None])
    plain = (scenes.words[rows, 1] < 0) & dice.below(2).astype(bool)[rows]
    colors = scenes.label_colors[rows, label].tolist()
    text = [
        _TEMPLATES["read"] if short else _TEMPLATES["read on"].format(LABEL_COLORS[color])
        for short, color in zip(plain.tolist(), colors, strict=True)
    ]
    answers = [WORDS[word] for word in scenes.words[rows, label].tolist()]
    pool.add("read", rows, text, answers, patches=scenes.label_patches[rows, label])


def _ask_prior(pool: Pool, scenes: Scenes, dice: Dice) -> None:
    """Ask what a word means; the picture says nothing about it."""
    names = list(TRAITS)
    word, shift, no = dice.below(len(_CATEGORY)), 1 + dice.below(len(names) - 1), dice.below(2)
    text = []
    for (own, value), step in ((_CATEGORY[w], s) for w, s in zip(word.tolist(), (shift * no).tolist(), strict=True)):
        text.append(_TEMPLATES["prior"].format(value, names[(names.index(own) + step) % len(names)]))
    pool.add("prior", np.arange(len(scenes)), text, [TRUTH[answer] for answer in no.tolist()])


def captions(scenes: Scenes) -> list[str]:
    """Say in one sentence what is in each scene: every object, with its size, traits and place, and every label.

    The background and the distractors are not mentioned.

    Args:
        scenes: Scenes drawn by `tamis.vision.scenes.draw`.
    """
    traits = np.stack([scenes.traits[name] for name in TRAITS], axis=2).tolist()
    sentences = []
    for row, cells in enumerate(scenes.cells.tolist()):
        parts = []
        for values, cell in zip(traits[row], cells, strict=True):
            if cell >= 0:
                words = (TRAITS[name][value] for name, value in zip(TRAITS, values, strict=True))
                parts.append(f"a {' '.join(words)} at the {CELLS[cell]}")
        labels = (scenes.label_colors[row], scenes.words[row], scenes.label_cells[row])
        for color, word, cell in zip(*(column.tolist() for column in labels), strict=True):
            if word >= 0:
                parts.append(f"a {LABEL_COLORS[color]} label that says {WORDS[word]} at the {CELLS[cell]}")
        sentences.append(" and ".join(parts))
    return sentences


_TARGETS = (("color", "shape"), ("size", "shape"), ("texture", "shape"), ("where", "shape"), ("where", "color"))

FACTS = sum(len(CHOICES[first]) * len(CHOICES[second]) for first, second in _TARGETS) + len(WORDS)
"""Length of a caption as a multi-hot vector."""


def targets(scenes: Scenes) -> Bool[np.ndarray, "scenes targets"]:
    """Say the captions as a multi-hot vector: which pairs of traits are bound on an object, and which words are there.

    The order is colour × shape, size × shape, texture × shape, cell × shape, cell × colour, words.

    Args:
        scenes: Scenes drawn by `tamis.vision.scenes.draw`.
    """
    rows, slots = np.nonzero(scenes.cells >= 0)
    values = {**scenes.traits, "where": scenes.cells}
    blocks = []
    for first, second in _TARGETS:
        block = np.zeros((len(scenes), len(CHOICES[first]), len(CHOICES[second])), dtype=bool)
        block[rows, values[first][rows, slots], values[second][rows, slots]] = True
        blocks.append(block.reshape(len(scenes), -1))
    written = np.zeros((len(scenes), len(WORDS)), dtype=bool)
    rows, slots = np.nonzero(scenes.words >= 0)
    written[rows, scenes.words[rows, slots]] = True
    return np.concatenate([*blocks, written], axis=1)


def spoken() -> set[str]:
    """Every word and mark that a question, an answer or a caption of composed scenes can hold."""
    said = {word for template in _TEMPLATES.values() for word in template.replace("{}", "").split()}
    said |= {"a", "an", "one", "ones", "at", "the", "and", "label", "that", "says", *TRAITS, *LABEL_COLORS}
    said |= {_plural(shape) for shape in TRAITS["shape"]}
    return said.union(*CHOICES.values())
