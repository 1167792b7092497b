"""DivPrune against loops over pairs of patches."""

from __future__ import annotations

import math

import torch
from tests.vision.baselines.views import random_view, with_padding
from torch import Tensor

from tamis.vision.baselines.divprune import DivPrune, spread


def distance(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return 1 - dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def naive_spread(features: Tensor, keep: int, valid: Tensor) -> tuple[list[int], float]:
    """Pick one by one, over lists of numbers; return the picks and the smallest lead of a pick over the others."""
    rows = features.double().tolist()
    inside = [i for i, ok in enumerate(valid.tolist()) if ok]
    picks: list[int] = []
    lead = math.inf
    while len(picks) < min(keep, len(inside)):
        scores = {}
        for i in inside:
            if i not in picks:
                others = picks or [j for j in inside if j != i]
                scores[i] = round(min((distance(rows[i], rows[j]) for j in others), default=0.0), 12)
        best = max(scores, key=lambda i: (scores[i], -i))
        rivals = [score for score in scores.values() if score != scores[best]]
        lead = min(lead, scores[best] - max(rivals, default=-math.inf))
        picks.append(best)
    return sorted(picks), lead


def test_picks_equal_those_of_loops_over_pairs() -> None:
    clear = total = 0
    for seed in range(120):
        view = random_view(seed, units=2, grid=(3, 4), width=2 + 2 * (seed % 3))
        view = with_padding(view, seed) if seed % 2 else view
        valid = torch.ones(2, view.total, dtype=torch.bool) if view.valid is None else view.valid
        keep = 1 + seed % (view.total - 1)
        mask = DivPrune(keep).select(view, keep).mask
        for unit in range(2):
            wanted, lead = naive_spread(view.patches[unit], keep, valid[unit])
            total, clear = total + 1, clear + (lead > 1e-6)
            assert lead <= 1e-6 or mask[unit].nonzero().flatten().tolist() == wanted
    assert clear > 0.9 * total


def test_a_worked_case_starts_with_the_loneliest_and_goes_to_the_far_side() -> None:
    degrees = torch.tensor([0.0, 10.0, 50.0, 120.0, 125.0])
    angles = torch.deg2rad(degrees)
    features = torch.stack([angles.cos(), angles.sin()], dim=-1)[None]
    # 50° is 40° from its nearest, more than any other; 125° is then farthest from it (75°), then 0° (50° from 50°).
    assert spread(features, 1)[0].nonzero().flatten().tolist() == [2]
    assert spread(features, 2)[0].nonzero().flatten().tolist() == [2, 4]
    assert spread(features, 3)[0].nonzero().flatten().tolist() == [0, 2, 4]


def test_of_equal_distances_the_earlier_patch_wins() -> None:
    assert spread(torch.eye(4)[None], 2).tolist() == [[True, True, False, False]]
    # Components of ±1/2: every product is exact, and so is every tie. Patches 0 and 2 are copies; 1 and 3 are equally
    # lonely, and from 1 all others are equally far.
    signs = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, 1, 1], [-1, -1, -1, -1]]).float()
    assert spread(signs[None], 2).tolist() == [[True, True, False, False]]
    assert spread(signs[None], 3).tolist() == [[True, True, False, True]]


def test_the_length_of_features_does_not_matter() -> None:
    view = random_view(1, width=6)
    lengths = torch.rand(3, view.total, 1, generator=torch.Generator().manual_seed(0)) + 0.5
    assert torch.equal(spread(view.patches * lengths, 5), spread(view.patches, 5))
