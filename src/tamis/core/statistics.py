"""Intervals that more than one domain needs."""

from __future__ import annotations

import math

_Z = 1.959963984540054  # two-sided 95 %


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Give the 95 % Wilson interval of a proportion.

    Args:
        successes: How often it came out.
        trials: How often it was tried; 0 gives the whole range.

    Source:
        E. B. Wilson, J. Am. Stat. Assoc. 22 (1927).

    >>> wilson(50, 100)
    (0.4038..., 0.5961...)
    """
    if trials == 0:
        return 0.0, 1.0
    p, z2 = successes / trials, _Z**2 / trials
    centre, half = p + z2 / 2, _Z * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials))
    return max(0.0, (centre - half) / (1 + z2)), min(1.0, (centre + half) / (1 + z2))
