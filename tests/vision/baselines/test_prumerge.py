"""PruMerge+ against loops over patches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from tests.vision.baselines.views import RUN, random_view, with_padding

from tamis.vision.baselines.prumerge import PruMergePlus, keep_outliers_and_sample, merge
from tamis.vision.view import View


def naive_merge(view: View, unit: int, keep: int) -> tuple[list[int], dict[int, np.ndarray], bool]:
    """Kept patches of a unit, their features in float64, and whether every neighbourhood was clear."""
    patches = view.patches[unit].double().numpy()
    keys = view.keys[RUN][unit].double().numpy()
    query = view.queries[RUN][unit].double().numpy()
    inside = [i for i in range(view.total) if view.valid is None or bool(view.valid[unit, i])]
    if len(inside) <= keep:
        return inside, {i: patches[i] for i in inside}, True
    weights = np.array([np.exp(query @ key / len(query) ** 0.5) for key in keys])
    attention = (weights / weights.sum())[1:]
    low, high = np.percentile(attention[inside], [25, 75])
    outliers = [i for i in sorted(inside, key=lambda i: -attention[i]) if attention[i] > high + 1.5 * (high - low)]
    kept = outliers[: keep // 2]
    others = [i for i in inside if i not in kept]
    part = len(others) / (keep - len(kept))
    kept = sorted(kept + [others[int((n + 0.5) * part + 1e-9)] for n in range(keep - len(kept))])
    features, clear = {}, True
    for i in kept:
        cosine = {
            j: keys[i + 1] @ keys[j + 1] / np.linalg.norm(keys[i + 1]) / np.linalg.norm(keys[j + 1])
            for j in inside
            if j != i
        }
        ranked = sorted(cosine, key=lambda j: -cosine[j])
        features[i] = patches[i] + sum(attention[j] * patches[j] for j in ranked[:32])
        clear &= len(ranked) <= 32 or cosine[ranked[31]] - cosine[ranked[32]] > 1e-6
    return kept, features, bool(clear)


def test_kept_patches_and_features_equal_those_of_loops_over_patches() -> None:
    clear = total = 0
    for seed in range(50):
        view = random_view(seed, units=2, grid=(6, 8))
        view = with_padding(view, seed) if seed % 2 else view
        keep = 1 + (seed * 7) % (view.total - 1)
        selection = PruMergePlus(keep).select(view, keep)
        for unit in range(2):
            kept, features, sure = naive_merge(view, unit, keep)
            total, clear = total + 1, clear + sure
            assert selection.mask[unit].nonzero().flatten().tolist() == kept
            if sure and kept:
                wanted = torch.tensor(np.array([features[i] for i in kept]), dtype=torch.float32)
                torch.testing.assert_close(selection.patches[unit][kept], wanted)
    assert clear > 0.9 * total


def test_without_outliers_the_sample_is_regular() -> None:
    row, valid = torch.full((12,), 1 / 13), torch.ones(12, dtype=torch.bool)
    assert keep_outliers_and_sample(row, 4, valid).nonzero().flatten().tolist() == [1, 4, 7, 10]
    assert keep_outliers_and_sample(row, 1, valid).nonzero().flatten().tolist() == [6]


def test_outliers_take_at_most_half_of_the_budget() -> None:
    row, valid = torch.full((40,), 0.01), torch.ones(40, dtype=torch.bool)
    row[:6] = torch.tensor([0.1, 0.3, 0.2, 0.5, 0.4, 0.6])
    kept = keep_outliers_and_sample(row, 8, valid).nonzero().flatten().tolist()
    # The four highest of the six; numbers 4, 13, 22 and 31 of the 36 others 0, 2, 6, 7 …
    assert kept == [1, 3, 4, 5, 8, 17, 26, 35]


def test_padding_is_merged_into_nothing() -> None:
    view = random_view(2, units=1, grid=(2, 3))
    valid = torch.tensor([True, True, True, True, False, False])
    mask = torch.tensor([True, False, False, False, False, False])
    row = torch.full((6,), 0.1)
    merged = merge(view.patches[0], view.keys[RUN][0, 1:], row, mask, valid)
    torch.testing.assert_close(merged[0], view.patches[0, 0] + 0.1 * view.patches[0, 1:4].sum(0))
    assert torch.equal(merged[1:], view.patches[0, 1:])


def test_heads_are_not_told_apart() -> None:
    view = random_view(3)
    assert torch.equal(PruMergePlus(5).select(replace(view, heads=1), 5).mask, PruMergePlus(5).select(view, 5).mask)
