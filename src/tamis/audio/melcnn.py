"""tamis's own encoder of sounds: a small convolutional network on log-mel spectrograms, trained from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from tamis.audio.encoders import SoundEncoder
from tamis.audio.mel import MelConfig, covering, cut, log_mel, to_full_scale

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Float32
    from torch import Tensor

MEL = MelConfig(rate=22_050, window=1024, hop=441, bands=64, high=11_025.0)
"""What the network looks at: 50 frames a second."""
FRAMES, HOP = 48, 24
"""Frames of a window, and from one window to the next: 0.96 s, half over each other."""
WIDTH = 512


class MelCNN(SoundEncoder):
    """Five convolutions of 3 × 3, mean and maximum over what is left, and one linear layer; 0.80 M parameters.

    Source:
        Our choice.
    """

    name, rate, width = "mel-cnn", MEL.rate, WIDTH
    window_s, hop_s = FRAMES * MEL.hop / MEL.rate, HOP * MEL.hop / MEL.rate

    def __init__(self) -> None:
        super().__init__()
        sizes = ((1, 32, 2), (32, 64, 2), (64, 128, 2), (128, 128, 1), (128, 256, 2))
        self.blocks = nn.Sequential(*(_block(before, after, stride) for before, after, stride in sizes))
        self.leave = nn.Linear(2 * 256, WIDTH)

    def prepare(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "windows frames bands"]:
        """Cut a sound, of any scale, into windows of log-mel spectrogram; the last is filled up with silence.

        Args:
            samples: Mono, 22,050 samples a second; scaled to a greatest magnitude of 1 before it is cut.
        """
        mel = log_mel(to_full_scale(samples), MEL)
        return cut(mel, FRAMES, covering(len(mel), FRAMES, HOP))

    def forward(self, windows: Float[Tensor, "windows frames bands"]) -> Float[Tensor, "windows width"]:
        """Encode prepared windows."""
        picture = self.blocks(windows.unsqueeze(1))
        pooled = torch.cat([picture.mean(dim=(2, 3)), picture.amax(dim=(2, 3))], dim=1)
        features: Tensor = self.leave(pooled)
        return features


def _block(before: int, after: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
