"""Cells: what a test should meet.

A cell is a value, or values that occur together in a name. Only what occurs counts, so no cell is impossible.

Notable choices:

- Without `relevant`, values are pairs as the corpus writes them. A kind among `relevant` speaks the vocabulary instead,
  in which FEMININE is one value under whichever of four attributes it comes.
- At level t, all that is said of a name with fewer attributes is a cell too. So who covers pairs covers values, who
  covers t + 1 values together covers t, and who covers signatures covers all.
- A missing value is no cell, except that a signature may be empty.

Source:
    Levels are the strengths of combinatorial testing (D. M. Cohen and others, "The AETG System", 1997); that only
    combinations which occur count, and a name with fewer values, are our choice.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tamis.core.errors import ConfigError, LimitError, nearest
from tamis.language.corpus import Corpus, Entity
from tamis.language.signature import Signature
from tamis.language.vocabulary import KINDS, PAIRS

Values: TypeAlias = tuple[tuple[str, str], ...]
"""Attributes or kinds with their values, sorted."""
Terms: TypeAlias = frozenset[str] | None
"""Kinds and attributes that count; None if all attributes do."""
MOST = 2**20
"""How many cells of a language and type, or pairs of cells of several slots, there may be."""

_COMPARED = 2**24
_LEVELS = {"signature": 0, "value": 1, "pair": 2}


@dataclass(frozen=True, order=True, slots=True)
class Cell:
    """Something that a test should meet."""

    language: str
    """The language tag."""
    parts: tuple[tuple[str, Values], ...]
    """Slots, or the type where there are none, each with values that occur together; two parts are to meet in a row."""

    def __str__(self) -> str:
        """Write it on one line.

        >>> str(Cell("ru", (("City", (("gender", "feminine"), ("number", "plural"))),)))
        'ru City: gender=feminine + number=plural'
        """
        parts = (
            f"{slot}: {' + '.join(f'{kind}={value}' for kind, value in values) or 'nothing annotated'}"
            for slot, values in self.parts
        )
        return f"{self.language} {' × '.join(parts)}"


def groups(corpus: Corpus, language: str | None, type: str | None) -> list[dict[str, list[Entity]]]:
    """Split a corpus by language and type.

    Args:
        corpus: Where entities come from.
        language: A language tag; None takes each language.
        type: A semantic type; None takes each type.

    Returns:
        For each language and type, the type with its entities as `distinct` gives them.

    Raises:
        ConfigError: If the corpus is empty.
        InputError: If it has no such language or type.
        MissingExtraError: If langcodes is not installed.
    """
    rows = corpus.filter(language=language, type=type).entities
    if not rows:
        raise ConfigError(f"{corpus.name}: no entities; expected some to choose from")
    by_both = itertools.groupby(rows, key=lambda one: (one.language, one.semantic_type))
    return [{its: distinct(tuple(entities))} for (_, its), entities in by_both]


def distinct(entities: Sequence[Entity]) -> list[Entity]:
    """Give each entity once, plain names before those with a tag, such as nicknames, then in the order of mid and name.

    So plain names are taken where others would do no better.
    """
    return list(dict.fromkeys(sorted(entities, key=_rank)))


def _rank(entity: Entity) -> tuple[bool, str, str, Signature, bool]:
    tagged = any(feature.kind.startswith("name_") for feature in entity.signature.features)
    return tagged, entity.mid, entity.name, entity.signature, entity.person


def together_at(level: str | int) -> int:
    """Read how many values a cell has; zero stands for whole signatures."""
    if isinstance(level, str) and level in _LEVELS:
        return _LEVELS[level]
    if isinstance(level, bool) or not re.fullmatch("0*[1-9][0-9]{0,5}", str(level), flags=re.ASCII):
        raise ConfigError(f"level is {level!r}; expected signature, value, pair or a whole number from 1")
    return int(level)


def terms_of(
    relevant: str | Collection[str] | Mapping[str, Collection[str]] | None,
    slots: Collection[str],
    scope: Sequence[Entity],
) -> dict[str, Terms]:
    """The kinds and attributes that count in each slot; None if all attributes do."""
    if relevant is None or isinstance(relevant, Mapping):
        given = dict(relevant or {})
    else:
        given = dict.fromkeys(slots, relevant)
    for slot in sorted(given.keys() - slots):
        raise ConfigError(f"relevant has the slot {slot!r}; {nearest(slot, sorted(slots))}")
    known = {*KINDS, *(attribute for attribute, _ in PAIRS)}
    known |= {attribute for signature in {one.signature for one in scope} for attribute, _ in signature.pairs}
    terms: dict[str, Terms] = dict.fromkeys(slots)
    for slot, names in given.items():
        its = frozenset([names] if isinstance(names, str) else names)
        for name in sorted(its - known):
            raise ConfigError(
                f"relevant has {name!r}, which is no kind and no attribute; {nearest(name, sorted(known))}"
            )
        terms[slot] = its
    return terms


def cells_of(entities: Sequence[Entity], slot: str, together: int, terms: Terms) -> list[frozenset[Values]]:
    """Give the cells of each entity.

    Args:
        entities: All that may fill a slot, of one language.
        slot: The slot or type, for the message.
        together: How many values a cell has; zero stands for whole signatures.
        terms: What counts.

    Raises:
        LimitError: If there are too many.
    """
    said = {signature: _values(signature, terms) for signature in {entity.signature for entity in entities}}
    if any(total > MOST for total in itertools.accumulate(_count(values, together) for values in said.values())):
        raise LimitError(
            f"{entities[0].language} {slot}: more than {MOST:,} cells of {together} values; "
            "take a smaller level, or say what is relevant"
        )
    cells = {signature: frozenset(_cells(values, together)) for signature, values in said.items()}
    fewer = {frozenset(few): few for its in cells.values() for few in its if len(few) < together}
    if len(fewer) * len(cells) > _COMPARED:
        raise LimitError(
            f"{entities[0].language} {slot}: {len(fewer):,} kinds of names have fewer than {together} values; "
            "take a smaller level, or say what is relevant"
        )
    if fewer:
        cells = {
            signature: its | {few for members, few in fewer.items() if members <= set(said[signature])}
            for signature, its in cells.items()
        }
    return [cells[entity.signature] for entity in entities]


def _values(signature: Signature, terms: Terms) -> Values:
    """What a signature says in the given terms, sorted."""
    if terms is None:
        return signature.pairs
    kinds = {(feature.kind, feature.value) for feature in signature.features if feature.kind in terms}
    return tuple(sorted(kinds | {pair for pair in signature.pairs if pair[0] in terms and pair[0] not in KINDS}))


def _cells(values: Values, together: int) -> Iterator[Values]:
    """Every choice of so many values of different attributes; of one value of each attribute where there are fewer."""
    if not together:
        yield values
        return
    its: dict[str, list[tuple[str, str]]] = {}
    for pair in dict.fromkeys(values):
        its.setdefault(pair[0], []).append(pair)
    for attributes in itertools.combinations(its.values(), min(together, len(its)) or 1):
        yield from itertools.product(*attributes)


def _count(values: Values, together: int) -> int:
    """How many cells these values make."""
    its = Counter(attribute for attribute, _ in set(values))
    ways = [1] + [0] * min(together, len(its))
    for several in its.values():
        for size in range(len(ways) - 1, 0, -1):
            ways[size] += ways[size - 1] * several
    return ways[-1]


def candidates(
    corpus: Corpus,
    language: str | None = None,
    type: str | None = None,
    *,
    level: str | int = "pair",
    relevant: str | Collection[str] | None = None,
) -> Iterator[list[tuple[Entity, frozenset[Values]]]]:
    """Give what `cover` chooses from: for each language and type its entities, each with its cells.

    The arguments are those of `cover`.

    Returns:
        The languages and types, one after the other.

    Raises:
        ConfigError: If arguments mean nothing here.
        InputError: If the corpus has no such language or type.
        LimitError: If there are too many cells.
        MissingExtraError: If langcodes is not installed.
    """
    together = together_at(level)
    for group in groups(corpus, language, type):
        ((slot, entities),) = group.items()
        terms = terms_of(relevant, group, entities)
        yield list(zip(entities, cells_of(entities, slot, together, terms[slot]), strict=True))
