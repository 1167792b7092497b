"""Choose the fewest entities with which a template meets everything that its grammar can meet.

What has to be met are cells: a signature, a value, or values that occur together in one name. Only what occurs counts,
so no cell is impossible. For each language and type, the choice is a proven minimum: see `set_cover`. The entities for
several slots are chosen as rows in which every two cells of different slots meet: see `pair_cover`.

Notable choices:

- Without `relevant`, values are pairs as the corpus writes them. A kind among `relevant` speaks the vocabulary instead,
  in which FEMININE is one value under whichever of four attributes it comes.
- At level t, all that is said of a name with fewer attributes is a cell too. So who covers pairs covers values, who
  covers t + 1 values together covers t, and who covers signatures covers all.
- A missing value is no cell, except that a signature may be empty.
"""

from __future__ import annotations

import difflib
import itertools
import math
import numbers
import re
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from tamis.core.errors import ConfigError, LimitError, nearest
from tamis.language.corpus import Corpus, Entity
from tamis.language.data import DAMAGE, Reading, check_file, check_header, cleaned, damage
from tamis.language.pair_cover import Slot, cheapest_rows
from tamis.language.set_cover import Method, cheapest_cover
from tamis.language.signature import Signature
from tamis.language.vocabulary import KINDS, PAIRS

Values: TypeAlias = tuple[tuple[str, str], ...]
"""Attributes or kinds with their values, sorted."""
Weights: TypeAlias = Mapping[str, int | float] | Callable[[Entity], int | float]
"""What each entity costs: by mid or name, 1 where neither is given; or a function of the entity."""

_LEVELS = {"signature": 0, "value": 1, "pair": 2}
_CELLS = 2**20
_DIGITS = 6


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


@dataclass(frozen=True)
class Gap:
    """A cell that fewer entities cover than were asked for; all that may be are chosen."""

    cell: Cell
    wanted: int
    """How many entities were asked for."""
    entities: int
    """How many have the cell and are not excluded."""
    excluded: int
    """How many more have it."""

    def __str__(self) -> str:
        """Write on one line what is missing, and why."""
        more = f"; {self.excluded} more excluded" if self.excluded else "; the corpus holds no more"
        return f"{self.cell}: {self.entities} of {self.wanted} entities{more}"


@dataclass(frozen=True)
class Choice:
    """A test to make, and why."""

    entities: dict[str, Entity]
    """The entity for each slot; for its type where there are no slots."""
    needed_for: tuple[Cell, ...]
    """The cells that are covered too rarely without it, sorted."""
    must: bool
    """Whether an entity was told to be chosen."""


@dataclass(frozen=True)
class Cover:
    """Chosen entities, what they cover, and what is proven about their number."""

    choices: tuple[Choice, ...]
    """The tests, in the order of language, type, mid and name."""
    cells: tuple[Cell, ...]
    """What the tests cover, sorted."""
    uncovered: tuple[Gap, ...]
    """Cells that no choice has, since every entity that has them is excluded."""
    short: tuple[Gap, ...]
    """Cells that are covered, though by fewer entities than `per_cell` asks for."""
    cost: int | float
    """How many tests there are or, with weights, what they weigh."""
    lower_bound: int | float
    """No choice that covers the same costs less."""
    method: Method
    """Greedy if the time limit was reached anywhere, or if rows for several slots were not all searched."""
    entities: tuple[Entity, ...] = field(init=False)
    """Every chosen entity once, in the order of the choices."""

    def __post_init__(self) -> None:
        chosen = dict.fromkeys(entity for choice in self.choices for entity in choice.entities.values())
        object.__setattr__(self, "entities", tuple(chosen))

    @property
    def optimal(self) -> bool:
        """Whether it is proven that no choice that covers the same costs less."""
        return self.cost == self.lower_bound


