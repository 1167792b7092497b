"""CDPruner without its text tower: keep patches by a determinantal point process over the projected features.

"Beyond Attention or Similarity: Maximizing Conditional Diversity for Token Pruning in MLLMs", arXiv 2506.10967.
The paper weighs each patch by its relevance to the question, measured with CLIP's text tower. Checkpoints of
LLaVA-1.5, LLaVA-NeXT and Video-LLaVA carry no text tower, so here every patch is equally relevant: what is compared is
the paper's diversity term alone, not the whole method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tamis.vision.dpp import greedy_map
from tamis.vision.selector import Selection, Selector
from tamis.vision.view import View


@dataclass(frozen=True)
class CDPruner(Selector):
    """Keep the patches whose projected features greedily span the largest volume. No text tower: relevance is uniform.

    >>> CDPruner(keep=64).reads(depth=24, run=23)
    Reads(rows=(), keys=(), question=False)

    Source:
        arXiv 2506.10967 and the authors' code, `llava/model/llava_arch.py::encode_images`. Differs: relevance to the
        question is left out (see the module), so that every patch is as good a start as any, and the first is taken;
        patches that are linear combinations of the kept ones follow in raster order; without a language model the
        features are the tower's own.
    """

    name: ClassVar[str] = "cdpruner"

    @torch.no_grad()
    def select(self, view: View, keep: int) -> Selection:
        """Keep the greedy mode of the point process."""
        features = view.patches if view.project is None else view.project(view.patches)
        return Selection(greedy_map(features, torch.ones_like(features[..., 0]), keep, view.valid))
