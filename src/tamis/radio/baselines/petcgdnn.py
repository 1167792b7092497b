"""PET-CGDNN: estimate a phase, turn the frame by it, then convolve and read with a GRU (arXiv 2110.04980).

Zhang, Luo, Xu, Luo; IEEE Communications Letters 25(10), 2021. Layout, widths and the number of parameters are those of
AMR-Benchmark, whose GRU carries two biases, as torch's does.

- The first convolution spans both rows of the picture, so here I and Q are its two input channels: the same sums.
- Differs: the frame has mean power 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from tamis.radio.baselines.config import PETCGDNNConfig
from tamis.radio.baselines.glorot import glorot
from tamis.radio.network import Network

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class PETCGDNN(Network, paper_url="https://arxiv.org/abs/2110.04980"):
    """A linear layer estimates the phase; two convolutions and a GRU read the turned frame.

    Source:
        arXiv 2110.04980, figure 1; layout of Richardzhangxx/AMR-Benchmark.
    """

    config: PETCGDNNConfig

    def __init__(self, config: PETCGDNNConfig = PETCGDNNConfig()) -> None:
        super().__init__(config)
        self.phase = nn.Linear(2 * config.samples, 1)
        self.convolutions = nn.Sequential(nn.Conv2d(2, 75, (1, 8)), nn.ReLU(), nn.Conv2d(75, 25, (1, 5)), nn.ReLU())
        self.gru = nn.GRU(25, 128, batch_first=True)
        self.head = nn.Linear(128, len(config.classes))
        glorot(self)

    def embed(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch features"]:
        """Turn scaled frames into the last state of the GRU."""
        signal = self.convolutions(turn(iq, self.phase(iq.flatten(1))).unsqueeze(2))
        states, _ = self.gru(signal.squeeze(2).transpose(1, 2))
        features: Tensor = states[:, -1]
        return features


def turn(iq: Float[Tensor, "batch 2 samples"], phase: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch 2 samples"]:
    """Turn each frame back by a phase.

    Args:
        iq: I in row 0, Q in row 1.
        phase: In radians.

    Returns:
        The complex frame times exp(-j phase).

    Source:
        arXiv 2110.04980, parameter transformer.
    """
    cos, sin = phase.cos(), phase.sin()
    i, q = iq[:, 0], iq[:, 1]
    return torch.stack([i * cos + q * sin, q * cos - i * sin], dim=1)