def cover(
    corpus: Corpus,
    language: str | None = None,
    type: str | Mapping[str, str] | None = None,
    *,
    level: str | int = "pair",
    per_cell: int = 1,
    weights: Weights | None = None,
    must: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    relevant: str | Collection[str] | Mapping[str, Collection[str]] | None = None,
    time_limit: int | float = 60,
    progress: Callable[[int], None] = lambda done: None,
) -> Cover:
    """Choose the fewest entities that cover every cell that occurs.

    Each language and type is covered by itself. Among the cheapest choices it takes the smallest, and among these the
    first in the order of mid and name, so that it does not depend on the order of rows.

    Args:
        corpus: Where entities come from.
        language: A language tag; the corpus's closest is taken. None covers each language.
        type: A semantic type; None covers each type. A mapping from the slots of a template to their types chooses rows
            with an entity for each slot, in which every two cells of different slots meet; it needs a language.
        level: What a cell is: "signature", a whole signature; "value", a value of an attribute; "pair", two values of
            different attributes in one name; a whole number t, so many values.
        per_cell: How many entities should have each cell; a cell that fewer have takes all. Several slots take 1.
        weights: What an entity costs, zero or more, read to six digits of the largest. A row costs the mean of its
            entities.
        must: Mids or names of entities to choose whatever they cover; with several slots, in each slot that they fit.
        exclude: Mids or names of entities never to choose.
        relevant: Kinds of the vocabulary or attributes of the corpus; all others are dropped. A name that is both, such
            as gender, is the kind. With several slots, a mapping may give them for each; those not in it drop nothing.
        time_limit: In seconds; what is not proven by then is covered greedily. No language and type but the last takes
            more than half of the time left.
        progress: Called with the number of languages and types done so far.

    Returns:
        The choices, what they cover and what they cannot, and a lower bound.

    Raises:
        ConfigError: If arguments mean nothing here, name nothing that is in the corpus, or contradict each other.
        InputError: If the corpus has no such language or type.
        LimitError: If there are more than 1,048,576 cells, or pairs of them; a smaller t or fewer relevant kinds make
            fewer.

    Source:
        CLSE (arXiv 2211.02423) selects up to ten entities per signature; covering less than signatures is our choice.

    >>> genders = {"Lyon": "MASCULINE", "Paris": "MASCULINE", "Rome": "FEMININE"}
    >>> rows = (Entity("fr", "", name, "City", Signature(f"Noun.gender:{its}")) for name, its in genders.items())
    >>> [entity.name for entity in cover(Corpus(tuple(rows)), "fr", "City").entities]
    ['Lyon', 'Rome']
    """
    together = _together(level)
    if per_cell < 1:
        raise ConfigError(f"per_cell is {per_cell}; expected 1 or more")
    if not time_limit >= 0:
        raise ConfigError(f"time_limit is {time_limit}; expected seconds, zero or more")
    deadline = time.monotonic() + time_limit
    groups = _groups(corpus, language, type)
    several = len(groups[0])
    if per_cell > 1 and several > 1:
        raise ConfigError(f"per_cell is {per_cell} with several slots; expected 1, or one slot at a time")
    scope = [entity for group in groups for entities in group.values() for entity in entities]
    must, exclude = _named("must", must, scope), _named("exclude", exclude, scope)
    price, unit = _prices(weights, scope)
    terms = _terms(relevant, {slot for group in groups for slot in group}, scope)
    found: list[Cover] = []
    for group in groups:
        progress(len(found))
        pools = [_pool(slot, entities, together, terms[slot], price, must, exclude) for slot, entities in group.items()]
        now = time.monotonic()
        until = deadline if group is groups[-1] else now + (deadline - now) / 2
        found.append(_rows(pools, until) if several > 1 else _singles(pools[0], per_cell, until))
    return Cover(
        choices=tuple(itertools.chain.from_iterable(one.choices for one in found)),
        cells=tuple(itertools.chain.from_iterable(one.cells for one in found)),
        uncovered=tuple(itertools.chain.from_iterable(one.uncovered for one in found)),
        short=tuple(itertools.chain.from_iterable(one.short for one in found)),
        cost=_number(Fraction(sum(one.cost for one in found)) * unit / several),
        lower_bound=_number(Fraction(sum(one.lower_bound for one in found)) * unit / several),
        method="greedy" if any(one.method == "greedy" for one in found) else "exact",
    )


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

    Raises:
        ConfigError: If arguments mean nothing here.
        InputError: If the corpus has no such language or type.
        LimitError: If there are too many cells.
    """
    together = _together(level)
    for group in _groups(corpus, language, type):
        ((slot, entities),) = group.items()
        terms = _terms(relevant, group, entities)
        pool = _pool(slot, entities, together, terms[slot], lambda entity: 1, (), ())
        yield list(zip(pool.entities, pool.cells, strict=True))


def read_weights(path: str | Path) -> dict[str, float]:
    """Read what names cost from a CSV file.

    Args:
        path: A file in UTF-8 with the columns `name`, a name or a mid, and `weight`; others are passed over.

    Raises:
        FileError: If the file cannot be read, or a weight is no finite number of zero or more; the message tells the
            place.
        LimitError: If the file is larger than 500 MB.
    """
    path = Path(path)
    check_file(path)
    reading = Reading(path, strict=True)
    rows = reading.rows()
    header = reading.header = [name.strip() for name in next(rows, [])]
    check_header(header, reading, ("name", "weight"))
    weights: dict[str, float] = {}
    for row in rows:
        if len(row) != len(header):
            reading.refuse("", f"fields: {len(row)}, in the header {len(header)}; quote names that hold commas")
        if found := DAMAGE.search("".join(row)):
            reading.refuse("", damage(found[0]), found[0])
        cells = dict(zip(header, row, strict=True))
        name, text = cleaned(cells["name"]), cells["weight"].strip()
        try:
            weight = float(text)
        except ValueError:
            weight = math.nan
        if not 0 <= weight <= sys.float_info.max:
            reading.refuse("", f"the weight is {text!r}; expected a finite number, zero or more", "weight")
        if weights.setdefault(name, weight) != weight:
            reading.refuse("", f"{name!r} has another weight in an earlier row; keep one", "weight")
    return weights


def _together(level: str | int) -> int:
    """Read how many values a cell has; zero stands for whole signatures."""
    if isinstance(level, str) and level in _LEVELS:
        return _LEVELS[level]
    if isinstance(level, bool) or not re.fullmatch("0*[1-9][0-9]{0,5}", str(level), flags=re.ASCII):
        raise ConfigError(f"level is {level!r}; expected signature, value, pair or a whole number from 1")
    return int(level)


def _groups(
    corpus: Corpus, language: str | None, type: str | Mapping[str, str] | None
) -> list[dict[str, list[Entity]]]:
    """The entities for each slot, or for each type of each language; each entity once, by mid and name."""
    if isinstance(type, Mapping):
        if language is None or not type:
            raise ConfigError(
                f"slots are {dict(type)} and language is {language}; expected a slot or more, in a language"
            )
        groups = [{slot: corpus.filter(language=language, type=its).entities for slot, its in type.items()}]
    else:
        rows = corpus.filter(language=language, type=type).entities
        if not rows:
            raise ConfigError(f"{corpus.name}: no entities; expected some to choose from")
        groups = [
            {its: tuple(entities)}
            for (_, its), entities in itertools.groupby(rows, key=lambda one: (one.language, one.semantic_type))
        ]
    return [
        {slot: list(dict.fromkeys(sorted(entities, key=_rank))) for slot, entities in group.items()} for group in groups
    ]


def _rank(entity: Entity) -> tuple[str, str, Signature, bool]:
    return entity.mid, entity.name, entity.signature, entity.person


def _goes_by(entity: Entity, names: Collection[str]) -> bool:
    return entity.name in names or (entity.mid != "" and entity.mid in names)


def _named(argument: str, names: str | Iterable[str], scope: Sequence[Entity]) -> frozenset[str]:
    """Read mids and names, each of which some entity goes by."""
    wanted = {unicodedata.normalize("NFC", name) for name in ([names] if isinstance(names, str) else names)}
    known = {one.name for one in scope} | {one.mid for one in scope if one.mid}
    for name in sorted(wanted - known):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"none of {len(scope)} entities goes by it"
        raise ConfigError(f"{argument} has {name!r}, expected the mid or name of an entity to choose from; {hint}")
    return frozenset(wanted)


def _prices(weights: Weights | None, scope: Sequence[Entity]) -> tuple[Callable[[Entity], int], Fraction]:
    """Turn weights into whole numbers of a unit, which is a power of ten."""
    if weights is None:
        return lambda entity: 1, Fraction(1)
    if not callable(weights):
        weights = {unicodedata.normalize("NFC", name): weight for name, weight in weights.items()}
    exact: dict[Entity, Decimal] = {}
    for entity in scope:
        weight = weights(entity) if callable(weights) else weights.get(entity.mid, weights.get(entity.name, 1))
        real = isinstance(weight, numbers.Real) and not isinstance(weight, bool)
        if not (real and 0 <= weight <= sys.float_info.max):
            raise ConfigError(f"the weight of {entity.name!r} is {weight!r}; expected a finite number, zero or more")
        exact[entity] = Decimal(repr(float(weight)))
    unit = Decimal(1).scaleb(max(exact.values()).adjusted() + 1 - _DIGITS)
    whole = {entity: int((weight / unit).to_integral_value()) for entity, weight in exact.items()}
    return whole.__getitem__, Fraction(unit)


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)


def _terms(
    relevant: str | Collection[str] | Mapping[str, Collection[str]] | None,
    slots: Collection[str],
    scope: Sequence[Entity],
) -> dict[str, frozenset[str] | None]:
    """The kinds and attributes that count in each slot; None if all attributes do."""
    if relevant is None or isinstance(relevant, Mapping):
        given = dict(relevant or {})
    else:
        given = dict.fromkeys(slots, relevant)
    for slot in sorted(given.keys() - slots):
        raise ConfigError(f"relevant has the slot {slot!r}; {nearest(slot, sorted(slots))}")
    known = {*KINDS, *(attribute for attribute, _ in PAIRS)}
    known |= {attribute for signature in {one.signature for one in scope} for attribute, _ in signature.pairs}
    terms: dict[str, frozenset[str] | None] = dict.fromkeys(slots)
    for slot, names in given.items():
        its = frozenset([names] if isinstance(names, str) else names)
        for name in sorted(its - known):
            raise ConfigError(
                f"relevant has {name!r}, which is no kind and no attribute; {nearest(name, sorted(known))}"
            )
        terms[slot] = its
    return terms


@dataclass(frozen=True)
class _Pool:
    """The entities that may fill a slot, in the order of mid and name."""

    language: str
    slot: str
    entities: list[Entity]
    cells: list[frozenset[Values]]
    costs: list[int]
    must: list[int]
    have: Counter[Values]
    """How many of the entities have each cell."""
    lost: Counter[Values]
    """How many excluded ones have it."""

    @cached_property
    def known(self) -> dict[Values, int]:
        """A number for each cell that can be covered, in their order."""
        return {values: number for number, values in enumerate(sorted(self.have))}

    @cached_property
    def sets(self) -> list[frozenset[int]]:
        """The numbers of each entity's cells."""
        sets = {cells: frozenset(map(self.known.__getitem__, cells)) for cells in set(self.cells)}
        return [sets[cells] for cells in self.cells]

    def gaps(self, per_cell: int) -> list[Gap]:
        """The cells that too few entities have, sorted."""
        return [
            Gap(Cell(self.language, ((self.slot, values),)), per_cell, self.have[values], self.lost[values])
            for values in sorted(self.have | self.lost)
            if self.have[values] < per_cell
        ]


