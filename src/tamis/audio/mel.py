"""Log-mel spectrograms: what sound encoders look at."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft

from tamis.core.errors import ConfigError

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, Int


@dataclass(frozen=True, kw_only=True)
class MelConfig:
    """How a sound becomes a spectrogram."""

    rate: int
    """Samples a second of the sound."""
    window: int
    """Samples of a frame, under a Hann window."""
    hop: int
    """Samples from one frame to the next."""
    bands: int
    """Mel bands."""
    low: float = 0.0
    """Lower edge of the lowest band in Hz."""
    high: float | None = None
    """Upper edge of the highest band in Hz; half the rate by default."""

    def __post_init__(self) -> None:
        """Refuse what makes no spectrogram."""
        for name in ("rate", "window", "hop", "bands"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not 0 <= self.low < self.upper <= self.rate / 2:
            raise ConfigError(f"low is {self.low} and high {self.upper} Hz; expected 0 to {self.rate / 2:g}, low first")

    @property
    def upper(self) -> float:
        """Upper edge of the highest band in Hz."""
        return self.rate / 2 if self.high is None else self.high


def log_mel(
    samples: Float32[np.ndarray, " samples"], config: MelConfig, *, gain: float = 1e4
) -> Float32[np.ndarray, "frames bands"]:
    """Compute log10(1 + gain · power) of mel bands, frame by frame.

    Frames are centred at multiples of the hop, the first at the first sample; beyond the ends there is silence.

    Args:
        samples: Mono.
        config: The spectrogram.
        gain: How far silence lies below.
    """
    power = power_spectrogram(samples, config.window, config.hop)
    logarithm: Float32[np.ndarray, "frames bands"] = np.log10(1 + np.float32(gain) * (power @ filters(config).T))
    return logarithm


def to_full_scale(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " samples"]:
    """Scale a sound to a greatest magnitude of 1; silence stays silence."""
    loudest = np.abs(samples).max(initial=0.0)
    return samples / loudest if loudest > 0 else samples


def covering(frames: int, length: int, hop: int) -> Int[np.ndarray, " windows"]:
    """Say where windows start that cover a spectrogram, the last one perhaps beyond its end.

    Args:
        frames: Of the spectrogram.
        length: Frames of a window.
        hop: Frames from one window to the next.

    >>> covering(10, 4, 4)
    array([0, 4, 8])
    """
    return np.arange(max(1, -(-(frames - length) // hop) + 1)) * hop


def cut(
    mel: Float32[np.ndarray, "frames bands"], length: int, starts: Int[np.ndarray, " windows"]
) -> Float32[np.ndarray, "windows length bands"]:
    """Cut a spectrogram into windows; beyond its end there is silence.

    Args:
        mel: The spectrogram.
        length: Frames of a window.
        starts: First frame of each, ascending.
    """
    padded = np.zeros((int(starts[-1]) + length, mel.shape[1]), np.float32)
    padded[: len(mel)] = mel[: len(padded)]
    return np.stack([padded[start : start + length] for start in starts])


def power_spectrogram(
    samples: Float32[np.ndarray, " samples"], window: int, hop: int
) -> Float32[np.ndarray, "frames bins"]:
    """Give the squared magnitudes of the Fourier transforms of Hann-windowed frames, which are centred as in `log_mel`.

    Args:
        samples: Mono.
        window: Samples of a frame.
        hop: Samples from one frame to the next.
    """
    padded = np.pad(samples, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    hann = np.hanning(window + 1)[:-1].astype(np.float32)
    spectrum = scipy.fft.rfft(frames * hann, axis=1)
    return np.asarray(spectrum.real**2 + spectrum.imag**2, dtype=np.float32)


@functools.lru_cache(maxsize=8)
def filters(config: MelConfig) -> Float32[np.ndarray, "bands bins"]:
    """Build triangular filters, evenly spaced in mel; the weights of each add up to 1.

    Source:
        O'Shaughnessy's mel, 2595 log10(1 + f / 700), as in HTK.
    """
    edges = _hertz(np.linspace(_mel(config.low), _mel(config.upper), config.bands + 2))
    bins = np.arange(config.window // 2 + 1) * (config.rate / config.window)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clip(min=0)
    sums = triangles.sum(axis=1, keepdims=True)
    if not sums.all():
        raise ConfigError(
            f"{int((sums == 0).sum())} of {config.bands} bands hold no frequency of a window of {config.window} "
            "samples; give fewer bands or a longer window"
        )
    return np.asarray(triangles / sums, dtype=np.float32)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: Float[np.ndarray, " edges"]) -> Float[np.ndarray, " edges"]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
