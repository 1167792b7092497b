from __future__ import annotations

import numpy as np
import pytest

from tamis.core.errors import ConfigError, ShapeError
from tamis.radio.calibration import calibration_frames
from tamis.radio.config import NetworkConfig
from tamis.radio.data import Frames

CONFIG = NetworkConfig(classes=("a", "b"), samples=16)


def frames(counts: dict[tuple[int, float], int]) -> Frames:
    """Frames of each (class, SNR), whose first sample says which of its kind it is."""
    labels = np.repeat([label for label, _ in counts], list(counts.values()))
    snr_db = np.repeat(np.array([snr for _, snr in counts], np.float32), list(counts.values()))
    iq = np.zeros((len(labels), 2, 16), np.float32)
    iq[:, 0, 0] = np.concatenate([np.arange(count) for count in counts.values()])
    return Frames(iq, labels, snr_db, ("a", "b"), "some")


def test_every_class_and_snr_gives_as_many_spread_over_its_frames() -> None:
    chosen = calibration_frames(frames({(0, -4.0): 3000, (0, 8.0): 5000, (1, 8.0): 683}), CONFIG)
    for label, snr, last in ((0, -4.0, 2995), (0, 8.0, 4992), (1, 8.0, 682)):
        numbers = chosen.iq[(chosen.labels == label) & (chosen.snr_db == snr), 0, 0]
        assert len(numbers) == 683  # 2048 / 3, rounded up
        assert (numbers[0], numbers[-1]) == (0, last)
        assert np.ptp(np.diff(numbers)) <= 1


def test_all_of_few_frames_are_taken_in_their_order() -> None:
    few = frames({(1, 0.0): 5, (0, 2.0): 1})
    assert np.array_equal(calibration_frames(few, CONFIG).iq, few.iq)


def test_no_frames_are_refused() -> None:
    with pytest.raises(ConfigError, match="some: no frames; int8 ranges need some"):
        calibration_frames(frames({(0, 0.0): 0}), CONFIG)


def test_frames_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="some: frames of 16 samples; the network reads 128"):
        calibration_frames(frames({(0, 0.0): 2}), NetworkConfig())
