"""SparseVLM: in three stages, drop the image tokens to which the relevant words attend least, and merge some of them.

"SparseVLM: Visual Token Sparsification for Efficient Vision-Language Model Inference", arXiv 2410.04417.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tamis.core.budget import Budget
from tamis.core.errors import BudgetError, ConfigError
from tamis.vision.in_llm import InLLMPruner
from tamis.vision.selector import Selection, keep_tokens

_RATING = (2, 6, 15)
"""The layers, of 32, after which the authors drop tokens."""
_BUDGETS = (64, 128, 192, 576)
"""Budgets out of 576 with a schedule of the authors; keeping all is added."""
_SCHEDULES = ((66, 303, 300, 576), (30, 110, 200, 576), (17, 36, 110, 576))
"""For each stage, how many of 576 tokens it keeps by score under each of these budgets."""
_SLACK = 0.02
"""How far, relatively, an interpolated schedule may miss its budget; the authors' own miss theirs by 1.3 % or less."""


def relevant_words(words: Float[Tensor, "words width"], image: Float[Tensor, "tokens width"]) -> Bool[Tensor, " words"]:
    """Mark the words that the image tokens choose more often than the average word; all of them if none stands out.

    Args:
        words: Embeddings of the text.
        image: Embeddings of the image tokens.

    Source:
        The authors' `modelling_sparse_llama.py`: softmax over words of the dot products, mean over image tokens.
    """
    share = torch.softmax((image @ words.T).float(), dim=-1).mean(0)
    relevant = share > share.mean()
    return relevant if bool(relevant.any()) else torch.ones_like(relevant)


def recycled(dropped: int) -> int:
    """Count the merged tokens that stand in for `dropped` ones: a tenth of the best 30 %, each rounded up by one.

    >>> recycled(276)
    9

    Source:
        The authors' `modelling_sparse_llama.py`.
    """
    return 0 if dropped <= 0 else (int(dropped * 0.3) + 1) // 10 + 1


def cluster(
    states: Float[Tensor, "tokens width"], clusters: int
) -> tuple[Int[Tensor, " clusters"], Int[Tensor, " tokens"]]:
    """Cluster by density peaks: centres are dense and far from anything denser; the others join the nearest centre.

    Args:
        states: What is clustered.
        clusters: How many clusters, at most as many as tokens; also the number of neighbours that make the density.

    Returns:
        The centres' indices, and for every token the cluster that it belongs to.

    Source:
        The authors' `utils.py::cluster_and_merge`. Differs: of equal densities the earlier token counts as denser,
        where the authors add noise, so that every run gives the same.
    """
    distance = torch.cdist(states.float(), states.float()) / states.shape[-1] ** 0.5
    density = (-(distance.topk(clusters, largest=False).values ** 2).mean(-1)).exp()
    order = torch.sort(density, descending=True, stable=True).indices
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
    denser = rank < rank[:, None]
    apart = distance.masked_fill(~denser, float(distance.max())).amin(-1)
    centres = torch.sort(apart * density, descending=True, stable=True).indices[:clusters]
    member = distance[:, centres].argmin(-1)
    member[centres] = torch.arange(clusters, device=member.device)
    return centres, member


