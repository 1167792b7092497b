"""The cheapest sets that together hold every element as often as it is wanted: exact, proven, and with one answer.

Of all cheapest covers the answer is the one of the fewest sets, and of these the one whose indices come first, so that
it depends on the instance alone. The way there:

- reductions in integers that keep this answer: forced sets, implied elements, dominated sets, separate parts;
- for parts of few elements, a search through what can be left to cover;
- for others a linear relaxation, whose prices give a lower bound that is checked in integers, and a greedy cover; where
  these two do not meet, and to settle ties, HiGHS, the solver of mixed-integer programs in scipy.
"""

from __future__ import annotations

import functools
import math
import operator
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Method: TypeAlias = Literal["exact", "greedy"]
"""How a cover was found: proven step by step, or greedily because time ran out."""

_Integers: TypeAlias = NDArray[np.int64]
_PRICE = 2**24
_TIES = 20
_FEW = 14


@dataclass(frozen=True)
class SetCover:
    """Chosen sets, and what is proven about them."""

    chosen: tuple[int, ...]
    """Indices of the sets, ascending."""
    cost: int
    """What they cost together."""
    lower_bound: int
    """No cover costs less."""
    method: Method
    """Greedy if time ran out for any part of the sets."""


def cheapest_cover(
    sets: Sequence[frozenset[int]], *, wanted: Sequence[int], costs: Sequence[int], deadline: float = math.inf
) -> SetCover:
    """Choose the cheapest sets that hold every element as often as it is wanted.

    Among the cheapest covers it takes the smallest, and among these the one whose sorted indices come first. What the
    reductions leave open at the deadline is covered greedily; if only ties are open then, the solver settles them.

    Args:
        sets: The elements of each set. Each set can be chosen once.
        wanted: How many chosen sets must hold each element; an element that fewer sets hold wants all of them.
        costs: The cost of each set, zero or more.
        deadline: When to stop looking for the best, in seconds of `time.monotonic`.

    >>> sets = [frozenset({0, 1}), frozenset({2, 3}), frozenset({0, 1, 2}), frozenset({3})]
    >>> cheapest_cover(sets, wanted=[1, 1, 1, 1], costs=[1, 1, 1, 1]).chosen
    (0, 1)
    """
    return _cover(_problem(sets, wanted, costs), deadline)


def undominated(sets: Sequence[frozenset[int]], *, wanted: Sequence[int], costs: Sequence[int]) -> list[int]:
    """Leave out sets that a cheapest cover can do without, since enough others hold the same or more for no more.

    Args:
        sets: The elements of each set.
        wanted: How many chosen sets must hold each element.
        costs: The cost of each set, zero or more.

    Returns:
        The indices of the others, ascending.

    >>> undominated([frozenset({0}), frozenset({0, 1}), frozenset({1, 2})], wanted=[1, 1, 1], costs=[1, 1, 1])
    [0, 1, 2]
    >>> undominated([frozenset({0}), frozenset({0, 1}), frozenset({1, 2})], wanted=[1, 1, 1], costs=[2, 1, 1])
    [1, 2]
    """
    problem = _problem(sets, wanted, costs)
    _drop_dominated(problem)
    return sorted(problem.sets)


def fractional_bound(sets: Sequence[frozenset[int]], *, wanted: Sequence[int], costs: Sequence[int]) -> int:
    """Bound from below what a cover costs that may use a set more than once.

    Args:
        sets: The elements of each set; every element that is wanted is in one.
        wanted: How many uses of sets must hold each element.
        costs: The cost of one use of each set, zero or more.
    """
    problem = _problem(sets, wanted, costs)
    if not problem.wanted:
        return 0
    program = _Program(problem, math.inf)
    goal = np.array([costs[index] for index in sorted(problem.sets)], dtype=np.int64)
    prices = program.prices(goal, None)
    prices[program.matrix[:, goal == 0].sum(axis=1) > 0] = 0
    paid = prices @ program.matrix
    # Prices prove their sum if no set's elements are priced above its cost; rounding is undone by the worst ratio.
    worst = max((Fraction(int(price), int(cost)) for price, cost in zip(paid, goal, strict=True) if price), default=1)
    return math.ceil(int(prices @ program.wanted) / Fraction(worst))


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


def _reduce(problem: _Problem) -> list[int]:
    """Shrink a problem without changing its answer, and return the sets that are in every cover."""
    forced: list[int] = []
    size = None
    while size != (size := (len(problem.sets), len(problem.wanted))):
        _drop_dominated(problem)
        holders = problem.holders()
        needed = {index for element, them in holders.items() if len(them) <= problem.wanted[element] for index in them}
        problem.choose(sorted(needed))
        forced += needed
        _drop_implied(problem)
    return forced


