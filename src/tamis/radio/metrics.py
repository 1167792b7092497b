"""Numbers for predictions: labels and predicted labels in, numbers out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def confusion(
    labels: Int[np.ndarray, " frames"], predicted: Int[np.ndarray, " frames"], classes: int
) -> Int[np.ndarray, "classes classes"]:
    """Count frames by true class (row) and predicted class (column).

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    counts: Int[np.ndarray, "classes classes"] = np.bincount(labels * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes)


def macro_f1(matrix: Int[np.ndarray, "classes classes"]) -> float:
    """Average the F1 of the classes that occur or were predicted.

    Args:
        matrix: From `confusion`.

    >>> macro_f1(np.array([[1, 1], [0, 1]]))
    0.666...
    """
    both = matrix.sum(axis=0) + matrix.sum(axis=1)
    return float(np.mean(2 * matrix.diagonal()[both > 0] / both[both > 0]))


def mcnemar(first: Int[np.ndarray, " frames"], second: Int[np.ndarray, " frames"]) -> float:
    """Test whether two classifiers err equally often on the same frames; returns the exact two-sided p.

    Args:
        first: 1 where the first classifier was right, else 0.
        second: The same of the second.

    Source:
        Q. McNemar, Psychometrika 12 (1947), in its exact binomial form.
    """
    from scipy.stats import binomtest

    only_first = int(np.sum((first == 1) & (second == 0)))
    only_second = int(np.sum((first == 0) & (second == 1)))
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def expected_calibration_error(
    probabilities: Float[np.ndarray, "frames classes"], labels: Int[np.ndarray, " frames"], bins: int = 15
) -> float:
    """Average the gap between confidence and accuracy over bins of equal width of the confidence.

    Args:
        probabilities: After softmax.
        labels: True classes.
        bins: How many.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(index, right, bins) - np.bincount(index, confidence, bins)
    return float(np.abs(gaps).sum() / len(labels))
