"""The cheapest sets that together hold every element as often as it is wanted: exact, and proven.

In the terms of the field this is weighted set multicover, and how often an element is wanted its demand. The way:

- reductions in integers: sets in every cover, implied elements, dominated sets, separate parts, and reduced-cost
  fixing, which drops sets that no cover better than the one at hand can have;
- for parts of few elements, a search through what can be left to cover;
- for others a linear relaxation, whose prices give a lower bound that is checked in integers, and a greedy cover; where
  these two do not meet, HiGHS, the solver of mixed-integer programs in scipy.

The same sets in the same order give the same answer, unless time runs out.

Source:
    Reductions and reduced-cost fixing: A. Caprara, P. Toth, M. Fischetti, "Algorithms for the Set Covering Problem",
    Annals of Operations Research 98, 2000. Greedy: V. Chvatal, "A Greedy Heuristic for the Set-Covering Problem",
    1979. HiGHS: Q. Huangfu, J. A. J. Hall, "Parallelizing the dual revised simplex method", 2018. Demands above one in
    the reductions, and bounds that are sums of integers, are our choice.
"""

from __future__ import annotations

import functools
import math
import operator
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from jaxtyping import Int64

_PRICE = 2**24
_FEW = 14
_GRACE = 1.0


@dataclass(frozen=True)
class SetCover:
    """Chosen sets, and what is proven about them."""

    chosen: tuple[int, ...]
    """Indices of the sets, ascending."""
    cost: int
    """What they cost together."""
    lower_bound: int
    """No cover costs less."""


def cheapest_cover(
    sets: Sequence[frozenset[int]], *, wanted: Sequence[int], costs: Sequence[int], deadline: float = math.inf
) -> SetCover:
    """Choose the cheapest sets that hold every element as often as it is wanted.

    No chosen set is superfluous, not even one that costs nothing.

    Args:
        sets: The elements of each set. Each set can be chosen once.
        wanted: How many chosen sets must hold each element; an element that fewer sets hold wants all of them.
        costs: The cost of each set, zero or more.
        deadline: When to stop looking for the best, in seconds of `time.monotonic`; what the reductions leave open
            then is covered greedily.

    Returns:
        The sets, and a lower bound: equal to their cost if they are proven cheapest.

    >>> sets = [frozenset({0, 1}), frozenset({2, 3}), frozenset({0, 1, 2}), frozenset({3})]
    >>> cheapest_cover(sets, wanted=[1, 1, 1, 1], costs=[1, 1, 1, 1]).chosen
    (0, 1)
    """
    found = _cover(_problem(sets, wanted, costs), deadline)
    chosen = _needed(found.chosen, _problem(sets, wanted, costs))
    return SetCover(tuple(chosen), sum(costs[index] for index in chosen), found.lower_bound)


def undominated(
    sets: Sequence[frozenset[int]], *, wanted: Sequence[int], costs: Sequence[int], deadline: float = math.inf
) -> list[int]:
    """Leave out sets that a cheapest cover can do without, since enough others hold the same or more for no more.

    Args:
        sets: The elements of each set.
        wanted: How many chosen sets must hold each element.
        costs: The cost of each set, zero or more.
        deadline: When to stop looking, in seconds of `time.monotonic`; what is not looked at stays.

    Returns:
        The indices of the others, ascending.

    >>> undominated([frozenset({0}), frozenset({0, 1}), frozenset({1, 2})], wanted=[1, 1, 1], costs=[1, 1, 1])
    [0, 1, 2]
    >>> undominated([frozenset({0}), frozenset({0, 1}), frozenset({1, 2})], wanted=[1, 1, 1], costs=[2, 1, 1])
    [1, 2]
    """
    problem = _problem(sets, wanted, costs)
    _drop_dominated(problem, deadline)
    return sorted(problem.sets)


