"""VisionZip against loops over patches."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.vision.baselines.views import HEADS, RUN, random_view, with_padding

from tamis.vision.baselines.visionzip import VisionZip, targets_among
from tamis.vision.view import View


def naive_zip(view: View, unit: int, keep: int) -> tuple[list[int], dict[int, torch.Tensor], bool]:
    """Kept patches of a unit, their features in float64, and whether every assignment was clear."""
    patches, cls = view.patches[unit].double(), view.cls[unit].double()
    inside = [i for i in range(view.total) if view.valid is None or bool(view.valid[unit, i])]
    if len(inside) <= keep:
        return inside, {i: patches[i] for i in inside}, True
    attention = {i: sum(float(view.rows[RUN - 1][unit, head, i]) for head in range(HEADS)) for i in inside}
    contextual = keep * 10 // 64
    dominant = sorted(inside, key=lambda i: -attention[i])[: keep - contextual - 1]
    rest = [i for i in inside if i not in dominant]
    features = {i: patches[i] for i in dominant}
    clear = True
    if contextual:
        step = len(rest) // contextual
        targets = [rest[n * step] for n in range(contextual)]
        key = view.keys[RUN - 1][unit, 1:].double().reshape(view.total, HEADS, -1).mean(1)
        taken: dict[int, list[torch.Tensor]] = {target: [] for target in targets}
        for i in rest:
            if i not in targets:
                cosines = [float(key[i] @ key[t] / key[i].norm() / key[t].norm()) for t in targets]
                taken[targets[cosines.index(max(cosines))]].append(patches[i])
                ranked = sorted(cosines)
                clear &= len(ranked) == 1 or ranked[-1] - ranked[-2] > 1e-6
        for target, members in taken.items():
            features[target] = patches[target] + (sum(members) / len(members) if members else 0.0)
    features[next(i for i in inside if i not in features)] = cls
    return sorted(features), features, clear


def test_kept_patches_and_features_equal_those_of_loops_over_patches() -> None:
    clear = total = 0
    for seed in range(60):
        view = random_view(seed, units=2, grid=(5, 8))
        view = with_padding(view, seed) if seed % 2 else view
        keep = 1 + (seed * 7) % (view.total - 1)
        selection = VisionZip(keep).select(view, keep)
        for unit in range(2):
            kept, features, sure = naive_zip(view, unit, keep)
            total, clear = total + 1, clear + sure
            assert selection.mask[unit].nonzero().flatten().tolist() == kept
            if sure and kept:
                wanted = torch.stack([features[i] for i in kept]).float()
                torch.testing.assert_close(selection.patches[unit][kept], wanted)
    assert clear > 0.9 * total


@pytest.mark.parametrize(("keep", "contextual"), [(1, 0), (6, 0), (7, 1), (64, 10), (128, 20), (192, 30)])
def test_the_budget_is_split_as_in_the_paper(keep: int, contextual: int) -> None:
    view = random_view(0, units=1, grid=(32, 32), width=64)
    selection = VisionZip(keep).select(view, keep)
    changed = (selection.patches != view.patches).any(-1)
    assert int(changed.sum()) == contextual + 1  # and [CLS]
    assert int((selection.mask & ~changed).sum()) == keep - contextual - 1


def test_a_single_token_is_cls_itself() -> None:
    view = random_view(1)
    valid = torch.ones(view.units, view.total, dtype=torch.bool)
    valid[2, :4] = False
    selection = VisionZip(1).select(replace(view, valid=valid), 1)
    assert [unit.nonzero().flatten().tolist() for unit in selection.mask] == [[0], [0], [4]]
    assert torch.equal(selection.patches[selection.mask], view.cls)


def test_targets_are_spread_over_what_remains() -> None:
    rest = torch.ones(1, 20, dtype=torch.bool)
    rest[0, [0, 5]] = False
    assert targets_among(rest, 4).tolist() == [[1, 6, 10, 14]]  # 18 remain: numbers 0, 4, 8 and 12 of them
