"""What happens to a signal between transmitter and receiver, vectorised over frames."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft

from tamis.radio.modulation import parts

if TYPE_CHECKING:
    from jaxtyping import Complex64, Complex128, Float64
    from numpy.typing import NDArray

REACH = 16
"""How many samples to either side a fractional delay looks, beyond the delay itself."""
_SINUSOIDS = 8
_FEW = 256  # numbers of a frame up to which all is computed directly; frames of 128 samples have their bits from that
_DENSE = 2**18  # numbers of a matrix up to which cubics are drawn by one product, which is faster and takes more memory
_STILL, _STRAIGHT = 1e-3, 0.1  # radians in a frame up to which a fading gain is a constant, or a straight line
_STEP = 0.45  # radians between the points at which a fading gain is computed; cubics between are good to -60 dB


def doppler_gain(
    rng: np.random.Generator, samples: int, doppler: Float64[np.ndarray, " frames"], rician_k: float
) -> Complex64[np.ndarray, "frames samples"]:
    """Draw the gain of one path over time: scattered waves from all around, and a line of sight; mean power 1.

    Args:
        rng: Where the randomness comes from.
        samples: How long.
        doppler: Greatest Doppler frequency of each frame, in cycles a sample.
        rician_k: Power of the line of sight over the scattered power; 0 is Rayleigh fading.

    Source:
        Sum of eight sinusoids of random direction and phase, after Jakes; as in GNU Radio's `dynamic_channel_model`.
    """
    frames = len(doppler)
    greatest = 2 * np.pi * float(doppler.max(initial=0.0)) * (samples - 1)
    stretches = int(np.ceil(greatest / _STEP))
    if greatest <= _STILL:
        at = np.zeros(1)
    elif greatest < _STRAIGHT:
        at = np.array([0.0, samples - 1])
    elif stretches < samples - 3:
        at = np.arange(-1.0, stretches + 2) * ((samples - 1) / stretches)
    else:
        at = np.arange(samples, dtype=np.float64)
    shape = (frames, _SINUSOIDS)
    direction, phase = rng.uniform(0, 2 * np.pi, shape), rng.uniform(0, 2 * np.pi, shape)
    turn = 2 * np.pi * doppler[:, None] * np.cos(direction)
    gain = waves(turn, phase, at)
    gain *= np.sqrt(1 / (1 + rician_k) / _SINUSOIDS)
    if rician_k:
        direction, phase = rng.uniform(0, 2 * np.pi, (2, frames, 1))
        sight = waves(2 * np.pi * doppler[:, None] * np.cos(direction), phase, at)
        gain += np.sqrt(rician_k / (1 + rician_k)) * sight
    if _STILL < greatest < _STRAIGHT:
        way = np.arange(samples) / (samples - 1)
        return (gain[:, :1] * (1 - way) + gain[:, 1:] * way).astype(np.complex64)
    known = gain.astype(np.complex64)
    return _cubic(known, samples) if 1 < len(at) < samples else np.broadcast_to(known, (frames, samples)).copy()


def turned(
    turn: Float64[np.ndarray, " frames"], phase: Float64[np.ndarray, " frames"], samples: int
) -> Complex64[np.ndarray, "frames samples"]:
    """Give exp(1j * (turn * n + phase)) for every sample n.

    Args:
        turn: Radians a sample.
        phase: Radians at the first sample.
        samples: How many.
    """
    return waves(turn[:, None], phase[:, None], np.arange(samples, dtype=np.float64)).astype(np.complex64)


def waves(
    turn: Float64[np.ndarray, "frames waves"],
    phase: Float64[np.ndarray, "frames waves"],
    at: Float64[np.ndarray, " points"],
) -> Complex128[np.ndarray, "frames points"]:
    """Sum exp(1j * (turn * at + phase)) over waves.

    Many are products of two tables, since exponentials take long.

    Args:
        turn: Radians for each step of 1.
        phase: Radians at 0.
        at: Evenly spread.
    """
    gain: Complex128[np.ndarray, "frames points"]
    if turn.shape[1] * len(at) <= _FEW:
        gain = np.zeros((len(turn), len(at)), np.complex128)
        for wave in range(turn.shape[1]):
            gain += np.exp(1j * (turn[:, wave, None] * at + phase[:, wave, None]))
        return gain
    fine = math.isqrt(len(at) - 1) + 1
    coarse = np.exp(1j * (turn[:, None, :] * at[::fine, None] + phase[:, None, :]))
    gain = coarse @ np.exp(1j * (turn[:, :, None] * (at[:fine] - at[0])))
    return gain.reshape(len(turn), -1)[:, : len(at)]


def _cubic(known: Complex64[np.ndarray, "frames points"], samples: int) -> Complex64[np.ndarray, "frames samples"]:
    """Draw cubics through evenly spread points, of which one lies before the first sample and one behind the last."""
    drawn: Complex64[np.ndarray, "frames samples"]
    if known.shape[1] * samples <= _DENSE:
        drawn = known @ _cubics(known.shape[1], samples)
        return drawn
    left, weights = _lagrange(known.shape[1], samples)
    drawn = np.zeros((len(known), samples), np.complex64)
    for step, weight in enumerate(weights):
        drawn += known[:, left + step] * weight
    return drawn


@functools.lru_cache(maxsize=64)
def _cubics(points: int, samples: int) -> NDArray[np.complex64]:
    """Weights of all points for every sample, as a matrix."""
    left, weights = _lagrange(points, samples)
    matrix = np.zeros((points, samples), np.complex64)
    for step, weight in enumerate(weights):
        matrix[left + step, np.arange(samples)] = weight
    return matrix


def _lagrange(points: int, samples: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Say for every sample which four points are the nearest, by the first, and their weights in Lagrange's cubic."""
    place = np.arange(samples) * ((points - 3) / (samples - 1))
    left = np.minimum(place.astype(np.int64), points - 4)
    u = place - left
    cubics = (u * (1 - u) * (u - 2), 3 * (u + 1) * (1 - u) * (2 - u), 3 * (u + 1) * u * (2 - u), (u + 1) * u * (u - 1))
    return left, (np.stack(cubics) / 6).astype(np.float32)


