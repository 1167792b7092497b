"""Triplet losses in both directions: all negatives, the hardest one, or the hardest one weighted by polynomials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch

from tamis.audio.objective import Objective, Pairs, same_clip
from tamis.core.errors import ConfigError, check_choice

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

Mining = Literal["sum", "max", "weighted"]
"""Which negatives count; see `Triplet`."""


class Triplet(Objective):
    """A partner should be more similar than every negative, by a margin.

    "sum" adds up what is missing over all negatives of an anchor, "max" takes its hardest negative, and "weighted"
    pulls the partner and pushes the hardest negative by polynomials of their similarities, where that negative comes
    within the margin.

    Source:
        "sum" and "max": Faghri et al., VSE++ (arXiv 1707.05612), equations 5 and 6. "weighted": Wei et al., Universal
        Weighting Metric Learning (CVPR 2020), polynomials of degree 2 with the coefficients that are in use for
        audio-text retrieval. Margin 0.2 as in XinhaoMei/audio-text_retrieval. Differs: averaged over anchors; other
        captions of the same clip are no negatives.
    """

    def __init__(self, mining: Mining = "sum", margin: float = 0.2) -> None:
        super().__init__()
        check_choice("mining", mining, Mining)
        if not 0 <= margin <= 2:
            raise ConfigError(f"margin is {margin}; expected 0 to 2, as far as cosines go")
        self.name = f"triplet-{mining}"
        self.mining, self.margin = mining, margin

    def terms(self, pairs: Pairs) -> dict[str, Float[Tensor, ""]]:
        """Give "triplet"."""
        scores = pairs.audio @ pairs.text.T
        none = same_clip(pairs.clips).fill_diagonal_(True)
        return {"triplet": self._one_way(scores, none) + self._one_way(scores.T, none)}

    def _one_way(self, scores: Float[Tensor, "anchors others"], none: Tensor) -> Float[Tensor, ""]:
        partner = scores.diagonal()
        negatives = scores.masked_fill(none, -math.inf)
        missing = (self.margin + negatives - partner[:, None]).clamp_min(0)
        if self.mining == "sum":
            return missing.sum(dim=1).mean()
        if self.mining == "max":
            return missing.amax(dim=1).mean()
        hardest = negatives.amax(dim=1)
        near = ~(hardest + self.margin <= partner)  # so that NaN is none that is far
        hardest = torch.where(near, hardest, 0)
        pull = (0.2 * partner**2 - 0.7 * partner + 0.5).clamp_min(0)
        push = (0.9 * hardest**2 - 0.4 * hardest + 0.03).clamp_min(0)
        return torch.where(near, pull + push, 0).mean()
