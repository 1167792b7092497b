"""Choose the fewest entities with which a template meets everything that its grammar can meet.

What has to be met are cells: see `cells`. For each language and type, the choice is a proven minimum: see `set_cover`.
The entities for several slots are chosen as rows in which every two cells of different slots meet: see `pair_cover`.
"""

from __future__ import annotations

import difflib
import itertools
import math
import numbers
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

from tamis.core.errors import ConfigError, LimitError
from tamis.language.cells import MOST, Cell, Values, cells_of, distinct, groups, terms_of, together_at
from tamis.language.corpus import MID, Corpus, Entity
from tamis.language.data import MOST_WEIGHT
from tamis.language.pair_cover import Slot, cheapest_rows
from tamis.language.set_cover import cheapest_cover

Weights: TypeAlias = Mapping[str, int | float] | Callable[[Entity], int | float]
"""What each entity costs: by mid or name, 1 where neither is given; or a function of the entity."""

_DIGITS = 6


@dataclass(frozen=True)
class Gap:
    """A cell that fewer entities have than were asked for; all that may be are chosen."""

    cell: Cell
    wanted: int
    """How many entities were asked for."""
    entities: int
    """How many have the cell and are not excluded."""
    excluded: int
    """How many more have it."""

    @property
    def had(self) -> str:
        """How many there are, and why not more."""
        more = f"; {self.excluded} more excluded" if self.excluded else "; the corpus holds no more"
        return f"{self.entities} of {self.wanted} entities{more}"

    def __str__(self) -> str:
        """Write on one line what is missing, and why."""
        return f"{self.cell}: {self.had}"


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
    """The tests, in the order of language and type; plain names before those with a tag, then by mid and name."""
    cells: tuple[Cell, ...]
    """What the tests cover, sorted."""
    uncovered: tuple[Gap, ...]
    """Cells with fewer names than `per_cell` asks for; those that no name has, since all are excluded, among them."""
    cost: int | float
    """How many tests there are or, with weights, what they weigh."""
    lower_bound: int | float
    """No choice that covers the same costs less."""
    met_at_random: float
    """How many of the cells as many tests meet whose names are drawn at random, in the mean over all draws."""
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
    type: str | None = None,
    *,
    slots: Mapping[str, str] | None = None,
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

    Each language and type is covered by itself. The same rows give the same answer in whatever order they stand.

    Args:
        corpus: Where entities come from.
        language: A language tag; the corpus's closest is taken. None covers each language.
        type: A semantic type; None covers each type.
        slots: The slots of a template and their types, in place of `type`: chooses rows with an entity for each slot,
            in which every two cells of different slots meet. It needs a language.
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
        MissingExtraError: If langcodes is not installed.

    Source:
        CLSE (arXiv 2211.02423) selects up to ten entities per signature; covering less than signatures is our choice.

    >>> from tamis.language.signature import Signature
    >>> genders = {"Lyon": "MASCULINE", "Paris": "MASCULINE", "Rome": "FEMININE"}
    >>> rows = (Entity("fr", "", name, "City", Signature(f"Noun.gender:{its}")) for name, its in genders.items())
    >>> [entity.name for entity in cover(Corpus(tuple(rows)), "fr", "City").entities]
    ['Lyon', 'Rome']
    """
    together = together_at(level)
    if isinstance(per_cell, bool) or not isinstance(per_cell, int) or per_cell < 1:
        raise ConfigError(f"per_cell is {per_cell}; expected a whole number, 1 or more")
    if not time_limit >= 0:
        raise ConfigError(f"time_limit is {time_limit}; expected seconds, zero or more")
    deadline = time.monotonic() + time_limit
    chosen_from = groups(corpus, language, type) if slots is None else [_slots(corpus, language, type, slots)]
    several = len(chosen_from[0])
    if per_cell > 1 and several > 1:
        raise ConfigError(f"per_cell is {per_cell} with several slots; expected 1, or one slot at a time")
    scope = [entity for group in chosen_from for entities in group.values() for entity in entities]
    must, exclude = _named("must", must, scope), _named("exclude", exclude, scope)
    if both := [one.name for one in scope if _goes_by(one, must) and _goes_by(one, exclude)]:
        raise ConfigError(f"{both[0]!r} is in must and in exclude; take it out of one of them")
    price, unit = _prices(weights, scope)
    terms = terms_of(relevant, {slot for group in chosen_from for slot in group}, scope)
    found: list[Cover] = []
    for group in chosen_from:
        progress(len(found))
        pools = [
            _Pool.of(slot, entities, cells_of(entities, slot, together, terms[slot]), price, must, exclude)
            for slot, entities in group.items()
        ]
        now = time.monotonic()
        until = deadline if group is chosen_from[-1] else now + (deadline - now) / 2
        found.append(_rows(pools, until) if several > 1 else _singles(pools[0], per_cell, until))
    return Cover(
        choices=tuple(itertools.chain.from_iterable(one.choices for one in found)),
        cells=tuple(itertools.chain.from_iterable(one.cells for one in found)),
        uncovered=tuple(itertools.chain.from_iterable(one.uncovered for one in found)),
        cost=_number(Fraction(sum(one.cost for one in found)) * unit / several),
        lower_bound=_number(Fraction(sum(one.lower_bound for one in found)) * unit / several),
        met_at_random=sum(one.met_at_random for one in found),
    )


def _slots(corpus: Corpus, language: str | None, type: str | None, slots: Mapping[str, str]) -> dict[str, list[Entity]]:
    """The entities for each slot."""
    if type is not None:
        raise ConfigError(f"type is {type!r} beside slots; each slot names its own type")
    if language is None or not slots:
        raise ConfigError(f"slots are {dict(slots)} and language is {language}; expected a slot or more, in a language")
    return {slot: distinct(corpus.filter(language=language, type=its).entities) for slot, its in slots.items()}


def _goes_by(entity: Entity, names: Collection[str]) -> bool:
    return entity.name in names or (entity.mid != "" and entity.mid in names)


def _named(argument: str, names: str | Iterable[str], scope: Sequence[Entity]) -> frozenset[str]:
    """Read mids and names, each of which some entity goes by."""
    wanted = {unicodedata.normalize("NFC", name) for name in ([names] if isinstance(names, str) else names)}
    known = {one.name for one in scope} | {one.mid for one in scope if one.mid}
    for name in sorted(wanted - known):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"none of {len(scope)} entities goes by it"
        if scope[0].mid.startswith(MID):
            hint += "; the open corpus holds ten names alike, open-full all"
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
        if callable(weights):
            weight = weights(entity)
        else:
            given = {name: weights[name] for name in (entity.mid, entity.name) if name and name in weights}
            if len(set(given.values())) > 1:
                raise ConfigError(
                    f"the weight of {entity.name!r} is {given[entity.name]}, by its mid another; keep one"
                )
            weight = next(iter(given.values()), 1)
        real = isinstance(weight, numbers.Real) and not isinstance(weight, bool)
        if not (real and 0 <= weight <= MOST_WEIGHT):
            raise ConfigError(
                f"the weight of {entity.name!r} is {weight!r}; expected a finite number, zero or more, at most "
                f"{MOST_WEIGHT:g}"
            )
        exact[entity] = Decimal(repr(float(weight)))
    unit = Decimal(1).scaleb(max(exact.values()).adjusted() + 1 - _DIGITS)
    whole = {entity: int((weight / unit).to_integral_value()) for entity, weight in exact.items()}
    return whole.__getitem__, Fraction(unit)


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)


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

    @classmethod
    def of(
        cls,
        slot: str,
        entities: Sequence[Entity],
        cells: Sequence[frozenset[Values]],
        price: Callable[[Entity], int],
        must: Collection[str],
        exclude: Collection[str],
    ) -> _Pool:
        """Take the excluded ones out."""
        both = list(zip(entities, cells, strict=True))
        allowed = [(one, its) for one, its in both if not _goes_by(one, exclude)]
        return cls(
            entities[0].language,
            slot,
            [one for one, _ in allowed],
            [its for _, its in allowed],
            [price(one) for one, _ in allowed],
            [place for place, (one, _) in enumerate(allowed) if _goes_by(one, must)],
            Counter(values for _, its in allowed for values in its),
            Counter(values for one, its in both if _goes_by(one, exclude) for values in its),
        )

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
        uncovered=tuple(pool.gaps(per_cell)),
        cost=found.cost,
        lower_bound=found.lower_bound,
        met_at_random=_met_by_names(Counter(pool.have.values()), len(pool.entities), len(found.chosen)),
    )


def _rows(pools: Sequence[_Pool], deadline: float) -> Cover:
    """Choose rows for several slots."""
    for pool in pools:
        if not pool.entities:
            raise ConfigError(f"exclude leaves no entity for the slot {pool.slot!r}; take one out of it")
    met = sum(len(one.known) * len(other.known) for one, other in itertools.combinations(pools, 2))
    if met > MOST:
        raise LimitError(f"{met:,} meetings of cells; at most {MOST:,}: take a smaller level, or say what is relevant")
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
        cost=found.cost,
        lower_bound=found.lower_bound,
        met_at_random=_met_by_rows(pools, times, len(found.rows)),
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


def _met_by_names(having: Mapping[int, int], names: int, drawn: int) -> float:
    """Count the cells that so many different names drawn at random meet, in the mean.

    Args:
        having: How many cells there are of which so many names have one.
        names: How many there are to draw from.
        drawn: How many are drawn.
    """
    ways = math.comb(names, drawn)
    return float(sum(cells * (1 - math.comb(names - holders, drawn) / ways) for holders, cells in having.items()))


def _met_by_rows(pools: Sequence[_Pool], cells: Iterable[Cell], drawn: int) -> float:
    """Count the cells that meet in so many rows whose entities are drawn at random, in the mean."""
    share = {pool.slot: {values: have / len(pool.entities) for values, have in pool.have.items()} for pool in pools}
    return float(
        sum(1 - (1 - math.prod(share[slot][values] for slot, values in cell.parts)) ** drawn for cell in cells)
    )
