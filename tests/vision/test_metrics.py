from __future__ import annotations

import math

import torch

from tamis.vision.metrics import agreement, attention_held, cover, outliers


def test_agreement_is_shared_patches_over_all_that_either_keeps() -> None:
    first = torch.tensor([[True, True, True, False], [True, False, False, False], [False] * 4])
    second = torch.tensor([[False, True, True, True], [True, False, False, False], [False] * 4])
    assert agreement(first, second).tolist() == [0.5, 1.0, 0.0]


def test_attention_held_is_the_share_of_attention_to_patches() -> None:
    row = torch.tensor([[[0.1, 0.2, 0.1], [0.3, 0.0, 0.1]]])  # two heads; means 0.2, 0.1, 0.1
    assert attention_held(row, torch.tensor([[True, False, False]])).item() == torch.tensor(0.5).item()
    assert attention_held(row, torch.ones(1, 3, dtype=torch.bool)).item() == 1


def test_cover_equals_loops_over_patches() -> None:
    generator = torch.Generator().manual_seed(0)
    patches = torch.randn(3, 7, 5, generator=generator)
    mask = torch.rand(3, 7, generator=generator) < 0.4
    mask[:, 0] = True
    for unit, kept, value in zip(patches, mask, cover(patches, mask), strict=True):
        centre = [sum(patch[axis].item() for patch in unit) / 7 for axis in range(5)]
        vectors = [[patch[axis].item() - centre[axis] for axis in range(5)] for patch in unit]

        def cosine(one: list[float], other: list[float]) -> float:
            return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))

        best = [max(cosine(one, vectors[place]) for place in range(7) if kept[place]) for one in vectors]
        assert abs(sum(best) / 7 - value.item()) < 1e-5


def test_keeping_everything_covers_everything() -> None:
    patches = torch.randn(2, 9, 4)
    assert torch.allclose(cover(patches, torch.ones(2, 9, dtype=torch.bool)), torch.ones(2))


def test_outliers_are_patches_three_times_as_long_as_the_median() -> None:
    patches = torch.ones(1, 5, 4)
    patches[0, 2] *= 3.01
    patches[0, 3] *= 2.99
    assert outliers(patches).tolist() == [[False, False, True, False, False]]
