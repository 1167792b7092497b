"""KD-MobileNet: the depth-wise separable student of SKD (arXiv 2312.17446).

Only its name and role are public; the layout is our choice: a stem, then pairs of inverted residuals (arXiv 1801.04381)
of which the first halves the length, and the mean over time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from tamis.radio.config import KDMobileNetConfig
from tamis.radio.network import Network

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

_KERNEL = 5


class KDMobileNet(Network, paper_url="https://arxiv.org/abs/2312.17446"):
    """A student with few operations; on a CPU its depth-wise convolutions cost more time than their count says.

    Source:
        arXiv 2312.17446 names it; the layout is not specified by the paper: our choice.
    """

    config: KDMobileNetConfig

    def __init__(self, config: KDMobileNetConfig = KDMobileNetConfig()) -> None:
        super().__init__(config)
        before = config.widths[0]
        stem = nn.Conv2d(2, before, (1, 7), padding=(0, 3), bias=False)
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(before), nn.ReLU6()]
        for width in config.widths[1:]:
            layers += [_InvertedResidual(before, width, 2, config), _InvertedResidual(width, width, 1, config)]
            before = width
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Linear(before, len(config.classes))

    def embed(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch features"]:
        """Turn scaled frames into the mean over time of the last block."""
        features: Tensor = self.convolutions(iq.unsqueeze(2)).mean(dim=(2, 3))
        return features


class _InvertedResidual(nn.Module):
    """Widen, convolve each channel, narrow; added to what came in where the shapes agree."""

    def __init__(self, before: int, after: int, stride: int, config: KDMobileNetConfig) -> None:
        super().__init__()
        inside = before * config.expansion
        self.residual = stride == 1 and before == after
        self.layers = nn.Sequential(
            nn.Conv2d(before, inside, 1, bias=False),
            nn.BatchNorm2d(inside),
            nn.ReLU6(),
            nn.Conv2d(inside, inside, (1, _KERNEL), (1, stride), (0, _KERNEL // 2), groups=inside, bias=False),
            nn.BatchNorm2d(inside),
            nn.ReLU6(),
            nn.Conv2d(inside, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )

    def forward(self, signal: Float[Tensor, "batch channels 1 time"]) -> Float[Tensor, "batch wider 1 shorter"]:
        out: Tensor = self.layers(signal)
        return signal + out if self.residual else out
