from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erfc
from scipy.stats import binomtest

from tamis.core.errors import ConfigError
from tamis.radio.modulation import (
    ANALOG,
    CONSTELLATIONS,
    MODULATIONS,
    SPAN,
    analog,
    check_modulation,
    continuous_phase,
    linear,
    root_raised_cosine,
    voice,
)

ROLLOFF = 0.35
RATE = 200e3

# C20, |C40|, C42 and C63 of unit-power constellations, as tabulated by Swami and Sadler for the first three.
CUMULANTS = {
    "BPSK": (1, 2, -2, None),
    "PAM4": (1, 1.36, -1.36, None),
    "QPSK": (0, 1, -1, 4),
    "8PSK": (0, 0, -1, None),
    "QAM16": (0, 0.68, -0.68, 2.08),
    "QAM64": (0, 0.619, -0.619, 1.797),
}


def q(x: float) -> float:
    """Tail of the normal distribution."""
    return float(erfc(x / np.sqrt(2)) / 2)


def psk_error(points: int, esn0: float) -> float:
    """Symbol error rate of PSK, by Craig's integral."""
    angle = np.linspace(1e-6, np.pi - np.pi / points, 20_001)
    return float(np.trapezoid(np.exp(-esn0 * (np.sin(np.pi / points) / np.sin(angle)) ** 2), angle) / np.pi)


def qam_error(points: int, esn0: float) -> float:
    """Symbol error rate of square QAM: two independent PAMs."""
    one = 2 * (1 - 1 / np.sqrt(points)) * q(np.sqrt(3 * esn0 / (points - 1)))
    return 1 - (1 - one) ** 2


SYMBOL_ERROR: dict[str, Callable[[float], float]] = {
    "BPSK": lambda esn0: q(np.sqrt(2 * esn0)),
    "QPSK": lambda esn0: 2 * q(np.sqrt(esn0)) - q(np.sqrt(esn0)) ** 2,
    "8PSK": lambda esn0: psk_error(8, esn0),
    "PAM4": lambda esn0: 2 * (1 - 1 / 4) * q(np.sqrt(6 * esn0 / (4**2 - 1))),
    "QAM16": lambda esn0: qam_error(16, esn0),
    "QAM64": lambda esn0: qam_error(64, esn0),
}


def pulse(t: NDArray[np.float64], rolloff: float) -> NDArray[np.float64]:
    """The root-raised-cosine by its three published cases."""
    out = np.empty_like(t)
    for i, x in enumerate(t):
        if abs(x) < 1e-12:
            out[i] = 1 + rolloff * (4 / np.pi - 1)
        elif rolloff and abs(abs(x) - 1 / (4 * rolloff)) < 1e-12:
            a = np.pi / (4 * rolloff)
            out[i] = rolloff / np.sqrt(2) * ((1 + 2 / np.pi) * np.sin(a) + (1 - 2 / np.pi) * np.cos(a))
        else:
            top = np.sin(np.pi * x * (1 - rolloff)) + 4 * rolloff * x * np.cos(np.pi * x * (1 + rolloff))
            out[i] = top / (np.pi * x * (1 - (4 * rolloff * x) ** 2))
    return out


def draw(name: str, frames: int, symbols: int) -> tuple[NDArray[np.int64], NDArray[np.complex64]]:
    points = CONSTELLATIONS[name]
    index = np.random.default_rng(0).integers(len(points), size=(frames, symbols))
    return index, points[index]


def shaped(symbols: NDArray[np.complex64], per_symbol: float, rolloff: float = ROLLOFF) -> NDArray[np.complex64]:
    """Samples between the first and last 6 symbols; the sample 0 is the peak of symbol 6."""
    count = int((symbols.shape[1] - 12) * per_symbol)
    times = np.tile(6 + np.arange(count) / per_symbol, (len(symbols), 1))
    return linear(symbols, times, np.full(len(symbols), rolloff))


def noise(shape: tuple[int, ...], snr_db: float) -> NDArray[np.complex128]:
    real, imaginary = np.random.default_rng(1).normal(0, np.sqrt(0.5), (2, *shape))
    return (real + 1j * imaginary) * 10 ** (-snr_db / 20)


@pytest.mark.parametrize("name", CONSTELLATIONS)
def test_points_differ_and_have_mean_energy_one(name: str) -> None:
    points = CONSTELLATIONS[name].astype(complex)
    assert np.mean(np.abs(points) ** 2) == pytest.approx(1, abs=1e-6)
    assert len(set(points.round(4))) == len(points)
    if name != "OOK":
        assert abs(points.mean()) < 1e-6


