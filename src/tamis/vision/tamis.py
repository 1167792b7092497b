"""Ours, an extension of both papers: [CLS] importance and diversity together.

Plain top-k of [CLS] attention spends a small budget on duplicates: neighbouring patches of one object, or patches
that look alike. Here a determinantal point process chooses, whose quality is the layer-ensembled [CLS] score and whose
similarity is that of the features, so that a patch is worth less the more of it is kept already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from tamis.core.errors import ConfigError
from tamis.vision.dpp import greedy_map
from tamis.vision.selector import Selection, Selector
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
    """Keep patches that are important and unlike each other. An extension: no paper's method.

    Greedy maximisation of the determinant of quality_i · cos(i, j) · quality_j over the kept set. The time is
    patches × kept × (width + kept). Features are centred over the patches of a unit first, since what all patches share
    tells none of them apart.

    Source:
        Quality: VTC-CLS (arXiv 2412.05819). Greedy MAP inference: Chen, Zhang and Zhou (arXiv 1709.05135). The
        combination and its constants are our choice.
    """

    start_layer: int | None = None
    """First block of the ensemble, as for VTCCLS."""
    question: bool = False
    """Whether to weigh patches by the words around the image; needs a language model."""

    name: ClassVar[str] = "tamis"

    def reads(self, depth: int, run: int) -> Reads:
        """Read the rows that VTC-CLS reads, and the question if it counts."""
        return Reads(rows=blocks(depth, run, self.start_layer), question=self.question)

    def select(self, view: View, keep: int) -> Selection:
        """Keep a greedy maximum of the determinant.

        Raises:
            ConfigError: If the question is to count and there is none.
        """
        weights = score(view.rows[block] for block in blocks(view.depth, view.run, self.start_layer))
        patches = view.patches.detach().float()
        if self.question:
            if view.question is None or view.project is None:
                raise ConfigError("Tamis(question=True) needs a language model's question; use it through prepare()")
            weights = weights * relevance(view.project(view.patches).detach(), view.question)
        return Selection(greedy_map(patches - patches.mean(dim=1, keepdim=True), weights, keep, view.valid))