@dataclass(frozen=True)
class SparseVLM(InLLMPruner):
    """Rate image tokens by the attention of the relevant words after it, in three stages; recycle dropped ones.

    `keep` is the average over the layers of the image tokens that leave a layer, recycled ones included, as the
    authors count. More of them enter a layer, because the layers that rate see what they drop (`tokens` counts that).
    For 192, 128 and 64 of 576 tokens in 32 layers the schedules are the authors'. Other budgets, totals and depths are
    our choice: the schedule is linear between the authors', and scaled where its average would miss the budget.

    >>> SparseVLM(keep=192).schedule(total=576, depth=32)
    (300, 200, 110)

    Source:
        arXiv 2410.04417 and the authors' code (`modelling_sparse_llama.py`, `score.py`, `utils.py`). Differs:
        positions are kept, where the authors renumber them; a merged token stays where its cluster's centre was,
        where the authors put it behind the kept ones; words after the last of several images rate; the layers 2, 6
        and 15 of 32 are scaled to other depths, which is our choice.
    """

    name: ClassVar[str] = "sparsevlm"

    def layers(self, depth: int) -> tuple[int, ...]:
        """Drop tokens after three layers.

        Raises:
            ConfigError: If there are fewer than four layers.
        """
        if depth < 4:
            raise ConfigError(f"the language model has {depth} layers; SparseVLM's three stages need at least 4")
        return tuple(round(layer * depth / 32) + 1 for layer in _RATING)

    def schedule(self, total: int, depth: int) -> tuple[int, ...]:
        """Read the authors' schedules or between them, and scale to the budget what misses it.

        Raises:
            BudgetError: If the layers before the first stage and the recycled tokens alone exceed the budget.
        """
        keep = Budget.parse(self.keep).of(total)
        shape = [float(np.interp(keep * 576 / total, _BUDGETS, stage)) * total / 576 for stage in _SCHEDULES]

        def scaled(factor: float) -> tuple[int, ...]:
            return tuple(min(total, max(1, round(count * factor))) for count in shape)

        if abs(self._average(total, depth, scaled(1.0)) - keep) <= _SLACK * keep:
            return scaled(1.0)
        if (least := self._average(total, depth, scaled(0.0))) > keep:
            raise BudgetError(
                f"keep is {keep} of {total} image tokens a layer on average, but SparseVLM's full layers and recycled "
                f"tokens alone come to {least:.1f} in {depth} layers; give at least {math.ceil(least)}"
            )
        low, high = 0.0, total / min(shape)
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self._average(total, depth, scaled(middle)) <= keep else (low, middle)
        return scaled(low)

    def _average(self, total: int, depth: int, schedule: tuple[int, ...]) -> float:
        """Average over the layers of the image tokens that leave a layer under a schedule."""
        rating = [layer - 1 for layer in self.layers(depth)]
        tokens = rating[0] * total
        for keep, start, end in zip(schedule, rating, [*rating[1:], depth], strict=True):
            total = self.left(total, keep)
            tokens += (end - start) * total
        return tokens / depth

    def raters(
        self, states: Float[Tensor, "tokens width"], image: Bool[Tensor, " tokens"], prompt: Bool[Tensor, " tokens"]
    ) -> Bool[Tensor, " tokens"]:
        """Let the relevant words after the last image rate; the last image token, if no word comes after it."""
        raters = torch.zeros_like(prompt)
        last = int(image.nonzero()[-1])
        words = prompt.nonzero().squeeze(1)
        words = words[words > last]
        if len(words) == 0:
            raters[last] = True
        else:
            raters[words] = relevant_words(states[words], states[image])
        return raters

    def select(
        self, scores: Float[Tensor, "1 tokens"], states: Float[Tensor, "1 tokens width"], keep: int
    ) -> Selection:
        """Keep the top of the score; merge the best of the rest into tokens at their clusters' centres."""
        mask = keep_tokens(scores, keep)
        dropped = scores.shape[1] - keep
        best = keep_tokens(scores, int(dropped * 0.3) + 1, ~mask)[0].nonzero().squeeze(1)
        centres, member = cluster(states[0, best], recycled(dropped))
        merged = torch.zeros(len(centres), states.shape[-1], device=states.device).index_add_(
            0, member, states[0, best].float()
        )
        sizes = member.bincount(minlength=len(centres))
        states = states.clone()
        states[0, best[centres]] = (merged / sizes[:, None]).to(states.dtype)
        mask[0, best[centres]] = True
        return Selection(mask, states)

    def left(self, total: int, keep: int) -> int:
        """Count the kept tokens and the recycled ones."""
        return min(total, keep) + recycled(total - keep)
