"""What no classifier of linear modulations can exceed: the average likelihood ratio test (ALRT).

A receiver that knows pulse, timing, gain and noise power keeps one matched-filter output a symbol, a point of the
constellation in white noise, and loses nothing. Averaging the likelihood over all points, and over the phase if that is
unknown, and choosing the likeliest modulation is then right more often than any other rule. How often is found by
simulation. A classifier that is told less cannot do better on the same symbols; one that does has seen its test frames,
or their labels are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from tamis.core.errors import ConfigError, check_choice, nearest
from tamis.core.progress import progress
from tamis.core.seed import generator
from tamis.radio.modulation import CONSTELLATIONS, SPAN

if TYPE_CHECKING:
    from jaxtyping import Complex64, Complex128, Float64

    from tamis.radio.data import Frames

Phase = Literal["known", "unknown"]
"""Whether the receiver knows the carrier's phase; one that does not takes every phase for equally likely."""
Symbols = Literal["tight", "rigorous"]
"""How many symbols a frame shows.

"tight" counts as many as last as long as the frame: what a good receiver really has, to about a hundredth of accuracy,
for a frame also holds parts of the pulses of symbols outside of it, and its noise is measured against its own power.
"rigorous" counts every symbol of which any part is in the frame, and each in full: a limit beyond doubt, and loose.
"""

_PHASES = 64
_BLOCK = 2**21


@dataclass(frozen=True, kw_only=True)
class AlrtLimit:
    """The greatest accuracy on frames of equally likely modulations, as simulated."""

    accuracy: float
    """Fraction of all frames that are recognised."""
    standard_error: float
    """Standard error of `accuracy`."""
    per_class: dict[str, float]
    """Fraction recognised of the frames of each modulation."""
    per_class_standard_error: dict[str, float]
    """Standard errors of `per_class`."""
    symbols: int
    """Symbols that a frame was taken to show."""

    def among(self, classes: int) -> float:
        """Say the limit where further classes are all recognised, and never taken for one of these.

        Args:
            classes: How many classes there are in all.

        >>> limit = alrt_limit(("BPSK", "QPSK"), -60.0, trials=1000, seed=0)
        >>> round(limit.accuracy, 1), round(limit.among(4), 2)
        (0.5, 0.75)
        """
        known = len(self.per_class)
        return (known * self.accuracy + classes - known) / classes


def alrt_limit(
    modulations: Sequence[str],
    snr_db: float,
    *,
    samples: int = 128,
    samples_per_symbol: float = 8.0,
    phase: Phase = "known",
    symbols: Symbols = "tight",
    trials: int = 2000,
    seed: int,
) -> AlrtLimit:
    """Simulate the greatest accuracy that any classifier can reach in white noise.

    Args:
        modulations: Linear modulations, two or more.
        snr_db: Mean signal power over mean noise power in the whole sampled band, in dB.
        samples: Length of a frame in complex samples.
        samples_per_symbol: Samples a symbol.
        phase: Whether the receiver knows it.
        symbols: How many symbols a frame shows.
        trials: Frames of each modulation.
        seed: The same seed gives the same limit, and the same symbols and noise at every ratio.

    Raises:
        ConfigError: If a modulation has no constellation, or a value makes no frame.

    Source:
        The test after Wei and Mendel, "Maximum-likelihood classification for digital amplitude-phase modulations",
        IEEE Trans. Communications 48(2), 2000; the unknown phase is averaged over 64 values (quasi-ALRT).
    """
    for name in modulations:
        if name not in CONSTELLATIONS:
            raise ConfigError(
                f"{name!r} has no constellation, so its limit is not known; {nearest(name, CONSTELLATIONS)}"
            )
    if len(set(modulations)) != len(modulations) or len(modulations) < 2:
        raise ConfigError(f"modulations are {tuple(modulations)}; expected at least two different names")
    if not (1 <= samples <= 1_000_000 and trials >= 1 and 1 <= samples_per_symbol <= 1_000_000):
        raise ConfigError(
            f"samples is {samples}, trials is {trials} and samples_per_symbol is {samples_per_symbol}; "
            "expected 1 to 1000000, at least 1 and 1 to 1000000"
        )
    if not -200 <= snr_db <= 200:
        raise ConfigError(f"snr_db is {snr_db}; expected -200 to 200")
    check_choice("phase", phase, Phase)
    check_choice("symbols", symbols, Symbols)
    if symbols == "tight":
        count = max(1, round(samples / samples_per_symbol))
    else:
        count = math.ceil(samples / samples_per_symbol) + SPAN
    noise_power = 10 ** (-esn0_db(snr_db, samples_per_symbol) / 10)
    per_class = {}
    for sent, name in enumerate(modulations):
        rng = generator(seed, "alrt", name)
        points = CONSTELLATIONS[name]
        drawn = points[rng.integers(len(points), size=(trials, count))]
        real, imaginary = rng.normal(0, math.sqrt(noise_power / 2), (2, trials, count))
        turn = rng.uniform(0, 2 * np.pi, (trials, 1)) if phase == "unknown" else 0.0
        received = drawn * np.exp(1j * turn) + real + 1j * imaginary
        scores = [log_likelihood(received, CONSTELLATIONS[other], noise_power, phase) for other in modulations]
        per_class[name] = float(np.mean(np.argmax(scores, axis=0) == sent))
    variance = {name: right * (1 - right) / trials for name, right in per_class.items()}
    return AlrtLimit(
        accuracy=sum(per_class.values()) / len(per_class),
        standard_error=math.sqrt(sum(variance.values())) / len(per_class),
        per_class=per_class,
        per_class_standard_error={name: math.sqrt(value) for name, value in variance.items()},
        symbols=count,
    )