def multipath(
    signal: Complex64[np.ndarray, "frames samples"],
    delays: tuple[float, ...],
    gains: list[Complex64[np.ndarray, "frames samples"]],
) -> Complex64[np.ndarray, "frames samples"]:
    """Add delayed copies of a signal, each under its own gain.

    The copies wrap round or run out, so that REACH samples and the greatest delay at either end are wrong: cut them off
    afterwards.

    Args:
        signal: What was sent.
        delays: Of each path, in samples.
        gains: Of each path, over time.
    """
    out = np.zeros_like(signal)
    samples = signal.shape[1]
    length = samples if samples <= _FEW else scipy.fft.next_fast_len(samples)
    for part in parts(*signal.shape):
        spectrum = scipy.fft.fft(signal[part], length, axis=1)
        for delay, gain in zip(delays, gains, strict=True):
            response = _delay_response(delay, length)
            delayed = scipy.fft.ifft(spectrum * response, axis=1)[:, :samples] if delay else signal[part]
            out[part] += gain[part] * delayed
    return out


@functools.lru_cache(maxsize=64)
def _delay_response(delay: float, samples: int) -> NDArray[np.complex64]:
    """Frequency response of a fractional delay: a sinc under a Kaiser window, of finite length."""
    whole = int(np.floor(delay))
    places = np.arange(-REACH, REACH + 1)
    window = np.i0(9 * np.sqrt(np.clip(1 - ((places - (delay - whole)) / (REACH + 1)) ** 2, 0, 1))) / np.i0(9.0)
    taps = np.zeros(samples)
    np.add.at(taps, (places + whole) % samples, np.sinc(places - (delay - whole)) * window)
    return np.fft.fft(taps).astype(np.complex64)