def _pool(
    slot: str,
    entities: Sequence[Entity],
    together: int,
    terms: frozenset[str] | None,
    price: Callable[[Entity], int],
    must: Collection[str],
    exclude: Collection[str],
) -> _Pool:
    said = {signature: _values(signature, terms) for signature in {entity.signature for entity in entities}}
    work = 0
    for values in said.values():
        work += _count(values, together)
        if work > _CELLS:
            raise LimitError(
                f"{entities[0].language} {slot}: more than {_CELLS:,} cells of {together} values; "
                "take a smaller level, or say what is relevant"
            )
    cells = {signature: frozenset(_cells(values, together)) for signature, values in said.items()}
    fewer = {frozenset(few): few for its in cells.values() for few in its if len(few) < together}
    if fewer:
        cells = {
            signature: its | {few for members, few in fewer.items() if members <= set(said[signature])}
            for signature, its in cells.items()
        }
    allowed = [entity for entity in entities if not _goes_by(entity, exclude)]
    if both := [entity.name for entity in entities if _goes_by(entity, must) and _goes_by(entity, exclude)]:
        raise ConfigError(f"{both[0]!r} is in must and in exclude; take it out of one of them")
    return _Pool(
        entities[0].language,
        slot,
        allowed,
        [cells[entity.signature] for entity in allowed],
        [price(entity) for entity in allowed],
        [place for place, entity in enumerate(allowed) if _goes_by(entity, must)],
        Counter(values for entity in allowed for values in cells[entity.signature]),
        Counter(values for entity in entities if _goes_by(entity, exclude) for values in cells[entity.signature]),
    )


