"""IQFormer: I/Q samples and a spectrogram, fused, read by LSTMs and convolutional transformer blocks (IEEE TCCN, 2024).

Layout, sizes and order of operations are those that the authors published as WestdoorSad/IQFormer for RadioML 2016; no
code of theirs is used. The spectrogram is theirs too, made inside the network: the real part of a short-time Fourier
transform of I alone, Blackman window of 31 samples, hop 1, 128 points, of which the lowest 32 are kept; it is a fixed
convolution here.

- Their blocks have no scale on the attention and on the perceptron (`use_layer_scale=False`), only on the convolutions.
- Stages do not change width or length, so nothing lies between them.
- Differs: the frame has mean power 1; a batch normalisation follows anyway.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from tamis.radio.baselines.config import IQFormerConfig
from tamis.radio.network import Network

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

_WIDTH, _DEPTHS = 64, (2, 3, 2)
_STEM, _DROPOUT = 8, 0.2
_WINDOW, _POINTS, _BANDS = 31, 128, 32


class IQFormer(Network, paper_url="https://doi.org/10.1109/TCCN.2024.3485118"):
    """Two stems and their fusion, a bidirectional LSTM, seven blocks of which three attend, the mean over time.

    Source:
        Shao et al., IEEE Transactions on Cognitive Communications and Networking, 2024; layout of WestdoorSad/IQFormer.
    """

    config: IQFormerConfig

    def __init__(self, config: IQFormerConfig = IQFormerConfig()) -> None:
        super().__init__(config)
        self.stem = nn.Sequential(
            nn.BatchNorm2d(2), nn.Conv2d(2, _STEM, (1, 5), padding=(0, 2), groups=2), nn.BatchNorm2d(_STEM)
        )
        self.register_buffer("cosines", _cosines(), persistent=False)
        self.spectral_stem = nn.Sequential(
            nn.BatchNorm2d(1), nn.Conv2d(1, _STEM, (_BANDS, 1)), nn.BatchNorm2d(_STEM), nn.ReLU()
        )
        half = _WIDTH // 2
        self.fusion = nn.Sequential(
            nn.Conv2d(2 * _STEM, half, 1),
            nn.BatchNorm2d(half),
            nn.GELU(),
            nn.Conv2d(half, half, 1),
            nn.Dropout(_DROPOUT),
        )
        self.lstm = nn.LSTM(half, half, num_layers=2, dropout=_DROPOUT, bidirectional=True, batch_first=True)
        blocks: list[nn.Module] = []
        for depth in _DEPTHS:
            blocks += [_Convolutions(4 * _WIDTH) for _ in range(depth - 1)]
            blocks += [_Convolutions(_WIDTH), _Block()]
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(_WIDTH)
        self.head = nn.Linear(_WIDTH, len(config.classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def embed(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch features"]:
        """Turn scaled frames into the mean over time of the last block."""
        spectrum = self.spectral_stem(self.spectrum(iq).unsqueeze(1))
        fused = self.fusion(torch.cat([self.stem(iq.unsqueeze(2)), spectrum], dim=1))
        states, _ = self.lstm(fused.squeeze(2).transpose(1, 2))
        signal = self.norm(self.blocks(states.transpose(1, 2).unsqueeze(2)))
        features: Tensor = signal.mean(dim=(2, 3))
        return features

    def spectrum(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch bands samples"]:
        """Compute the real part of the short-time Fourier transform of I, from 0 to a quarter of the sample rate."""
        assert isinstance(self.cosines, torch.Tensor)
        padding = (0, _WINDOW // 2)
        return functional.conv2d(iq[:, None, :1], self.cosines, padding=padding).squeeze(2)


class _Convolutions(nn.Module):
    """Depth-wise convolution, normalisation, two linear maps of each sample; scaled and added to what came in."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(_WIDTH, _WIDTH, (1, 3), padding=(0, 1), groups=_WIDTH),
            nn.BatchNorm2d(_WIDTH),
            nn.Conv2d(_WIDTH, hidden, 1),
            nn.GELU(),
            nn.Conv2d(hidden, _WIDTH, 1),
        )
        self.scale = nn.Parameter(torch.ones(_WIDTH, 1, 1))

    def forward(self, signal: Float[Tensor, "batch channels 1 time"]) -> Float[Tensor, "batch channels 1 time"]:
        out: Tensor = signal + self.scale * self.layers(signal)
        return out


class _Block(nn.Module):
    """Additive attention, then a perceptron of each sample; each added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = AdditiveAttention(_WIDTH)
        self.mlp = nn.Sequential(
            nn.BatchNorm2d(_WIDTH), nn.Conv2d(_WIDTH, 4 * _WIDTH, 1), nn.GELU(), nn.Conv2d(4 * _WIDTH, _WIDTH, 1)
        )

    def forward(self, signal: Float[Tensor, "batch channels 1 time"]) -> Float[Tensor, "batch channels 1 time"]:
        signal = signal + self.attention(signal.squeeze(2).transpose(1, 2)).transpose(1, 2).unsqueeze(2)
        out: Tensor = signal + self.mlp(signal)
        return out


class AdditiveAttention(nn.Module):
    """Sum the queries, weighed by a learnt direction, into one global query, and multiply it into every key.

    The cost grows with the number of tokens, not with its square.

    Source:
        The efficient additive attention of SwiftFormer (arXiv 2303.15446), section 3.2, as IQFormer uses it.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.direction = nn.Parameter(torch.randn(dim, 1))
        self.mix, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, tokens: Float[Tensor, "batch tokens channels"]) -> Float[Tensor, "batch tokens channels"]:
        """Attend."""
        query = functional.normalize(self.query(tokens), dim=2)
        key = functional.normalize(self.key(tokens), dim=2)
        weights = functional.normalize(query @ self.direction / math.sqrt(query.shape[2]), dim=1)
        pooled = (weights * query).sum(dim=1, keepdim=True)
        out: Tensor = self.out(self.mix(pooled * key) + query)
        return out


def _cosines() -> Float[Tensor, "bands 1 1 window"]:
    """Build the convolution that is the real part of the short-time Fourier transform; the window sums to 1."""
    window = torch.blackman_window(_WINDOW)
    angles = 2 * math.pi / _POINTS * torch.outer(torch.arange(_BANDS), torch.arange(_WINDOW))
    return (angles.cos() * window / window.sum())[:, None, None]
