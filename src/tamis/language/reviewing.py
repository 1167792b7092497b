"""Have annotations judged by people: a sheet goes out, sheets come back, and the corpus learns from them.

A sheet is a CSV file with one question a row: is this value of this attribute right for this name? Whoever speaks the
language writes `yes`, `no` or `unsure`, after a no perhaps the right value, and their name. Of names that are neither
of CLSE nor of the open corpus it also asks what nobody has decided yet: the answer is a value. What all who judged
agree on is taken over. Disputed pairs are left unchanged and reported.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from tamis.core.errors import ConfigError, FileError, InputError, nearest
from tamis.core.files import write_whole
from tamis.language.annotation import undecided
from tamis.language.cldr import glosses
from tamis.language.corpus import MID, Corpus, Entity
from tamis.language.csv_file import Reading, csv_text, escaped, unescaped
from tamis.language.metrics import cohen_kappa
from tamis.language.phrases import spelt
from tamis.language.signature import Fact, Signature
from tamis.language.vocabulary import KINDS, PAIRS, features_of

COLUMNS = (
    "id", "name", "gloss", "attribute", "value", "question", "values", "verdict", "correction", "comment", "reviewer",
)  # fmt: skip
"""The columns of a sheet; `values` lists what may stand in `correction`, and the last four are for the reviewer."""
VERDICTS = {
    "yes": ("y", "ano", "da", "evet", "ja", "oui", "si", "sim", "sì", "sí", "tak", "да"),
    "no": ("n", "hayır", "não", "ne", "nee", "nei", "nein", "nej", "nie", "non", "нет"),
    "unsure": ("?",),
}
"""Verdicts, and other words for them that are understood."""

_KNOWN = (MID, "/m/", "/g/")
_ERRORS = 5
_READ = ("id", "name", "attribute", "value", "verdict", "correction", "reviewer")


@dataclass(frozen=True)
class Agreement:
    """How far those who judged an attribute agree with the annotation, and with each other."""

    judged: int
    """Answers that were yes, no or a value."""
    unsure: int
    """Answers that were neither."""
    agreed: float
    """The share of yes among answers about a value, a fraction; NaN if there are none."""
    kappa: Mapping[tuple[str, str], float]
    """Cohen's kappa of every two reviewers, over what both judged; NaN where it is not defined."""


@dataclass(frozen=True)
class Review:
    """A corpus after review, and how it went."""

    corpus: Corpus
    """With what reviewers agreed on."""
    agreement: Mapping[str, Agreement]
    """By attribute, in the order of the alphabet."""
    accepted: int
    """Pairs found right."""
    corrected: int
    """Pairs replaced by what the reviewers say."""
    removed: int
    """Pairs found wrong, without a correction on which the reviewers agree."""
    by_one: int
    """Of those accepted, corrected or removed, how many on the word of one reviewer."""
    disputed: tuple[str, ...]
    """Pairs on which reviewers disagree, one line each; those called both right and wrong are kept as they were."""


