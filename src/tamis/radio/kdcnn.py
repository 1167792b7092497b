"""KD-CNN: the plain convolutional student of SKD (arXiv 2312.17446).

Only its name and role are public; the layout is our choice: three times convolution, batch normalisation, ReLU and
pooling to half the length, the mean over time, and two linear layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from tamis.radio.config import KDCNNConfig
from tamis.radio.network import Network

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class KDCNN(Network, paper_url="https://arxiv.org/abs/2312.17446"):
    """A student for a microcontroller.

    Source:
        arXiv 2312.17446 names it; the layout is not specified by the paper: our choice.
    """

    config: KDCNNConfig

    def __init__(self, config: KDCNNConfig = KDCNNConfig()) -> None:
        super().__init__(config)
        layers: list[nn.Module] = []
        before = 2
        for width in config.widths:
            convolution = nn.Conv2d(before, width, (1, 7), padding=(0, 3), bias=False)
            layers += [convolution, nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d((1, 2))]
            before = width
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(before, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, len(config.classes)),
        )

    def embed(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch features"]:
        """Turn scaled frames into the mean over time of the last convolution."""
        features: Tensor = self.convolutions(iq.unsqueeze(2)).mean(dim=(2, 3))
        return features
