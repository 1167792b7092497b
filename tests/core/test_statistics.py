import math

import pytest

from tamis.core.statistics import wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.277533),  # z² / (n + z²)
        (10, 10, 0.722467, 1.0),
        (8, 10, 0.490162, 0.943318),
        (1, 1, 0.206549, 1.0),  # 1 / (1 + z²)
        (50, 100, 0.403832, 0.596168),
    ],
)
def test_wilson_gives_the_tabulated_interval(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-6)


def test_more_confidence_is_a_wider_interval() -> None:
    z2 = 2.575829303548901**2  # the tabulated 0.995 quantile
    assert wilson(0, 10, 0.99) == pytest.approx((0, z2 / (10 + z2)))


def test_both_ends_of_wilson_are_as_far_from_the_proportion_as_their_own_error_allows() -> None:
    for end in wilson(13, 40):
        assert abs(13 / 40 - end) == pytest.approx(1.959963984540054 * math.sqrt(end * (1 - end) / 40))


def test_nothing_tried_gives_the_whole_range() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
