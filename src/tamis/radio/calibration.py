"""Frames to set the ranges of an int8 network by."""

from __future__ import annotations

import numpy as np

from tamis.core.errors import ConfigError, ShapeError
from tamis.radio.config import NetworkConfig
from tamis.radio.data import Frames

_FRAMES = 2048


def calibration_frames(frames: Frames, config: NetworkConfig) -> Frames:
    """Choose about 2,048 frames, as many of every class at every signal-to-noise ratio, spread evenly over each.

    Args:
        frames: To choose from, such as the training frames; all are taken if there are fewer.
        config: Of the network that they are meant for.

    Returns:
        The same frames for the same input, in the order in which they came.

    Raises:
        ConfigError: If there is none.
        ShapeError: If they are not as long as the network's.
    """
    if not len(frames):
        raise ConfigError(f"{frames.name}: no frames; int8 ranges need some of every class and signal-to-noise ratio")
    if frames.samples != config.samples:
        raise ShapeError(f"{frames.name}: frames of {frames.samples} samples; the network reads {config.samples}")
    cells = np.unique(np.stack([frames.labels, frames.snr_db]), axis=1, return_inverse=True)[1].ravel()
    members = [np.flatnonzero(cells == cell) for cell in range(cells.max() + 1)]
    each = -(-_FRAMES // len(members))
    chosen = [cell[np.arange(n := min(each, len(cell))) * len(cell) // n] for cell in members]
    return frames.take(np.sort(np.concatenate(chosen)))
