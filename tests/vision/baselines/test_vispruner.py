"""VisPruner against loops over lists of patches."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from tests.vision.baselines.views import RUN, permuted, random_view, with_padding
from torch import Tensor

from tamis.vision.baselines.vispruner import VisPruner, distinct


def naive_prune(features: Tensor, row: Tensor, keep: int, valid: Tensor) -> tuple[list[int], float]:
    """The published rounds over plain lists; return the kept patches and the smallest gap between ranked numbers."""
    directions = [[x / math.hypot(*f) for x in f] for f in features.double().tolist()]
    scores = [sum(heads) / len(heads) for heads in row.double().T.tolist()]
    ranked = sorted((i for i, ok in enumerate(valid.tolist()) if ok), key=lambda i: -scores[i])
    gaps = [scores[a] - scores[b] for a, b in pairwise(ranked)]
    important, rest = ranked[: keep // 2], ranked[keep // 2 :]
    while len(rest) > keep - keep // 2:
        ours, theirs = rest[::2], rest[1::2]
        closest = {}
        for i in ours:
            closest[i] = max(sum(x * y for x, y in zip(directions[i], directions[j], strict=True)) for j in theirs)
        ours = sorted(ours, key=lambda i: -closest[i])
        gaps += [closest[a] - closest[b] for a, b in pairwise(ours)]
        rest = ours[min(8, len(rest) - (keep - keep // 2)) :] + theirs
    return sorted(important + rest), min(gaps, default=1.0)


def test_kept_patches_equal_those_of_loops_over_lists() -> None:
    clear = total = 0
    for seed in range(80):
        view = random_view(seed, units=2, grid=(5, 7), width=6)
        view = with_padding(view, seed) if seed % 2 else view
        valid = torch.ones(2, view.total, dtype=torch.bool) if view.valid is None else view.valid
        keep = 1 + seed % 17
        mask = VisPruner(keep).select(view, keep).mask
        for unit in range(2):
            wanted, gap = naive_prune(view.patches[unit], view.rows[RUN - 1][unit], keep, valid[unit])
            total, clear = total + 1, clear + (gap > 1e-7)
            assert gap <= 1e-7 or mask[unit].nonzero().flatten().tolist() == wanted
    assert clear > 0.9 * total


def test_a_worked_case_drops_the_copy_and_keeps_the_stranger() -> None:
    directions = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0.1, 1], [0, 1, 0.05]])
    # Every other one of the list 0, 1, 2, 3 is 0 (unlike 1 and 3) and 2 (cosine 0.149 with 3).
    assert distinct(directions, torch.arange(4), 3).tolist() == [0, 1, 3]
    # Of the list 0, 1, 3 it is 0 and 3, which is all but a copy of 1.
    assert distinct(directions, torch.tensor([0, 1, 3]), 2).tolist() == [0, 1]
    # Both go in one round if two are to go, so that copies in the other half stay.
    assert distinct(directions, torch.arange(4), 2).tolist() == [1, 3]


def test_rounds_drop_eight_at_most() -> None:
    # Eight pairs of copies and four strangers. The first round drops the first of each pair; of the list 16, 18, 1, 3,
    # 5 … 19 the second sees 16, 1, 5 … 17, which are all unlike the others, and drops the first two. One round of ten
    # would have left the odd patches.
    features = torch.eye(12)
    patches = torch.cat([features[:8].repeat_interleave(2, dim=0), features[8:]])
    assert sorted(distinct(patches, torch.arange(20), 10).tolist()) == [3, 5, 7, 9, 11, 13, 15, 17, 18, 19]


def test_the_most_attended_patches_are_always_kept() -> None:
    view = random_view(4)
    top = view.rows[RUN - 1].mean(1).topk(3).indices
    assert bool(VisPruner(7).select(view, 7).mask.gather(1, top).all())


def test_the_choice_follows_patches_around() -> None:
    for seed in range(20):
        view = with_padding(random_view(seed), seed)
        order = torch.randperm(view.total, generator=torch.Generator().manual_seed(seed))
        mask = VisPruner(6).select(view, 6).mask
        assert torch.equal(VisPruner(6).select(permuted(view, order), 6).mask, mask[:, order])
