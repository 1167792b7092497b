import itertools
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


def covers(instance: Instance, chosen: tuple[int, ...]) -> bool:
    sets, wanted, _ = instance
    having = [[index for index, one in enumerate(sets) if element in one] for element in range(len(wanted))]
    return all(
        len(set(chosen) & set(them)) >= min(often, len(them)) for often, them in zip(wanted, having, strict=True)
    )


def least_cost(instance: Instance) -> int:
    """Try every choice of sets."""
    sets, wanted, costs = instance
    holds = np.array([[element in one for element in range(len(wanted))] for one in sets], dtype=int)
    holds = holds.reshape(len(sets), len(wanted))
    choices = np.array(list(itertools.product([1, 0], repeat=len(sets))), dtype=int)
    choices = choices[(choices @ holds >= np.minimum(wanted, holds.sum(axis=0))).all(axis=1)]
    return int((choices @ np.array(costs, dtype=int)).min())


def check_against_all_choices(instance: Instance) -> None:
    sets, wanted, costs = instance
    found = cheapest_cover(sets, wanted=wanted, costs=costs)
    assert covers(instance, found.chosen)
    assert found.cost == sum(costs[index] for index in found.chosen)
    assert found.cost == found.lower_bound == least_cost(instance)
    for index in found.chosen:
        assert not covers(instance, tuple(one for one in found.chosen if one != index))


@settings(max_examples=75, deadline=None)
@given(batches())
def test_the_cover_is_the_cheapest_and_no_set_of_it_is_superfluous(batch: list[Instance]) -> None:
    for one in batch:
        check_against_all_choices(one)


@settings(max_examples=15, deadline=None)
@given(batches(), st.integers(0, 3))
def test_the_solver_of_integer_programs_gives_a_cover_as_cheap(batch: list[Instance], few: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(set_cover, "_FEW", few)
        for one in batch:
            check_against_all_choices(one)


@pytest.mark.slow  # half a minute
@settings(max_examples=1000, deadline=None)
@given(batches(most=10), st.sampled_from([0, 3, 14]))
def test_many_more_covers_are_the_cheapest(batch: list[Instance], few: int) -> None:
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
    assert covers(instance, found.chosen)
    assert found.lower_bound <= least_cost(instance) <= found.cost


def lines_of_projective_space(dimension: int) -> list[frozenset[int]]:
    """For each point of PG(dimension, 2), the lines through it; points are vectors over two elements, without zero."""
    points = range(1, 2 ** (dimension + 1))
    lines = sorted({tuple(sorted((one, other, one ^ other))) for one, other in itertools.combinations(points, 2)})
    return [frozenset(number for number, line in enumerate(lines) if point in line) for point in points]


@pytest.mark.parametrize(("dimension", "fewest"), [(2, 3), (3, 7)])
def test_the_smallest_sets_that_block_all_lines_are_hyperplanes(dimension: int, fewest: int) -> None:
    # Bose and Burton (1966)
    sets = lines_of_projective_space(dimension)
    found = cheapest_cover(sets, wanted=[1] * len(frozenset().union(*sets)), costs=[1] * len(sets))
    assert len(found.chosen) == found.lower_bound == fewest


def test_an_unproven_cover_says_so() -> None:
    sets = lines_of_projective_space(3)
    found = cheapest_cover(sets, wanted=[1] * 35, costs=[1] * 15, deadline=time.monotonic())
    assert found.lower_bound == 5  # 35 lines, 7 through each point
    assert found.cost >= 7


def test_an_answer_without_proof_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.optimize

    solve = scipy.optimize.milp

    def unsure(*arguments: Any, **options: Any) -> Any:
        found = solve(*arguments, **options)
        found.mip_dual_bound -= 1
        return found

    monkeypatch.setattr(scipy.optimize, "milp", unsure)
    found = cheapest_cover(lines_of_projective_space(3), wanted=[1] * 35, costs=[1] * 15)
    assert found.lower_bound == 5 < found.cost


def test_an_element_that_too_few_sets_hold_wants_all_of_them() -> None:
    sets = [frozenset({0, 1}), frozenset({0}), frozenset({1}), frozenset({1})]
    assert cheapest_cover(sets, wanted=[3, 2], costs=[1, 1, 1, 1]).chosen == (0, 1, 2)


@settings(max_examples=100, deadline=None)
@given(instances())
def test_what_is_undominated_holds_a_cheapest_cover(instance: Instance) -> None:
    sets, wanted, costs = instance
    wanted = [min(often, sum(element in one for one in sets)) for element, often in enumerate(wanted)]
    kept = undominated(sets, wanted=wanted, costs=costs)
    some = ([sets[index] for index in kept], wanted, [costs[index] for index in kept])
    every = [sum(element in one for one in some[0]) for element in range(len(wanted))]
    assert all(often <= count for often, count in zip(wanted, every, strict=True))
    assert least_cost(some) == least_cost(instance)


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


@pytest.mark.parametrize("prices", list(itertools.product([0, 1, 3], repeat=3)))
def test_a_bound_holds_whatever_the_solver_calls_prices(
    prices: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    import scipy.optimize

    solve = scipy.optimize.linprog

    def wrong(*arguments: Any, **options: Any) -> Any:
        found = solve(*arguments, **options)
        found.ineqlin.marginals = -np.resize(np.array(prices, dtype=float), len(found.ineqlin.marginals))
        return found

    monkeypatch.setattr(scipy.optimize, "linprog", wrong)
    found = cheapest_cover(lines_of_projective_space(3), wanted=[1] * 35, costs=[1] * 15, deadline=0.0)
    assert found.lower_bound <= 7 <= found.cost
