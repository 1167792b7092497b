from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.vision.baselines.views import with_patches
from tests.vision.small import collate, sample
from torch.nn.functional import normalize

from tamis.core.errors import ConfigError
from tamis.vision.selector import choose
from tamis.vision.tamis import Tamis, relevance
from tamis.vision.tower import look
from tamis.vision.vtccls import VTCCLS


def view_of(tower: Any, selector: Any, pixels: torch.Tensor) -> Any:
    with torch.no_grad():
        return look(tower, pixels, selector.reads(6, 5))


def naive(features: torch.Tensor, quality: torch.Tensor, keep: int) -> list[int]:
    """Add, one by one, the patch that makes the determinant of the kept kernel largest."""
    unit = normalize(features.double(), dim=-1)
    kernel = quality.double()[:, None] * (unit @ unit.T) * quality.double()[None]
    kept: list[int] = []
    for _ in range(keep):
        gains = {}
        for patch in set(range(len(quality))) - set(kept):
            where = torch.tensor([*kept, patch])
            gains[patch] = torch.linalg.slogdet(kernel[where][:, where]).logabsdet.item()
        kept.append(max(gains, key=lambda patch: gains[patch]))
    return sorted(kept)


@pytest.mark.parametrize("power", [0.2, 1.0])
def test_kept_patches_maximise_the_determinant_step_by_step(tower: Any, power: float) -> None:
    selector = Tamis(5, power=power, context=0.0)
    for seed in range(20):
        pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
        view = view_of(tower, Tamis(5), pixels)
        scores = torch.stack([view.rows[block].mean(1) for block in sorted(view.rows)]).sum(0)[0]
        centred = view.patches[0] - view.patches[0].mean(0)
        assert choose(selector, view).mask[0].nonzero().flatten().tolist() == naive(centred, scores**power, 5)


def test_the_rest_of_the_budget_goes_to_what_cls_looks_at_least_in_each_stretch(tower: Any) -> None:
    view = view_of(tower, Tamis(7), torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    scores = torch.stack([view.rows[block].mean(1) for block in sorted(view.rows)]).sum(0)
    important = choose(Tamis(5, context=0.0), view).mask
    kept = choose(Tamis(7, context=0.3), view).mask  # 7 × 0.3 is 2.1: five important ones, two stretches of eight
    for unit, before, after in zip(scores, important, kept, strict=True):
        for stretch in (range(8), range(8, 16)):
            free = [patch for patch in stretch if not before[patch]]
            before[min(free, key=lambda patch: unit[patch])] = True
        assert torch.equal(before, after)


def test_a_stretch_without_a_free_patch_leaves_its_share_to_the_others(tower: Any) -> None:
    view = view_of(tower, Tamis(7), torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    valid = torch.zeros(1, 16, dtype=torch.bool)
    valid[0, :9] = True
    kept = choose(Tamis(8, context=0.5), replace(view, valid=valid)).mask
    assert int(kept.sum()) == 8
    assert not bool((kept & ~valid).any())


def test_kept_tokens_keep_their_positions() -> None:
    assert Tamis(0.1).layout.positions == "original"


@pytest.mark.parametrize(("values", "says"), [({"power": -1.0}, "power is"), ({"context": 1.0}, "context is")])
def test_a_share_or_an_exponent_out_of_range_is_refused(values: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Tamis(0.1, **values)


def test_plain_top_k_keeps_duplicates_where_ours_does_not(tower: Any) -> None:
    """Half of the patches are one and the same, and the most attended; the rest differ."""
    view = view_of(tower, Tamis(4), torch.randn(1, 3, 32, 32))
    patches = torch.randn(1, 16, 32)
    patches[:, :8] = patches[:, :1]
    row = torch.full((1, 4, 16), 0.02)
    row[..., :8] = 0.06
    twins = replace(with_patches(view, patches), rows=dict.fromkeys(view.rows, row))
    assert int(choose(VTCCLS(4), twins).mask[0, :8].sum()) == 4
    assert int(choose(Tamis(4, context=0.0), twins).mask[0, :8].sum()) == 1


def test_a_question_draws_the_choice_to_what_it_names(tower: Any) -> None:
    view = view_of(tower, Tamis(3), torch.randn(1, 3, 32, 32))
    words = torch.randn(2, 32)
    patches = torch.randn(1, 16, 32) * 0.5
    patches[0, 6] = 5 * (words[0] - words.mean(0))
    asked = replace(with_patches(view, patches), question=[words], project=torch.nn.Identity())
    asked = replace(asked, rows=dict.fromkeys(view.rows, torch.full((1, 4, 16), 1 / 16)))
    assert bool(choose(Tamis(1, question=True), asked).mask[0, 6])


def test_relevance_lies_between_the_floor_and_one_and_is_flat_without_words() -> None:
    values = relevance(torch.randn(2, 9, 8), [torch.randn(3, 8), torch.zeros(0, 8)])
    assert values[0].max() == pytest.approx(1)
    assert values[0].min() == pytest.approx(0.1)
    assert len(values[1].unique()) == 1


def test_the_question_form_works_through_every_model(model: Any) -> None:
    batch = collate([sample(model, images, seed) for images, seed in ((1, 2), (0, 4), (2, 7))])
    prepared = Tamis(0.25, question=True).prepare(model, **batch)
    plain = Tamis(0.25).prepare(model, **batch)
    assert prepared["input_ids"].shape == plain["input_ids"].shape
    assert any(not torch.equal(a, b) for a, b in zip(prepared.kept, plain.kept, strict=True))


def test_a_question_where_there_is_none_is_refused(tower: Any) -> None:
    with pytest.raises(ConfigError, match="question"):
        choose(Tamis(3, question=True), view_of(tower, Tamis(3), torch.randn(1, 3, 32, 32)))