def _drop_dominated(problem: _Problem) -> None:
    """Drop sets that others make useless.

    A set can be swapped for one that holds the same and more, costs no more and, at the same cost, comes first. Once as
    many such sets are chosen as any of its elements is wanted, it is not even needed beside them.
    """
    kept: dict[int, int] = {}
    keepers: dict[int, list[int]] = {element: [] for element in problem.wanted}
    for index in sorted(problem.sets, key=lambda index: (problem.costs[index], index)):
        mask = problem.sets[index]
        elements = list(_bits(mask))
        most = max(problem.wanted[element] for element in elements)
        rarest = min((keepers[element] for element in elements), key=len)
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


def _drop_implied(problem: _Problem) -> None:
    """Drop elements that are held often enough whenever a certain other element is."""
    holders = problem.holders()
    place = {index: place for place, index in enumerate(sorted(problem.sets))}
    kept: list[int] = []
    stored: dict[int, list[tuple[int, int]]] = {index: [] for index in problem.sets}
    for element in sorted(holders, key=lambda element: (len(holders[element]), -problem.wanted[element], element)):
        them = holders[element]
        mask = sum(1 << place[index] for index in them)
        wanted = problem.wanted[element]
        if any(other & mask == other and often >= wanted for index in them for other, often in stored[index]):
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
    chosen = _reduce(problem)
    bound = sum(costs[index] for index in chosen)
    method: Method = "exact"
    for part in _parts(problem):
        few = len(part.wanted) <= _FEW and set(part.wanted.values()) == {1}
        found = _search(part) if few else _solve(part, deadline)
        chosen += found.chosen
        bound += found.lower_bound
        method = "greedy" if found.method == "greedy" else method
    return SetCover(tuple(sorted(chosen)), sum(costs[index] for index in chosen), bound, method)


def _search(problem: _Problem) -> SetCover:
    """Cover a part whose elements are few and are wanted once.

    The weight of a set holds its cost, a one, and a bit that is higher the earlier it comes. So the least sum of
    weights is the cheapest cover, the smallest of these and the first of those, and its lowest bits tell which it is.
    """
    indices = sorted(problem.sets)
    size = len(indices)
    weights = {
        index: (problem.costs[index] * (size + 1) + 1 << size) - (1 << size - 1 - place)
        for place, index in enumerate(indices)
    }
    holders = sorted(problem.holders().items(), key=lambda item: len(item[1]))

    @functools.cache
    def least(missing: int) -> int:
        if not missing:
            return 0
        rarest = next(them for element, them in holders if missing >> element & 1)
        return min(weights[index] + least(missing & ~problem.sets[index]) for index in rarest)

    bits = -least(sum(1 << element for element in problem.wanted))
    chosen = tuple(index for place, index in enumerate(indices) if bits >> size - 1 - place & 1)
    cost = sum(problem.costs[index] for index in chosen)
    return SetCover(chosen, cost, cost, "exact")


