"""Greedy choice from a determinantal point process: patches that matter and do not say the same twice.

The determinant of a set's kernel, quality_i · cos(f_i, f_j) · quality_j, is the squared volume that its features span,
each as long as its quality. Choosing greedily, the next patch is the one that stands out longest from the span of those
chosen before.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from tamis.core.errors import ConfigError
from tamis.vision.selector import keep_tokens

_EXHAUSTED = 1e-5
"""Squared length, of 1, below which float32 cannot tell what is left of a feature from nothing."""


@torch.no_grad()
def greedy_map(
    features: Float[Tensor, "units patches width"],
    quality: Float[Tensor, "units patches"],
    keep: int,
    valid: Bool[Tensor, "units patches"] | None = None,
) -> Bool[Tensor, "units patches"]:
    """Mark the patches that greedily maximise the determinant of their kernel.

    Once no patch has anything to add, because the chosen ones span all of them, the rest of the budget goes to the
    patches of highest quality; a feature without direction (all zeros) never adds anything. Of equal gains the earlier
    patch wins. Kernel rows are made when they are needed, so the time is patches × keep × (width + keep).

    Args:
        features: Features; only their directions count.
        quality: What a patch is worth by itself, positive.
        keep: Patches to keep in each unit; a unit with fewer valid ones keeps those.
        valid: False where a patch must not be kept.

    Raises:
        ConfigError: If a feature or a quality is not a finite number.

    Source:
        Incremental Cholesky factor as in "Fast Greedy MAP Inference for Determinantal Point Process to Improve
        Recommendation Diversity", arXiv 1709.05135. Differs: the factor is that of the cosine kernel, and quality
        weighs its diagonal only, which is the same choice with less rounding; the order of the rest is our choice.

    >>> features = torch.tensor([[[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]])
    >>> greedy_map(features, torch.tensor([[3.0, 2.0, 1.0]]), keep=2)
    tensor([[ True, False,  True]])
    """
    if not bool(torch.isfinite(features).all() and torch.isfinite(quality).all()):
        raise ConfigError("features or qualities are not finite; the pixel values or the model's weights are not")
    with torch.autocast(features.device.type, enabled=False):
        directions = functional.normalize(features.float(), dim=-1)
        units, patches, _ = directions.shape
        each = torch.arange(units, device=features.device)
        left = features.any(-1).float()  # exactly one, so that only quality ranks the first picks
        free = torch.ones_like(left, dtype=torch.bool) if valid is None else valid.clone()
        factor = directions.new_zeros(units, min(keep, patches), patches)
        for step in range(factor.shape[1]):
            gain = torch.where(free & (left > _EXHAUSTED), quality.float() * left.sqrt(), 0)
            best = gain.argmax(-1)
            adds = gain[each, best] > 0
            row = (directions @ directions[each, best, :, None]).squeeze(-1)
            row -= (factor[each, :step, best][:, None] @ factor[:, :step]).squeeze(1)
            row /= left[each, best, None].clamp(min=_EXHAUSTED).sqrt()
            factor[:, step] = torch.where(adds[:, None], row, 0)
            left -= factor[:, step].square()
            free[each, best] &= ~adds
    chosen = ~free if valid is None else valid & ~free
    return keep_tokens(quality.float().masked_fill(chosen, torch.inf), keep, valid)
