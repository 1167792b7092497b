"""CDPruner's diversity term against volumes computed one set at a time."""

from __future__ import annotations

import math

import torch
from tests.vision.baselines.views import random_view, with_padding, with_patches
from torch import Tensor

from tamis.vision.baselines.cdpruner import CDPruner


def naive_volumes(features: Tensor, keep: int, valid: Tensor) -> tuple[list[int], float]:
    """Add, one by one, the patch whose set has the largest Gram determinant; return also the smallest lead."""
    directions = features.double() / features.double().norm(dim=-1, keepdim=True)
    picks: list[int] = []
    lead = math.inf
    for _ in range(keep):
        volumes = {}
        for i in valid.nonzero().flatten().tolist():
            if i not in picks:
                chosen = directions[[*picks, i]]
                volumes[i] = float(torch.linalg.det(chosen @ chosen.T)) if picks else 1.0
        best = max(volumes, key=lambda i: (volumes[i], -i))
        if picks:
            lead = min([lead, *(volumes[best] - volume for i, volume in volumes.items() if i != best)])
        picks.append(best)
    return sorted(picks), lead


def test_picks_span_the_largest_volume_step_by_step() -> None:
    clear = total = 0
    for seed in range(60):
        view = random_view(seed, units=2, grid=(3, 5), width=8)
        view = with_padding(view, seed) if seed % 2 else view
        valid = torch.ones(2, view.total, dtype=torch.bool) if view.valid is None else view.valid
        keep = 1 + seed % 5
        mask = CDPruner(keep).select(view, keep).mask
        for unit in range(2):
            wanted, lead = naive_volumes(view.patches[unit], min(keep, int(valid[unit].sum())), valid[unit])
            total, clear = total + 1, clear + (lead > 1e-6)
            assert lead <= 1e-6 or mask[unit].nonzero().flatten().tolist() == wanted
    assert clear > 0.9 * total


def test_copies_are_kept_last_and_in_raster_order() -> None:
    view = random_view(0, units=1, grid=(2, 3), width=4)
    a, b, c = torch.eye(4)[:3]
    view = with_patches(view, torch.stack([a, a, b, b, c, c])[None])
    assert CDPruner(3).select(view, 3).mask.tolist() == [[True, False, True, False, True, False]]
    assert CDPruner(4).select(view, 4).mask.tolist() == [[True, True, True, False, True, False]]