def _values(signature: Signature, terms: frozenset[str] | None) -> Values:
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


def _singles(pool: _Pool, per_cell: int, deadline: float) -> Cover:
    """Choose entities for one slot; a cell of its own makes sure of each that must be chosen."""
    own = {place: len(pool.known) + number for number, place in enumerate(pool.must)}
    found = cheapest_cover(
        [numbers | {own[place]} if place in own else numbers for place, numbers in enumerate(pool.sets)],
        wanted=[min(per_cell, pool.have[values]) for values in pool.known] + [1] * len(own),
        costs=pool.costs,
        deadline=deadline,
    )
    times = Counter(values for place in found.chosen for values in pool.cells[place])
    gaps = pool.gaps(per_cell)
    return Cover(
        choices=tuple(
            Choice(
                {pool.slot: pool.entities[place]},
                tuple(
                    Cell(pool.language, ((pool.slot, values),))
                    for values in sorted(pool.cells[place])
                    if times[values] <= min(per_cell, pool.have[values])
                ),
                place in own,
            )
            for place in found.chosen
        ),
        cells=tuple(Cell(pool.language, ((pool.slot, values),)) for values in pool.known),
        uncovered=tuple(gap for gap in gaps if not gap.entities),
        short=tuple(gap for gap in gaps if gap.entities),
        cost=found.cost,
        lower_bound=found.lower_bound,
        method=found.method,
    )


