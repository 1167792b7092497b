from __future__ import annotations

import hashlib
import os
import signal
from multiprocessing import get_context
from typing import Any

import jaxtyping
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import zoom_fft
from scipy.special import j0
from scipy.stats import binomtest, kstest, uniform
from tests.radio.test_modulation import ROLLOFF, SYMBOL_ERROR, pulse

from tamis.core.errors import ConfigError, LimitError
from tamis.radio import channel, modulation, signals
from tamis.radio.config import PRESETS, RML2016_CLASSES, SignalConfig
from tamis.radio.data import Frames
from tamis.radio.modulation import CONSTELLATIONS, MODULATIONS
from tamis.radio.signals import generate, signal_config

RATE = 200e3
STILL: dict[str, Any] = {"delays": (), "magnitudes": ()}
"""No fading."""

# sha256 of round(4096 iq) as int16, of every class at -10 and 10 dB, three frames each; and what they come to in three
# random directions, for builds whose last bits differ.
GOLDEN: dict[str, tuple[str, list[int]]] = {
    "rml2016": (
        "a4baaf901fee735a",
        [413397, -166804, 204166],
    ),
    "rml22": (
        "a1412439dd945fe3",
        [123717, -104608, -226235],
    ),
    "default": (
        "95119010c4f473c1",
        [-776622, -394108, -105724],
    ),
    "clean": (
        "74944469f713cdf3",
        [488260, -329402, -596375],
    ),
}


def complex_of(frames: Frames) -> NDArray[np.complex128]:
    return frames.iq[:, 0].astype(float) + 1j * frames.iq[:, 1]


def carriers(snr_db: int, per_cell: int = 2000, **changes: Any) -> NDArray[np.complex128]:
    """Frames of AM without a message: a carrier and noise."""
    settings = {"modulations": ("AM-DSB",), "am_depth": 0.0, "snrs_db": (snr_db,), "seed": 1, **changes}
    return complex_of(generate("clean", per_cell=per_cell, **settings))


def carrier_to_noise(iq: NDArray[np.complex128]) -> tuple[float, float]:
    """Power of the carriers over that of the noise, in dB, and the standard error of it."""
    frames, samples = iq.shape
    carrier = iq.mean(axis=1)
    noise = np.sum(np.abs(iq - carrier[:, None]) ** 2, axis=1) / (samples - 1)
    powers = np.abs(carrier) ** 2 - noise / samples
    error = np.hypot(powers.std() / powers.mean(), noise.std() / noise.mean()) / np.sqrt(frames)
    return float(10 * np.log10(powers.mean() / noise.mean())), float(10 / np.log(10) * error)


def upper_share(frames: Frames) -> NDArray[np.float64]:
    """Share of each frame's power, but for its slowest frequencies, above the carrier."""
    spectrum = np.abs(np.fft.fft(complex_of(frames) * np.hanning(frames.samples), axis=1)) ** 2
    half = frames.samples // 2
    above, below = spectrum[:, 2:half].sum(axis=1), spectrum[:, half + 1 : -1].sum(axis=1)
    return np.asarray(above / (above + below))


@pytest.mark.parametrize("snr_db", [-12, 0, 12, 30])
def test_the_label_is_the_power_of_the_signal_over_that_of_the_noise_in_the_whole_band(snr_db: int) -> None:
    measured, error = carrier_to_noise(carriers(snr_db))
    assert measured == pytest.approx(snr_db, abs=4 * error)


def test_noise_is_white_and_circular_and_normal() -> None:
    frames = generate("clean", per_cell=2000, seed=1, modulations=("AM-SSB",), snrs_db=(0,), defects=("ssb",))
    noise = complex_of(frames)
    tolerance = 4 / np.sqrt(noise.size)
    for lag in (1, 2, 7):
        assert abs(np.mean(noise[:, lag:] * noise[:, :-lag].conj())) < tolerance
    assert abs(np.mean(noise**2)) < np.sqrt(2) * tolerance
    fourth = 2 * 128 / 129  # of complex normal numbers, scaled to mean power 1 in frames of 128
    assert np.mean(np.abs(noise) ** 4) == pytest.approx(fourth, abs=np.sqrt(20) * tolerance)