@pytest.mark.parametrize("name", CUMULANTS)
def test_constellations_have_the_tabulated_cumulants(name: str) -> None:
    s = CONSTELLATIONS[name].astype(complex)
    m20, m42, m63 = np.mean(s**2), np.mean(np.abs(s) ** 4), np.mean(np.abs(s) ** 6)
    c20, c40, c42, c63 = CUMULANTS[name]
    assert abs(m20) == pytest.approx(c20, abs=1e-6)
    assert abs(np.mean(s**4) - 3 * m20**2) == pytest.approx(c40, abs=1e-3)
    assert m42 - abs(m20) ** 2 - 2 == pytest.approx(c42, abs=1e-3)
    if c63 is not None:
        assert m63 - 9 * m42 + 12 == pytest.approx(c63, abs=1e-3)


@pytest.mark.parametrize("rolloff", [0.0, 0.2, 0.25, 0.35, 0.5, 1.0])
def test_the_pulse_is_the_published_one_at_every_time(rolloff: float) -> None:
    t = np.arange(-48, 49) / 8
    np.testing.assert_allclose(root_raised_cosine(t, rolloff), pulse(t, rolloff), atol=3e-6)


def test_the_cut_pulse_through_its_own_filter_leaves_less_than_minus_49_db_between_symbols() -> None:
    one = np.zeros((1, 25), np.complex64)
    one[0, 12] = 1
    full = linear(one, 12 + np.arange(-44, 45)[None] / 8, np.array([ROLLOFF]))[0]
    both = np.convolve(full, full)
    peak = len(both) // 2
    others = np.delete(both[peak % 8 :: 8], peak // 8)
    assert np.abs(others).max() / both[peak] < 10 ** (-49 / 20)


def test_the_power_spectrum_is_halved_at_half_the_symbol_rate_and_ends_at_the_occupied_band() -> None:
    t = np.arange(-64 * 8, 64 * 8) / 8
    power = np.abs(np.fft.fft(root_raised_cosine(t, ROLLOFF))) ** 2
    frequency = np.abs(np.fft.fftfreq(len(t), 1 / 8))  # in symbol rates
    at_half = power[frequency == 0.5]
    np.testing.assert_allclose(at_half / power[0], 0.5, rtol=0.01)
    assert power[frequency > (1 + ROLLOFF) / 2 + 0.02].sum() < 1e-4 * power.sum()


@pytest.mark.parametrize("per_symbol", [2.0, 2.7, 8.0])
def test_mean_sample_power_is_one_at_any_rate(per_symbol: float) -> None:
    _, symbols = draw("QPSK", 64, 1012)
    power = np.abs(shaped(symbols, per_symbol)) ** 2
    means = power.mean(axis=1)
    assert means.mean() == pytest.approx(1, abs=4 * means.std() / np.sqrt(len(means)))


def test_shaping_is_the_sum_of_pulses_at_any_time_and_rolloff() -> None:
    _, symbols = draw("QAM16", 3, 40)
    rolloffs = np.array([0.2, 0.35, 0.5])
    times = 6.3 + np.arange(200) / 8.37 + np.array([[0], [0.1], [0.7]])
    out = linear(symbols, times, rolloffs)
    for row in range(3):
        apart = times[row][:, None] - np.arange(40)
        cut = pulse(apart.ravel(), rolloffs[row]).reshape(apart.shape) * (np.abs(apart) <= SPAN / 2)
        expected = cut @ symbols[row]
        error = np.mean(np.abs(out[row] - expected) ** 2) / np.mean(np.abs(expected) ** 2)
        assert 10 * np.log10(error) < -65


@pytest.mark.parametrize("snr_db", [-4, 2, 8])
@pytest.mark.parametrize("name", SYMBOL_ERROR)
def test_symbol_errors_behind_a_matched_filter_are_as_theory_has_them(name: str, snr_db: int) -> None:
    index, symbols = draw(name, 8, 8012)
    clean = shaped(symbols, 8)
    received = clean + noise(clean.shape, snr_db)
    taps = pulse(np.arange(-44, 45) / 8, ROLLOFF)
    taps /= np.sqrt(8 * np.sum(taps**2))  # gain 1
    filtered = np.stack([np.convolve(frame, taps) for frame in received])[:, 44 + 8 * 8 : -44 - 8 * 8 : 8]
    sent = index[:, 14 : 14 + filtered.shape[1]]
    decided = np.abs(filtered[..., None] - CONSTELLATIONS[name]).argmin(axis=2)
    errors = int(np.sum(decided != sent))
    expected = SYMBOL_ERROR[name](8 * 10 ** (snr_db / 10))
    assert binomtest(errors, sent.size, expected).pvalue > 1e-4


@pytest.mark.parametrize("snr_db", [-6, 0])
def test_orthogonal_frequency_shift_keying_errs_as_theory_has_it(snr_db: int) -> None:
    symbols = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (8, 5000))
    times = np.tile(np.arange(8 * 5000) / 8, (8, 1))
    received = continuous_phase(symbols, times, 1.0, None)
    received = (received + noise(received.shape, snr_db)).reshape(8, 5000, 8)
    tones = np.exp(1j * np.pi * np.outer([-1, 1], np.arange(8) / 8))
    decided = np.sign(np.diff(np.abs(received @ tones.conj().T), axis=2)[..., 0])
    expected = 0.5 * np.exp(-8 * 10 ** (snr_db / 10) / 2)  # without phase, Es/N0 = Eb/N0 = 8 SNR
    assert binomtest(int(np.sum(decided != symbols)), symbols.size, expected).pvalue > 1e-4


