"""Modulators, vectorised over frames: symbols or messages in, complex samples out.

Every digital modulator is evaluated at the times at which it is wanted, so that timing and sample rate offsets are
exact and no signal is interpolated. Times are in symbols. Pulses are tables of 4,096 values a symbol, which is good to
-65 dB.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from tamis.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from jaxtyping import Complex64, Float64
    from numpy.typing import NDArray

SPAN = 11
"""Length of the root-raised-cosine pulse in symbols, as in RML2016."""
_HALF = SPAN // 2 + 1
_STEPS = 4096
_GAUSSIAN_HALF = 3
_BLOCK = 4096
_PART = 2**14


def _square(side: int) -> NDArray[np.complex128]:
    levels = np.arange(side) * 2 - side + 1
    return (levels[:, None] + 1j * levels[None]).ravel()


def _phases(count: int, first: float = 0.0) -> NDArray[np.complex128]:
    points: NDArray[np.complex128] = np.exp(1j * (first + 2 * np.pi * np.arange(count) / count))
    return points


_POINTS = {
    "OOK": np.array([0, 1]),
    "BPSK": np.array([-1, 1]),
    "QPSK": _phases(4, np.pi / 4),
    "8PSK": _phases(8),
    "16PSK": _phases(16),
    "PAM4": np.arange(4) * 2 - 3,
    "PAM8": np.arange(8) * 2 - 7,
    "QAM16": _square(4),
    "QAM64": _square(8),
    "QAM256": _square(16),
}
CONSTELLATIONS: dict[str, Complex64[np.ndarray, " points"]] = {
    name: (points / np.sqrt(np.mean(np.abs(points) ** 2))).astype(np.complex64) for name, points in _POINTS.items()
}
"""Constellations of the linear modulations, of mean energy 1."""
FREQUENCY = ("CPFSK", "GFSK")
"""Modulations of continuous phase, binary."""
ANALOG = ("AM-DSB", "AM-SSB", "WBFM")
"""Modulations of a voice."""
MODULATIONS = (*CONSTELLATIONS, *FREQUENCY, *ANALOG)
"""All modulations that can be generated."""


def check_modulation(name: str) -> None:
    """Refuse a name that is no modulation.

    Raises:
        ConfigError: If it is none.
    """
    if name not in MODULATIONS:
        raise ConfigError(f"{name!r} is no modulation that can be generated; {nearest(name, MODULATIONS)}")


def parts(frames: int, samples: int) -> list[slice]:
    """Cut frames of so many samples into parts that stay in a processor's cache, which is several times faster."""
    rows = max(1, _PART // samples)
    return [slice(first, first + rows) for first in range(0, frames, rows)]


def root_raised_cosine(times: Float64[np.ndarray, " times"], rolloff: float) -> Float64[np.ndarray, " times"]:
    """Evaluate the root-raised-cosine pulse of unit energy.

    Args:
        times: In symbols, 0 at the peak.
        rolloff: Excess bandwidth, from 0 to 1.
    """
    t = np.where(np.abs(np.abs(4 * rolloff * times) - 1) < 1e-9, times + 1e-6, times)
    t = np.where(np.abs(t) < 1e-9, 1e-6, t)
    top = np.sin(np.pi * t * (1 - rolloff)) + 4 * rolloff * t * np.cos(np.pi * t * (1 + rolloff))
    return top / (np.pi * t * (1 - (4 * rolloff * t) ** 2))


def linear(
    symbols: Complex64[np.ndarray, "frames symbols"],
    times: Float64[np.ndarray, "frames samples"],
    rolloffs: Float64[np.ndarray, " frames"],
) -> Complex64[np.ndarray, "frames samples"]:
    """Shape symbols by root-raised-cosine pulses; mean sample power is 1 for symbols of mean energy 1.

    Args:
        symbols: Symbol k of a frame has its peak at time k.
        times: When to sample, in symbols, from 0 to the number of symbols; before and after there is silence.
        rolloffs: Excess bandwidth of each frame; rounded to hundredths.
    """
    kinds, kind = np.unique(rolloffs.round(2), return_inverse=True)
    pulses = np.stack([_pulse(float(rolloff)) for rolloff in kinds])
    padded = np.pad(symbols, ((0, 0), (_HALF - 1, _HALF)))
    out = np.zeros(times.shape, np.complex64)
    for part in parts(*times.shape):
        whole, fine = _places(times[part], padded.shape[1])
        fine += kind[part, None] * pulses.shape[1]
        for step in range(2 * _HALF):
            pulse = pulses.take(fine + (2 * _HALF - 1 - step) * _STEPS, mode="clip")
            out[part] += padded[part].take(whole + step, mode="clip") * pulse
    return out


def continuous_phase(
    symbols: NDArray[np.int8],
    times: Float64[np.ndarray, "frames samples"],
    index: float,
    bt: float | None,
) -> Complex64[np.ndarray, "frames samples"]:
    """Modulate the frequency by ±1 symbols, of rectangular or Gaussian pulses, with continuous phase.

    Args:
        symbols: Of shape (frames, symbols), -1 or 1; symbol k of a frame lasts from time k to k + 1.
        times: When to sample, in symbols, from 0 to the number of symbols.
        index: Modulation index: the deviation between the two frequencies times the symbol period.
        bt: Bandwidth of the Gaussian filter times the symbol period; None is the rectangular pulse.
    """
    pulse = _phase_pulse(bt)
    padded = np.pad(symbols, ((0, 0), (_GAUSSIAN_HALF, _GAUSSIAN_HALF + 1)))
    sums = np.pad(padded.cumsum(axis=1, dtype=np.float32), ((0, 0), (1, 0)))[:, :-1]
    out = np.empty(times.shape, np.complex64)
    for part in parts(*times.shape):
        whole, fine = _places(times[part], padded.shape[1])
        turns = sums[part].take(whole, mode="clip")
        for step in range(2 * _GAUSSIAN_HALF + 1):
            share = pulse.take(fine + (2 * _GAUSSIAN_HALF - step) * _STEPS, mode="clip")
            turns += padded[part].take(whole + step, mode="clip") * share
        out[part] = np.exp(1j * np.float32(np.pi * index) * turns, dtype=np.complex64)
    return out


def voice(
    rng: np.random.Generator, frames: int, samples: int, sample_rate: float
) -> Complex64[np.ndarray, "frames samples"]:
    """Make messages as of speech: the real part lies mostly within ±1, the whole is its analytic signal.

    Noise of 0.3 to 5 kHz whose amplitude falls as 1 / sqrt(1 + (f / 800 Hz)²), under a syllabic envelope of 2 to 6 Hz.

    Args:
        rng: Where the randomness comes from.
        frames: How many messages.
        samples: Their length; noise, but not envelope, repeats after 0.4 s.
        sample_rate: In Hz; what lies above its half is left out.

    Source:
        Our choice, in place of the copyrighted podcast of RML2016.
    """
    duration = samples / sample_rate
    lines = int(np.clip(4700 * 2 * duration, 48, 2048))
    frequency = np.linspace(300, min(5000, 0.45 * sample_rate), lines)
    shape = 1 / np.sqrt(1 + (frequency / 800) ** 2)
    shape /= np.sqrt(np.sum(shape**2))
    real, imaginary = rng.standard_normal((2, frames, lines))
    weights = ((real + 1j * imaginary) * shape).astype(np.complex64)
    waves = np.exp(2j * np.pi * frequency[:, None] * np.arange(min(samples, _BLOCK)) / sample_rate).astype(np.complex64)
    message = np.empty((frames, samples), np.complex64)
    for first in range(0, samples, _BLOCK):
        block = message[:, first : first + _BLOCK]
        turned = weights * np.exp(2j * np.pi * frequency * first / sample_rate).astype(np.complex64)
        np.matmul(turned, waves[:, : block.shape[1]], out=block)
    rate, start = rng.uniform(2, 6, (frames, 1)), rng.uniform(0, 2 * np.pi, (frames, 1))
    envelope = np.abs(1 + 0.5 * np.sin(2 * np.pi * rate * np.arange(samples) / sample_rate + start)) / 1.5
    message *= (envelope / 3).astype(np.float32)
    return message


def analog(
    name: str, message: Complex64[np.ndarray, "frames samples"], *, depth: float, deviation: float
) -> Complex64[np.ndarray, "frames samples"]:
    """Modulate by messages.

    Args:
        name: AM-DSB (with carrier), AM-SSB (upper sideband) or WBFM.
        message: From `voice`.
        depth: Of AM-DSB.
        deviation: Of WBFM at a message of 1, in cycles a sample.
    """
    if name == "AM-DSB":
        return (1 + np.float32(depth) * message.real).astype(np.complex64)
    if name == "AM-SSB":
        return message
    turns = deviation * message.real.cumsum(axis=1, dtype=np.float64)
    out: NDArray[np.complex64] = np.exp(2j * np.pi * turns).astype(np.complex64)
    return out


def _places(times: NDArray[np.float64], symbols: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut times into whole symbols, counted on through frames of so many symbols, and steps of the tables."""
    steps = np.round(times * _STEPS).astype(np.int64)
    return steps // _STEPS + np.arange(len(times))[:, None] * symbols, steps % _STEPS


@functools.lru_cache(maxsize=128)
def _pulse(rolloff: float) -> NDArray[np.float32]:
    """Tabulate the pulse from -_HALF to _HALF symbols, cut to SPAN, with unit energy."""
    t = np.arange(2 * _HALF * _STEPS + 1) / _STEPS - _HALF
    pulse = root_raised_cosine(t, rolloff) * (np.abs(t) <= SPAN / 2)
    table: NDArray[np.float32] = (pulse / np.sqrt(np.sum(pulse**2) / _STEPS)).astype(np.float32)
    return table


@functools.lru_cache(maxsize=32)
def _phase_pulse(bt: float | None) -> NDArray[np.float32]:
    """Tabulate the integral of the frequency pulse, 0 before the symbol and 1 after, from -3 to 4 symbols."""
    t = np.arange((2 * _GAUSSIAN_HALF + 1) * _STEPS + 1) / _STEPS - _GAUSSIAN_HALF
    if bt is None:
        return np.clip(t, 0, 1).astype(np.float32)
    scale = 2 * np.pi * bt / np.sqrt(np.log(2))

    def ramp(x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Integrate the normal distribution function."""
        area: NDArray[np.float64] = x * ndtr(scale * x) + np.exp(-((scale * x) ** 2) / 2) / (scale * np.sqrt(2 * np.pi))
        return area

    integral = ramp(t) - ramp(t - 1)
    return np.clip(integral, 0, 1).astype(np.float32)
