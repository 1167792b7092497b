"""MCLDNN: a multi-channel convolutional LSTM network (Xu, Luo, Parr, Luo; IEEE Wireless Communications Letters, 2020).

Three views of a frame, I with Q, I alone and Q alone, go through their own convolutions, are fused, and are read by two
LSTMs. Layout, widths and paddings are those of AMR-Benchmark, and so is the number of parameters: its LSTMs carry two
biases, as torch's do.

- Differs: the frame has mean power 1. With the tiny amplitudes of RadioML 2016 this network is known to stay at chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from tamis.radio.baselines.config import MCLDNNConfig
from tamis.radio.baselines.glorot import glorot
from tamis.radio.network import Network

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

_CAUSAL = (7, 0, 0, 0)
_SAME = (3, 4, 0, 0)
"""Paddings left, right, above and below, such that a kernel of 8 keeps the length."""


class MCLDNN(Network, paper_url="https://doi.org/10.1109/LWC.2020.2999453"):
    """Convolutions of I with Q, of I and of Q, fused; two LSTMs; two dense layers.

    Source:
        IEEE Wireless Communications Letters 9(10), 2020, figure 1; layout of Richardzhangxx/AMR-Benchmark.
    """

    config: MCLDNNConfig

    def __init__(self, config: MCLDNNConfig = MCLDNNConfig()) -> None:
        super().__init__(config)
        self.both = nn.Sequential(nn.ZeroPad2d((3, 4, 0, 1)), nn.Conv2d(1, 50, (2, 8)), nn.ReLU())
        self.in_phase = nn.Sequential(nn.ZeroPad2d(_CAUSAL), nn.Conv2d(1, 50, (1, 8)), nn.ReLU())
        self.quadrature = nn.Sequential(nn.ZeroPad2d(_CAUSAL), nn.Conv2d(1, 50, (1, 8)), nn.ReLU())
        self.rows = nn.Sequential(nn.ZeroPad2d(_SAME), nn.Conv2d(50, 50, (1, 8)), nn.ReLU())
        self.fusion = nn.Sequential(nn.Conv2d(100, 100, (2, 5)), nn.ReLU())
        self.lstm = nn.LSTM(100, 128, num_layers=2, batch_first=True)
        self.dense = nn.Sequential(
            nn.Linear(128, 128), nn.SELU(), nn.Dropout(0.5), nn.Linear(128, 128), nn.SELU(), nn.Dropout(0.5)
        )
        self.head = nn.Linear(128, len(config.classes))
        glorot(self)

    def embed(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch features"]:
        """Turn scaled frames into the 128 outputs of the last dense layer."""
        picture = iq.unsqueeze(1)
        alone = torch.cat([self.in_phase(picture[:, :, :1]), self.quadrature(picture[:, :, 1:])], dim=2)
        fused = self.fusion(torch.cat([self.both(picture), self.rows(alone)], dim=1))
        states, _ = self.lstm(fused.squeeze(2).transpose(1, 2))
        features: Tensor = self.dense(states[:, -1])
        return features
