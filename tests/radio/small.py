"""Tiny networks, and frames whose classes are tones that a network tells apart within an epoch or two."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tamis.radio.clst import ClST
from tamis.radio.config import ClSTConfig, KDCNNConfig, KDMobileNetConfig
from tamis.radio.data import Frames, Splits
from tamis.radio.kdcnn import KDCNN
from tamis.radio.kdmobilenet import KDMobileNet
from tamis.radio.network import Network

CLASSES = ("low", "middle", "high")
SAMPLES = 32
TASK: dict[str, Any] = {"classes": CLASSES, "samples": SAMPLES}


def clst_config(**changes: Any) -> ClSTConfig:
    stages: dict[str, Any] = {"dims": (8, 8), "depths": (1, 2), "heads": (1, 2), "kernels": (7, 3), "strides": (2, 2)}
    return ClSTConfig(**{**TASK, **stages, **changes})


def cnn_config(**changes: Any) -> KDCNNConfig:
    return KDCNNConfig(**{**TASK, "widths": (8, 8), "hidden": 8, **changes})


def mobile_config(**changes: Any) -> KDMobileNetConfig:
    return KDMobileNetConfig(**{**TASK, "widths": (4, 8), "expansion": 2, **changes})


def clst(seed: int = 0, **changes: Any) -> ClST:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ClST(clst_config(**changes))


def cnn(seed: int = 0, **changes: Any) -> KDCNN:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return KDCNN(cnn_config(**changes))


def mobile(seed: int = 0, **changes: Any) -> KDMobileNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return KDMobileNet(mobile_config(**changes))


EVERY = {"clst": clst, "kd-cnn": cnn, "kd-mobilenet": mobile}


def noise(frames: int = 4, seed: int = 0, samples: int = SAMPLES) -> torch.Tensor:
    return torch.randn(frames, 2, samples, generator=torch.Generator().manual_seed(seed))


def tones(frames: int, seed: int, noise: float = 0.2) -> Frames:
    """Turning pointers of three speeds, at 0 dB in every third frame, else at -10 or 10 dB."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), frames)
    turns = (labels[:, None] + 1) * 3 * np.arange(SAMPLES) / SAMPLES + rng.random((frames, 1))
    iq = np.exp(2j * np.pi * turns) + noise * (rng.normal(size=turns.shape) + 1j * rng.normal(size=turns.shape))
    return Frames(
        iq=np.stack([iq.real, iq.imag], axis=1).astype(np.float32),
        labels=labels,
        snr_db=np.resize(np.float32([0, -10, 10]), frames),
        classes=CLASSES,
        name="tones",
    )


def splits() -> Splits:
    return Splits(tones(96, 0), tones(48, 1), tones(48, 2))


def state(network: Network) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two states are equal bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
