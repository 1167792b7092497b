import heapq
import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.language import pair_cover
from tamis.language.pair_cover import Slot, cheapest_rows

Row = tuple[int, ...]


def levels(count: int) -> Slot:
    """A slot of so many candidates, each with one cell, as in covering arrays."""
    return Slot([frozenset({level}) for level in range(count)], [1] * count)


def slots_of(random: Random) -> list[Slot]:
    count = random.choice([2, 2, 3])
    slots = []
    for _ in range(count):
        size = random.randint(1, 6 - count)
        cells = [frozenset(cell for cell in range(3) if random.random() < 0.5) for _ in range(size)]
        number = {cell: place for place, cell in enumerate(sorted(frozenset().union(*cells)))}
        costs = random.choices(random.choice([[1], [0, 1, 2, 3]]), k=size)
        must = [candidate for candidate in range(size) if random.random() < 0.1]
        slots.append(Slot([frozenset(number[cell] for cell in one) for one in cells], costs, must))
    return slots


def met(slots: list[Slot], row: Row) -> set[object]:
    """What one row does: its cells, its candidates that must be in a row, and cells of two slots that meet in it."""
    having = [(slot, place) for slot, place in enumerate(row)]
    alone = {(slot, cell) for slot, place in having for cell in slots[slot].cells[place]}
    musts = {("must", slot, place) for slot, place in having if place in slots[slot].must}
    pairs = {(one, other) for one, other in itertools.combinations(sorted(alone), 2) if one[0] != other[0]}
    return {*alone, *musts, *pairs}


def least_cost(slots: list[Slot]) -> int:
    """Find the cheapest rows by Dijkstra's algorithm over what has been met."""
    rows = list(itertools.product(*(range(len(slot.cells)) for slot in slots)))
    costs = [sum(slot.costs[place] for slot, place in zip(slots, row, strict=True)) for row in rows]
    bits = {
        thing: 1 << bit for bit, thing in enumerate(sorted(set().union(*(met(slots, row) for row in rows)), key=str))
    }
    masks = [sum(bits[thing] for thing in met(slots, row)) for row in rows]
    everything = sum(bits.values())
    known, queue = {0: 0}, [(0, 0)]
    while True:
        cost, done = heapq.heappop(queue)
        if done == everything:
            return cost
        missing = ~done & everything
        for mask, price in zip(masks, costs, strict=True):
            new = done | mask
            if mask & missing & -missing and cost + price < known.get(new, cost + price + 1):
                known[new] = cost + price
                heapq.heappush(queue, (cost + price, new))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**64))
def test_the_rows_are_the_cheapest_in_which_all_cells_of_different_slots_meet(seed: int) -> None:
    slots = slots_of(Random(seed))
    found = cheapest_rows(slots)
    assert found.cost == found.lower_bound == least_cost(slots)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**64))
def test_past_the_deadline_rows_and_a_bound_remain(seed: int) -> None:
    slots = slots_of(Random(seed))
    found = cheapest_rows(slots, deadline=0.0)
    every = itertools.product(*(range(len(slot.cells)) for slot in slots))
    assert set().union(*(met(slots, row) for row in found.rows)) == set().union(*(met(slots, row) for row in every))
    assert found.cost == sum(slot.costs[place] for row in found.rows for slot, place in zip(slots, row, strict=True))
    assert found.lower_bound <= least_cost(slots) <= found.cost


@pytest.mark.parametrize(
    ("sizes", "fewest"),
    [((2, 3), 6), ((4, 3, 2), 12), ((2, 2, 2), 4), ((2, 2, 2, 2), 5), ((3, 3, 3), 9), ((3, 3, 3, 3), 9)],
)
def test_covering_arrays_of_known_size_are_found(sizes: tuple[int, ...], fewest: int) -> None:
    # Five rows for four two-valued factors: Kleitman and Spencer (1973). Nine for four three-valued ones: the array L9.
    found = cheapest_rows([levels(size) for size in sizes])
    assert len(found.rows) == fewest
    assert found.cost == found.lower_bound == fewest * len(sizes)


def test_where_all_rows_are_too_many_to_search_the_bound_says_how_far_the_rows_may_be_from_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pair_cover, "_ROWS", 1)
    found = cheapest_rows([levels(2)] * 4)
    assert found.lower_bound == 4 * 4
    assert found.cost >= 5 * 4


def test_candidates_that_hold_several_cells_save_rows() -> None:
    wide = Slot([frozenset({0, 1}), frozenset({0}), frozenset({1, 2})], [1, 1, 1])
    assert cheapest_rows([wide, levels(2)]).rows == ((0, 0), (0, 1), (2, 0), (2, 1))


def test_one_of_several_cheapest_candidates_is_kept_though_none_has_a_cell() -> None:
    bare = Slot([frozenset(), frozenset()], [2, 1])
    assert cheapest_rows([bare, levels(2)]).rows == ((1, 0), (1, 1))


def test_what_must_be_in_a_row_is() -> None:
    bare = Slot([frozenset(), frozenset()], [1, 1], must=[1])
    assert cheapest_rows([bare, bare]).rows == ((1, 1),)


def test_where_nothing_has_to_meet_there_are_no_rows() -> None:
    bare = Slot([frozenset()], [1])
    assert cheapest_rows([bare, bare]).rows == ()
