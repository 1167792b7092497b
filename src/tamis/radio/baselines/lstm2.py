"""LSTM2: two LSTMs over amplitude and phase (Rajendran et al.; arXiv 1707.08908).

Layout and the number of parameters are those of AMR-Benchmark: 128 units a layer, the last state, one dense layer. Its
LSTMs carry two biases, as torch's do. The phase is given in half turns, between -1 and 1, as there.

- Differs: the amplitude comes from a frame of mean power 1; AMR-Benchmark scales it to energy 1, which is less by the
  square root of the length.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from tamis.radio.baselines.config import LSTM2Config
from tamis.radio.baselines.glorot import glorot
from tamis.radio.network import Network

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class LSTM2(Network, paper_url="https://arxiv.org/abs/1707.08908"):
    """Two LSTM layers of 128 units read amplitude and phase sample by sample.

    Source:
        arXiv 1707.08908, figure of the LSTM model; layout of Richardzhangxx/AMR-Benchmark.
    """

    config: LSTM2Config

    def __init__(self, config: LSTM2Config = LSTM2Config()) -> None:
        super().__init__(config)
        self.lstm = nn.LSTM(2, 128, num_layers=2, batch_first=True)
        self.head = nn.Linear(128, len(config.classes))
        glorot(self)

    def embed(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch features"]:
        """Turn scaled frames into the last state of the second LSTM."""
        states, _ = self.lstm(polar(iq).transpose(1, 2))
        features: Tensor = states[:, -1]
        return features


def polar(iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch 2 samples"]:
    """Turn I and Q into amplitude, in row 0, and phase in half turns, in row 1."""
    amplitude = torch.linalg.vector_norm(iq, dim=1)
    return torch.stack([amplitude, torch.atan2(iq[:, 1], iq[:, 0]) / math.pi], dim=1)
