"""The greedy choice against one that computes every determinant."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tamis.core.errors import ConfigError
from tamis.vision.dpp import greedy_map

UNSURE = 3e-5
"""Differences of squared length that float32 may see otherwise."""


def naive_map(features: np.ndarray, quality: np.ndarray, keep: int, valid: np.ndarray) -> tuple[list[int], bool]:
    """Maximise the log-determinant step by step in float64; say also whether every step was clear."""
    directions = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    kernel = quality[:, None] * (directions @ directions.T) * quality
    chosen: list[int] = []
    clear, volume = True, 0.0
    while len(chosen) < min(keep, int(valid.sum())):
        free = [i for i in range(len(quality)) if valid[i] and i not in chosen]
        gains = {}
        for i in free:
            trial = [*chosen, i]
            sign, logarithm = np.linalg.slogdet(kernel[np.ix_(trial, trial)])
            gains[i] = round(math.exp(logarithm - volume) / quality[i] ** 2, 9) if sign > 0 else 0.0
        clear &= all(left < 1e-6 or left > UNSURE for left in gains.values())
        adding = [i for i in free if gains[i] > 1e-5]
        if not adding:
            chosen += sorted(free, key=lambda i: (-quality[i], i))[: min(keep, int(valid.sum())) - len(chosen)]
            break
        best = max(adding, key=lambda i: quality[i] ** 2 * gains[i])
        top = quality[best] ** 2 * gains[best]
        for i in adding:
            same = quality[i] == quality[best] and (not chosen or np.array_equal(features[i], features[best]))
            clear &= same or top - quality[i] ** 2 * gains[i] > UNSURE * (quality[i] ** 2 + quality[best] ** 2)
        chosen.append(best)
        volume = float(np.linalg.slogdet(kernel[np.ix_(chosen, chosen)])[1])
    return chosen, bool(clear)


def test_choices_equal_those_by_determinants() -> None:
    clear = total = 0
    for seed in range(500):
        rng = np.random.default_rng(seed)
        patches, width, keep = int(rng.integers(2, 12)), int(rng.integers(1, 9)), int(rng.integers(1, 12))
        features = rng.standard_normal((2, patches, width)).astype(np.float32)
        quality = rng.uniform(0.2, 3, (2, patches)).astype(np.float32)
        valid = rng.random((2, patches)) < 0.8
        if seed % 3 == 0:  # duplicates, some of them of equal quality too
            copies = rng.integers(0, patches, patches)
            features = features[:, copies]
            quality = quality[:, copies] if seed % 2 else quality
        if seed % 7 == 0:
            quality[:] = 1
        mask = greedy_map(torch.tensor(features), torch.tensor(quality), keep, torch.tensor(valid)).numpy()
        for unit in range(2):
            ours = np.flatnonzero(mask[unit])
            theirs, sure = naive_map(features[unit].astype(float), quality[unit].astype(float), keep, valid[unit])
            total, clear = total + 1, clear + sure
            # Patches of equal feature and quality are the same choice.
            wanted = sorted((*features[unit, i], quality[unit, i]) for i in theirs)
            assert not sure or sorted((*features[unit, i], quality[unit, i]) for i in ours) == wanted, (seed, unit)
    assert clear > 0.95 * total


def test_orthogonal_features_are_ranked_by_quality_alone() -> None:
    features = torch.eye(5)[None]
    quality = torch.tensor([[0.1, 0.5, 0.3, 0.5, 0.2]])
    assert greedy_map(features, quality, 3)[0].nonzero().flatten().tolist() == [1, 2, 3]


def test_of_equal_gains_the_earlier_patch_wins() -> None:
    assert greedy_map(torch.eye(4)[None], torch.ones(1, 4), 2).tolist() == [[True, True, False, False]]


def test_a_better_copy_is_worth_less_than_something_new() -> None:
    features = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]])
    assert greedy_map(features, torch.tensor([[3.0, 2.9, 0.1]]), 2).tolist() == [[True, False, True]]


def test_a_slight_difference_still_counts_as_new() -> None:
    features = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [1.0, 0.01]]])
    assert greedy_map(features, torch.tensor([[3.0, 2.9, 0.1]]), 2).tolist() == [[True, False, True]]


def test_what_the_choice_spans_already_is_filled_up_by_quality() -> None:
    features = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 2.0], [0.0, 0.0]]])
    quality = torch.tensor([[5.0, 4.0, 0.1, 0.2, 0.3]])
    assert greedy_map(features, quality, 3).tolist() == [[True, True, False, False, True]]
    assert greedy_map(features, quality, 4).tolist() == [[True, True, False, True, True]]


def test_tiny_and_huge_qualities_keep_their_order() -> None:
    features = torch.eye(3)[None]
    assert greedy_map(features, torch.tensor([[1e-30, 3e-30, 2e-30]]), 2).tolist() == [[False, True, True]]
    assert greedy_map(features, torch.tensor([[1e30, 3e30, 2e30]]), 2).tolist() == [[False, True, True]]


def test_the_choice_follows_patches_around() -> None:
    generator = torch.Generator().manual_seed(2)
    features, quality = torch.randn(8, 20, 6, generator=generator), torch.rand(8, 20, generator=generator) + 0.1
    order = torch.randperm(20, generator=generator)
    mask = greedy_map(features, quality, 6)
    assert torch.equal(greedy_map(features[:, order], quality[:, order], 6), mask[:, order])


def test_neither_the_length_of_features_nor_the_scale_of_quality_matters() -> None:
    generator = torch.Generator().manual_seed(0)
    features, quality = torch.randn(4, 30, 12, generator=generator), torch.rand(4, 30, generator=generator) + 0.1
    lengths = torch.rand(4, 30, 1, generator=generator) + 0.5
    assert torch.equal(greedy_map(features * lengths, 7 * quality, 9), greedy_map(features, quality, 9))


def test_many_more_picks_than_dimensions_stay_finite_and_fill_the_budget() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 300, 16, generator=generator) + 3
    mask = greedy_map(features, torch.rand(2, 300, generator=generator) + 1e-4, 200)
    assert mask.sum(1).tolist() == [200, 200]


def test_features_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ConfigError, match="not finite"):
        greedy_map(torch.tensor([[[1.0], [torch.inf]]]), torch.ones(1, 2), 1)
