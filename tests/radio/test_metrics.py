"""Counts against hand-worked cases, definitions and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score

from tamis.radio.metrics import confusion, expected_calibration_error, macro_f1, mcnemar


def test_confusion_and_macro_f1_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    matrix = confusion(labels, predicted, 5)
    assert np.array_equal(matrix, confusion_matrix(labels, predicted, labels=range(5)))
    assert macro_f1(matrix) == pytest.approx(f1_score(labels, predicted, average="macro"))


def test_a_class_that_neither_occurs_nor_is_named_does_not_count() -> None:
    labels, predicted = np.array([0, 0, 2, 2, 2]), np.array([0, 2, 2, 2, 0])
    assert macro_f1(confusion(labels, predicted, 7)) == pytest.approx(f1_score(labels, predicted, average="macro"))


def test_a_class_that_is_only_named_counts_as_missed() -> None:
    assert macro_f1(confusion(np.array([0, 0]), np.array([0, 1]), 2)) == pytest.approx((2 / 3 + 0) / 2)


def pair(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    sizes = (both, only_first, only_second, neither)
    return np.repeat([1, 1, 0, 0], sizes), np.repeat([1, 0, 1, 0], sizes)


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (6, 1, 2 * (1 + 7) / 2**7),
        (5, 0, 2 / 2**5),
        (3, 3, 1.0),
        (0, 0, 1.0),
        (2, 8, 2 * (1 + 10 + 45) / 2**10),
    ],
)
def test_mcnemar_is_the_binomial_sum(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar(*pair(11, only_first, only_second, 5)) == pytest.approx(p)


def test_mcnemar_looks_at_disagreements_only() -> None:
    assert mcnemar(*pair(0, 6, 1, 0)) == mcnemar(*pair(1000, 6, 1, 300))


def test_calibration_error_is_the_hand_worked_one() -> None:
    # Bins of 0.2. In [0.6, 0.8): confidences 0.6 and 0.7, one of two right: |1 - 1.3|. In [0.8, 1]: 0.9 right and 1.0
    # wrong: |1 - 1.9|. Of four frames: (0.3 + 0.9) / 4.
    probabilities = np.array([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1], [1.0, 0.0]])
    assert expected_calibration_error(probabilities, np.array([0, 0, 0, 1]), bins=5) == pytest.approx(0.3)


def test_calibration_error_is_the_average_over_bins_of_a_loop() -> None:
    rng = np.random.default_rng(1)
    probabilities, labels = rng.dirichlet(np.ones(4), 300), rng.integers(0, 4, 300)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for number in range(15):
        inside = (confidence >= number / 15) & (confidence < (number + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(probabilities, labels) == pytest.approx(expected)
