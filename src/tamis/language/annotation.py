"""Annotate names: what the open corpus, dictionaries and rules know of them, and what a person must decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tamis.core.errors import FileError, InputError
from tamis.language import tags
from tamis.language.corpus import Corpus, Entity
from tamis.language.data import DAMAGE, Reading, check_file, check_header, cleaned, damage, load
from tamis.language.facts import Fact, merged
from tamis.language.lexicons import lexicon_facts
from tamis.language.signature import Signature
from tamis.language.spelling import rule_facts


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is known of a name without a guess."""

    name: str
    """As it came."""
    language: str
    """The language of the open corpus that was used."""
    signature: Signature
    """What is known."""
    provenance: tuple[str, ...]
    """Who says so, for each pair of the signature: `open`, `lexicon:` and a package, or `rule:` and a name."""
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

    >>> [str(one.signature) for one in annotate("Angers", "fr")]
    ['NominalInflectedForm.starts_with_vowel:1']
    """
    corpus = load("open")
    found = tags.closest(language, corpus.languages)
    if found is None:
        raise InputError(f"the open corpus has no language {language!r}; it has {', '.join(corpus.languages)}")
    known, values = _knowledge(found)
    return [_annotated(name, found, known, values) for name in ([names] if isinstance(names, str) else names)]


def annotate_file(path: str | Path, language: str) -> tuple[list[Annotation], Corpus]:
    """Annotate the names of a file, and make a corpus of them.

    Args:
        path: A CSV file in UTF-8 with a column `name`, and perhaps `mid` and `semantic_type`; others are passed over.
        language: A language tag; the closest language of the open corpus is taken.

    Returns:
        One annotation for each row, and a corpus of all that differ. Its type is `Name` where the file has none.

    Raises:
        FileError: If the file cannot be read, or a row has no usable name; the message tells the place.
        InputError: If the open corpus has no such language.
        LimitError: If the file is larger than 500 MB.
        MissingExtraError: If a dictionary of the language is not installed.
    """
    path = Path(path)
    check_file(path)
    reading = Reading(path, strict=True)
    rows = reading.rows()
    header = reading.header = [name.strip() for name in next(rows, [])]
    check_header(header, reading, ("name",))
    given = []
    for row in rows:
        if len(row) != len(header):
            hint = "quote fields that hold commas" if len(row) > len(header) else "complete the row"
            reading.refuse("", f"fields: {len(row)}, in the header {len(header)}; {hint}")
        if found := DAMAGE.search("".join(row)):
            reading.refuse("", damage(found[0]), found[0])
        cells = dict(zip(header, row, strict=True))
        if not cleaned(cells["name"]):
            reading.refuse("", "the name is empty; every row needs one", "name")
        given.append(cells)
    if not given:
        raise FileError(f"{path}: has a header and no rows; give one name a row")
    annotations = annotate([cells["name"] for cells in given], language)
    entities = (
        Entity(
            one.language,
            cells.get("mid", "").strip(),
            cleaned(one.name),
            cells.get("semantic_type", "").strip() or "Name",
            one.signature,
            provenance=one.provenance,
        )
        for cells, one in zip(given, annotations, strict=True)
    )
    return annotations, Corpus(tuple(dict.fromkeys(entities)), path.name)


def _annotated(
    given: str, language: str, known: Mapping[str, Sequence[Entity]], values: Mapping[str, tuple[str, ...]]
) -> Annotation:
    name = cleaned(given)
    if not name:
        raise InputError(f"{given!r} is no name; give names as a text shows them")
    signatures = [one.signature.pairs for one in known.get(name, ())]
    said = {Fact(*pair, "open") for pairs in signatures for pair in pairs}
    disputed = {fact for fact in said if any(fact[:2] not in pairs for pairs in signatures)}
    facts = [
        fact for fact in merged(said, lexicon_facts(name, language), rule_facts(name, language)) if fact not in disputed
    ]
    decided = frozenset[str]().union(*(fact.topics for fact in facts))
    return Annotation(
        given,
        language,
        Signature(",".join(f"{fact.attribute}:{fact.value}" for fact in facts)),
        tuple(fact.provenance for fact in facts),
        {
            attribute: its
            for attribute, its in values.items()
            if decided.isdisjoint(frozenset.intersection(*(Fact(attribute, value, "").topics for value in its)))
        },
    )


@cache
def _knowledge(language: str) -> tuple[Mapping[str, tuple[Entity, ...]], Mapping[str, tuple[str, ...]]]:
    """Give the entities by name, and the values of each attribute, of a language in the open corpus."""
    by_name: dict[str, list[Entity]] = {}
    values: dict[str, Counter[str]] = {}
    for one in load("open").filter(language=language):
        by_name.setdefault(one.name, []).append(one)
        for attribute, value in one.signature.pairs:
            values.setdefault(attribute, Counter())[value] += 1
    often = sorted(values, key=lambda attribute: (-values[attribute].total(), attribute))
    return (
        {name: tuple(entities) for name, entities in by_name.items()},
        {attribute: tuple(sorted(values[attribute])) for attribute in often},
    )