@pytest.mark.parametrize(("index", "bt"), [(0.5, None), (0.5, 0.35), (1.0, 0.3), (0.255, 0.35)])
def test_phase_is_the_integral_of_filtered_frequency(index: float, bt: float | None) -> None:
    symbols = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (2, 40))
    times = 6.37 + np.arange(140) / 5.3 + np.array([[0], [0.21]])
    out = continuous_phase(symbols, times, index, bt)
    fine = 400
    frequency = np.repeat(symbols.astype(float), fine, axis=1)
    if bt is not None:
        t = np.arange(-4 * fine, 4 * fine + 1) / fine
        window = np.exp(-2 * np.pi**2 * bt**2 * t**2 / np.log(2))
        frequency = np.stack([np.convolve(row, window / window.sum(), mode="same") for row in frequency])
    phase = np.pi * index * np.cumsum(np.pad(frequency, ((0, 0), (1, 0))), axis=1) / fine
    expected = np.stack([np.interp(times[row], np.arange(phase.shape[1]) / fine, phase[row]) for row in range(2)])
    turned = out * np.exp(-1j * expected)
    assert np.abs(np.angle(turned / turned[:, :1])).max() < np.pi * index / fine


def test_minimum_shift_keying_turns_by_a_quarter_a_symbol() -> None:
    symbols = np.array([[1, 1, -1, 1, -1, -1, -1, 1]], np.int8)
    out = continuous_phase(symbols, np.arange(8.0)[None], 0.5, None)
    np.testing.assert_allclose(out[0], [1, 1j, -1, 1j, -1, 1j, 1, -1j], atol=1e-6)


def test_a_voice_lies_in_its_band_at_positive_frequencies_and_falls_as_said() -> None:
    message = voice(np.random.default_rng(0), 400, 8192, RATE)
    spectrum = np.mean(np.abs(np.fft.fft(message * np.hanning(8192), axis=1)) ** 2, axis=0)
    frequency = np.fft.fftfreq(8192, 1 / RATE)
    outside = (frequency < 200) | (frequency > 5100)
    assert spectrum[outside].sum() < 1e-5 * spectrum.sum()

    def level(hz: float) -> float:
        return float(spectrum[np.abs(frequency - hz) < 150].mean())

    bins = 12 / 1.5 * 400  # neighbouring bins of the window share half of their noise
    ratio = level(2400) / level(800)
    assert ratio == pytest.approx((1 + 1) / (1 + 9), rel=0.02 + 4 * np.sqrt(2 / bins))  # 2 %: the curve within a level
    assert np.mean(np.abs(message.real) > 1) < 0.0027  # three standard deviations at the loudest


def test_a_long_voice_has_no_seams() -> None:
    message = voice(np.random.default_rng(0), 2, 20_000, RATE)
    spectrum = np.abs(np.fft.fft(message * np.hanning(20_000), axis=1)) ** 2
    assert spectrum[:, 2000:].sum() < 1e-9 * spectrum.sum()  # above 20 kHz, and below the carrier


def test_double_sideband_is_a_carrier_whose_amplitude_is_the_message() -> None:
    message = voice(np.random.default_rng(0), 3, 512, RATE)
    out = analog("AM-DSB", message, depth=0.8, deviation=0.0)
    np.testing.assert_allclose(out, 1 + 0.8 * message.real, atol=1e-6)


def test_single_sideband_has_no_lower_sideband() -> None:
    out = analog("AM-SSB", voice(np.random.default_rng(0), 20, 8192, RATE), depth=0.8, deviation=0.0)
    spectrum = np.abs(np.fft.fft(out * np.hanning(8192), axis=1)) ** 2
    assert spectrum[:, 4097:].sum() < 1e-7 * spectrum.sum()


def test_the_frequency_of_wideband_fm_is_the_message() -> None:
    message = voice(np.random.default_rng(0), 3, 2048, RATE)
    out = analog("WBFM", message, depth=0.8, deviation=75e3 / RATE)
    np.testing.assert_allclose(np.abs(out), 1, atol=1e-6)
    frequency = np.angle(out[:, 1:] * out[:, :-1].conj()) / (2 * np.pi) * RATE
    expected = 75e3 * message.real[:, 1:]
    within = np.abs(expected) < RATE / 2
    np.testing.assert_allclose(frequency[within], expected[within], atol=1)


def test_a_misspelt_modulation_is_refused_with_the_one_that_was_meant() -> None:
    for name in MODULATIONS:
        check_modulation(name)
    assert set(ANALOG) < set(MODULATIONS)
    with pytest.raises(ConfigError, match=r"^'QAM46' is no modulation that can be generated; did you mean 'QAM64'\?$"):
        check_modulation("QAM46")