def _rows(pools: Sequence[_Pool], deadline: float) -> Cover:
    """Choose rows for several slots."""
    for pool in pools:
        if not pool.entities:
            raise ConfigError(f"exclude leaves no entity for the slot {pool.slot!r}; take one out of it")
    met = sum(len(one.known) * len(other.known) for one, other in itertools.combinations(pools, 2))
    if met > _CELLS:
        raise LimitError(
            f"{met:,} meetings of cells; at most {_CELLS:,}: take a smaller level, or say what is relevant"
        )
    found = cheapest_rows([Slot(pool.sets, pool.costs, pool.must) for pool in pools], deadline=deadline)
    cells = [_row_cells(pools, row) for row in found.rows]
    times = Counter(itertools.chain.from_iterable(cells))
    return Cover(
        choices=tuple(
            Choice(
                {pool.slot: pool.entities[place] for pool, place in zip(pools, row, strict=True)},
                tuple(sorted(cell for cell in its if times[cell] == 1)),
                any(place in pool.must for pool, place in zip(pools, row, strict=True)),
            )
            for row, its in zip(found.rows, cells, strict=True)
        ),
        cells=tuple(sorted(times)),
        uncovered=tuple(gap for pool in pools for gap in pool.gaps(1)),
        short=(),
        cost=found.cost,
        lower_bound=found.lower_bound,
        method=found.method,
    )


def _row_cells(pools: Sequence[_Pool], row: Sequence[int]) -> list[Cell]:
    """What meets in a row: two cells of different slots or, where only one slot has any, its cells."""
    parts = [[(pool.slot, values) for values in pool.cells[place]] for pool, place in zip(pools, row, strict=True)]
    if sum(bool(pool.known) for pool in pools) < 2:
        return [Cell(pools[0].language, (part,)) for its in parts for part in its]
    return [
        Cell(pools[0].language, both)
        for one, other in itertools.combinations(parts, 2)
        for both in itertools.product(one, other)
    ]
