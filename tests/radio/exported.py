"""Networks and frames to export: small, untrained, with batch normalisations that do something."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from tamis.radio.config import NetworkConfig
from tamis.radio.data import Frames
from tamis.radio.network import Network


def some_frames(config: NetworkConfig, count: int = 256, seed: int = 0) -> Frames:
    """Noise, tones and steps of all scales: as unlike each other as classes are."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(config.classes)
    snr_db = (np.arange(count) // len(config.classes) % 4 * 6.0).astype(np.float32)
    time = np.arange(config.samples)
    phase = 2 * np.pi * (labels[:, None] / 23 * time + rng.uniform(size=(count, 1)))
    steps = np.where(labels[:, None] % 2, np.sign(np.sin(time / 5)), 1)
    tone = np.stack([np.cos(phase) * steps, np.sin(phase)], axis=1)
    noise = rng.normal(size=tone.shape) * 10 ** (-snr_db / 20)[:, None, None]
    scale = 10 ** rng.uniform(-3, 3, size=(count, 1, 1))
    return Frames(((tone + noise) * scale).astype(np.float32), labels, snr_db, config.classes, "some")


def lively(network: Network, seed: int = 0) -> Network:
    """Give a network weights of unlike sizes, and batch normalisations the statistics of data."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.5)
            module.momentum = None
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, 0, 1.5 / module.weight[0].numel() ** 0.5)
    network.train()
    with torch.no_grad():
        network(torch.from_numpy(some_frames(network.config, seed=seed + 1).iq))
    return network.eval()
