"""The outlines and the textures of the things in composed scenes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Int

SHAPES = ("circle", "square", "triangle", "diamond", "cross", "star", "ring", "heart")
TEXTURES = ("plain", "striped", "dotted", "checked")
WINDOW = 28
"""Side of the largest thing, in pixels."""


@cache
def textures() -> Int[np.ndarray, "textures height width"]:
    """Where each texture is dark (1): nowhere, on slanted stripes, on dots, on every other square."""
    y, x = np.mgrid[:WINDOW, :WINDOW]
    dark = [np.zeros_like(x), (x + y) % 5 < 2, (x % 5 // 2 == 1) & (y % 5 // 2 == 1), (x // 3 + y // 3) % 2]
    return np.stack(dark).astype(np.int64)


def _star(x: Any, y: Any) -> Any:
    """Five points; the inner corners are at 0.42 of the radius of the outer ones."""
    radius, angle = np.hypot(x, y + 0.05), np.arctan2(x, -y - 0.05)
    fold = np.abs((angle + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
    inner_x, inner_y = 0.42 * np.cos(np.pi / 5), 0.42 * np.sin(np.pi / 5)
    return radius * (np.cos(fold) * inner_y + np.sin(fold) * (1.08 - inner_x)) <= 1.08 * inner_y


def _blob(lobes: int) -> Any:
    return lambda x, y: np.hypot(x, y) <= 0.7 + 0.25 * np.sin(lobes * np.arctan2(y, x) + lobes)


def _arrow(x: Any, y: Any) -> Any:
    return ((np.abs(y) <= 0.25) & (x <= 0.1) & (x > -0.95)) | ((x > 0) & (np.abs(y) <= 0.9 * (0.95 - x)))


_INSIDE = {
    "circle": lambda x, y: np.hypot(x, y) <= 0.98,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) <= 0.9,
    "triangle": lambda x, y: (np.abs(x) <= (y + 0.95) * 0.54) & (y <= 0.85),
    "diamond": lambda x, y: np.abs(x) / 0.75 + np.abs(y) <= 1,
    "cross": lambda x, y: (np.minimum(np.abs(x), np.abs(y)) <= 0.33) & (np.maximum(np.abs(x), np.abs(y)) <= 0.97),
    "star": _star,
    "ring": lambda x, y: (np.hypot(x, y) <= 0.98) & (np.hypot(x, y) >= 0.5),
    "heart": lambda x, y: (1.4 * x**2 + (0.1 - 1.15 * y) ** 2 - 1) ** 3 <= 1.4 * x**2 * (0.1 - 1.15 * y) ** 3,
}
DISTRACTORS: tuple[Callable[[Any, Any], Any], ...] = (
    _blob(2),
    _blob(3),
    _arrow,
    lambda x, y: _arrow(-x, y),
    lambda x, y: _arrow(y, x),
    lambda x, y: _arrow(-y, x),
)
"""What is never asked about: blobs, then arrows."""


@cache
def silhouettes() -> Float[np.ndarray, "glyphs extents height width"]:
    """How much of each pixel the shapes, then the distractors, cover at every extent; the upper left corner is theirs.

    Each pixel is looked at in 6 × 6 places.
    """
    kinds = [*(_INSIDE[name] for name in SHAPES), *DISTRACTORS]
    drawn = np.zeros((len(kinds), WINDOW + 1, WINDOW, WINDOW), dtype=np.float32)
    for extent in range(3, WINDOW + 1):
        line = (np.arange(6 * extent) + 0.5) / (3 * extent) - 1
        for kind, inside in enumerate(kinds):
            fine = inside(line[None, :], line[:, None]).reshape(extent, 6, extent, 6)
            drawn[kind, extent, :extent, :extent] = fine.mean(axis=(1, 3))
    return drawn