@pytest.mark.parametrize(("name", "snr_db"), [("BPSK", -4), ("QPSK", -4), ("8PSK", 2), ("PAM4", 2), ("QAM64", 8)])
def test_labelled_frames_err_behind_a_matched_filter_as_theory_has_it(
    name: str, snr_db: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[NDArray[np.complex64]] = []
    shape = modulation.linear

    def spy(symbols: Any, times: Any, rolloffs: Any) -> Any:
        sent.append(symbols)
        assert times[0, 0] == 6
        return shape(symbols, times, rolloffs)

    monkeypatch.setattr(modulation, "linear", spy)
    frames = generate("clean", per_cell=64, seed=1, modulations=(name,), snrs_db=(snr_db,), samples=8192)
    taps = pulse(np.arange(-44, 45) / 8, ROLLOFF)
    filtered = np.stack([np.convolve(frame, taps) for frame in complex_of(frames)])[:, 44 + 64 : -44 - 64 : 8]
    (symbols,) = sent
    truth = symbols[:64, 6 + 8 : 6 + 8 + filtered.shape[1]]
    gain = np.sum(filtered * truth.conj(), axis=1) / np.sum(np.abs(truth) ** 2, axis=1)  # amplitude and phase
    points = CONSTELLATIONS[name]
    decided = points[np.abs((filtered / gain[:, None])[..., None] - points).argmin(axis=2)]
    expected = SYMBOL_ERROR[name](8 * 10 ** (snr_db / 10))
    assert binomtest(int(np.sum(decided != truth)), truth.size, expected).pvalue > 1e-4


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(MODULATIONS),
    snr_db=st.integers(-60, 60),
    samples=st.integers(16, 200),
    least=st.floats(1.5, 16),
    most=st.floats(1, 8),
    preset=st.sampled_from(list(PRESETS)),
    seed=st.integers(0, 2**40),
)
def test_any_modulation_ratio_length_and_rate_gives_finite_frames_of_power_one(
    name: str, snr_db: int, samples: int, least: float, most: float, preset: str, seed: int
) -> None:
    frames = generate(
        preset,
        per_cell=3,
        seed=seed,
        modulations=(name,),
        snrs_db=(snr_db,),
        samples=samples,
        samples_per_symbol=(least, least * most),
    )
    assert frames.iq.shape == (3, 2, samples)
    assert frames.iq.dtype == np.float32
    np.testing.assert_allclose(np.mean(np.sum(frames.iq.astype(float) ** 2, axis=1), axis=1), 1, rtol=1e-5)


def test_frames_stand_in_the_order_of_modulation_ratio_and_number() -> None:
    frames = generate(per_cell=3, seed=0, modulations=("QPSK", "BPSK"), snrs_db=(0, -10))
    assert frames.classes == ("QPSK", "BPSK")
    assert frames.labels.tolist() == [0] * 6 + [1] * 6
    assert frames.snr_db.tolist() == ([0] * 3 + [-10] * 3) * 2
    assert (frames.name, frames.samples, frames.samples_per_symbol) == ("default", 128, 8.0)
    again = generate(per_cell=3, seed=0, modulations=("BPSK",), snrs_db=(-10,), samples_per_symbol=(4.0, 16.0))
    assert again.samples_per_symbol == pytest.approx(8)


def test_a_cell_is_the_same_whatever_else_is_generated() -> None:
    all_of_them = generate(per_cell=300, seed=5, modulations=("BPSK", "WBFM", "GFSK"), snrs_db=(0, 10))
    cell = all_of_them.take((all_of_them.labels == 2) & (all_of_them.snr_db == 10))
    alone = generate(per_cell=300, seed=5, modulations=("GFSK",), snrs_db=(10,))
    np.testing.assert_array_equal(cell.iq, alone.iq)
    fewer = generate(per_cell=7, seed=5, modulations=("GFSK", "QPSK"), snrs_db=(10,))
    np.testing.assert_array_equal(cell.iq[:7], fewer.iq[:7])


