"""FasterVLM: keep the patches to which [CLS] attends most, in the block that made the features.

"[CLS] Attention is All You Need for Training-Free Visual Token Pruning: Make VLM Inference Faster",
arXiv 2412.01818v1 (version 2 of that number is another paper, VisPruner).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from tamis.vision.selector import Selection, Selector, keep_tokens
from tamis.vision.view import Reads, View


def score(row: Float[Tensor, "units heads patches"]) -> Float[Tensor, "units patches"]:
    """Importance of each patch: the [CLS] row of one block, mean over its heads.

    Args:
        row: Attention of the [CLS] query after softmax.

    Source:
        The authors' code, `llava/model/llava_arch.py::encode_images`. Differs: nothing.
    """
    return row.mean(dim=1)


@dataclass(frozen=True)
class FasterVLM(Selector):
    """Keep the patches with the highest [CLS] attention of one block.

    >>> FasterVLM(keep="10%").reads(depth=24, run=23).rows
    (22,)

    Source:
        arXiv 2412.01818v1. Differs: patches are dropped before the projector, not after it (the same result), and
        equal scores are broken by position.
    """

    name: ClassVar[str] = "fastervlm"

    def reads(self, depth: int, run: int) -> Reads:
        """Read the row of the last block that is run."""
        return Reads(rows=(run - 1,))

    def select(self, view: View, keep: int) -> Selection:
        """Keep the top of the score."""
        return Selection(keep_tokens(score(view.rows[view.run - 1]), keep, view.valid))
