import itertools
import math
import time
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tamis.language import set_cover
from tamis.language.set_cover import cheapest_cover, fractional_bound, undominated

Instance = tuple[list[frozenset[int]], list[int], list[int]]


def instance(random: Random, most: int) -> Instance:
    elements, count = random.randint(0, most), random.randint(0, most)
    crowded = random.choice([0.2, 0.4, 0.6])
    sets = [frozenset(one for one in range(elements) if random.random() < crowded) for _ in range(count)]
    wanted = random.choices(random.choice([[1], [1, 1, 2], [0, 1, 2, 3]]), k=elements)
    costs = random.choices(random.choice([[1], [0, 1, 2, 3], [333_333, 500_000, 1_000_000]]), k=count)
    return sets, wanted, costs


def instances(most: int = 8) -> st.SearchStrategy[Instance]:
    return st.integers(0, 2**64).map(lambda seed: instance(Random(seed), most))


def batches(most: int = 8) -> st.SearchStrategy[list[Instance]]:
    """Twenty at once, since drawing takes longer than solving."""
    return st.integers(0, 2**64).map(
        lambda seed: [instance(random, most) for random in [Random(seed)] for _ in range(20)]
    )


def first_of_the_best(
    sets: list[frozenset[int]], wanted: list[int], costs: list[int]
) -> tuple[int, int, tuple[int, ...]]:
    """Try every choice of sets."""
    holds = np.array([[element in one for element in range(len(wanted))] for one in sets], dtype=int)
    holds = holds.reshape(len(sets), len(wanted))
    choices = np.array(list(itertools.product([1, 0], repeat=len(sets))), dtype=int)
    choices = choices[(choices @ holds >= np.minimum(wanted, holds.sum(axis=0))).all(axis=1)]
    cost, size = choices @ np.array(costs, dtype=int), choices.sum(axis=1)
    best = np.lexsort((size, cost))[0]  # stable: choices with earlier sets stand before those with later ones
    return int(cost[best]), int(size[best]), tuple(np.flatnonzero(choices[best]).tolist())


def check_against_all_choices(instance: Instance) -> None:
    sets, wanted, costs = instance
    found = cheapest_cover(sets, wanted=wanted, costs=costs)
    assert (found.cost, len(found.chosen), found.chosen) == first_of_the_best(*instance)
    assert (found.lower_bound, found.method) == (found.cost, "exact")


@settings(max_examples=75, deadline=None)
@given(batches())
def test_the_cover_is_the_first_of_the_smallest_of_the_cheapest(batch: list[Instance]) -> None:
    for one in batch:
        check_against_all_choices(one)