def test_workers_share_the_work_and_change_nothing() -> None:
    wanted: dict[str, Any] = {"per_cell": 300, "seed": 2, "modulations": ("AM-SSB", "QAM16"), "snrs_db": (-4, 4)}
    assert generate(workers=2, **wanted).dataset == generate(**wanted).dataset


def test_frames_of_another_seed_ratio_or_chunk_are_others() -> None:
    def frames(seed: int, snr_db: int) -> NDArray[np.float32]:
        return generate(per_cell=512, seed=seed, modulations=("BPSK",), snrs_db=(snr_db,)).iq

    first, second, third = frames(0, 60), frames(1, 60), frames(0, 61)
    rows = np.concatenate([first, second, third]).reshape(3 * 512, -1)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.abs(rows @ rows.T - np.eye(len(rows))).max() < 0.999


@pytest.mark.parametrize("preset", PRESETS)
def test_frames_of_a_seed_are_pinned_so_that_old_results_can_be_made_again(preset: str) -> None:
    frames = generate(preset, per_cell=3, seed=11, snrs_db=(-10, 10))
    quantised = np.round(4096 * frames.iq).astype(np.int16)
    digest, projections = GOLDEN[preset]
    if hashlib.sha256(quantised.tobytes()).hexdigest()[:16] != digest:  # another processor may round otherwise
        directions = np.random.RandomState(0).randn(3, quantised.size)  # a stream that numpy keeps for ever
        np.testing.assert_allclose(directions @ quantised.ravel(), projections, atol=50)  # one in ten may be off by one


