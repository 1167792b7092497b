import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.core.budget import Budget
from tamis.core.errors import BudgetError


@pytest.mark.parametrize(
    ("written", "kind", "value"),
    [
        (58, "count", 58),
        ("58", "count", 58),
        (1, "count", 1),
        (np.int64(7), "count", 7),
        (1.0, "fraction", 1),
        ("1.0", "fraction", 1),
        (0.1, "fraction", 0.1),
        (np.float32(0.5), "fraction", 0.5),
        (".5", "fraction", 0.5),
        ("10%", "fraction", 0.1),
        (" 12.5 % ", "fraction", 0.125),
        ("100%", "fraction", 1),
        ("50KB", "bytes", 50_000),
        ("50kb", "bytes", 50_000),
        ("1.5 MiB", "bytes", 1_572_864),
        ("3GB", "bytes", 3e9),
        ("9B", "bytes", 9),
        ("5ms", "seconds", 0.005),
        ("20us", "seconds", 2e-5),
        ("20µs", "seconds", 2e-5),
        ("2min", "seconds", 120),
        ("3s", "seconds", 3),
    ],
)
def test_each_way_of_writing_a_budget_has_one_meaning(written: int | float | str, kind: str, value: float) -> None:
    budget = Budget.parse(written)
    assert budget.kind == kind
    assert budget.value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    "written",
    [
        *(0, -1, 0.0, -0.1, 1.5, float("nan"), float("inf"), True),
        *("", "0", "0%", "101%", "1.5", "-5", "10 %%", "5 parsecs"),
        *("1e3", "٣", "5MS", "10%10%", "nan", "inf", "KB", "0x10", "9" * 400),
    ],
)
def test_what_is_no_budget_is_refused_with_the_ways_to_write_one(written: int | float | str) -> None:
    with pytest.raises(BudgetError, match=r"budget is .*fraction") as caught:
        Budget.parse(written)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("fraction", 7.0),
        ("fraction", 1.0001),
        ("fraction", 0.0),
        ("count", -1.0),
        ("count", 2.5),
        ("bytes", 0.0),
        ("seconds", -0.1),
        *((kind, value) for kind in ("count", "fraction", "bytes", "seconds") for value in (math.nan, math.inf)),
    ],
)
def test_a_budget_that_means_nothing_cannot_be_made(kind: Any, value: float) -> None:
    with pytest.raises(BudgetError, match="budget is") as caught:
        Budget(kind, value)
    assert "\n" not in str(caught.value)


def test_only_the_constructor_can_say_nothing_at_all() -> None:
    nothing = Budget("count", 0.0)
    assert (nothing.of(576), str(nothing), Budget.parse(nothing)) == (0, "0", nothing)
    with pytest.raises(BudgetError):
        Budget.parse(str(nothing))


def test_one_is_one_thing_and_one_point_zero_is_everything() -> None:
    assert [Budget.parse(written).of(576) for written in (1, "1", 1.0, "1.0", "100%")] == [1, 1, 576, 576, 576]


def test_fractions_of_576_tokens_are_those_of_the_fastervlm_evaluation() -> None:
    # https://github.com/Theia-4869/FasterVLM: 75, 50, 25, 10 and 5 percent
    assert [budget.of(576) for budget in Budget.parse_list("75%,50%,25%,10%,5%")] == [432, 288, 144, 58, 29]


@given(percent=st.integers(1, 100), total=st.integers(1, 5000))
def test_a_percentage_keeps_the_nearest_count_and_at_least_one(percent: int, total: int) -> None:
    kept = Budget.parse(f"{percent}%").of(total)
    exact = Fraction(percent * total, 100)
    assert 1 <= kept <= total
    assert abs(kept - exact) <= Fraction(1, 2) or kept == 1


def test_a_count_above_what_there_is_is_refused_and_not_cut_down() -> None:
    assert Budget.parse(576).of(576) == 576
    with pytest.raises(BudgetError, match="budget is 577, but there are only 576"):
        Budget.parse(577).of(576)


@pytest.mark.parametrize("written", ["50KB", "5ms"])
def test_bytes_and_seconds_are_no_number_of_things(written: str) -> None:
    with pytest.raises(BudgetError, match="expected a count or a fraction of 10"):
        Budget.parse(written).of(10)


@pytest.mark.parametrize("written", [58, 0.1, "12.5%", "50KB", "1KiB", "5ms", "33.3333%"])
def test_a_budget_reads_back_from_how_it_prints(written: int | float | str) -> None:
    budget = Budget.parse(written)
    assert Budget.parse(budget) is budget
    again = Budget.parse(str(budget))
    assert again.kind == budget.kind
    assert again.value == pytest.approx(budget.value, rel=1e-9)


def test_a_list_of_budgets_is_refused_whole_if_one_is_wrong() -> None:
    with pytest.raises(BudgetError, match="budget is 'x'"):
        Budget.parse_list("50%,x")


def test_budgets_of_different_meaning_are_different() -> None:
    budgets = [Budget.parse(written) for written in (1, 1.0, "1B", "1s")]
    assert all(a != b for a, b in itertools.combinations(budgets, 2))
