"""VT-CNN2: the convolutional network that came with RadioML 2016 (O'Shea, Corgan, Clancy; arXiv 1602.04105).

The layout is that of the public example of radioML/examples: I and Q are the two rows of a picture, which the second
convolution collapses. Taken from there: kernels, widths, the padding of 2 on either side, dropout 0.5 after each layer.

- Differs: dense layers start Glorot-uniform, not He-normal; the frame has mean power 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from tamis.radio.baselines.config import VTCNN2Config
from tamis.radio.baselines.glorot import glorot
from tamis.radio.network import Network

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class VTCNN2(Network, paper_url="https://arxiv.org/abs/1602.04105"):
    """Two convolutions over the picture of I and Q, and a wide dense layer that holds nine tenths of the weights.

    Source:
        arXiv 1602.04105, figure of the CNN2 network; layout of radioML/examples.
    """

    config: VTCNN2Config

    def __init__(self, config: VTCNN2Config = VTCNN2Config()) -> None:
        super().__init__(config)
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 256, (1, 3), padding=(0, 2)),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Conv2d(256, 80, (2, 3), padding=(0, 2)),
            nn.ReLU(),
            nn.Dropout(0.5),
        )
        self.dense = nn.Sequential(nn.Linear(80 * (config.samples + 4), 256), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(256, len(config.classes))
        glorot(self)

    def embed(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch features"]:
        """Turn scaled frames into the 256 outputs of the dense layer."""
        features: Tensor = self.dense(self.convolutions(iq.unsqueeze(1)).flatten(1))
        return features