def limit_of(frames: Frames, *, phase: Phase = "known") -> dict[str, float] | None:
    """Compute the accuracy that no classifier can exceed, by signal-to-noise ratio in dB.

    Args:
        frames: Generated ones, whose signal-to-noise ratios are right. Fading and offsets only lower the limit.
        phase: Whether the carrier's phase is told.

    Returns:
        The limit with the symbols of a frame known and all classes that are not linear told without error; None if
        fewer than two classes are linear. Classes without a frame do not count.
    """
    present = [frames.classes[label] for label in np.unique(frames.labels)]
    linear = [name for name in present if name in CONSTELLATIONS]
    if len(linear) < 2:
        return None
    samples, per_symbol = frames.samples, frames.samples_per_symbol
    snrs = np.unique(frames.snr_db)
    limits = {}
    with progress("computing the limit", total=len(snrs)) as advance:
        for done, snr in enumerate(snrs, start=1):
            limit = alrt_limit(linear, float(snr), samples=samples, samples_per_symbol=per_symbol, phase=phase, seed=0)
            limits[f"{snr:g}"] = limit.among(len(present))
            advance(done)
    return limits


def log_likelihood(
    received: Complex128[np.ndarray, "trials symbols"],
    points: Complex64[np.ndarray, " points"],
    noise_power: float,
    phase: Phase,
) -> Float64[np.ndarray, " trials"]:
    """Weigh how likely received symbols are under a constellation, up to what is the same for all constellations.

    Args:
        received: Matched-filter outputs.
        points: The constellation, all points equally likely.
        noise_power: Of complex white noise, N0.
        phase: Whether the points are turned by nothing, or by one unknown angle for each trial.

    Returns:
        Logarithms of likelihoods, averaged over the phase.
    """
    turns = np.ones(1, complex)
    if phase == "unknown":
        # A constellation that looks the same after a part of a turn is averaged over that part only.
        distinct = _PHASES // _symmetry(points)
        turns = np.exp(-2j * np.pi * np.arange(distinct) / _PHASES)
    out = np.empty(len(received))
    step = max(1, _BLOCK // (len(turns) * received.shape[1] * len(points)))
    energy = np.abs(points) ** 2
    for first in range(0, len(received), step):
        turned = (received[first : first + step, None] * turns[:, None])[..., None]
        exponent = (2 * (turned.real * points.real + turned.imag * points.imag) - energy) / noise_power
        out[first : first + step] = _log_mean(_log_mean(exponent).sum(axis=2))
    return out


def esn0_db(snr_db: float, samples_per_symbol: float) -> float:
    """Turn a signal-to-noise ratio over the whole sampled band into energy a symbol over noise density.

    Args:
        snr_db: In dB.
        samples_per_symbol: Samples a symbol.

    >>> round(esn0_db(0.0, 8.0), 2)
    9.03
    """
    return snr_db + 10 * math.log10(samples_per_symbol)


def _log_mean(exponent: Float64[np.ndarray, "*more last"]) -> Float64[np.ndarray, "*more"]:
    """Take the logarithm of the mean of exponentials over the last axis."""
    greatest = exponent.max(axis=-1, keepdims=True)
    mean: Float64[np.ndarray, "*more"] = np.log(np.exp(exponent - greatest).mean(axis=-1)) + greatest[..., 0]
    return mean


def _symmetry(points: Complex64[np.ndarray, " points"]) -> int:
    """Count the parts of a turn after which a constellation looks the same, among 8, 4, 2 and 1."""
    for parts in (8, 4, 2):
        turned = points * np.exp(2j * np.pi / parts)
        if np.abs(turned[:, None] - points).min(axis=1).max() < 1e-5:
            return parts
    return 1


def above_limit(
    lowest: Mapping[str, float], limit: Mapping[str, float], *, room: float = 0.01
) -> dict[str, tuple[float, float]]:
    """Find where an accuracy is above the limit, beyond what chance and the limit's own error explain.

    A classifier that comes out here has seen its test frames, or their labels are wrong.

    Args:
        lowest: Lower ends of the intervals of an accuracy, by signal-to-noise ratio in dB.
        limit: The limit, by signal-to-noise ratio in dB.
        room: What the tight limit may be exceeded by on generated frames; 0 for the rigorous one.

    Returns:
        Accuracy and limit at every ratio where the first is higher.

    Source:
        The room is our choice: a receiver that is told everything was 0.009 above the tight limit at -10 dB.

    >>> above_limit({"-10": 0.50, "10": 0.99}, {"-10": 0.34, "10": 1.0})
    {'-10': (0.5, 0.34)}
    """
    return {
        snr: (accuracy, limit[snr]) for snr, accuracy in lowest.items() if snr in limit and accuracy > limit[snr] + room
    }
