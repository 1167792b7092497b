"""DivPrune, in its style: keep the patches that are most unlike one another, whatever they show.

"DivPrune: Diversity-based Visual Token Pruning for Large Multimodal Models", CVPR 2025. Written from the description
of the method alone, greedy max-min cosine distance over the projected tokens; the authors' code was not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from tamis.core.errors import ConfigError
from tamis.vision.selector import Selection, Selector
from tamis.vision.view import View


@torch.no_grad()
def spread(
    features: Float[Tensor, "units patches width"], keep: int, valid: Bool[Tensor, "units patches"] | None = None
) -> Bool[Tensor, "units patches"]:
    """Mark patches greedily, each the one whose nearest marked patch is farthest by cosine distance.

    The first is the one whose nearest patch of all is farthest. Of equal distances the earlier patch wins.

    Args:
        features: Features; only their directions count.
        keep: Patches to keep in each unit; a unit with fewer valid ones keeps those.
        valid: False where a patch must not be kept.

    Raises:
        ConfigError: If a feature is not a finite number.

    Source:
        DivPrune's max-min diversity problem, from its description. The first patch is our choice.

    >>> spread(torch.tensor([[[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]]), keep=2)
    tensor([[ True, False,  True]])
    """
    if not bool(torch.isfinite(features).all()):
        raise ConfigError("features are not all finite; the pixel values or the model's weights are not finite numbers")
    with torch.autocast(features.device.type, enabled=False):
        directions = functional.normalize(features.float(), dim=-1)
        valid = torch.ones_like(directions[..., 0], dtype=torch.bool) if valid is None else valid
        each = torch.arange(len(directions), device=features.device)
        nearest = torch.full_like(directions[..., 0], -torch.inf)
        marked = torch.zeros_like(valid)
        best = torch.stack([_loneliest(unit, inside) for unit, inside in zip(directions, valid, strict=True)])
        for _ in range(min(keep, directions.shape[1])):
            marked[each, best] = True
            nearest = torch.maximum(nearest, (directions @ directions[each, best, :, None]).squeeze(-1))
            best = nearest.masked_fill(marked | ~valid, torch.inf).argmin(-1)
    return marked & valid


def _loneliest(directions: Float[Tensor, "patches width"], valid: Bool[Tensor, " patches"]) -> Tensor:
    """Index of the valid patch whose nearest valid patch is farthest."""
    cosines = directions @ directions.T
    cosines = torch.maximum(cosines, cosines.T)  # two patches that are nearest to each other tie exactly
    cosines = cosines.fill_diagonal_(-torch.inf).masked_fill_(~valid, -torch.inf)
    return cosines.amax(-1).masked_fill(~valid, torch.inf).argmin()


@dataclass(frozen=True)
class DivPrune(Selector):
    """Keep patches that are far from one another by cosine distance, after the model's projector where there is one.

    >>> DivPrune(keep=64).reads(depth=24, run=23)
    Reads(rows=(), keys=(), question=False)

    Source:
        "DivPrune", CVPR 2025, from its description. Differs: without a language model the distances are those of the
        tower's own features.
    """

    name: ClassVar[str] = "divprune"

    @torch.no_grad()
    def select(self, view: View, keep: int) -> Selection:
        """Spread the budget over the directions of the features."""
        features = view.patches if view.project is None else view.project(view.patches)
        return Selection(spread(features, keep, view.valid))