def fractional_bound(
    sets: Sequence[frozenset[int]], *, wanted: Sequence[int], costs: Sequence[int], deadline: float = math.inf
) -> int:
    """Bound from below what a cover costs that may use a set more than once.

    Args:
        sets: The elements of each set; every element that is wanted is in one.
        wanted: How many uses of sets must hold each element.
        costs: The cost of one use of each set, zero or more.
        deadline: When to stop looking, in seconds of `time.monotonic`; there is always a second more.

    Returns:
        A whole number that is not above the cost.
    """
    problem = _problem(sets, wanted, costs)
    if not problem.wanted:
        return 0
    program = _Program(problem)
    prices = program.prices(None, deadline)
    prices[program.matrix[:, program.costs == 0].sum(axis=1) > 0] = 0
    paid = prices @ program.matrix
    # Prices prove their sum if no set's elements are priced above its cost; rounding is undone by the worst ratio.
    worst = max(
        (Fraction(int(one), int(cost)) for one, cost in zip(paid, program.costs, strict=True) if one), default=1
    )
    return math.ceil(int(prices @ program.wanted) / Fraction(worst)) * program.unit


def _problem(sets: Sequence[frozenset[int]], wanted: Sequence[int], costs: Sequence[int]) -> _Problem:
    mask = functools.cache(lambda members: sum(1 << element for element in members))
    problem = _Problem({index: mask(members) for index, members in enumerate(sets)}, dict(enumerate(wanted)), costs)
    problem.keep(element for element, often in enumerate(wanted) if often > 0)
    return problem


@dataclass
class _Problem:
    """What is still to be decided: sets as bits of the elements they hold, and how often each element is wanted."""

    sets: dict[int, int]
    wanted: dict[int, int]
    costs: Sequence[int]

    def holders(self) -> dict[int, list[int]]:
        """The sets that hold each element, ascending."""
        holders: dict[int, list[int]] = {element: [] for element in self.wanted}
        for index in sorted(self.sets):
            for element in _bits(self.sets[index]):
                holders[element].append(index)
        return holders

    def choose(self, indices: Iterable[int]) -> None:
        """Take sets into the cover; what they hold is wanted less."""
        for index in indices:
            for element in _bits(self.sets.pop(index)):
                self.wanted[element] -= 1
        self.keep(element for element, wanted in self.wanted.items() if wanted > 0)

    def keep(self, elements: Iterable[int]) -> None:
        """Forget all other elements, elements that no set holds, and sets that hold none."""
        held = functools.reduce(operator.or_, self.sets.values(), 0)
        self.wanted = {element: self.wanted[element] for element in sorted(elements) if held >> element & 1}
        kept = sum(1 << element for element in self.wanted)
        self.sets = {index: mask & kept for index, mask in self.sets.items() if mask & kept}


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _reduce(problem: _Problem, deadline: float) -> list[int]:
    """Shrink a problem without changing what its cheapest cover costs, and return the sets that are in every cover."""
    forced: list[int] = []
    size = None
    while size != (size := (len(problem.sets), len(problem.wanted))):
        _drop_dominated(problem, deadline)
        holders = problem.holders()
        needed = {index for element, them in holders.items() if len(them) <= problem.wanted[element] for index in them}
        problem.choose(sorted(needed))
        forced += needed
        _drop_implied(problem, deadline)
    return forced


def _drop_dominated(problem: _Problem, deadline: float) -> None:
    """Drop sets that others make useless.

    A set can be swapped for one that holds the same or more and costs no more. Once as many such sets are chosen as any
    of its elements is wanted, it is not even needed beside them.
    """
    kept: dict[int, int] = {}
    keepers: dict[int, list[int]] = {element: [] for element in problem.wanted}
    for index in sorted(problem.sets, key=lambda index: (problem.costs[index], index)):
        mask = problem.sets[index]
        elements = list(_bits(mask))
        most = max(problem.wanted[element] for element in elements)
        rarest = min((keepers[element] for element in elements), key=len) if time.monotonic() < deadline else ()
        dominating = 0
        for other in rarest:
            dominating += mask & kept[other] == mask
            if dominating == most:
                break
        else:
            kept[index] = mask
            for element in elements:
                keepers[element].append(index)
    problem.sets = kept


