"""InfoNCE with a learned temperature, as CLIP and CLAP are trained (arXiv 2103.00020, 2206.04769)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from tamis.audio.config import check_tau
from tamis.audio.objective import Objective, Pairs, same_clip

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class InfoNCE(Objective):
    """Cross-entropy of the right partner, with the logarithm of the scale as a parameter.

    Source:
        arXiv 2103.00020, section 2.5: the temperature starts at 0.07 and the scale does not exceed 100. Differs: other
        captions of the same clip are no negatives.
    """

    name = "infonce"

    def __init__(self, tau: float = 0.07) -> None:
        super().__init__()
        check_tau("tau", tau)
        self.tau = tau
        self.scale = nn.Parameter(torch.tensor(-math.log(tau)))

    def terms(self, pairs: Pairs) -> dict[str, Float[Tensor, ""]]:
        """Give "contrast"."""
        logits = self.scale.exp().clamp(max=100.0) * (pairs.audio @ pairs.text.T)
        logits = logits.masked_fill(same_clip(pairs.clips), -math.inf)
        right = torch.arange(len(pairs), device=logits.device)
        return {"contrast": (functional.cross_entropy(logits, right) + functional.cross_entropy(logits.T, right)) / 2}
