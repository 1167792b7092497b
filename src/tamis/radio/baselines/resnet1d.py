"""The residual network of RadioML 2018 (O'Shea, Roy, Clancy; arXiv 1712.04578), for frames of any length.

Residual stacks of 32 channels, each a linear 1x1 convolution, two residual units and a pooling to half the length; then
two dense SELU layers with alpha dropout. At 1024 samples it is the published network: six stacks, which leave 16.

- Shorter frames get as many stacks as leave at least 4 samples: five at 128.
- Not said by the paper, our choice: kernel 3 in the residual units, alpha dropout 0.2, Glorot-uniform start.
- No batch normalisation, as in the paper; several public versions add it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from tamis.radio.baselines.config import ResNet1DConfig
from tamis.radio.baselines.glorot import glorot
from tamis.radio.network import Network

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

_WIDTH = 32
_STACKS, _LEAST_SAMPLES = 6, 4


class ResNet1D(Network, paper_url="https://arxiv.org/abs/1712.04578"):
    """Residual stacks that halve the length, and two dense layers.

    Source:
        arXiv 1712.04578, tables and figure of the ResNet; the module's docstring says what is our choice.
    """

    config: ResNet1DConfig

    def __init__(self, config: ResNet1DConfig = ResNet1DConfig()) -> None:
        super().__init__(config)
        stacks: list[nn.Module] = []
        before, samples = 2, config.samples
        while len(stacks) < _STACKS and samples // 2 >= _LEAST_SAMPLES:
            stacks.append(
                nn.Sequential(nn.Conv2d(before, _WIDTH, 1), _ResidualUnit(), _ResidualUnit(), nn.MaxPool2d((1, 2)))
            )
            before, samples = _WIDTH, samples // 2
        self.stacks = nn.Sequential(*stacks)
        self.dense = nn.Sequential(
            nn.Linear(_WIDTH * samples, 128),
            nn.SELU(),
            nn.AlphaDropout(0.2),
            nn.Linear(128, 128),
            nn.SELU(),
            nn.AlphaDropout(0.2),
        )
        self.head = nn.Linear(128, len(config.classes))
        glorot(self)

    def embed(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch features"]:
        """Turn scaled frames into the 128 outputs of the last dense layer."""
        features: Tensor = self.dense(self.stacks(iq.unsqueeze(2)).flatten(1))
        return features


class _ResidualUnit(nn.Module):
    """Two convolutions, the second linear, added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(_WIDTH, _WIDTH, (1, 3), padding=(0, 1)),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, _WIDTH, (1, 3), padding=(0, 1)),
        )

    def forward(self, signal: Float[Tensor, "batch channels 1 time"]) -> Float[Tensor, "batch channels 1 time"]:
        out: Tensor = signal + self.layers(signal)
        return out
