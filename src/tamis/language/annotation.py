"""Annotate names: what the open corpus, dictionaries and rules know of them, and what a person must decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tamis.core.errors import FileError, InputError
from tamis.language import tags
from tamis.language.corpus import Corpus, Entity
from tamis.language.csv_file import Reading, cleaned
from tamis.language.data import load
from tamis.language.lexicons import lexicon_facts
from tamis.language.rules import rule_facts
from tamis.language.signature import Fact, Signature, merged

_TYPE = "Name"


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is known of a name without a guess."""

    given: str
    """The name as it came."""
    entity: Entity
    """The name in the language of the open corpus that was used, with what is known; `provenance` says from whom:
    `open`, `lexicon:` and a package, or `rule:` and a name."""
    undecided: Mapping[str, tuple[str, ...]]
    """The other attributes that matter in the language, the most frequent first, with the values seen there: for a
    person to decide."""


def annotate(names: str | Iterable[str], language: str) -> list[Annotation]:
    """Say of each name what the open corpus has on it, else what dictionaries and rules decide with certainty.

    A name of several things in the corpus keeps only what is true of all of them. The type of a thing is not known
    here, so rules that need it are silent. Nothing is ever guessed.

    Args:
        names: One name or several, in their citation form, as a text shows them.
        language: A language tag; the closest language of the open corpus is taken.

    Returns:
        One annotation for each name, in the same order.

    Raises:
        InputError: If the open corpus has no such language, or a name is empty.
        MissingExtraError: If a dictionary of the language is not installed.

    >>> [str(one.entity.signature) for one in annotate("Angers", "fr")]
    ['NominalInflectedForm.starts_with_vowel:1']
    """
    known = _known(language)
    return [_annotated(name, known) for name in ([names] if isinstance(names, str) else names)]


def annotate_file(path: str | Path, language: str) -> tuple[list[Annotation], Corpus]:
    """Annotate the names of a file, and make a corpus of them.

    Args:
        path: A CSV file in UTF-8 with a column `name`, and perhaps `mid` and `semantic_type`; others are passed over.
        language: A language tag; the closest language of the open corpus is taken.

    Returns:
        One annotation for each row, and a corpus of all that differ. Its type is `Name` where the file has none.

    Raises:
        FileError: If the file cannot be read, or a row has no usable name; the message names the place.
        InputError: If the open corpus has no such language.
        LimitError: If the file is larger than 500 MB.
        MissingExtraError: If a dictionary of the language is not installed.
    """
    known = _known(language)
    reading = Reading(Path(path))
    annotations = []
    for fields in reading.records(("name",), optional=("mid", "semantic_type")):
        if not cleaned(fields["name"]):
            raise reading.error("the name is empty; every row needs one", "name")
        mid, semantic_type = fields["mid"].strip(), fields["semantic_type"].strip()
        annotations.append(_annotated(fields["name"], known, mid, semantic_type or _TYPE))
    if not annotations:
        raise FileError(f"{path}: has a header and no rows; give one name a row")
    return annotations, Corpus(tuple(dict.fromkeys(one.entity for one in annotations)), reading.path.name)


class _Known(NamedTuple):
    """What the open corpus has in a language."""

    language: str
    entities: Mapping[str, tuple[Entity, ...]]
    """By name."""
    values: Mapping[str, tuple[str, ...]]
    """The values of each attribute, the most frequent attribute first."""


def _known(language: str) -> _Known:
    """Look into the open corpus in the language closest to a tag."""
    languages = load("open").languages
    found = tags.closest(language, languages)
    if found is None:
        raise InputError(f"the open corpus has no language {language!r}; it has {', '.join(languages)}")
    return _looked_up(found)


@cache
def _looked_up(language: str) -> _Known:
    entities: dict[str, list[Entity]] = {}
    values: dict[str, Counter[str]] = {}
    for one in load("open").filter(language=language):
        entities.setdefault(one.name, []).append(one)
        for attribute, value in one.signature.pairs:
            values.setdefault(attribute, Counter())[value] += 1
    often = sorted(values, key=lambda attribute: (-values[attribute].total(), attribute))
    return _Known(
        language,
        {name: tuple(its) for name, its in entities.items()},
        {attribute: tuple(sorted(values[attribute])) for attribute in often},
    )


def _annotated(given: str, known: _Known, mid: str = "", semantic_type: str = _TYPE) -> Annotation:
    name, language = cleaned(given), known.language
    if not name:
        raise InputError(f"{given!r} is no name; give names as a text shows them")
    signatures = [one.signature.pairs for one in known.entities.get(name, ())]
    said = {Fact(*pair, "open") for pairs in signatures for pair in pairs}
    disputed = {fact for fact in said if any(fact.pair not in pairs for pairs in signatures)}
    facts = [
        fact for fact in merged(said, lexicon_facts(name, language), rule_facts(name, language)) if fact not in disputed
    ]
    decided = frozenset[str]().union(*(fact.topics for fact in facts))
    signature = Signature.of(fact.pair for fact in facts)
    return Annotation(
        given,
        Entity(language, mid, name, semantic_type, signature, provenance=tuple(fact.provenance for fact in facts)),
        {
            attribute: its
            for attribute, its in known.values.items()
            if decided.isdisjoint(frozenset.intersection(*(Fact(attribute, value).topics for value in its)))
        },
    )
