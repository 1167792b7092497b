"""FastV: after a few layers of the language model, drop the image tokens to which the last token attends least.

"An Image is Worth 1/2 Tokens After Layer 2: Plug-and-Play Inference Acceleration for Large Vision-Language Models",
arXiv 2403.06764.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tamis.core.budget import Budget
from tamis.core.errors import ConfigError
from tamis.vision.in_llm import InLLMPruner


@dataclass(frozen=True)
class FastV(InLLMPruner):
    """Rank image tokens by the last prompt token's attention in layer `layer - 1`, mean over heads; keep the top.

    `keep` is the number of a sample's image tokens from layer `layer` on; the layers before it see all of them, so
    the average over the layers is higher (`tokens` counts it).

    >>> FastV(keep="50%").tokens(total=576, depth=32)[:4]
    [576, 576, 288, 288]

    Source:
        arXiv 2403.06764 and the authors' code, `fastv_forward.py`, where the last token alone rates, although the paper
        speaks of all tokens. Differs: the authors mask what is dropped, which gives the same logits at full cost, and
        rate anew at every step by the newest token; here the last token of the prompt rates at every step.
    """

    layer: int = 2
    """First layer (0-based) that sees fewer tokens; K of the paper."""

    name: ClassVar[str] = "fastv"

    def layers(self, depth: int) -> tuple[int, ...]:
        """Drop tokens once.

        Raises:
            ConfigError: If the layer is none of 1…depth − 1.
        """
        if not 1 <= self.layer < depth:
            raise ConfigError(f"layer is {self.layer}; expected 1…{depth - 1} in a language model of {depth} layers")
        return (self.layer,)

    def schedule(self, total: int, depth: int) -> tuple[int, ...]:
        """Keep the budget's share."""
        return (Budget.parse(self.keep).of(total),)

    def raters(
        self, states: Float[Tensor, "tokens width"], image: Bool[Tensor, " tokens"], prompt: Bool[Tensor, " tokens"]
    ) -> Bool[Tensor, " tokens"]:
        """Let the last token of the prompt rate."""
        last = torch.zeros_like(prompt)
        last[prompt.nonzero()[-1]] = True
        return last
