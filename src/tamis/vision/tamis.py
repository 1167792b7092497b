"""Ours, an extension of both papers: [CLS] importance, diversity, and a little of what is left over.

Plain top-k of [CLS] attention spends a small budget on duplicates (neighbouring patches of one object, or patches that
look alike) and leaves no background at all, against which a language model has learnt to tell where things are and how
many. Here most of the budget goes to patches that are important and unlike each other, by a determinantal point process
whose quality is the layer-ensembled [CLS] score and whose similarity is that of the features; the rest goes to patches
that [CLS] looks at least, spread over the picture. And the kept tokens keep their positions.

The constants were chosen on validation scenes of the small model that comes with the package; see docs/log.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from tamis.core.errors import ConfigError
from tamis.vision.config import Layout
from tamis.vision.dpp import greedy_map
from tamis.vision.selector import Selection, Selector, keep_tokens
from tamis.vision.view import Reads, View
from tamis.vision.vtccls import blocks, score

_FLOOR = 0.1
"""Weight of a patch that has nothing to do with the question, against 1 for the most relevant one. Our choice."""


def relevance(
    patches: Float[Tensor, "units patches width"], words: Sequence[Float[Tensor, "_ width"]]
) -> Float[Tensor, "units patches"]:
    """How much each patch has to do with the words around its image, between a floor and 1.

    The highest cosine to any word, after taking away what all patches and all words have in common; scaled over the
    patches of a unit. Our choice; neither paper looks at the question.

    Args:
        patches: Projected patches.
        words: Word embeddings in the same space, for each unit.
    """
    closest = []
    for unit, of_unit in zip(patches.float(), words, strict=True):
        if len(of_unit) == 0:
            closest.append(torch.zeros(len(unit), device=unit.device))
            continue
        text = of_unit.float().to(unit.device)
        alike = normalize(unit - unit.mean(0), dim=-1) @ normalize(text - text.mean(0), dim=-1).T
        closest.append(alike.amax(dim=-1))
    stacked = torch.stack(closest)
    low, high = stacked.amin(-1, keepdim=True), stacked.amax(-1, keepdim=True)
    return _FLOOR + (1 - _FLOOR) * (stacked - low) / (high - low).clamp(min=1e-6)


@dataclass(frozen=True)
class Tamis(Selector):
    """Keep patches that are important and unlike each other, and some background. An extension: no paper's method.

    Greedy maximisation of the determinant of quality_i · cos(i, j) · quality_j over the kept set. The time is
    patches × kept × (width + kept). Features are centred over the patches of a unit first, since what all patches share
    tells none of them apart.

    Source:
        Quality: VTC-CLS (arXiv 2412.05819). Greedy MAP inference: Chen, Zhang and Zhou (arXiv 1709.05135). The
        combination and its constants are our choice.
    """

    layout: Layout = Layout(positions="original")
    """How the kept tokens enter the prompt; they keep the positions that they had."""
    start_layer: int | None = None
    """First block of the ensemble, as for VTCCLS."""
    power: float = 0.2
    """Exponent of the quality: 0 is diversity alone, 1 the score as it is."""
    context: float = 0.3
    """Share of the budget for the patches that [CLS] looks at least."""
    question: bool = False
    """Whether to weigh patches by the words around the image; needs a language model."""

    name: ClassVar[str] = "tamis"

    def __post_init__(self) -> None:
        """Refuse an exponent or a share that cannot be.

        Raises:
            ConfigError: If they are out of range.
        """
        super().__post_init__()
        if not 0 <= self.power < math.inf:
            raise ConfigError(f"power is {self.power}; expected a number from 0 on")
        if not 0 <= self.context < 1:
            raise ConfigError(f"context is {self.context}; expected a share of the budget, at least 0 and below 1")

    def reads(self, depth: int, run: int) -> Reads:
        """Read the rows that VTC-CLS reads, and the question if it counts."""
        return Reads(rows=blocks(depth, run, self.start_layer), question=self.question)

    def select(self, view: View, keep: int) -> Selection:
        """Keep a greedy maximum of the determinant, then background.

        Raises:
            ConfigError: If the question is to count and there is none.
        """
        attention = score(view.rows[block] for block in blocks(view.depth, view.run, self.start_layer))
        patches = view.patches.detach().float()
        quality = attention / attention.amax(dim=-1, keepdim=True)
        if self.question:
            if view.question is None or view.project is None:
                raise ConfigError("Tamis(question=True) needs a language model's question; use it through prepare()")
            quality = quality * relevance(view.project(view.patches).detach(), view.question)
        around = round(self.context * keep)
        centred = patches - patches.mean(dim=1, keepdim=True)
        mask = greedy_map(centred, quality**self.power, keep - around, view.valid)
        return Selection(_with_background(mask, attention, around, keep, view.valid))


def _with_background(
    mask: Bool[Tensor, "units patches"],
    attention: Float[Tensor, "units patches"],
    around: int,
    keep: int,
    valid: Bool[Tensor, "units patches"] | None,
) -> Bool[Tensor, "units patches"]:
    """Add the patches with the least attention: of each of `around` equal stretches, in raster order, the first one."""
    free = ~mask if valid is None else ~mask & valid
    least = torch.where(free, -attention, -torch.inf)
    wanted = torch.where(mask, torch.inf, least)
    for stretch in torch.arange(mask.shape[1], device=mask.device).tensor_split(around) if around else ():
        first = stretch[least[:, stretch].argmax(dim=-1, keepdim=True)]
        wanted.scatter_(1, first, torch.where(free.gather(1, first), torch.inf, wanted.gather(1, first)))
    return keep_tokens(wanted, keep, valid)
