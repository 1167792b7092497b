from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import j0

from tamis.radio import channel
from tamis.radio.channel import REACH, doppler_gain, multipath, waves

FRAMES = 4000
WAVES = 8


def gains(samples: int, doppler: float, rician_k: float, frames: int = FRAMES) -> NDArray[np.complex64]:
    return doppler_gain(np.random.default_rng(0), samples, np.full(frames, doppler), rician_k)


def fourth_moment(rician_k: float) -> float:
    """E|h|⁴ of a line of sight and eight waves, of mean power 1 together."""
    sight, scattered = rician_k / (1 + rician_k), 1 / (1 + rician_k)
    return sight**2 + 4 * sight * scattered + scattered**2 * (2 - 1 / WAVES)


def tone(frequency: float, samples: int) -> NDArray[np.complex64]:
    return np.exp(2j * np.pi * frequency * np.arange(samples)).astype(np.complex64)[None]


@pytest.mark.parametrize("rician_k", [0.0, 1.0, 4.0, 20.0])
def test_mean_power_is_one_and_the_line_of_sight_has_its_share(rician_k: float) -> None:
    frames = 100_000
    power = np.abs(gains(1, 0.0, rician_k, frames)[:, 0]).astype(float) ** 2
    spread = np.sqrt(fourth_moment(rician_k) - 1)
    assert power.mean() == pytest.approx(1, abs=4 * spread / np.sqrt(frames))
    fourth = power**2
    assert fourth.mean() == pytest.approx(fourth_moment(rician_k), abs=4 * fourth.std() / np.sqrt(frames))


@pytest.mark.parametrize(("doppler", "samples"), [(5e-4, 166), (0.01, 60), (0.01, 400), (0.05, 100)])
@pytest.mark.parametrize("rician_k", [0.0, 4.0])
def test_correlation_over_time_is_the_bessel_function_of_jakes(doppler: float, samples: int, rician_k: float) -> None:
    gain = gains(samples, doppler, rician_k)
    for lag in (samples // 4, samples // 2, samples - 1):
        products = gain[:, lag] * gain[:, 0].conj()
        expected = j0(2 * np.pi * doppler * lag)
        tolerance = 4 * np.sqrt(fourth_moment(rician_k) / FRAMES)
        assert products.real.mean() == pytest.approx(expected, abs=tolerance)
        assert products.imag.mean() == pytest.approx(0, abs=tolerance)


def test_a_gain_without_doppler_stands_still_and_differs_between_frames() -> None:
    gain = gains(50, 0.0, 4.0, frames=20)
    np.testing.assert_array_equal(gain, gain[:, :1].repeat(50, axis=1))
    assert len(np.unique(gain[:, 0])) == 20


@pytest.mark.parametrize(("doppler", "samples"), [(0.0025, 1001), (1e-5, 1001), (0.02, 101), (0.0003, 1001)])
def test_a_gain_between_its_points_is_within_minus_58_db(
    doppler: float, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gain = gains(samples, doppler, 4.0, frames=50)
    monkeypatch.setattr(channel, "_STEP", 1e-9)
    monkeypatch.setattr(channel, "_STRAIGHT", 0.0)
    exact = gains(samples, doppler, 4.0, frames=50)  # the same waves, computed at every sample
    error = 10 * np.log10(np.mean(np.abs(gain - exact) ** 2))
    assert -150 < error < -58


def test_long_frames_are_drawn_through_the_same_cubics(monkeypatch: pytest.MonkeyPatch) -> None:
    dense = gains(1001, 0.0025, 4.0, frames=50)
    monkeypatch.setattr(channel, "_DENSE", 1000)
    np.testing.assert_allclose(gains(1001, 0.0025, 4.0, frames=50), dense, atol=1e-5)


def test_two_frames_may_have_different_doppler() -> None:
    gain = doppler_gain(np.random.default_rng(0), 200, np.array([0.0, 0.02]), 0.0)
    assert np.ptp(np.abs(gain[0])) < 1e-6
    assert np.ptp(np.abs(gain[1])) > 0.1


@pytest.mark.parametrize("delay", [0.0, 0.14, 0.9, 1.7, 7.35, 23.5])
@pytest.mark.parametrize("frequency", [0.0, 0.05, 0.2, 0.34, 0.4, -0.3])
def test_a_delayed_tone_is_the_tone_at_an_earlier_time(delay: float, frequency: float) -> None:
    samples = 256
    out = multipath(tone(frequency, samples), (delay,), [np.ones((1, samples), np.complex64)])
    margin = REACH + int(np.ceil(delay))
    expected = np.exp(2j * np.pi * frequency * (np.arange(samples) - delay))
    error = np.abs(out[0] - expected)[margin : samples - margin].max()
    assert 20 * np.log10(max(error, 1e-9)) < -80


def test_a_whole_delay_is_a_shift() -> None:
    rng = np.random.default_rng(0)
    signal = (rng.normal(size=(2, 128)) + 1j * rng.normal(size=(2, 128))).astype(np.complex64)
    out = multipath(signal, (3.0,), [np.ones((2, 128), np.complex64)])
    np.testing.assert_allclose(out[:, 20:-20], np.roll(signal, 3, axis=1)[:, 20:-20], atol=1e-5)


def test_paths_add_up_each_under_its_own_gain_over_time() -> None:
    rng = np.random.default_rng(0)
    samples, delays = 128, (0.0, 0.9, 1.7)
    signal = tone(0.1, samples) + tone(-0.23, samples)
    drawn = rng.normal(size=(3, 2, 1, samples))
    paths = [(real + 1j * imaginary).astype(np.complex64) for real, imaginary in drawn]
    out = multipath(signal, delays, paths)[0]
    n = np.arange(samples)
    expected = sum(
        path[0] * sum(np.exp(2j * np.pi * frequency * (n - delay)) for frequency in (0.1, -0.23))
        for delay, path in zip(delays, paths, strict=True)
    )
    np.testing.assert_allclose(out[18:-18], expected[18:-18], atol=1e-3)


def test_as_many_gains_as_delays_are_wanted() -> None:
    with pytest.raises(ValueError, match="shorter"):
        multipath(tone(0.1, 64), (0.0, 1.0), [np.ones((1, 64), np.complex64)])


@pytest.mark.parametrize(("count", "points"), [(1, 100), (1, 1024), (8, 11), (8, 40), (8, 257)])
def test_a_sum_of_waves_is_the_same_from_tables(count: int, points: int) -> None:
    rng = np.random.default_rng(points)
    turn, phase = rng.uniform(-1, 1, (5, count)), rng.uniform(0, 2 * np.pi, (5, count))
    at = np.arange(-1.0, points - 1) * 3.7
    wanted = sum(np.exp(1j * (turn[:, i, None] * at + phase[:, i, None])) for i in range(count))
    np.testing.assert_allclose(waves(turn, phase, at), wanted, atol=1e-9)


def test_long_frames_are_delayed_as_short_ones_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((2, 1058, 2), np.float32).view(np.complex64)[:, :, 0]
    gains = [np.ones_like(signal)] * 2
    long = multipath(signal, (0.0, 2.6), gains)
    monkeypatch.setattr(channel, "_FEW", 2000)
    direct = multipath(signal, (0.0, 2.6), gains)
    inside = slice(REACH + 3, -REACH - 3)
    np.testing.assert_allclose(long[:, inside], direct[:, inside], atol=1e-4)
