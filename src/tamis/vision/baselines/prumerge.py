"""PruMerge+: keep what [CLS] singles out and a regular sample of the rest, and merge their neighbours into them.

"LLaVA-PruMerge: Adaptive Token Reduction for Efficient Large Multimodal Models", arXiv 2403.15388.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from tamis.vision.selector import Selection, Selector, keep_tokens
from tamis.vision.tower import cls_row
from tamis.vision.view import Reads, View

_NEIGHBOURS = 32
"""Patches that are merged into each kept one; the authors' number."""


def keep_outliers_and_sample(
    row: Float[Tensor, " patches"], keep: int, valid: Bool[Tensor, " patches"]
) -> Bool[Tensor, " patches"]:
    """Mark the outliers among a unit's scores, at most half of the budget, and fill it up evenly in raster order.

    Args:
        row: Attention of the [CLS] query after softmax.
        keep: Patches to keep, at least one and fewer than there are valid ones.
        valid: False where a patch must not be kept.

    Source:
        An outlier is the authors': above the third quartile by more than 1.5 times the distance of the quartiles. Their
        number of outliers sets the number of tokens, about four times as many, or at a given ratio half of the tokens
        are top-scored and half a regular sample. Here the budget is given, so half of it is the outliers' limit, and
        the sample is taken from the patches that are not kept yet, so that none counts twice: our choice.

    >>> row = torch.tensor([0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1])
    >>> keep_outliers_and_sample(row, 4, torch.ones(7, dtype=torch.bool)).nonzero().squeeze(1)
    tensor([1, 2, 4, 6])
    """
    low, high = torch.quantile(row[valid], row.new_tensor([0.25, 0.75]))
    outliers = int((row[valid] > high + 1.5 * (high - low)).sum())
    mask = keep_tokens(row[None], min(outliers, keep // 2), valid[None])[0]
    others = (valid & ~mask).nonzero().squeeze(1)
    sample = keep - int(mask.sum())
    centres = (2 * torch.arange(sample, device=row.device) + 1) * len(others) // (2 * sample)
    mask[others[centres]] = True
    return mask


def merge(
    patches: Float[Tensor, "patches width"],
    keys: Float[Tensor, "patches inner"],
    row: Float[Tensor, " patches"],
    mask: Bool[Tensor, " patches"],
    valid: Bool[Tensor, " patches"],
) -> Float[Tensor, "patches width"]:
    """Add to each kept patch its nearest patches by their keys' cosine, kept or not, weighted by the [CLS] row.

    Args:
        patches: Features of a unit.
        keys: Key projections, heads concatenated; only their directions count.
        row: Attention of the [CLS] query after softmax; the weights are not normalised.
        mask: True where a patch is kept.
        valid: False where a patch must not be merged.

    Returns:
        Features, changed where a patch is kept, float32.

    Source:
        The authors' code, `clip_encoder.py::token_prune_merge_advanced_plus`. Differs: equal cosines are broken by
        position.
    """
    patches = patches.float()
    directions = functional.normalize(keys.float(), dim=-1)
    kept = mask.nonzero()
    cosines = (directions[mask] @ directions.T).masked_fill(~valid, -torch.inf).scatter(1, kept, -torch.inf)
    count = min(_NEIGHBOURS, int(valid.sum()) - 1)
    nearest = torch.sort(cosines, descending=True, stable=True).indices[:, :count]
    weights = torch.zeros_like(cosines).scatter(1, nearest, row[nearest])
    return patches.index_add(0, kept.squeeze(1), weights @ patches)


@dataclass(frozen=True)
class PruMergePlus(Selector):
    """Keep [CLS] outliers and a regular sample of the other patches, each with its neighbours merged in.

    The [CLS] row is that of the block after the last one run, and its heads are not told apart: one dot product over
    the whole width. A unit with no more valid patches than the budget stays as it is.

    >>> PruMergePlus(keep=64).reads(depth=24, run=23)
    Reads(rows=(), keys=(23,), question=False)

    Source:
        arXiv 2403.15388 and the authors' code, `clip_encoder.py::token_prune_merge_advanced_plus`. Differs: the budget
        is given, not found (see `keep_outliers_and_sample`); the extra token that sums up all that was dropped is left
        out, as in the authors' own code for training; where every block is run, the last one is read.
    """

    name: ClassVar[str] = "prumerge+"

    def reads(self, depth: int, run: int) -> Reads:
        """Read the keys of the block after the last one that is run."""
        return Reads(keys=(min(run, depth - 1),))

    def select(self, view: View, keep: int) -> Selection:
        """Choose and merge, unit by unit."""
        block = min(view.run, view.depth - 1)
        valid = view.allowed
        masks, merged = [], []
        with torch.autocast(view.device.type, enabled=False):
            keys = view.keys[block].float()
            rows = cls_row(view.queries[block].float(), keys, heads=1)[:, 0]
            for patches, key, row, inside in zip(view.patches, keys[:, 1:], rows, valid, strict=True):
                if int(inside.sum()) <= keep:
                    masks.append(inside)
                    merged.append(patches)
                else:
                    masks.append(keep_outliers_and_sample(row, keep, inside))
                    merged.append(merge(patches, key, row, masks[-1], inside).to(patches.dtype))
        return Selection(torch.stack(masks), torch.stack(merged))
