"""NT-Xent between sounds and sentences, as Mei et al. train audio-text retrieval (arXiv 2203.15537)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from tamis.audio.config import check_tau
from tamis.audio.objective import Objective, Pairs, same_clip

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class NTXent(Objective):
    """Cross-entropy of the right partner among all partners of the batch, averaged over both directions.

    Source:
        arXiv 2203.15537; temperature 0.07 and both directions as in XinhaoMei/audio-text_retrieval. Differs: there, a
        mask of the other captions of a clip is applied after the logarithm, where it does nothing;
        `mask_captions=False` gives that.
    """

    def __init__(self, tau: float = 0.07, *, mask_captions: bool = True) -> None:
        super().__init__()
        check_tau("tau", tau)
        self.name = "nt-xent" if mask_captions else "nt-xent-unmasked"
        self.tau, self.mask_captions = tau, mask_captions

    def terms(self, pairs: Pairs) -> dict[str, Float[Tensor, ""]]:
        """Give "contrast"."""
        logits = pairs.audio @ pairs.text.T / self.tau
        if self.mask_captions:
            logits = logits.masked_fill(same_clip(pairs.clips), -math.inf)
        directions = [-scores.log_softmax(dim=1).diagonal().mean() for scores in (logits, logits.T)]
        return {"contrast": torch.stack(directions).mean()}