@settings(max_examples=15, deadline=None)
@given(batches(), st.integers(0, 3))
def test_the_solver_of_integer_programs_gives_the_same_cover(batch: list[Instance], few: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(set_cover, "_FEW", few)
        patch.setattr(set_cover, "_TIES", 2)
        for one in batch:
            check_against_all_choices(one)


@pytest.mark.slow  # half a minute
@settings(max_examples=1000, deadline=None)
@given(batches(most=10), st.sampled_from([0, 3, 14]))
def test_many_more_covers_are_the_first_of_the_smallest_of_the_cheapest(batch: list[Instance], few: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(set_cover, "_FEW", few)
        for one in batch:
            check_against_all_choices(one)


@settings(max_examples=100, deadline=None)
@given(instances(), st.integers(0, 14))
def test_past_the_deadline_a_cover_and_a_bound_remain(instance: Instance, few: int) -> None:
    sets, wanted, costs = instance
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(set_cover, "_FEW", few)
        found = cheapest_cover(sets, wanted=wanted, costs=costs, deadline=0.0)
    assert found.cost == sum(costs[index] for index in found.chosen)
    for element, often in enumerate(wanted):
        having = [index for index, one in enumerate(sets) if element in one]
        assert len(set(having) & set(found.chosen)) >= min(often, len(having))
    assert found.lower_bound <= first_of_the_best(*instance)[0] <= found.cost


@settings(max_examples=100, deadline=None)
@given(instances(), st.integers())
def test_the_numbering_of_the_elements_does_not_matter(instance: Instance, seed: int) -> None:
    sets, wanted, costs = instance
    order = Random(seed).sample(range(len(wanted)), k=len(wanted))
    renamed = [frozenset(order[element] for element in one) for one in sets]
    again = [often for _, often in sorted(zip(order, wanted, strict=True))]
    assert cheapest_cover(renamed, wanted=again, costs=costs) == cheapest_cover(sets, wanted=wanted, costs=costs)


def lines_of_projective_space(dimension: int) -> list[frozenset[int]]:
    """For each point of PG(dimension, 2), the lines through it; points are vectors over two elements, without zero."""
    points = range(1, 2 ** (dimension + 1))
    lines = sorted({tuple(sorted((one, other, one ^ other))) for one, other in itertools.combinations(points, 2)})
    return [frozenset(number for number, line in enumerate(lines) if point in line) for point in points]


@pytest.mark.parametrize(("dimension", "fewest"), [(2, 3), (3, 7)])
def test_the_smallest_sets_that_block_all_lines_are_hyperplanes(dimension: int, fewest: int) -> None:
    # Bose and Burton (1966); the first hyperplane holds the vectors without the highest coordinate.
    sets = lines_of_projective_space(dimension)
    found = cheapest_cover(sets, wanted=[1] * len(frozenset().union(*sets)), costs=[1] * len(sets))
    assert found.chosen == tuple(range(fewest))
    assert (found.lower_bound, found.method) == (fewest, "exact")


def test_an_unproven_cover_says_so() -> None:
    sets = lines_of_projective_space(3)
    found = cheapest_cover(sets, wanted=[1] * 35, costs=[1] * 15, deadline=time.monotonic())
    assert found.method == "greedy"
    assert found.lower_bound == 5  # 35 lines, 7 through each point
    assert found.cost >= 7


def test_a_cover_is_proven_cheapest_even_if_there_is_no_time_for_ties(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = lines_of_projective_space(3)
    monkeypatch.setattr(set_cover._Program, "settle", lambda self, goals: None)
    found = cheapest_cover(sets, wanted=[1] * 35, costs=[1] * 15)
    assert (found.cost, found.lower_bound, len(found.chosen)) == (7, 7, 7)


def test_an_answer_without_proof_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.optimize

    solve = scipy.optimize.milp

    def unsure(*arguments: Any, **options: Any) -> Any:
        found = solve(*arguments, **options)
        found.mip_dual_bound -= 1
        return found

    monkeypatch.setattr(scipy.optimize, "milp", unsure)
    found = cheapest_cover(lines_of_projective_space(3), wanted=[1] * 35, costs=[1] * 15)
    assert found.method == "greedy"


def test_among_equally_cheap_covers_the_smaller_is_taken() -> None:
    sets = [frozenset({0}), frozenset({1}), frozenset({0, 1})]
    assert cheapest_cover(sets, wanted=[1, 1], costs=[1, 2, 3]).chosen == (2,)


def test_an_element_that_too_few_sets_hold_wants_all_of_them() -> None:
    sets = [frozenset({0, 1}), frozenset({0}), frozenset({1}), frozenset({1})]
    assert cheapest_cover(sets, wanted=[3, 2], costs=[1, 1, 1, 1]).chosen == (0, 1, 2)


@settings(max_examples=100, deadline=None)
@given(instances())
def test_what_is_undominated_holds_the_first_of_the_best_covers(instance: Instance) -> None:
    sets, wanted, costs = instance
    assert set(first_of_the_best(*instance)[2]) <= set(undominated(sets, wanted=wanted, costs=costs)) | {
        index for element in range(len(wanted)) for index in scarce(instance, element)
    }


def scarce(instance: Instance, element: int) -> list[int]:
    """The sets that hold an element, if there are too few."""
    sets, wanted, _ = instance
    having = [index for index, one in enumerate(sets) if element in one]
    return having if len(having) < wanted[element] else []


@settings(max_examples=100, deadline=None)
@given(instances(most=4))
def test_the_fractional_bound_holds_for_covers_that_repeat_sets(instance: Instance) -> None:
    sets, wanted, costs = instance
    assume(all(any(element in one for one in sets) for element, often in enumerate(wanted) if often))
    uses = itertools.product(range(4), repeat=len(sets))
    best = min(
        sum(cost * times for cost, times in zip(costs, use, strict=True))
        for use in uses
        if all(
            sum(times for one, times in zip(sets, use, strict=True) if element in one) >= often
            for element, often in enumerate(wanted)
        )
    )
    assert fractional_bound(sets, wanted=wanted, costs=costs) <= best


def test_the_fractional_bound_is_the_linear_relaxation_rounded_up() -> None:
    edges = [frozenset({0, 1}), frozenset({1, 2}), frozenset({0, 2})]
    assert [fractional_bound(edges, wanted=[often] * 3, costs=[1, 1, 1]) for often in (1, 2, 3)] == [2, 3, 5]


def test_prices_bound_the_cost_whatever_they_are() -> None:
    program = set_cover._Program(
        set_cover._problem([frozenset({0, 1}), frozenset({1, 2})], [1, 1, 1], [1, 1]), math.inf
    )
    for prices in itertools.product([0, 1, 3], repeat=3):
        with pytest.MonkeyPatch.context() as patch:
            given_prices = np.array(prices, dtype=np.int64) * set_cover._PRICE
            patch.setattr(program, "prices", lambda goal, most, its=given_prices: its)
            assert program.bounds(np.array([1, 1], dtype=np.int64))[0] <= 2