def export_review(corpus: Corpus, language: str, path: str | Path, *, per_value: int | None = None) -> int:
    """Write a sheet of questions for somebody who speaks a language.

    It asks whether what is annotated is right and, of names that are neither of CLSE nor of the open corpus, what is
    not annotated though names of that type have it.

    Args:
        corpus: What to have judged.
        language: A language tag; the corpus's closest language is taken.
        path: The CSV file, UTF-8 with the mark that spreadsheets want; it is replaced as a whole.
        per_value: Ask at most this often about each value of each attribute, spread over the corpus; None asks for all.

    Returns:
        The number of questions.

    Raises:
        ConfigError: If `per_value` is less than one.
        FileError: If the file cannot be written, or is a sheet that holds answers.
        InputError: If the corpus has no such language, or nothing is annotated in it.
        MissingExtraError: If langcodes or, for names from CLDR, Babel is not installed.
    """
    if per_value is not None and per_value < 1:
        raise ConfigError(f"per_value is {per_value}; expected one or more, or None for all")
    chosen = corpus.filter(language=language)
    asked: dict[tuple[str, str], dict[tuple[str, str], Entity]] = {}
    for one in chosen:
        open_ones = {} if one.mid.startswith(_KNOWN) else undecided(one)
        for pair in (*one.signature.pairs, *((attribute, "") for attribute in open_ones)):
            asked.setdefault(pair, {}).setdefault((_id(one), one.name), one)
    if not asked:
        raise InputError(f"{corpus.name}: nothing is annotated in {language!r}; annotate it first")
    english = glosses(corpus)
    rows = [
        [_id(one), one.name, english.get(one.mid, ""), *pair, _question(one, *pair), _choices(*pair), "", "", "", ""]
        for pair in sorted(asked)
        for one in _spread(list(asked[pair].values()), per_value)
    ]
    _check_unanswered(Path(path))
    write_whole(path, f"\ufeff{csv_text([COLUMNS, *([escaped(field) for field in row] for row in rows)])}")
    return len(rows)


def import_review(corpus: Corpus, paths: str | Path | Iterable[str | Path]) -> Review:
    """Read sheets that came back, and change the corpus by what they agree on.

    Rows without an answer are passed over. Fields may be separated by commas, semicolons or tabs. A value may be
    written as in `values`, or as much of it as is clear; `yes` and `no` also in some other languages, see VERDICTS. A
    pair is accepted if somebody calls it right and nobody wrong; it is replaced or removed if somebody calls it wrong
    and nobody right.

    Args:
        corpus: The corpus from which the sheets were exported; one that already holds them would count them twice.
        paths: A sheet or several, by any number of reviewers.

    Returns:
        The corpus after review, with what was changed and how far reviewers agree.

    Raises:
        FileError: If a sheet cannot be read or does not fit the corpus; the message names the place.
        LimitError: If a sheet is larger than 500 MB.
    """
    entities: dict[tuple[str, str], list[Entity]] = {}
    for one in corpus:
        entities.setdefault((_id(one), one.name), []).append(one)
    answers: dict[_Item, dict[str, _Answer]] = {}
    for path in [paths] if isinstance(paths, str | Path) else paths:
        _read(Path(path), entities, answers)
    changes: dict[tuple[str, str], dict[tuple[str, str], _Change]] = {}
    counts: Counter[str] = Counter()
    disputed = []
    for item, its in sorted(answers.items()):
        right, wrong = ([one for one in its.values() if one.verdict == verdict] for verdict in ("yes", "no"))
        counts["by one"] += len(right) + len(wrong) == 1
        corrections = sorted({one.correction for one in wrong})
        if (right and wrong) or len(corrections) > 1:
            said = ", ".join(
                f"{who}: {_label(item, one)}" for who, one in sorted(its.items()) if one.verdict != "unsure"
            )
            disputed.append(f"{item.name} ({item.id}), {item.attribute}:{item.value}: {said}")
        if bool(right) == bool(wrong):
            continue
        value = item.value if right else corrections[0] if len(corrections) == 1 else ""
        counts["accepted" if right else "corrected" if value else "removed"] += 1
        pairs = changes.setdefault((item.id, item.name), {})
        pairs[item.attribute, item.value] = _Change(value, len(right or wrong), "" if right else "review")
    return Review(
        replace(corpus, entities=tuple(_changed(one, changes.get((_id(one), one.name), {})) for one in corpus)),
        {
            attribute: _agreement({item: its for item, its in answers.items() if item.attribute == attribute})
            for attribute in sorted({item.attribute for item in answers})
        },
        accepted=counts["accepted"],
        corrected=counts["corrected"],
        removed=counts["removed"],
        by_one=counts["by one"],
        disputed=tuple(disputed),
    )


class _Item(NamedTuple):
    """What a question is about."""

    id: str
    name: str
    attribute: str
    value: str


class _Answer(NamedTuple):
    """What a reviewer says."""

    verdict: str
    correction: str