def _drop_implied(problem: _Problem, deadline: float) -> None:
    """Drop elements that are held often enough whenever a certain other element is."""
    holders = problem.holders()
    place = {index: place for place, index in enumerate(sorted(problem.sets))}
    kept: list[int] = []
    stored: dict[int, list[tuple[int, int]]] = {index: [] for index in problem.sets}
    for element in sorted(holders, key=lambda element: (len(holders[element]), -problem.wanted[element], element)):
        them = holders[element]
        mask = sum(1 << place[index] for index in them)
        wanted = problem.wanted[element]
        looked_at = them if time.monotonic() < deadline else []
        if any(other & mask == other and often >= wanted for index in looked_at for other, often in stored[index]):
            continue
        kept.append(element)
        stored[min(them, key=lambda index: len(stored[index]))].append((mask, wanted))
    problem.keep(kept)


def _parts(problem: _Problem) -> Iterator[_Problem]:
    """Split a problem into those that have no element in common."""
    joined: list[int] = []
    for mask in problem.sets.values():
        apart = [other for other in joined if not other & mask]
        for other in joined:
            mask |= other if other & mask else 0
        joined = [*apart, mask]
    for elements in joined:
        sets = {index: mask for index, mask in problem.sets.items() if mask & elements}
        yield _Problem(sets, {element: problem.wanted[element] for element in _bits(elements)}, problem.costs)


def _cover(problem: _Problem, deadline: float) -> SetCover:
    """Choose the sets that are in every cover, and solve what is left part by part."""
    costs = problem.costs
    chosen = _reduce(problem, deadline)
    bound = sum(costs[index] for index in chosen)
    for part in _parts(problem):
        few = len(part.wanted) <= _FEW and set(part.wanted.values()) == {1}
        found = _search(part) if few else _solve(part, deadline)
        chosen += found.chosen
        bound += found.lower_bound
    return SetCover(tuple(sorted(chosen)), sum(costs[index] for index in chosen), bound)


def _needed(chosen: Iterable[int], problem: _Problem) -> list[int]:
    """Drop sets of a cover that others make superfluous, the dearest first."""
    kept = sorted(chosen)
    spare = {element: -wanted for element, wanted in problem.wanted.items()}
    for index in kept:
        for element in _bits(problem.sets.get(index, 0)):
            spare[element] += 1
    for index in sorted(kept, key=lambda index: (problem.costs[index], index), reverse=True):
        elements = list(_bits(problem.sets.get(index, 0)))
        if all(spare[element] > 0 for element in elements):
            kept.remove(index)
            for element in elements:
                spare[element] -= 1
    return kept


def _search(problem: _Problem) -> SetCover:
    """Cover a part whose elements are few and are wanted once."""
    holders = sorted(problem.holders().items(), key=lambda item: len(item[1]))

    @functools.cache
    def best(missing: int) -> tuple[int, tuple[int, ...]]:
        if not missing:
            return 0, ()
        rarest = next(them for element, them in holders if missing >> element & 1)
        ways = ((index, best(missing & ~problem.sets[index])) for index in rarest)
        return min((problem.costs[index] + cost, (index, *others)) for index, (cost, others) in ways)

    cost, chosen = best(sum(1 << element for element in problem.wanted))
    return SetCover(chosen, cost, cost)


