"""Annotate names: what the open corpus, dictionaries and rules know of them, and what a person must decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tamis.core.errors import FileError, InputError, nearest
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


def annotate(names: str | Iterable[str], language: str, type: str | None = None) -> list[Annotation]:
    """Say of each name what the open corpus has on it, else what dictionaries and rules decide with certainty.

    If the type is known, only things of that type count, and rules that need one apply. A name of several things keeps
    only what is true of all of them. Nothing is ever guessed.

    Args:
        names: One name or several, in their citation form, as a text shows them.
        language: A language tag; the closest language of the open corpus is taken.
        type: A semantic type of the open corpus, if it is known what the names are names of.

    Returns:
        One annotation for each name, in the same order.

    Raises:
        InputError: If the open corpus has no such language or type, or a name is empty.
        MissingExtraError: If a dictionary of the language is not installed.

    >>> [str(one.entity.signature) for one in annotate("Angers", "fr")]
    ['NominalInflectedForm.starts_with_vowel:1']
    """
    known = _known(language)
    return [_annotated(name, known, type or "") for name in ([names] if isinstance(names, str) else names)]


def annotate_file(path: str | Path, language: str | None = None) -> tuple[list[Annotation], Corpus]:
    """Annotate the names of a file, and make a corpus of them.

    Args:
        path: A CSV file in UTF-8 with a column `name`, and perhaps `language`, `mid` and `semantic_type`, a type of the
            open corpus; others are passed over.
        language: A language tag for rows that have none; the closest language of the open corpus is taken.

    Returns:
        One annotation for each row, and a corpus of all that differ. Its type is `Name` where the file has none.

    Raises:
        FileError: If the file cannot be read, or a row has no usable name or no known language or type; the message
            names the place.
        LimitError: If the file is larger than 500 MB.
        MissingExtraError: If a dictionary of the language is not installed.
    """
    reading = Reading(Path(path))
    annotations = []
    for fields in reading.records(("name",), optional=("language", "mid", "semantic_type")):
        if not cleaned(fields["name"]):
            raise reading.error("the name is empty; every row needs one", "name")
        tag = fields["language"].strip() or language
        if tag is None:
            raise reading.error("no language; name it in a column or, on the command line, by --lang")
        try:
            known = _known(tag)
        except InputError as error:
            raise reading.error(str(error), "language" if fields["language"].strip() else "") from error
        semantic_type = fields["semantic_type"].strip()
        try:
            annotations.append(_annotated(fields["name"], known, semantic_type, fields["mid"].strip()))
        except InputError as error:
            raise reading.error(str(error), "semantic_type") from error
    if not annotations:
        raise FileError(f"{path}: has a header and no rows; give one name a row")
    return annotations, Corpus(tuple(dict.fromkeys(one.entity for one in annotations)), reading.path.name)


class _Known(NamedTuple):
    """What the open corpus has in a language."""

    language: str
    entities: Mapping[str, tuple[Entity, ...]]
    """By name."""
    values: Mapping[str, Mapping[str, tuple[str, ...]]]
    """By type, and under no name for all, the values of each attribute, the most frequent attribute first."""


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
    values: dict[str, dict[str, Counter[str]]] = {}
    for one in load("open-full").filter(language=language):
        entities.setdefault(one.name, []).append(one)
        for attribute, value in one.signature.pairs:
            for semantic_type in ("", one.semantic_type):
                values.setdefault(semantic_type, {}).setdefault(attribute, Counter())[value] += 1
    return _Known(
        language,
        {name: tuple(its) for name, its in entities.items()},
        {
            semantic_type: {
                attribute: tuple(sorted(its[attribute]))
                for attribute in sorted(its, key=lambda attribute: (-its[attribute].total(), attribute))
            }
            for semantic_type, its in values.items()
        },
    )


def _annotated(given: str, known: _Known, semantic_type: str = "", mid: str = "") -> Annotation:
    name, language = cleaned(given), known.language
    if not name:
        raise InputError(f"{given!r} is no name; give names as a text shows them")
    types = load("open", persons=True).types
    if semantic_type and semantic_type not in types:
        raise InputError(f"the open corpus has no type {semantic_type!r}; {nearest(semantic_type.title(), types)}")
    meant = [one for one in known.entities.get(name, ()) if semantic_type in ("", one.semantic_type)]
    signatures = [one.signature.pairs for one in meant]
    said = {Fact(*pair, "open") for pairs in signatures for pair in pairs}
    disputed = {fact for fact in said if any(fact.pair not in pairs for pairs in signatures)}
    sources = (said, lexicon_facts(name, language, semantic_type), rule_facts(name, language, semantic_type))
    facts = [fact for fact in merged(*sources) if fact not in disputed]
    signature = Signature.of(fact.pair for fact in facts)
    provenance = tuple(fact.provenance for fact in facts)
    entity = Entity(language, mid, name, semantic_type or _TYPE, signature, provenance=provenance)
    return Annotation(given, entity, _undecided(entity, known))


def undecided(entity: Entity) -> Mapping[str, tuple[str, ...]]:
    """List what a person must still decide about a name.

    Args:
        entity: The name, with what is known.

    Returns:
        The attributes that names of its type have in the open corpus and that nothing known decides, the most frequent
        first, with the values seen there; none if the open corpus does not have the language.
    """
    try:
        return _undecided(entity, _known(entity.language))
    except InputError:
        return {}


def _undecided(entity: Entity, known: _Known) -> Mapping[str, tuple[str, ...]]:
    decided = frozenset[str]().union(*(fact.topics for fact in entity.facts))
    return {
        attribute: its
        for attribute, its in known.values.get(entity.semantic_type, known.values[""]).items()
        if decided.isdisjoint(frozenset.intersection(*(Fact(attribute, value).topics for value in its)))
    }
