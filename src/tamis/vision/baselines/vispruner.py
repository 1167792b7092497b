"""VisPruner: half of the budget for the patches that [CLS] attends to most, half for others that are not duplicates.

"Beyond Text-Visual Attention: Exploiting Visual Cues for Effective Token Pruning in VLMs", arXiv 2412.01818v2,
ICCV 2025 (version 1 of that number is another paper, FasterVLM).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from tamis.vision.selector import Selection, Selector, keep_tokens
from tamis.vision.view import Reads, View

_AT_ONCE = 8
"""Duplicates that are dropped in one round; the authors' number."""


def distinct(
    features: Float[Tensor, "patches width"], order: Int[Tensor, " candidates"], count: int
) -> Int[Tensor, " left"]:
    """Drop near duplicates from a list of patches, a few at a time, until `count` are left.

    A round compares every other patch of the list, from the first on, with all patches between them, and drops those
    with the highest cosine to any of these. The rest of them come first in the next round's list, most similar first.

    Args:
        features: Features; only their directions count.
        order: The candidates, in descending order of importance.
        count: How many to leave, at least one; a shorter list is left as it is.

    Source:
        The authors' code, `llava/model/llava_arch.py::encode_images`. Differs: lists of odd length, and rounds with
        fewer patches than are to be dropped, work too.

    >>> features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0]])
    >>> distinct(features, torch.tensor([2, 1, 0]), count=2)
    tensor([0, 1])
    """
    directions = functional.normalize(features[order].float(), dim=-1)
    cosines = directions @ directions.T
    listed = torch.arange(len(order), device=order.device)
    while (surplus := len(listed) - count) > 0:
        ours, theirs = listed[::2], listed[1::2]
        closest = cosines[ours[:, None], theirs].amax(-1)
        ranking = torch.sort(closest, descending=True, stable=True).indices
        listed = torch.cat([ours[ranking[min(_AT_ONCE, surplus) :]], theirs])
    return order[listed]


@dataclass(frozen=True)
class VisPruner(Selector):
    """Keep the top of the [CLS] row of one block, and as many of the other patches after near duplicates are dropped.

    >>> VisPruner(keep=64).reads(depth=24, run=23)
    Reads(rows=(22,), keys=(), question=False)

    Source:
        arXiv 2412.01818v2 and the authors' code with its default `important_ratio` of one half. Differs: nothing but
        what `distinct` says; equal scores are broken by position.
    """

    name: ClassVar[str] = "vispruner"

    def reads(self, depth: int, run: int) -> Reads:
        """Read the row of the last block that is run."""
        return Reads(rows=(run - 1,))

    @torch.no_grad()
    def select(self, view: View, keep: int) -> Selection:
        """Keep important patches first, then distinct ones; of an odd budget the distinct ones get one more."""
        scores = view.rows[view.run - 1].mean(dim=1)
        mask = keep_tokens(scores, keep // 2, view.valid)
        rest = ~mask if view.valid is None else view.valid & ~mask
        with torch.autocast(view.device.type, enabled=False):
            for unit, others in enumerate(rest):
                ranking = torch.sort(
                    scores[unit].masked_fill(~others, -torch.inf), descending=True, stable=True
                ).indices
                order = ranking[: int(others.sum())]
                mask[unit, distinct(view.patches[unit], order, keep - keep // 2)] = True
        return Selection(mask)