class _Change(NamedTuple):
    """What becomes of a pair."""

    value: str
    """Empty if it goes."""
    reviewers: int
    provenance: str
    """Empty if it stays as it was."""


def _id(one: Entity) -> str:
    """What a row goes by, beside its name."""
    return f"{one.language} {one.mid or one.semantic_type}"


def _question(one: Entity, attribute: str, value: str) -> str:
    if not value:
        kinds = dict.fromkeys(kind for its in _values(attribute) for kind, _ in features_of(attribute, its))
        return f"{one.name}: {'; '.join(KINDS[kind] for kind in kinds) or attribute}? Write the value as correction."
    features = features_of(attribute, value)
    says = "; ".join(f"{KINDS[kind]}: {spelt(one.language, its)}" for kind, its in features) or f"{attribute}: {value}"
    return f"{one.name}: {says}. Is that right?"


def _values(attribute: str) -> list[str]:
    return [value for name, value in PAIRS if name == attribute]


def _choices(attribute: str, value: str) -> str:
    return " ".join(one for one in _values(attribute) if one != value)


def _meant(item: _Item, text: str) -> str:
    """Find the value that a reviewer means: written in full, or a part of it, or a word that one value alone has."""
    values = _values(item.attribute)
    folded = text.casefold()
    if whole := [value for value in values if value.casefold() == folded]:
        return whole[0]
    language = item.id.partition(" ")[0]
    words = {
        value: {
            *value.casefold().split("_"),
            *(spelt(language, its) for _, its in features_of(item.attribute, value)),
            *(its for _, its in features_of(item.attribute, value)),
        }
        for value in values
    }
    having = [value for value in values if folded in words[value]]
    return having[0] if len(having) == 1 else text


