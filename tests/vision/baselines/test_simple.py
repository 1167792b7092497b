"""The controls: chance, a regular grid, everything and nothing."""

from __future__ import annotations

from dataclasses import replace

import torch
from tests.vision.baselines.views import one_unit, random_view, with_patches

from tamis.vision.baselines.simple import All, Random, TextOnly, Uniform
from tamis.vision.selector import choose


def kept(mask: torch.Tensor) -> list[int]:
    return mask.nonzero().flatten().tolist()


def test_chance_depends_on_the_seed_and_the_pixels_alone() -> None:
    view = random_view(0)
    mask = Random(6).select(view, 6).mask
    assert torch.equal(Random(6).select(with_patches(view, view.patches + 1), 6).mask, mask)
    assert torch.equal(Random(6).select(one_unit(view, 2), 6).mask[0], mask[2])
    assert not torch.equal(Random(6, seed=1).select(view, 6).mask, mask)
    assert not torch.equal(Random(6).select(replace(view, pixels=view.pixels + 1), 6).mask, mask)


def test_chance_is_fair_to_every_patch() -> None:
    view = random_view(1, units=20)
    draws = torch.cat([Random(5, seed=seed).select(view, 5).mask for seed in range(50)])
    share = draws.float().mean(0)
    deviation = (0.25 * 0.75 / len(draws)) ** 0.5
    assert bool(((share - 0.25).abs() < 4.5 * deviation).all())


def test_more_budget_by_chance_keeps_what_less_kept() -> None:
    view = random_view(2)
    fewer, more = Random(4).select(view, 4).mask, Random(9).select(view, 9).mask
    assert bool((more | ~fewer).all())


def test_a_uniform_grid_has_the_proportions_of_the_image() -> None:
    square = random_view(3, units=1, grid=(6, 6))
    assert kept(Uniform(4).select(square, 4).mask[0]) == [7, 10, 25, 28]  # rows and columns 1 and 4
    wide = random_view(3, units=1, grid=(4, 8))
    assert kept(Uniform(2).select(wide, 2).mask[0]) == [18, 22]  # row 2, columns 2 and 6
    assert kept(Uniform(1).select(square, 1).mask[0]) == [21]  # row 3, column 3


def test_what_a_uniform_grid_leaves_of_the_budget_goes_to_the_middle_of_the_rest() -> None:
    view = random_view(3, units=1, grid=(6, 6))
    # Rows 1, 3 and 5, columns 1 and 4; and 17, which is number 15 of the 30 others.
    assert kept(Uniform(7).select(view, 7).mask[0]) == [7, 10, 17, 19, 22, 31, 34]


def test_a_uniform_choice_is_the_same_for_every_picture() -> None:
    mask = Uniform(7).select(random_view(4), 7).mask
    assert bool((mask == mask[0]).all())
    assert torch.equal(Uniform(7).select(random_view(5), 7).mask, mask)


def test_a_uniform_choice_leaves_no_large_hole() -> None:
    view = random_view(6, units=1, grid=(12, 12))
    for keep in range(1, 145):
        points = torch.tensor([divmod(i, 12) for i in kept(Uniform(keep).select(view, keep).mask[0])])
        cells = torch.cartesian_prod(torch.arange(12), torch.arange(12))
        hole = (cells[:, None] - points).abs().amax(-1).amin(1).max()
        assert len(points) == keep
        assert int(hole) <= 12 / keep**0.5  # half of it is what a perfect square grid leaves


def test_everything_is_everything_that_is_valid() -> None:
    view = random_view(7)
    valid = torch.rand(view.units, view.total, generator=torch.Generator().manual_seed(0)) < 0.5
    assert bool(choose(All(), view).mask.all())
    assert torch.equal(choose(All(), replace(view, valid=valid)).mask, valid)


def test_text_only_keeps_no_patch() -> None:
    assert not bool(choose(TextOnly(), random_view(8)).mask.any())