def _solve(problem: _Problem, deadline: float) -> SetCover:
    """Cover one part that reductions cannot shrink."""
    program = _Program(problem)
    chosen = program.greedy()
    cost = sum(problem.costs[index] for index in chosen)
    bound, with_each = program.bounds(deadline)
    most = max(mask.bit_count() for mask in problem.sets.values())
    bound = max(bound, -(-sum(problem.wanted.values()) // most) * min(problem.costs[index] for index in problem.sets))
    if max(with_each) > cost:
        some = {
            index: problem.sets[index] for index, least in zip(program.indices, with_each, strict=True) if least <= cost
        }
        return _cover(_Problem(some, problem.wanted, problem.costs), deadline)
    if bound < cost and (best := program.minimise(deadline)) is not None:
        chosen = best
        bound = cost = sum(problem.costs[index] for index in chosen)
    return SetCover(tuple(chosen), cost, bound)


class _Program:
    """The program min costs·x, x in {0, 1}, matrix·x ≥ wanted, in arrays; costs are in units of their divisor."""

    def __init__(self, problem: _Problem) -> None:
        from scipy.sparse import csr_array  # loaded only where the reductions leave something to solve

        self.problem = problem
        self.indices = sorted(problem.sets)
        costs = [problem.costs[index] for index in self.indices]
        self.unit = math.gcd(*costs) or 1
        self.costs: Int64[NDArray[np.int64], " sets"] = np.array(costs, dtype=np.int64) // self.unit
        rows = {element: row for row, element in enumerate(sorted(problem.wanted))}
        held = [[rows[element] for element in _bits(problem.sets[index])] for index in self.indices]
        ends = np.cumsum([0, *map(len, held)])
        members = np.concatenate(held)
        self.matrix = csr_array((np.ones_like(members), members, ends), shape=(len(held), len(rows))).T.tocsr()
        self.wanted: Int64[NDArray[np.int64], " elements"] = np.array(
            [problem.wanted[element] for element in rows], dtype=np.int64
        )

    def minimise(self, deadline: float) -> list[int] | None:
        """Solve the program, or return None if there is no time for a proof."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return None
        options: dict[str, Any] = {"mip_rel_gap": 0.0}
        if remaining < math.inf:
            options["time_limit"] = remaining
        constraint = LinearConstraint(self.matrix, lb=self.wanted)
        found = milp(self.costs, integrality=1, bounds=Bounds(0, 1), constraints=constraint, options=options)
        if found.status != 0:
            return None
        solution = np.rint(found.x).astype(np.int64)
        holds = (self.matrix @ solution >= self.wanted).all()
        proven = self.costs @ solution - found.mip_dual_bound < 0.5
        return [self.indices[place] for place in np.flatnonzero(solution)] if holds and proven else None

    def prices(self, most: int | None, deadline: float) -> Int64[NDArray[np.int64], " elements"]:
        """Price the elements by the linear relaxation in which a set is used up to `most` times, in _PRICE-ths.

        If there is no time nothing has a price. There is always a second, since most programs take less.
        """
        from scipy.optimize import linprog

        remaining = max(deadline - time.monotonic(), _GRACE)
        options = {"time_limit": remaining} if remaining < math.inf else {}
        found = linprog(
            self.costs, A_ub=-self.matrix, b_ub=-self.wanted, bounds=(0, most), method="highs", options=options
        )
        if found.status != 0:
            return np.zeros_like(self.wanted)
        prices: NDArray[np.int64] = np.rint(np.maximum(-found.ineqlin.marginals, 0) * _PRICE).astype(np.int64)
        return prices

    def bounds(self, deadline: float) -> tuple[int, list[int]]:
        """Bound what a cover costs from below: any, and one with each set.

        Any prices p ≥ 0 prove that costs·x ≥ p·wanted + Σ min(0, costs - p·matrix), rounded ones too; the sums are
        taken in integers, so that this holds exactly.
        """
        prices = self.prices(1, deadline)
        excess = self.costs * _PRICE - prices @ self.matrix
        bound = int(prices @ self.wanted) + int(np.minimum(excess, 0).sum())
        with_each = -(-(bound + np.maximum(excess, 0)) // _PRICE)
        return -(-bound // _PRICE) * self.unit, [least * self.unit for least in with_each.tolist()]

    def greedy(self) -> list[int]:
        """Take the set that holds most for its cost until all is covered; then drop those that turn out superfluous."""
        matrix = self.matrix.T.tocsr()
        taken = np.zeros_like(self.costs)
        missing = self.wanted.copy()
        while (missing > 0).any():
            gain = np.where(taken, 0, matrix @ (missing > 0).astype(np.int64))
            useful = np.flatnonzero(gain)
            best = useful[np.argmin(self.costs[useful] / gain[useful])]
            taken[best] = 1
            missing -= matrix[[best]].toarray()[0]
        return _needed([self.indices[place] for place in np.flatnonzero(taken)], self.problem)