def _solve(problem: _Problem, deadline: float) -> SetCover:
    """Cover one part that reductions cannot shrink."""
    indices = sorted(problem.sets)
    costs = [problem.costs[index] for index in indices]
    unit = math.gcd(*costs)
    ones = np.ones(len(indices), dtype=np.int64)
    best: _Integers
    method: Method
    if len(set(costs)) == 1:
        unit, goals = costs[0], [ones]
    else:
        goals = [np.array(costs, dtype=np.int64) // unit, ones]
    program = _Program(problem, deadline)
    greedy = program.greedy(goals[0])
    reached = int(goals[0] @ greedy)
    bound, with_each = program.bounds(goals[0])
    if (with_each > reached).any():
        some = {index: problem.sets[index] for index, least in zip(indices, with_each, strict=True) if least <= reached}
        return _cover(_Problem(some, problem.wanted, problem.costs), deadline)
    cheapest = greedy if bound == reached else program.minimise(goals[0])
    best, method = greedy, "greedy"
    if cheapest is not None:
        bound = reached = int(goals[0] @ cheapest)
        program.upper[with_each > reached] = 0
        program.limits.append((goals[0], reached))
        first = program.settle(goals[1:])
        best = cheapest if first is None else first
        method = "greedy" if best is greedy else "exact"
    chosen = tuple(index for index, taken in zip(indices, best, strict=True) if taken)
    return SetCover(chosen, reached * unit, bound * unit, method)


class _Program:
    """The program min goal·x, x in {0, 1}, matrix·x ≥ wanted, in arrays; sets in ascending order of their indices."""

    def __init__(self, problem: _Problem, deadline: float) -> None:
        from scipy.sparse import csr_array  # loaded only where the reductions leave something to solve

        indices = sorted(problem.sets)
        self.sets = [problem.sets[index] for index in indices]
        self.costs = [problem.costs[index] for index in indices]
        self.elements = sorted(problem.wanted)
        rows = {element: row for row, element in enumerate(self.elements)}
        held = [[rows[element] for element in _bits(mask)] for mask in self.sets]
        ends = np.cumsum([0, *map(len, held)])
        members = np.concatenate(held)
        self.matrix = csr_array((np.ones_like(members), members, ends), shape=(len(held), len(rows))).T.tocsr()
        self.wanted = np.array([problem.wanted[element] for element in self.elements], dtype=np.int64)
        self.lower = np.zeros(len(held), dtype=np.int64)
        self.upper = np.ones(len(held), dtype=np.int64)
        self.limits: list[tuple[_Integers, int]] = []
        self.deadline = deadline

    def minimise(self, goal: _Integers) -> _Integers | None:
        """Solve the program, or return None if there is no time for a proof."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            return None
        constraints = [LinearConstraint(self.matrix, lb=self.wanted)]
        constraints += [LinearConstraint(row[None], ub=most) for row, most in self.limits]
        options: dict[str, Any] = {"mip_rel_gap": 0.0}
        if remaining < math.inf:
            options["time_limit"] = remaining
        found = milp(
            goal, integrality=1, bounds=Bounds(self.lower, self.upper), constraints=constraints, options=options
        )
        if found.status != 0:
            return None
        solution: _Integers = np.rint(found.x).astype(np.int64)
        holds = (self.matrix @ solution >= self.wanted).all() and all(
            row @ solution <= most for row, most in self.limits
        )
        proven = goal @ solution - found.mip_dual_bound < 0.5
        return solution if holds and proven else None

    def settle(self, goals: Sequence[_Integers]) -> _Integers | None:
        """Find the first of all solutions that also minimise further goals in turn, or None if there is no time."""
        for goal in goals:
            best = self.minimise(goal)
            if best is None:
                return None
            self.limits.append((goal, int(goal @ best)))
        while (undecided := np.flatnonzero(self.lower < self.upper)).size:
            missing = self.wanted - self.matrix @ self.lower
            if np.count_nonzero(missing > 0) <= _FEW and missing.max() <= 1:
                elements = sum(1 << element for element, often in zip(self.elements, missing, strict=True) if often > 0)
                sets = {place: self.sets[place] & elements for place in undecided.tolist()}
                rest = _search(_Problem(sets, dict.fromkeys(_bits(elements), 1), self.costs))
                self.lower[list(rest.chosen)] = 1
                break
            first = undecided[:_TIES]
            goal = np.zeros_like(self.lower)
            goal[first] = -(2 ** np.arange(len(first))[::-1])
            best = self.minimise(goal)
            if best is None:
                return None
            self.lower[first] = self.upper[first] = best[first]
        return self.lower

    def prices(self, goal: _Integers, most: int | None) -> _Integers:
        """Price the elements by the linear relaxation in which a set is used up to `most` times, in _PRICE-ths."""
        from scipy.optimize import linprog

        found = linprog(goal, A_ub=-self.matrix, b_ub=-self.wanted, bounds=(0, most), method="highs")
        prices: _Integers = np.rint(np.maximum(-found.ineqlin.marginals, 0) * _PRICE).astype(np.int64)
        return prices

    def bounds(self, goal: _Integers) -> tuple[int, _Integers]:
        """Bound goal·x from below: over all solutions, and over those with each set.

        Any prices p ≥ 0 prove that goal·x ≥ p·wanted + Σ min(0, goal - p·matrix), rounded ones too; the sums are taken
        in integers, so that this holds exactly.
        """
        prices = self.prices(goal, 1)
        excess = goal * _PRICE - prices @ self.matrix
        bound = int(prices @ self.wanted) + int(np.minimum(excess, 0).sum())
        return -(-bound // _PRICE), -(-(bound + np.maximum(excess, 0)) // _PRICE)

    def greedy(self, goal: _Integers) -> _Integers:
        """Take the set that holds most for its cost until all is covered; then drop those that turn out superfluous."""
        matrix = self.matrix.T.tocsr()
        taken = np.zeros_like(self.upper)
        missing = self.wanted.copy()
        while (missing > 0).any():
            gain = np.where(taken, 0, matrix @ (missing > 0).astype(np.int64))
            useful = np.flatnonzero(gain)
            best = useful[np.argmin(goal[useful] / gain[useful])]
            taken[best] = 1
            missing -= matrix[[best]].toarray()[0]
        for place in sorted(np.flatnonzero(taken), key=lambda place: (-goal[place], -place)):
            row = matrix[[place]].toarray()[0]
            if (missing + row <= 0).all():
                missing += row
                taken[place] = 0
        return taken
