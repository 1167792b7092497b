"""How far people agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Measure how much more two raters agree than by chance.

    Args:
        first: The labels that one rater gave.
        second: Those of the other, for the same things.

    Returns:
        1 for full agreement, 0 for that of chance; NaN if chance alone agrees fully, or if there are no labels.

    Source:
        J. Cohen, "A coefficient of agreement for nominal scales", 1960.

    >>> cohen_kappa(["f", "f", "m", "m"], ["f", "m", "m", "m"])
    0.5
    """
    n = len(first)
    agreed = n * sum(one == other for one, other in zip(first, second, strict=True))
    counts = Counter(second)
    chance = sum(count * counts[label] for label, count in Counter(first).items())
    return (agreed - chance) / (n * n - chance) if n * n != chance else math.nan
