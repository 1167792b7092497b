"""What every token selector promises, whatever its rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.vision.baselines.views import DEPTH, RUN, one_unit, random_view, with_padding, with_patches

from tamis.core.errors import ConfigError
from tamis.vision.baselines.cdpruner import CDPruner
from tamis.vision.baselines.divprune import DivPrune
from tamis.vision.baselines.prumerge import PruMergePlus
from tamis.vision.baselines.simple import All, TextOnly
from tamis.vision.baselines.visionzip import VisionZip
from tamis.vision.baselines.vispruner import VisPruner
from tamis.vision.methods import SELECTORS
from tamis.vision.selector import Selector, choose

EVERY = [kind for kind in SELECTORS.values() if kind not in (All, TextOnly)]
MERGING = [PruMergePlus, VisionZip]
every = pytest.mark.parametrize("method", EVERY, ids=lambda method: method.name)
merging = pytest.mark.parametrize("method", MERGING, ids=lambda method: method.name)


@every
def test_each_unit_keeps_its_budget_and_no_padding(method: type[Selector]) -> None:
    for seed in range(12):
        plain = random_view(seed)
        for view in (plain, with_padding(plain, seed)):
            valid = torch.ones(view.units, view.total, dtype=torch.bool) if view.valid is None else view.valid
            for keep in (1, 2, 3, 7, 13, view.total - 1):
                selection = method(keep).select(view, keep)
                assert selection.mask.dtype == torch.bool
                assert selection.mask.sum(1).tolist() == valid.sum(1).clamp(max=keep).tolist()
                assert not bool((selection.mask & ~valid).any())


@every
def test_a_unit_without_a_valid_patch_keeps_none(method: type[Selector]) -> None:
    view = random_view(0)
    valid = torch.ones(view.units, view.total, dtype=torch.bool)
    valid[1] = False
    mask = method(4).select(replace(view, valid=valid), 4).mask
    assert mask.sum(1).tolist() == [4, 0, 4]


@every
def test_a_unit_is_treated_the_same_alone_and_in_a_batch(method: type[Selector]) -> None:
    for seed in range(10):
        view = with_padding(random_view(seed, units=4), seed) if seed % 2 else random_view(seed, units=4)
        together = method(6).select(view, 6)
        for unit in range(4):
            alone = method(6).select(one_unit(view, unit), 6)
            assert torch.equal(alone.mask[0], together.mask[unit])
            if alone.patches is not None:
                kept = alone.mask[0]
                torch.testing.assert_close(alone.patches[0][kept], together.patches[unit][kept])


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_selects_as_the_same_numbers_do_in_single(method: type[Selector], dtype: torch.dtype) -> None:
    half = random_view(3, dtype=dtype)
    single = replace(
        with_patches(half, half.patches.float(), half.cls.float()),
        keys={block: keys.float() for block, keys in half.keys.items()},
        queries={block: query.float() for block, query in half.queries.items()},
    )
    ours, reference = method(6).select(half, 6), method(6).select(single, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = method(6).select(single, 6)
    assert torch.equal(ours.mask, reference.mask)
    assert torch.equal(cast.mask, reference.mask)
    if reference.patches is not None:
        assert ours.patches.dtype == dtype
        torch.testing.assert_close(ours.patches, reference.patches.to(dtype))
        torch.testing.assert_close(cast.patches, reference.patches, rtol=0, atol=0)


@merging
def test_merged_features_carry_gradients_to_the_patches_merged(method: type[Selector]) -> None:
    view = random_view(5)
    patches = view.patches.clone().requires_grad_()
    selection = method(12).select(with_patches(view, patches), 12)
    selection.patches[selection.mask].sum().backward()
    assert bool((patches.grad[~selection.mask] != 0).any())


@merging
def test_a_unit_that_fits_its_budget_is_left_as_it_is(method: type[Selector]) -> None:
    view = random_view(6)
    valid = torch.ones(view.units, view.total, dtype=torch.bool)
    valid[1, 8:] = False
    view = replace(view, valid=valid)
    selection = method(8).select(view, 8)
    assert torch.equal(selection.mask[1], valid[1])
    assert torch.equal(selection.patches[1][:8], view.patches[1][:8])
    assert not torch.equal(selection.patches[0][selection.mask[0]], view.patches[0][selection.mask[0]])


@every
def test_a_budget_of_everything_changes_nothing(method: type[Selector]) -> None:
    selection = choose(method(1.0), random_view(7))
    assert bool(selection.mask.all())
    assert selection.patches is None


@every
def test_what_a_method_reads_is_there_to_be_read(method: type[Selector]) -> None:
    for depth, run in ((DEPTH, RUN), (DEPTH, DEPTH), (1, 1)):
        reads = method(0.5).reads(depth, run)
        assert all(0 <= block < run for block in reads.rows)
        assert all(0 <= block <= min(run, depth - 1) for block in reads.keys)


@pytest.mark.parametrize("method", [DivPrune, CDPruner], ids=lambda method: method.name)
def test_methods_on_features_read_them_after_the_projector(method: type[Selector]) -> None:
    view = random_view(8)
    weight = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    projected = method(5).select(replace(view, project=lambda patches: patches @ weight), 5)
    by_hand = method(5).select(with_patches(view, view.patches @ weight, view.cls @ weight), 5)
    assert torch.equal(projected.mask, by_hand.mask)
    assert not torch.equal(projected.mask, method(5).select(view, 5).mask)


@pytest.mark.parametrize("method", [PruMergePlus, VisionZip, DivPrune, VisPruner, CDPruner], ids=lambda m: m.name)
def test_numbers_that_are_not_finite_are_refused(method: type[Selector]) -> None:
    view = random_view(9)
    broken = view.patches.clone()
    broken[0, 3] = torch.nan
    row = view.rows[RUN - 1].clone()
    row[0, 0, 3] = torch.nan
    keys = {block: key.clone() for block, key in view.keys.items()}
    for key in keys.values():
        key[0, 4] = torch.nan
    with pytest.raises(ConfigError, match="not finite"):
        method(5).select(replace(with_patches(view, broken), rows={RUN - 1: row}, keys=keys), 5)


def test_names_are_the_published_ones() -> None:
    assert set(SELECTORS) == {
        "all",
        "text-only",
        "fastervlm",
        "vtc-cls",
        "tamis",
        "random",
        "uniform",
        "prumerge+",
        "visionzip",
        "divprune",
        "vispruner",
        "cdpruner",
    }
