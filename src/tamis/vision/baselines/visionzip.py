"""VisionZip: keep the patches that [CLS] attends to most and [CLS] itself, and sum up the others in a few more tokens.

"VisionZip: Longer is Better but Not Necessary in Vision Language Models", arXiv 2412.04467.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from tamis.vision.selector import Selection, Selector, keep_tokens
from tamis.vision.view import Reads, View


def targets_among(rest: Bool[Tensor, "units patches"], count: int) -> Int[Tensor, "units count"]:
    """Choose every n-th of the remaining patches, from the first on, n as large as `count` of them allow.

    Args:
        rest: True where a patch remains; at least `count` in each unit.
        count: How many to choose, at least one.

    Source:
        The authors' code, `visionzip/clip_encoder.py`. Differs: nothing.

    >>> targets_among(torch.tensor([[True, False, True, True, True, True]]), count=2)
    tensor([[0, 3]])
    """
    ordered = torch.sort(rest.int(), descending=True, stable=True).indices
    step = (rest.sum(dim=1, keepdim=True) // count).clamp(min=1)
    return ordered.gather(1, step * torch.arange(count, device=rest.device))


def merge(
    patches: Float[Tensor, "units patches width"],
    keys: Float[Tensor, "units patches size"],
    rest: Bool[Tensor, "units patches"],
    targets: Int[Tensor, "units count"],
) -> Float[Tensor, "units patches width"]:
    """Add to each target the mean of the remaining patches whose keys are most like its own.

    Args:
        patches: Features.
        keys: Keys, mean over heads; only their directions count.
        rest: True where a patch remains: the targets, and the patches that are merged into them.
        targets: The remaining patches that take the others in.

    Returns:
        Features, changed at the targets, float32.

    Source:
        The authors' code, `visionzip/clip_encoder.py`. Differs: nothing.
    """
    patches = patches.float()
    directions = functional.normalize(keys.float(), dim=-1)
    cosines = directions @ _rows(directions, targets).transpose(1, 2)
    members = rest.scatter(1, targets, False)
    shares = functional.one_hot(cosines.argmax(-1), targets.shape[1]).float() * members[..., None]
    shares = shares / shares.sum(dim=1, keepdim=True).clamp(min=1)
    means = shares.transpose(1, 2) @ patches
    return patches.scatter_add(1, targets[..., None].expand_as(means), means)


def _rows(tensor: Tensor, index: Tensor) -> Tensor:
    return tensor.gather(1, index[..., None].expand(-1, -1, tensor.shape[-1]))


@dataclass(frozen=True)
class VisionZip(Selector):
    """Keep dominant patches by the [CLS] row of one block, [CLS] among them, and contextual ones that take in the rest.

    Ten of 64 tokens are contextual, as in the paper's 54 + 10, 108 + 20 and 162 + 30; fewer than seven tokens leave no
    room for one. A unit with no more valid patches than the budget stays as it is.

    >>> VisionZip(keep=64).reads(depth=24, run=23)
    Reads(rows=(22,), keys=(22,), question=False)

    Source:
        arXiv 2412.04467 and the authors' code, `visionzip/clip_encoder.py`. Differs: all tokens are in raster order,
        and [CLS] takes the place of the first patch that is not kept otherwise, where the authors put [CLS] and the
        dominant tokens before the contextual ones; the split of other budgets, rounded down, is our choice.
    """

    name: ClassVar[str] = "visionzip"

    def reads(self, depth: int, run: int) -> Reads:
        """Read the row and the keys of the last block that is run."""
        return Reads(rows=(run - 1,), keys=(run - 1,))

    def select(self, view: View, keep: int) -> Selection:
        """Keep dominant and contextual patches and [CLS], and merge what is dropped into the contextual ones."""
        block = view.run - 1
        contextual = keep * 10 // 64
        valid = view.allowed
        mask = keep_tokens(view.rows[block].sum(dim=1), keep - contextual - 1, valid)
        patches = view.patches.float()
        if contextual:
            rest = valid & ~mask
            targets = targets_among(rest, contextual)
            with torch.autocast(patches.device.type, enabled=False):
                keys = view.keys[block][:, 1:].float()
                keys = keys.reshape(*keys.shape[:2], view.heads, -1).mean(dim=2)
                patches = merge(patches, keys, rest, targets)
            mask = mask.scatter(1, targets, True)
        place = keep_tokens((~mask).float(), 1, valid & ~mask)
        patches = torch.where(place[..., None], view.cls[:, None].float(), patches)
        whole = valid.sum(dim=1, keepdim=True) <= keep
        return Selection(
            torch.where(whole, valid, mask | place),
            torch.where(whole[..., None], view.patches, patches.to(view.patches.dtype)),
        )
