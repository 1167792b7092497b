"""Views of no real tower: random numbers of the right shapes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tamis.vision.tower import cls_row
from tamis.vision.view import Features, View

DEPTH, RUN, HEADS = 6, 5, 2


def random_view(
    seed: int, units: int = 3, grid: tuple[int, int] = (4, 5), width: int = 8, dtype: torch.dtype = torch.float32
) -> View:
    """A view in which block `RUN - 1` has a row and keys, and block `RUN` has keys."""
    generator = torch.Generator().manual_seed(seed)
    total = grid[0] * grid[1]

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    keys = {block: noise(units, total + 1, width) for block in (RUN - 1, RUN)}
    queries = {block: 2 * noise(units, width) for block in keys}
    return View(
        features=Features.known(noise(units, total + 1, width) + noise(units, 1, width)),
        rows={RUN - 1: cls_row(queries[RUN - 1].float(), keys[RUN - 1].float(), HEADS)},
        keys=keys,
        queries=queries,
        grid=grid,
        heads=HEADS,
        depth=DEPTH,
        run=RUN,
        pixels=noise(units, 3, 4, 4),
    )


def with_padding(view: View, seed: int) -> View:
    """The same view, in which some patches of each unit are padding."""
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(view.units, 1, generator=generator)
    return replace(view, valid=torch.rand(view.units, view.total, generator=generator) < share)


def one_unit(view: View, unit: int) -> View:
    """One unit of a view, alone."""
    part = slice(unit, unit + 1)
    return replace(
        view,
        features=Features.known(view.features.whole[part]),
        rows={block: row[part] for block, row in view.rows.items()},
        keys={block: keys[part] for block, keys in view.keys.items()},
        queries={block: query[part] for block, query in view.queries.items()},
        pixels=view.pixels[part],
        valid=None if view.valid is None else view.valid[part],
    )


def permuted(view: View, order: Tensor) -> View:
    """The same view with its patches in another order."""
    tokens = torch.cat([torch.zeros(1, dtype=torch.long), order + 1])
    return replace(
        view,
        features=Features.known(view.features.whole[:, tokens]),
        rows={block: row[..., order] for block, row in view.rows.items()},
        keys={block: keys[:, tokens] for block, keys in view.keys.items()},
        valid=None if view.valid is None else view.valid[:, order],
    )


def with_patches(view: View, patches: Tensor, cls: Tensor | None = None) -> View:
    """The same view with other features."""
    cls = view.cls.to(patches.dtype) if cls is None else cls
    return replace(view, features=Features.known(torch.cat([cls[:, None], patches], dim=1)))
