"""Mel spectrograms against loops over their definition."""

import math

import numpy as np
import pytest

from tamis.audio.mel import MelConfig, filters, log_mel, power_spectrogram
from tamis.core.errors import ConfigError

SMALL = MelConfig(rate=8000, window=64, hop=24, bands=5, low=100.0, high=3500.0)


def test_a_power_spectrogram_is_the_fourier_transform_of_windowed_frames() -> None:
    samples = np.random.default_rng(0).normal(size=200).astype(np.float32)
    got = power_spectrogram(samples, 64, 24)
    assert got.shape == (200 // 24 + 1, 33)
    for frame in range(len(got)):
        for k in range(33):
            total = 0j
            for n in range(64):
                at = frame * 24 + n - 32
                hann = 0.5 - 0.5 * math.cos(2 * math.pi * n / 64)
                total += (samples[at] if 0 <= at < 200 else 0.0) * hann * np.exp(-2j * math.pi * k * n / 64)
            assert got[frame, k] == pytest.approx(abs(total) ** 2, rel=1e-3, abs=1e-4)


def test_filters_are_triangles_between_evenly_spaced_mels_that_add_up_to_one() -> None:
    def mel(f: float) -> float:
        return 2595 * math.log10(1 + f / 700)

    edges = [700 * (10 ** ((mel(100) + i * (mel(3500) - mel(100)) / 6) / 2595) - 1) for i in range(7)]
    for band, row in enumerate(filters(SMALL)):
        left, centre, right = edges[band : band + 3]
        wanted = []
        for k in range(33):
            f = k * 125.0
            up, down = (f - left) / (centre - left), (right - f) / (right - centre)
            wanted.append(max(0.0, min(up, down)))
        np.testing.assert_allclose(row, np.array(wanted) / sum(wanted), atol=1e-6)
        assert row.sum() == pytest.approx(1)


def test_a_tone_lights_the_band_that_holds_it_and_silence_none() -> None:
    config = MelConfig(rate=16_000, window=512, hop=160, bands=40)
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    mel = log_mel(tone, config)
    centres = [np.average(np.arange(257) * 16_000 / 512, weights=row) for row in filters(config)]
    assert abs(centres[int(mel[50].argmax())] - 1000) < 60
    assert not log_mel(np.zeros(1000, np.float32), config).any()
    assert mel.dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"low": 3600.0}, "low first"), ({"high": 4001.0}, "expected 0 to 4000"), ({"hop": 0}, "hop is 0")],
)
def test_what_makes_no_spectrogram_is_refused(changes: dict[str, float], said: str) -> None:
    values = {"rate": 8000, "window": 64, "hop": 24, "bands": 5, "low": 100.0, "high": 3500.0}
    with pytest.raises(ConfigError, match=said):
        MelConfig(**{**values, **changes})  # type: ignore[arg-type]


def test_more_bands_than_the_window_tells_apart_are_refused() -> None:
    with pytest.raises(ConfigError, match="bands hold no frequency of a window of 64 samples"):
        filters(MelConfig(rate=8000, window=64, hop=24, bands=60))
