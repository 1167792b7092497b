"""The signal generator: any modulation, signal-to-noise ratio, length and symbol rate through a channel of any kind.

Frames are made in chunks of one modulation and one signal-to-noise ratio, each chunk from random numbers of its own, so
the bytes do not depend on the number of workers, on the order, or on what else is generated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis.core.errors import ConfigError, LimitError, nearest
from tamis.core.seed import generator
from tamis.radio import channel, modulation
from tamis.radio.config import PRESETS, SignalConfig
from tamis.radio.data import MAX_BYTES, Frames

if TYPE_CHECKING:
    from jaxtyping import Complex64, Float32
    from numpy.typing import NDArray

_CHUNK = 256
_CHUNK_SAMPLES = 2**20
_TRANSIENT_SHARE, _SILENT_SHARE = 0.05, 0.2


def generate(
    preset: str | SignalConfig = "default", *, per_cell: int = 200, seed: int, workers: int = 1, **changes: Any
) -> Frames:
    """Generate labelled frames, every one through a channel of its own, scaled to mean power 1.

    Args:
        preset: "rml2016", "rml22", "default" or "clean", or a configuration.
        per_cell: Frames for each modulation and signal-to-noise ratio.
        seed: The same seed gives the same frames, whatever the number of workers.
        workers: Processes to share the work among.
        changes: Fields of the configuration to change, such as `samples=1024`.

    Returns:
        Frames in the order of modulation, signal-to-noise ratio and number.

    Raises:
        ConfigError: If there is no such preset or field, or a value makes no signal.
        LimitError: If the frames would take more than 8 GB, or a worker process was killed.

    Source:
        Signal-to-noise ratio: mean signal power over mean noise power in the whole sampled band, the signal measured on
        the frame, behind the channel.

    >>> generate("clean", per_cell=2, seed=0, modulations=("BPSK", "QPSK"), snrs_db=(0, 10)).iq.shape
    (8, 2, 128)
    """
    config = signal_config(preset, **changes)
    for name in config.modulations:
        modulation.check_modulation(name)
    if per_cell < 1 or workers < 1:
        raise ConfigError(f"per_cell is {per_cell} and workers is {workers}; expected at least 1 of each")
    if not isinstance(seed, int):
        raise ConfigError(f"seed is {seed!r}; expected a whole number")
    cells = [(name, snr) for name in config.modulations for snr in config.snrs_db]
    total = len(cells) * per_cell
    if (needed := total * 2 * config.samples * 4) > MAX_BYTES:
        raise LimitError(
            f"{total} frames take {needed / 1e9:.1f} GB, the limit is {MAX_BYTES / 1e9:.1f} GB; make fewer at a time"
        )
    iq = np.empty((total, 2, config.samples), np.float32)
    size = max(1, min(_CHUNK, _CHUNK_SAMPLES // config.samples))
    chunks = [
        (config, name, snr, seed, number, size, min(size, per_cell - number * size))
        for name, snr in cells
        for number in range(-(-per_cell // size))
    ]
    start = 0
    for made in _map(chunks, workers):
        iq[start : start + len(made)] = made
        start += len(made)
    return Frames(
        iq=iq,
        labels=np.repeat(np.arange(len(config.modulations)), total // len(config.modulations)),
        snr_db=np.tile(np.repeat(np.array(config.snrs_db, np.float32), per_cell), len(config.modulations)),
        classes=config.modulations,
        name=config.name,
        samples_per_symbol=float(np.sqrt(np.prod(config.samples_per_symbol))),
    )


def signal_config(preset: str | SignalConfig, **changes: Any) -> SignalConfig:
    """Look a preset up, and change fields of it.

    Raises:
        ConfigError: If there is no such preset or field, or a value makes no signal.
    """
    if isinstance(preset, str) and preset not in PRESETS:
        raise ConfigError(f"{preset!r} is no preset of the signal generator; {nearest(preset, PRESETS)}")
    fields = [field.name for field in dataclasses.fields(SignalConfig)]
    for name in changes:
        if name not in fields:
            raise ConfigError(f"{name!r} is no setting of the signal generator; {nearest(name, fields)}")
    if isinstance(preset, SignalConfig):
        return dataclasses.replace(preset, **changes)
    return PRESETS[preset](**changes)


def _map(chunks: list[tuple[Any, ...]], workers: int) -> Iterator[NDArray[np.float32]]:
    if workers == 1:
        yield from map(_frames, chunks)
        return
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield from pool.map(_frames, chunks, chunksize=8)
    except BrokenProcessPool as error:
        raise LimitError(
            "a worker process ended early: the system killed it, often for want of memory, or the script that called "
            "lacks its guard, if __name__ == '__main__'; take workers=1"
        ) from error


def _frames(chunk: tuple[SignalConfig, str, int, int, int, int, int]) -> Float32[np.ndarray, "frames 2 samples"]:
    """Make the frames of one chunk."""
    config, name, snr_db, seed, number, size, frames = chunk
    rng = generator(seed, "radio", name, snr_db, number)
    clean = _received(rng, config, name, size)
    power = np.mean(np.abs(clean) ** 2, axis=1, keepdims=True)
    clean /= np.sqrt(np.maximum(power, np.finfo(np.float32).tiny))
    if "transients" in config.defects:
        begins = rng.integers(0, config.samples, size, endpoint=True) * (rng.random(size) < _TRANSIENT_SHARE)
        clean[np.arange(config.samples) < begins[:, None]] = 0
    if "snr" in config.defects:
        snr_db *= 2
    noise = rng.standard_normal((size, 2, config.samples), np.float32)
    iq: NDArray[np.float32] = np.stack([clean.real, clean.imag], axis=1) + noise * np.float32(
        10 ** (-snr_db / 20) / np.sqrt(2)
    )
    magnitude = np.hypot(iq[:, 0], iq[:, 1])
    if "l1" in config.defects:
        iq /= magnitude.sum(axis=1)[:, None, None]
    else:
        iq /= np.sqrt(np.mean(magnitude**2, axis=1))[:, None, None]
    return iq[:frames]


def _received(
    rng: np.random.Generator, config: SignalConfig, name: str, size: int
) -> Complex64[np.ndarray, "frames samples"]:
    """Make `size` signals as they arrive, without noise."""
    guard = channel.REACH + int(np.ceil(max(config.delays, default=0.0))) if config.delays else 0
    samples = config.samples + 2 * guard
    cfo = rng.uniform(-1, 1, size)
    sro = (cfo if config.sro_linked else rng.uniform(-1, 1, size)) * config.sro_max * 1e-6
    signal = _sent(rng, config, name, size, samples, sro)
    if config.delays:
        doppler = rng.uniform(*config.doppler, size) / config.sample_rate
        gains = []
        for path, magnitude in enumerate(config.magnitudes):
            gain = channel.doppler_gain(rng, samples, doppler, config.rician_k if path == 0 else 0.0)
            gain *= np.float32(magnitude)
            if config.random_magnitudes and path:
                gain *= rng.uniform(0, 1, (size, 1)).astype(np.float32)
            gains.append(gain)
        signal = channel.multipath(signal, config.delays, gains)[:, guard : guard + config.samples]
    turn = 2 * np.pi * cfo * config.cfo_max / config.sample_rate
    phase = rng.uniform(0, 2 * np.pi, size)
    signal *= channel.turned(turn, phase, config.samples)
    return signal


def _sent(
    rng: np.random.Generator, config: SignalConfig, name: str, size: int, samples: int, sro: NDArray[np.float64]
) -> Complex64[np.ndarray, "frames samples"]:
    """Modulate random symbols, sampled by a clock that is off by `sro`, or messages."""
    if name in modulation.ANALOG:
        message = modulation.voice(rng, size, samples, config.sample_rate)
        if "silence" in config.defects:
            message[rng.random(size) < _SILENT_SHARE] = 0
        if name == "AM-SSB" and "ssb" in config.defects:
            message[:] = 0
        deviation = config.fm_deviation / config.sample_rate
        return modulation.analog(name, message, depth=config.am_depth, deviation=deviation)
    low, high = np.log(config.samples_per_symbol)
    per_symbol = np.exp(rng.uniform(low, high, size))
    timing = rng.uniform(0, 1, size) if config.random_timing else np.zeros(size)
    before = modulation.SPAN // 2 + 1
    times = before + timing[:, None] + np.arange(samples) * ((1 + sro) / per_symbol)[:, None]
    count = int(times[:, -1].max()) + before + 2
    if name in modulation.FREQUENCY:
        symbols = rng.choice(np.array([-1, 1], np.int8), (size, count))
        if name == "CPFSK":
            return modulation.continuous_phase(symbols, times, config.cpfsk_index, None)
        return modulation.continuous_phase(symbols, times, config.gfsk_index, config.gfsk_bt)
    points = modulation.CONSTELLATIONS[name]
    symbols = points[rng.integers(len(points), size=(size, count))]
    return modulation.linear(symbols, times, rng.uniform(*config.rolloff, size))
