"""Intervals that more than one domain needs."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Give the Wilson interval of a proportion.

    Args:
        successes: How often it came out.
        trials: How often it was tried; 0 gives the whole range.
        confidence: How often such intervals hold the true proportion; what is outside lies half on either side.

    Source:
        E. B. Wilson, J. Am. Stat. Assoc. 22 (1927).

    >>> wilson(50, 100)
    (0.4038..., 0.5961...)
    """
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, z2 = successes / trials, z**2 / trials
    centre, half = p + z2 / 2, z * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials))
    return max(0.0, (centre - half) / (1 + z2)), min(1.0, (centre + half) / (1 + z2))
