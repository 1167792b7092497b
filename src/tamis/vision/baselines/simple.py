"""The controls that every selection is compared with: everything, nothing, chance and a regular grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch

from tamis.core.budget import Budget, Keep
from tamis.core.seed import torch_generator
from tamis.vision.config import Layout
from tamis.vision.selector import Selection, Selector, keep_tokens
from tamis.vision.view import View

BLIND = ("all", "text-only", "random", "uniform")
"""Names of the methods here: they do not go by what a picture shows, and so are not held against chance."""


@dataclass(frozen=True)
class All(Selector):
    """Keep every token: the stock model, by the same route."""

    keep: Keep = field(default=1.0, init=False)

    name: ClassVar[str] = "all"

    def select(self, view: View, keep: int) -> Selection:
        """Keep all valid patches."""
        return Selection(view.allowed)


@dataclass(frozen=True)
class TextOnly(Selector):
    """Keep no token: what the question alone gives away."""

    keep: Keep = field(default=Budget("count", 0.0), init=False)
    layout: Layout = Layout(newline="none", cls="drop")

    name: ClassVar[str] = "text-only"

    def select(self, view: View, keep: int) -> Selection:
        """Keep nothing."""
        return Selection(torch.zeros_like(view.allowed))


@dataclass(frozen=True)
class Random(Selector):
    """Keep patches by chance: what any selection has to beat.

    The draw depends on the seed and on the image's own pixels, so an image keeps the same patches in every batch.
    """

    seed: int = 0
    """Which draw."""

    name: ClassVar[str] = "random"

    def select(self, view: View, keep: int) -> Selection:
        """Keep patches drawn without replacement."""
        draws = []
        for fingerprint in view.fingerprints:
            generator = torch_generator(self.seed, "random", fingerprint)
            draws.append(torch.rand(view.total, generator=generator))
        return Selection(keep_tokens(torch.stack(draws).to(view.device), keep, view.valid))


@dataclass(frozen=True)
class Uniform(Selector):
    """Keep patches that lie evenly over the image, whatever it shows.

    The grid has the image's proportions and at most `keep` points; what is left over is spread over the rest in
    raster order (our choice, so that every budget is used up).
    """

    name: ClassVar[str] = "uniform"

    def select(self, view: View, keep: int) -> Selection:
        """Keep a regular grid."""
        scores = _evenness(view.grid, keep).to(view.device)
        return Selection(keep_tokens(scores.expand(view.units, -1), keep, view.valid))


def _evenness(grid: tuple[int, int], keep: int) -> torch.Tensor:
    """Score patches so that the highest `keep` lie evenly: grid points first, then every n-th of the others."""
    rows, columns = grid
    down = max(1, min(rows, keep, round((keep * rows / columns) ** 0.5)))
    across = max(1, min(columns, keep // down))
    score = torch.zeros(rows, columns)
    score[_centres(rows, down)[:, None], _centres(columns, across)] = 2.0
    score = score.flatten()
    others = (score == 0).nonzero().squeeze(1)
    score[others[_centres(len(others), min(len(others), keep - down * across))]] = 1.0
    return score


def _centres(length: int, parts: int) -> torch.Tensor:
    """The middle of each of `parts` equal parts of 0…length."""
    return ((torch.arange(parts) + 0.5) * length / max(parts, 1)).long()