def test_carrier_offsets_and_phases_are_drawn_evenly() -> None:
    samples = 4096
    iq = carriers(60, 200, samples=samples, cfo_max=500.0)
    turned = np.unwrap(np.angle(iq), axis=1)
    hertz = np.polyfit(np.arange(samples), turned.T, 1)[0] / (2 * np.pi) * RATE
    assert kstest(hertz, uniform(-500, 1000).cdf).pvalue > 1e-4
    assert kstest(np.angle(iq[:, 0]), uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-4


def clock_lines(**changes: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sample rate offset in ppm and carrier offset in Hz of MSK frames, from the two lines of the squared signal."""
    samples, wide, fine = 2**15, 0.006, 2**13
    frames = generate(
        "clean", per_cell=24, seed=1, modulations=("CPFSK",), snrs_db=(60,), samples=samples, sro_max=2000.0, **changes
    )
    squared = complex_of(frames) ** 2

    def line(near: float) -> NDArray[np.float64]:
        spectrum = np.abs(zoom_fft(squared, [near - wide, near + wide], m=fine, fs=1.0, endpoint=True))
        return near - wide + 2 * wide * spectrum.argmax(axis=1) / (fine - 1)

    upper, lower = line(1 / 16), line(-1 / 16)
    return ((upper - lower) * 8 - 1) * 1e6, (upper + lower) / 4 * RATE


def test_sample_rate_offsets_are_drawn_evenly_and_alone() -> None:
    ppm, hertz = clock_lines(cfo_max=500.0)
    assert kstest(ppm, uniform(-2000, 4000).cdf).pvalue > 1e-4
    assert abs(np.corrcoef(ppm, hertz)[0, 1]) < 4 / np.sqrt(24)


def test_one_oscillator_makes_both_offsets_proportional() -> None:
    ppm, hertz = clock_lines(cfo_max=500.0, sro_linked=True)
    np.testing.assert_allclose(ppm, hertz * 4, atol=30)  # a step of the lines is 24 ppm


@pytest.mark.parametrize(("name", "modulator"), [("QPSK", "linear"), ("GFSK", "continuous_phase")])
def test_a_frame_begins_anywhere_in_a_symbol_or_at_its_peak(
    name: str, modulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins: list[NDArray[np.float64]] = []
    modulate = getattr(modulation, modulator)

    def spy(symbols: Any, times: Any, *more: Any) -> Any:
        begins.append(times[:, 0])
        return modulate(symbols, times, *more)

    monkeypatch.setattr(modulation, modulator, spy)
    for anywhere in (False, True):
        generate("clean", per_cell=256, seed=1, modulations=(name,), snrs_db=(60,), random_timing=anywhere)
    assert set(begins[0]) == {6.0}
    assert kstest(begins[1], uniform(6, 1).cdf).pvalue > 1e-4


def test_samples_per_symbol_are_drawn_evenly_on_a_logarithmic_scale() -> None:
    frames = generate(
        "clean",
        per_cell=256,
        seed=1,
        modulations=("CPFSK",),
        snrs_db=(60,),
        samples=4096,
        samples_per_symbol=(4.0, 16.0),
    )
    spectrum = np.abs(np.fft.fft(complex_of(frames) ** 2, axis=1))
    upper = spectrum[:, : 4096 // 2].argmax(axis=1) / 4096  # the line at half the symbol rate
    assert kstest(np.log(0.5 / upper), uniform(np.log(4), np.log(4)).cdf).pvalue > 1e-4


@pytest.mark.parametrize("preset", ["rml2016", "default", "rml22"])
def test_paths_have_the_delays_magnitudes_and_doppler_of_the_preset(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[NDArray[np.complex64]]] = []
    multipath = channel.multipath

    def spy(signal: Any, delays: Any, gains: Any) -> Any:
        assert delays == signal_config(preset).delays
        drawn.append(gains)
        return multipath(signal, delays, gains)

    monkeypatch.setattr(channel, "multipath", spy)
    generate(preset, per_cell=8 * 256, seed=1, modulations=("BPSK",), snrs_db=(0,))
    config, lag = signal_config(preset), 100
    for path, magnitude in enumerate(config.magnitudes):
        gain = np.concatenate([gains[path] for gains in drawn]).astype(complex)
        shrunk = 1 / 3 if config.random_magnitudes and path else 1.0  # mean square of a number from 0 to 1
        expected = magnitude**2 * shrunk
        power = np.abs(gain[:, 0]) ** 2
        error = power.std() / np.sqrt(len(power))
        assert power.mean() == pytest.approx(expected, abs=4 * error)
        # Of a line of sight, if there is one, on the first path only.
        sight = config.rician_k / (1 + config.rician_k) if path == 0 else 0.0
        scattered = 1 - sight
        fourth = sight**2 + 4 * sight * scattered + scattered**2 * (2 - 1 / 8)
        fourth *= 1 / 5 if shrunk < 1 else 1
        assert np.mean(power**2) == pytest.approx(magnitude**4 * fourth, abs=4 * (power**2).std() / np.sqrt(len(power)))
        products = (gain[:, lag] * gain[:, 0].conj()).real
        hertz = np.linspace(*config.doppler, 101)
        correlation = np.mean(j0(2 * np.pi * hertz / config.sample_rate * lag))
        assert products.mean() == pytest.approx(expected * correlation, abs=4 * products.std() / np.sqrt(len(power)))


def test_fading_behind_the_channel_is_a_fading_of_the_frame() -> None:
    def ripple(**changes: Any) -> NDArray[np.float64]:
        """How much the magnitude of a carrier varies within each frame."""
        wanted: dict[str, Any] = {"modulations": ("WBFM",), "snrs_db": (60,), "fm_deviation": 0.0, "samples": 256}
        return np.asarray(np.abs(complex_of(generate("clean", per_cell=400, seed=1, **wanted, **changes))).std(axis=1))

    two: dict[str, Any] = {"delays": (0.0, 1.0), "magnitudes": (1.0, 1.0)}
    assert ripple(**two, doppler=(0.0, 0.0)).max() < 0.01
    assert ripple(**two, doppler=(2000.0, 2000.0)).mean() > 0.1
    line_of_sight = ripple(delays=(0.0,), magnitudes=(1.0,), doppler=(2000.0, 2000.0), rician_k=1e6)
    assert line_of_sight.max() < 0.01


def test_what_a_delay_wraps_round_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[NDArray[np.complex64]] = []
    multipath = channel.multipath

    def spy(signal: Any, delays: Any, gains: Any) -> Any:
        sent.append(signal.copy())
        return multipath(signal, delays, gains)

    monkeypatch.setattr(channel, "multipath", spy)
    wanted: dict[str, Any] = {"modulations": ("QPSK",), "snrs_db": (60,), "delays": (40.0,), "magnitudes": (1.0,)}
    late = complex_of(generate("clean", per_cell=256, seed=1, **wanted))
    (early,) = sent
    early = early[:, channel.REACH : channel.REACH + 128]  # what was sent 40 samples before a frame
    likeness = (
        np.abs(np.sum(late * early.conj(), axis=1)) / np.linalg.norm(late, axis=1) / np.linalg.norm(early, axis=1)
    )
    assert likeness.min() > 0.999


@pytest.mark.parametrize("snr_db", [-5, 10])
def test_the_defect_snr_takes_an_amplitude_for_a_power(snr_db: int) -> None:
    measured, error = carrier_to_noise(carriers(snr_db, defects=("snr",)))
    assert measured == pytest.approx(2 * snr_db, abs=4 * error)


def test_the_defect_l1_scales_the_sum_of_magnitudes_to_one() -> None:
    plain, scaled = (generate(per_cell=5, seed=1, snrs_db=(0,), defects=defects) for defects in ((), ("l1",)))
    magnitudes = np.abs(complex_of(scaled))
    np.testing.assert_allclose(magnitudes.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        complex_of(plain), complex_of(scaled) / np.sqrt(np.mean(magnitudes**2, 1))[:, None, None][..., 0], atol=1e-5
    )


def test_the_defect_ssb_leaves_noise_alone_in_place_of_the_upper_sideband() -> None:
    def shares(defects: tuple[str, ...]) -> NDArray[np.float64]:
        wanted: dict[str, Any] = {"modulations": ("AM-SSB",), "snrs_db": (30,), "samples": 2048, "cfo_max": 0.0}
        return upper_share(generate("clean", per_cell=100, seed=1, defects=defects, **wanted))

    assert shares(()).min() > 0.95
    noise = shares(("ssb",))
    assert noise.mean() == pytest.approx(0.5, abs=4 * noise.std() / 10)


def test_the_defect_transients_lets_a_twentieth_of_the_frames_begin_before_the_signal() -> None:
    def late(defects: tuple[str, ...]) -> int:
        frames = generate("clean", per_cell=1024, seed=1, modulations=("CPFSK",), snrs_db=(30,), defects=defects)
        magnitude = np.abs(complex_of(frames))
        return int(np.sum(magnitude.min(axis=1) < 0.3 * magnitude.max(axis=1)))

    assert late(()) == 0
    assert binomtest(late(("transients",)), 1024, 0.05).pvalue > 1e-4


def test_what_a_transient_cuts_off_is_missing_from_the_signal_to_noise_ratio() -> None:
    iq = carriers(20, defects=("transients",))
    power = np.abs(iq) ** 2
    cut = np.where(power[:, 0] < 0.3 * power.max(axis=1))[0]
    assert len(cut)
    for frame in power[cut]:
        begins = int(np.argmax(frame > 0.3 * frame.max()))
        if 20 < begins < 100:
            noise, signal = frame[:begins].mean(), frame[begins:].mean()
            assert 10 * np.log10(signal / noise) == pytest.approx(20, abs=4 * 10 / np.log(10) / np.sqrt(begins))


def test_the_defect_silence_leaves_a_fifth_of_the_analog_frames_without_a_message() -> None:
    def silent(name: str, defects: tuple[str, ...]) -> int:
        frames = generate("clean", per_cell=1024, seed=1, modulations=(name,), snrs_db=(60,), defects=defects)
        iq = complex_of(frames)
        return int(np.sum(np.abs(iq - iq.mean(axis=1, keepdims=True)).max(axis=1) < 0.01))

    for name in ("AM-DSB", "WBFM"):
        assert silent(name, ()) == 0
        assert binomtest(silent(name, ("silence",)), 1024, 0.2).pvalue > 1e-4


@pytest.mark.parametrize(("defect", "concerned"), [("ssb", "AM-SSB"), ("silence", "AM-DSB AM-SSB WBFM")])
def test_a_defect_leaves_other_classes_as_they_were(defect: Any, concerned: str) -> None:
    plain = generate(per_cell=40, seed=1, snrs_db=(10,))
    defective = generate(per_cell=40, seed=1, snrs_db=(10,), defects=(defect,))
    same = np.all(plain.iq == defective.iq, axis=(1, 2))
    touched = {plain.classes[label] for label in np.unique(plain.labels[~same])}
    assert touched == set(concerned.split())


def test_presets_are_those_of_their_sources() -> None:
    rml2016, rml22 = SignalConfig.rml2016(), SignalConfig.rml22()
    default, clean = SignalConfig(), SignalConfig.clean()
    for config in (rml2016, default, clean):
        assert config.modulations == RML2016_CLASSES
        assert config.snrs_db == tuple(range(-20, 20, 2))
        assert (config.sample_rate, config.samples_per_symbol) == (200e3, (8.0, 8.0))
        assert (config.rolloff, config.cpfsk_index) == ((0.35, 0.35), 0.5)
    for config in (rml2016, default):
        assert (config.delays, config.magnitudes) == ((0.0, 0.9, 1.7), (1.0, 0.8, 0.3))
        assert config.rician_k == 4
    assert rml2016.gfsk_index == pytest.approx(0.1 * 8 / np.pi, rel=0.01)
    assert (rml2016.doppler, rml2016.random_magnitudes) == ((1.0, 1.0), False)
    assert rml2016.cfo_max * 128 / RATE * 2 * np.pi < 0.02  # radians over a frame: next to none
    assert (default.doppler, default.random_magnitudes) == ((0.0, 100.0), True)
    assert (default.cfo_max, default.sro_max, default.sro_linked) == (500, 50, False)
    assert (clean.delays, clean.cfo_max, clean.sro_max) == ((), 0, 0)
    assert rml22.modulations == tuple(name for name in RML2016_CLASSES if name != "AM-SSB")
    assert rml22.snrs_db == tuple(range(-20, 22, 2))
    assert rml22.sample_rate == pytest.approx(28.05e3, rel=1e-4)
    assert (rml22.samples_per_symbol, rml22.gfsk_bt) == ((2.0, 2.0), 0.3)
    assert rml22.gfsk_index == pytest.approx(1.57 * 2 / np.pi, rel=0.01)
    assert (rml22.cfo_max, rml22.sro_max, rml22.sro_linked) == (500, 5, True)
    nanoseconds = np.array(rml22.delays) / rml22.sample_rate * 1e9
    np.testing.assert_allclose(nanoseconds, [0, 50, 120, 200, 230, 500, 1600, 2300, 5000], atol=1e-6)
    decibels = 20 * np.log10(rml22.magnitudes)
    np.testing.assert_allclose(decibels, [-1, -1, -1, 0, 0, 0, -3, -5, -7], atol=1e-9)
    assert (rml22.rician_k, rml22.doppler, rml22.random_magnitudes) == (0, (70.0, 70.0), False)
    assert all(config.random_timing for config in (rml2016, rml22, default))


def test_a_configuration_can_be_given_and_changed() -> None:
    config = signal_config(SignalConfig.rml22(samples=64), snrs_db=(3,))
    assert (config.name, config.samples, config.snrs_db) == ("rml22", 64, (3,))
    assert generate(config, per_cell=1, seed=0).iq.shape == (10, 2, 64)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"preset": "rml2018"}, "'rml2018' is no preset of the signal generator; did you mean 'rml2016'?"),
        ({"sample": 64}, "'sample' is no setting of the signal generator; did you mean 'samples'?"),
        ({"modulations": ("BPKS",)}, "'BPKS' is no modulation that can be generated; did you mean 'BPSK'?"),
        ({"modulations": ()}, "modulations are (); expected different names, at least one"),
        ({"snrs_db": (0, 0)}, "snrs_db are (0, 0); expected different whole numbers from -100 to 100"),
        ({"snrs_db": (101,)}, "snrs_db are (101,); expected different whole numbers from -100 to 100"),
        ({"gfsk_bt": 0.1}, "gfsk_bt is 0.1; expected 0.15 to 100"),
        ({"samples": 15}, "samples is 15; expected 16 to 1000000"),
        ({"per_cell": 0}, "per_cell is 0 and workers is 1; expected at least 1 of each"),
        ({"workers": 0}, "per_cell is 1 and workers is 0; expected at least 1 of each"),
        ({"delays": (0.0,)}, "1 delays and 3 magnitudes; give one each a path"),
        ({"delays": (0.0, -1.0, 2.0)}, "delays are (0.0, -1.0, 2.0); expected 0 to 1000 samples"),
        ({"delays": (0.0, float("nan"), 2.0)}, "delays are (0.0, nan, 2.0); expected 0 to 1000 samples"),
        ({"magnitudes": (1.0, -0.5, 0.3)}, "magnitudes are (1.0, -0.5, 0.3); expected at least 0"),
        ({"magnitudes": (1.0, float("nan"), 0.3)}, "magnitudes are (1.0, nan, 0.3); expected at least 0"),
        ({"samples_per_symbol": (1.0, 8.0)}, "samples_per_symbol is (1.0, 8.0); expected (least, greatest)"),
        ({"samples_per_symbol": (1.0, float("inf"))}, "samples_per_symbol is (1.0, inf); expected two numbers"),
        ({"sample_rate": float("inf")}, "sample_rate is inf; expected more than 0"),
        ({"rolloff": (0.5, 0.2)}, "rolloff is (0.5, 0.2); expected (least, greatest), from 0 to 1"),
        ({"doppler": (-1.0, 2.0)}, "doppler is (-1.0, 2.0); expected (least, greatest) in Hz, at least 0"),
        ({"sample_rate": 0.0}, "sample_rate is 0.0; expected more than 0"),
        ({"cfo_max": float("nan")}, "cfo_max is nan; expected at least 0"),
    ],
)
def test_what_makes_no_signal_is_refused_in_one_line(wanted: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        generate(**{"per_cell": 1, "seed": 0, **wanted})
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wanted", [{"per_cell": 10**20}, {"per_cell": 10**6, "samples": 1_000_000}])
def test_more_frames_than_memory_holds_are_refused_at_once(wanted: dict[str, Any]) -> None:
    with pytest.raises(LimitError, match=r"frames take .* GB, the limit is 8\.0 GB"):
        generate(**{"seed": 0, **wanted})


def killed(chunk: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_frames", killed)
    monkeypatch.setattr(signals, "get_context", lambda _: get_context("fork"))
    with pytest.raises(LimitError, match="a worker process ended early"):
        generate(per_cell=1, seed=0, workers=2)


def test_a_misspelt_defect_is_refused() -> None:
    with pytest.raises((ConfigError, jaxtyping.TypeCheckError), match="slow"):
        SignalConfig(defects=("slow",))
