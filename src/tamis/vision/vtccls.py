"""VTC-CLS: keep the patches to which [CLS] attends most, summed over several blocks.

"[CLS] Token Tells Everything Needed for Training-free Efficient MLLMs", arXiv 2412.05819.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from tamis.core.errors import ConfigError
from tamis.vision.selector import Selection, Selector, keep_tokens
from tamis.vision.view import Reads, View


def score(rows: Iterable[Float[Tensor, "units heads patches"]]) -> Float[Tensor, "units patches"]:
    """Importance of each patch: the unweighted sum over blocks of the [CLS] row, mean over heads.

    Probabilities are summed as they are, so a block whose [CLS] looks less at itself weighs more.

    Args:
        rows: Attention of the [CLS] query after softmax, one per block, from the first block to the last.

    Source:
        The authors' code, `clip_encoder.py::cls_token_only`. Differs: a batch is not averaged into one image.
    """
    means = [row.mean(dim=1) for row in rows]
    total = means[0]
    for mean in means[1:]:
        total = total + mean
    return total


def blocks(depth: int, run: int, start_layer: int | None) -> tuple[int, ...]:
    """The blocks of the ensemble: from the start layer to the last one that is run.

    Args:
        depth: Blocks of the tower.
        run: Blocks that make the features.
        start_layer: First block, 0-based; None: two thirds of the depth (16 of 24).

    Raises:
        ConfigError: If the start layer is none of the blocks that are run.

    >>> blocks(depth=24, run=23, start_layer=None)
    (16, 17, 18, 19, 20, 21, 22)
    """
    start = min(2 * depth // 3, run - 1) if start_layer is None else start_layer
    if not 0 <= start < run:
        raise ConfigError(f"start_layer is {start}; expected 0…{run - 1}, the blocks of this tower that are run")
    return tuple(range(start, run))


@dataclass(frozen=True)
class VTCCLS(Selector):
    """Keep the patches with the highest [CLS] attention over the blocks from `start_layer` to the last one run.

    Source:
        arXiv 2412.05819. The number of layers behind each published row is not given; 16 of 24 is the default of
        the authors' scripts, and two thirds of the depth elsewhere is our choice.
    """

    start_layer: int | None = None
    """First block of the ensemble, 0-based; None: two thirds of the depth (16 of 24)."""

    name: ClassVar[str] = "vtc-cls"

    def reads(self, depth: int, run: int) -> Reads:
        """Read the rows from the start layer to the last block that is run.

        Raises:
            ConfigError: If the start layer is none of the blocks that are run.
        """
        return Reads(rows=blocks(depth, run, self.start_layer))

    def select(self, view: View, keep: int) -> Selection:
        """Keep the top of the score."""
        rows = [view.rows[block] for block in blocks(view.depth, view.run, self.start_layer)]
        return Selection(keep_tokens(score(rows), keep, view.valid))
