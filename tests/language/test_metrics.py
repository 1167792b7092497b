import math

import pytest

from tamis.language.metrics import cohen_kappa


def test_kappa_of_cohen_by_hand() -> None:
    # 50 proposals: both yes 20, both no 15, only the first yes 5, only the second yes 10.
    # They agree in 0.7; by chance in 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert cohen_kappa(first, first) == 1.0
    assert cohen_kappa(["a", "b"], ["b", "a"]) == -1.0
    assert math.isnan(cohen_kappa(["a", "a"], ["a", "a"]))
    assert math.isnan(cohen_kappa([], []))