def _spread(entities: list[Entity], most: int | None) -> list[Entity]:
    """Choose evenly from the whole list."""
    if most is None or len(entities) <= most:
        return entities
    return [entities[place * len(entities) // most] for place in range(most)]


def _check_unanswered(path: Path) -> None:
    """Refuse to write over a sheet in which somebody has answered."""
    if not path.is_file() or not path.stat().st_size:
        return
    try:
        rows = list(Reading(path, separators=",;\t").records(("verdict", "correction"), short=True))
    except FileError:
        return  # no sheet
    if any(row["verdict"].strip() or row["correction"].strip() for row in rows):
        raise FileError(f"{path}: holds answers of a reviewer; give another file")


def _read(
    path: Path, entities: Mapping[tuple[str, str], list[Entity]], answers: dict[_Item, dict[str, _Answer]]
) -> None:
    """Add the answers of a sheet to those of others."""
    reading = Reading(path, separators=",;\t")
    errors: list[str] = []
    for fields in reading.records(_READ, short=True):
        cells = {name: unicodedata.normalize("NFC", unescaped(fields[name]).strip()) for name in _READ}
        if not (cells["verdict"] or cells["correction"]):
            continue
        item = _Item(*(cells[name] for name in _Item._fields))
        answer = _answer(item, cells["verdict"].casefold(), cells["correction"])
        reviewer = " ".join(cells["reviewer"].split())
        wrong = _wrong(item, answer, reviewer, entities)
        if wrong is None and answers.setdefault(item, {}).setdefault(reviewer, answer) != answer:
            wrong = _Wrong("verdict", f"{reviewer!r} gave another answer to this question before; keep one")
        if wrong:
            errors.append(str(reading.error(wrong.message, wrong.column)))
    if errors:
        more = [f"and {len(errors) - _ERRORS} more"] if len(errors) > _ERRORS else []
        raise FileError("; ".join([*errors[:_ERRORS], *more]))


def _answer(item: _Item, verdict: str, correction: str) -> _Answer:
    """Read what a reviewer wrote; a value is the answer to a question without one."""
    verdict = next((known for known, others in VERDICTS.items() if verdict in others), verdict)
    correction = _meant(item, correction) if correction else ""
    return _Answer("no" if not item.value and correction and not verdict else verdict, correction)


class _Wrong(NamedTuple):
    """What is wrong with a row of a sheet."""

    column: str
    message: str


def _wrong(
    item: _Item, answer: _Answer, reviewer: str, entities: Mapping[tuple[str, str], list[Entity]]
) -> _Wrong | None:
    if answer.verdict not in VERDICTS:
        return _Wrong("verdict", f"the verdict is {answer.verdict!r}; expected yes, no or unsure")
    if not reviewer:
        return _Wrong("reviewer", "nobody is named as reviewer; write who judged into every row that has a verdict")
    meant = entities.get((item.id, item.name))
    if meant is None:
        return _Wrong(
            "id", f"the corpus has no {item.name!r} with the id {item.id!r}; leave the first columns as they are"
        )
    pair = (item.attribute, item.value)
    if not item.value and any(item.attribute in dict(one.signature.pairs) for one in meant):
        return _Wrong("attribute", f"{item.name!r} has {item.attribute} by now; export the sheet again")
    if item.value and not any(pair in one.signature.pairs for one in meant):
        return _Wrong("value", f"{item.name!r} is not annotated as {':'.join(pair)} any more; export the sheet again")
    if not answer.correction:
        open_one = not item.value and answer.verdict != "unsure"
        return _Wrong("correction", "the question asks for a value; write it here, or unsure") if open_one else None
    if "," in answer.correction:
        return _Wrong("correction", f"{answer.correction!r} holds a comma; one value corrects one pair")
    if answer.verdict != "no" or answer.correction == item.value:
        return _Wrong("correction", f"{answer.correction!r} corrects nothing; a correction goes with a no")
    values = [value for attribute, value in PAIRS if attribute == item.attribute]
    if values and answer.correction not in values:
        return _Wrong(
            "correction", f"{item.attribute} has no value {answer.correction!r}; {nearest(answer.correction, values)}"
        )
    return None


def _label(item: _Item, answer: _Answer) -> str:
    """Say what the value is in the eyes of a reviewer."""
    return item.value if answer.verdict == "yes" else answer.correction or f"not {item.value}"


def _agreement(answers: Mapping[_Item, Mapping[str, _Answer]]) -> Agreement:
    labels: dict[str, dict[_Item, str]] = {}
    unsure = right = asked = 0
    for item, its in answers.items():
        for reviewer, answer in its.items():
            unsure += answer.verdict == "unsure"
            right += answer.verdict == "yes"
            asked += bool(item.value) and answer.verdict != "unsure"
            if answer.verdict != "unsure":
                labels.setdefault(reviewer, {})[item] = _label(item, answer)
    judged = sum(map(len, labels.values()))
    kappa = {}
    for first, second in combinations(sorted(labels), 2):
        both = sorted(labels[first].keys() & labels[second].keys())
        if both:
            kappa[first, second] = cohen_kappa(*([labels[who][item] for item in both] for who in (first, second)))
    return Agreement(judged, unsure, right / asked if asked else math.nan, kappa)


def _changed(one: Entity, changes: Mapping[tuple[str, str], _Change]) -> Entity:
    """Put the changes into a row, if it has such pairs."""
    if not changes:
        return one
    facts = []
    for fact in one.facts:
        change = changes.get(fact.pair, _Change(fact.value, 0, ""))
        if change.value == fact.value:
            facts.append(fact._replace(reviewed=fact.reviewed + change.reviewers))
        elif change.value:
            facts.append(Fact(fact.attribute, change.value, change.provenance, change.reviewers))
    facts += [
        Fact(attribute, change.value, "review", change.reviewers)
        for (attribute, value), change in changes.items()
        if not value and change.value
    ]
    facts.sort()
    return replace(
        one,
        signature=Signature.of(fact.pair for fact in facts),
        provenance=tuple(fact.provenance for fact in facts),
        reviewed=tuple(fact.reviewed for fact in facts),
    )
