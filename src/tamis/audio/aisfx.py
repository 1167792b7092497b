"""The sound-effects network of aisfx: a convolutional network trained on commercial effect libraries (ISMIR 2022).

Its weights come inside the wheel of aisfx 0.1.2; `tamis models pull aisfx` reads them out. It is the one general
encoder of sound effects that needs no hub. A sound is cut into blocks of 100 frames, 2.3 s, and each block gives 512
numbers; the last block is filled up with silence.

- The whole sound is scaled to a greatest magnitude of 1 before it is cut, so a window of it depends on the rest.
- Embeddings of all sounds point in much the same direction: subtract the mean of a corpus before comparing by cosine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from tamis.audio.encoders import SoundEncoder, pulled
from tamis.audio.mel import MelConfig, covering, cut, log_mel, to_full_scale

if TYPE_CHECKING:
    from jaxtyping import Float, Float32
    from torch import Tensor

MEL = MelConfig(rate=44_100, window=2048, hop=1024, bands=96, high=22_050.0)
"""What the network looks at."""
BLOCK = 100
"""Frames of a block."""
WIDTH = 512
"""Numbers for a block."""
SCALE = 9.457798957824707
"""The greatest value of the spectrograms that it was trained on, by which they are divided."""


class EffectsCNN(nn.Module):
    """Four blocks of two 3 × 3 convolutions; the mean over frequency, then the maximum over time.

    Source:
        Representation Learning for the Automatic Indexing of Sound Effects Libraries (ISMIR 2022, arXiv 2208.09096);
        layout and weights of aisfx 0.1.2.
    """

    def __init__(self) -> None:
        super().__init__()
        before, self.blocks = 1, nn.ModuleList()
        for width in (64, 128, 256, WIDTH):
            self.blocks.append(_Block(before, width))
            before = width

    def forward(self, mels: Float[Tensor, "blocks frames bands"]) -> Float[Tensor, "blocks features"]:
        """Embed blocks.

        Args:
            mels: From `blocks`.
        """
        picture = mels.unsqueeze(1)
        for number, block in enumerate(self.blocks):
            picture = block(picture)
            if number < 3:
                picture = nn.functional.max_pool2d(picture, 2)
        return picture.mean(dim=3).amax(dim=2)


class AisfxSounds(SoundEncoder):
    """The sound-effects network with the weights of its wheel: 512 numbers for each window of 2.3 s."""

    rate, width = MEL.rate, WIDTH
    window_s = BLOCK * MEL.hop / MEL.rate

    def __init__(self, network: EffectsCNN, *, hop: int = BLOCK) -> None:
        super().__init__()
        self.network, self.hop = network.eval(), hop
        self.name = "aisfx" if hop == BLOCK else "aisfx-overlap"
        self.hop_s = hop * MEL.hop / MEL.rate

    @classmethod
    def load(cls, *, overlap: bool = False) -> AisfxSounds:
        """Load the weights that `tamis models pull aisfx` fetched.

        Args:
            overlap: Whether windows lie half over each other, so that what happens is found to about a second.

        Raises:
            FileError: If they are not here.
        """
        from safetensors.torch import load_file

        from tamis.audio.models import MODELS

        network = EffectsCNN()
        network.load_state_dict(load_file(pulled(MODELS["aisfx"]) / "model.safetensors"), strict=True)
        return cls(network, hop=BLOCK // 2 if overlap else BLOCK)

    def prepare(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "windows frames bands"]:
        """Cut a sound, of any scale, into windows of log-mel spectrogram."""
        return blocks(samples, hop=self.hop)

    def forward(self, windows: Float[Tensor, "windows frames bands"]) -> Float[Tensor, "windows width"]:
        """Encode prepared windows."""
        features: Tensor = self.network(windows)
        return features


class _Block(nn.Module):
    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(
        self, picture: Float[Tensor, "blocks channels frames bands"]
    ) -> Float[Tensor, "blocks wider frames bands"]:
        picture = self.bn1(self.conv1(picture)).relu()
        out: Tensor = self.bn2(self.conv2(picture)).relu()
        return out


def blocks(samples: Float32[np.ndarray, " samples"], *, hop: int = BLOCK) -> Float32[np.ndarray, "blocks frames bands"]:
    """Turn a sound into what the network looks at.

    Args:
        samples: Mono, 44,100 samples a second, of any scale; silence stays silence.
        hop: Frames from one block to the next; 100 is no overlap.
    """
    mel = log_mel(to_full_scale(samples), MEL) / np.float32(SCALE)
    return cut(mel, BLOCK, covering(len(mel), BLOCK, hop))
