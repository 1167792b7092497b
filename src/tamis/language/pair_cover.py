"""The fewest rows, one candidate for each of several slots, in which every two cells of different slots meet.

A row is a test case: a template with its slots filled. If every candidate has one cell, the rows are what combinatorial
testing calls a covering array of strength 2. How many are needed is bounded from below through pairs of slots: a cell
of one slot has to meet every cell of the other, so it is in as many rows as the smallest cover of the other slot has
candidates.

Source:
    Rows are built one at a time, each from what makes most pairs meet anew, after D. M. Cohen, S. R. Dalal,
    M. L. Fredman, G. C. Patton, "The AETG System", IEEE Transactions on Software Engineering 23(7), 1997. It draws
    several rows at random and keeps the best; here the two best candidates begin and nothing is drawn. Candidates with
    several cells, their costs, dropping rows that turn out superfluous, and the bound are our choice.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tamis.language.set_cover import SetCover, cheapest_cover, fractional_bound, undominated

_Row: TypeAlias = tuple[int, ...]
_Meetings: TypeAlias = dict[tuple[int, int], NDArray[np.bool_]]
_ROWS = 200


@dataclass(frozen=True)
class Slot:
    """What may fill a slot: one candidate or more."""

    cells: Sequence[frozenset[int]]
    """The cells of each candidate, numbered from 0."""
    costs: Sequence[int]
    """The cost of each candidate in a row, zero or more."""
    must: Collection[int] = ()
    """Candidates that have to be in a row."""

    @cached_property
    def own(self) -> int:
        """How many cells there are."""
        return max((max(cells) + 1 for cells in self.cells if cells), default=0)

    @cached_property
    def held(self) -> list[frozenset[int]]:
        """The cells of each candidate, one more for each that has to be in a row, and last a cell that all have."""
        marks = {candidate: self.own + place for place, candidate in enumerate(self.must)}
        everywhere = self.own + len(marks)
        return [
            cells | {everywhere} | ({marks[candidate]} if candidate in marks else set())
            for candidate, cells in enumerate(self.cells)
        ]

    @cached_property
    def matrix(self) -> NDArray[np.bool_]:
        """Which candidate (row) has which cell of `held` (column)."""
        matrix = np.zeros((len(self.held), self.own + len(self.must) + 1), dtype=np.bool_)
        for candidate, cells in enumerate(self.held):
            matrix[candidate, list(cells)] = True
        return matrix


@dataclass(frozen=True)
class PairCover:
    """Chosen rows, and what is proven about them."""

    rows: tuple[_Row, ...]
    """A candidate for each slot, in the order of the slots; the rows are sorted."""
    cost: int
    """What all candidates in all rows cost."""
    lower_bound: int
    """No rows that do the same cost less."""


def cheapest_rows(slots: Sequence[Slot], *, deadline: float = math.inf) -> PairCover:
    """Choose the cheapest rows in which every two cells of different slots meet, and every cell and every must is.

    Rows are built greedily, once from all candidates and once from the smallest cover of each slot. If they cost more
    than the lower bound, and few enough rows are possible, all of these are searched.

    Args:
        slots: Two or more.
        deadline: When to stop looking for the best, in seconds of `time.monotonic`.

    Returns:
        The rows, and a lower bound: equal to their cost if they are proven cheapest.

    >>> either = Slot([frozenset({0}), frozenset({1})], costs=[1, 1])
    >>> cheapest_rows([either, either]).rows
    ((0, 0), (0, 1), (1, 0), (1, 1))
    """
    meetings = _meetings(slots)
    kept, small = [], []
    for slot in slots:
        wanted = [1] * slot.matrix.shape[1]
        kept.append(undominated(slot.held, wanted=wanted, costs=slot.costs, deadline=deadline))
        small.append(cheapest_cover(slot.held, wanted=wanted, costs=slot.costs, deadline=deadline).chosen)
    built = (_built(slots, meetings, some, deadline) for some in (small, kept) if some is small or _left(deadline))
    rows = min(built, key=lambda rows: (_cost(slots, rows), rows))
    bound = _bound(slots, deadline) if rows else 0
    if _cost(slots, rows) > bound and math.prod(map(len, kept)) <= _ROWS:
        every = list(itertools.product(*kept))
        found = _searched(slots, meetings, every, deadline)
        bound = max(bound, found.lower_bound)
        if found.cost < _cost(slots, rows):
            rows = [every[index] for index in found.chosen]
    return PairCover(tuple(sorted(rows)), _cost(slots, rows), bound)


def _cost(slots: Sequence[Slot], rows: Sequence[_Row]) -> int:
    return sum(slot.costs[candidate] for row in rows for slot, candidate in zip(slots, row, strict=True))


def _meetings(slots: Sequence[Slot]) -> _Meetings:
    """Which cells have to meet, for each pair of slots: all of one with all of the other.

    The cell that all candidates of a slot have meets every cell and every mark of the other, in case it has no more.
    """
    meetings = {}
    for first, second in itertools.combinations(range(len(slots)), 2):
        meet = np.zeros((slots[first].matrix.shape[1], slots[second].matrix.shape[1]), dtype=np.bool_)
        meet[: slots[first].own, : slots[second].own] = True
        meet[:-1, -1] = meet[-1, :-1] = True
        meetings[first, second] = meet
    return meetings


def _left(deadline: float) -> bool:
    return time.monotonic() < deadline


def _built(slots: Sequence[Slot], meetings: _Meetings, allowed: Sequence[Sequence[int]], deadline: float) -> list[_Row]:
    """Add the row in which most cells meet anew for its cost until all have met; then drop superfluous rows.

    When time is out, add every row of two candidates in which anything meets anew.
    """
    missing = {pair: meet.copy() for pair, meet in meetings.items()}
    times = {pair: np.zeros(meet.shape, dtype=np.int64) for pair, meet in meetings.items()}
    rows: list[_Row] = []

    def add(row: _Row) -> None:
        rows.append(row)
        for (first, second), meet in missing.items():
            block = np.ix_(slots[first].matrix[row[first]], slots[second].matrix[row[second]])
            meet[block] = False
            times[first, second][block] += 1

    while _left(deadline) and any(meet.any() for meet in missing.values()):
        add(_next_row(slots, missing, allowed))
    for (first, second), meet in missing.items():
        for one, other in itertools.product(allowed[first], allowed[second]) if meet.any() else ():
            if meet[np.ix_(slots[first].matrix[one], slots[second].matrix[other])].any():
                rest = [its[0] for its in allowed]
                rest[first], rest[second] = one, other
                add(tuple(rest))
    for row in sorted(rows, key=lambda row: (_cost(slots, [row]), row), reverse=True):
        blocks = {
            (first, second): np.ix_(slots[first].matrix[row[first]], slots[second].matrix[row[second]])
            for first, second in meetings
        }
        if all((times[pair][block] > meetings[pair][block]).all() for pair, block in blocks.items()):
            rows.remove(row)
            for pair, block in blocks.items():
                times[pair][block] -= 1
    return sorted(rows)


def _next_row(slots: Sequence[Slot], missing: _Meetings, allowed: Sequence[Sequence[int]]) -> _Row:
    """Start from the two candidates that make most cells meet for their cost, and add the best for each other slot."""
    row: dict[int, int] = {}
    most = 0.0
    for (first, second), meet in missing.items():
        ours, theirs = (slots[slot].matrix[list(allowed[slot])].astype(np.float64) for slot in (first, second))
        costs = [np.array([slots[slot].costs[one] for one in allowed[slot]]) for slot in (first, second)]
        gain = (ours @ meet @ theirs.T) / np.maximum(costs[0][:, None] + costs[1], 1)
        if gain.max() > most:
            most = gain.max()
            places = np.unravel_index(gain.argmax(), gain.shape)
            row = {first: allowed[first][places[0]], second: allowed[second][places[1]]}
    for slot in range(len(slots)):
        if slot not in row:
            anew = np.zeros(slots[slot].matrix.shape[1])
            for other, candidate in row.items():
                meet = missing[other, slot] if other < slot else missing[slot, other].T
                anew += meet[slots[other].matrix[candidate]].sum(axis=0)
            row[slot] = min(
                allowed[slot], key=lambda one: (-anew[slots[slot].matrix[one]].sum(), slots[slot].costs[one])
            )
    return tuple(row[slot] for slot in range(len(slots)))


def _searched(slots: Sequence[Slot], meetings: _Meetings, every: Sequence[_Row], deadline: float) -> SetCover:
    """Choose among rows by what meets in each."""
    numbers: dict[tuple[int, int], NDArray[np.int64]] = {}
    count = 0
    for pair, meet in meetings.items():
        numbers[pair] = count + np.cumsum(meet).reshape(meet.shape) - 1
        count += int(meet.sum())
    met: list[frozenset[int]] = []
    for row in every:
        new: list[int] = []
        for (first, second), meet in meetings.items():
            block = np.ix_(slots[first].matrix[row[first]], slots[second].matrix[row[second]])
            new += numbers[first, second][block][meet[block]].tolist()
        met.append(frozenset(new))
    costs = [_cost(slots, [row]) for row in every]
    return cheapest_cover(met, wanted=[1] * count, costs=costs, deadline=deadline)


def _bound(slots: Sequence[Slot], deadline: float) -> int:
    """Bound the cost of any rows from below; there is at least one.

    Project the rows on one slot: each of its cells is used as often as another slot's smallest cover has candidates.
    """
    least = [
        max(
            1,
            cheapest_cover(
                slot.cells, wanted=[1] * slot.own, costs=[1] * len(slot.cells), deadline=deadline
            ).lower_bound,
        )
        for slot in slots
    ]
    uses = []
    for place, slot in enumerate(slots):
        often = max(times for other, times in enumerate(least) if other != place)
        uses.append([often] * slot.own + [1] * (len(slot.must) + 1))
    rows = max(
        fractional_bound(slot.held, wanted=wanted, costs=[1] * len(slot.cells), deadline=deadline)
        for slot, wanted in zip(slots, uses, strict=True)
    )
    return sum(
        max(rows * min(slot.costs), fractional_bound(slot.held, wanted=wanted, costs=slot.costs, deadline=deadline))
        for slot, wanted in zip(slots, uses, strict=True)
    )
