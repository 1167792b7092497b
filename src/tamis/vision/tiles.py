"""How LLaVA-NeXT lays an image out: a small copy of the whole, then a grid of tiles, interleaved row by row.

Orders are written as index numbers, tile × patches + patch, with −1 where a newline token stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape

from tamis.vision.selector import Selection, Selector, choose
from tamis.vision.view import Features, View


def packed_order(inner: Any, total: int, tiles: int, size: Any) -> Int[Tensor, " tokens"]:
    """The stock model's order of an image's tokens, as tile × total + patch; −1 stands for a newline.

    The model's own packing is run on index numbers, so padding and newlines are where the model puts them.
    """
    numbers = torch.arange(tiles * total, dtype=torch.float64).view(tiles, total, 1)
    newline = torch.full((1,), -1.0, dtype=torch.float64)
    packed, _ = inner.pack_image_features(
        [numbers], [size], vision_feature_select_strategy="default", image_newline=newline
    )
    order: Tensor = packed[0][:, 0].long()
    return order


def padded_order(inner: Any, total: int, tiles: int, size: Any) -> Int[Tensor, " tokens"]:
    """The same with the padding left in, as FasterVLM's code packs tiles."""
    numbers = torch.arange(tiles * total)
    if tiles == 1:
        return torch.cat([numbers, torch.tensor([-1])])
    side = inner.config.vision_config.image_size
    rows, columns = get_anyres_image_grid_shape(size, inner.config.image_grid_pinpoints, side)  # type: ignore[no-untyped-call]
    edge = side // inner.config.vision_config.patch_size
    canvas = numbers[total:].view(rows, columns, edge, edge).transpose(1, 2).reshape(rows * edge, columns * edge)
    lines = torch.cat([canvas, torch.full((rows * edge, 1), -1)], dim=1)
    return torch.cat([numbers[:total], lines.flatten()])


def staying(
    kept: Bool[Tensor, " patches"], order: Int[Tensor, " tokens"], newline: Literal["all", "none", "nonempty"]
) -> Int[Tensor, " stay"]:
    """Which entries of an order stay: the kept patches, and newlines by policy."""
    breaks = order < 0
    stays = kept[order.clamp(min=0)] & ~breaks
    if newline == "all":
        stays = stays | breaks
    elif newline == "nonempty":
        line = breaks.cumsum(0) - breaks.long()  # a newline belongs to the line that it ends
        filled = torch.zeros(len(order), dtype=torch.long).index_add_(0, line, stays.long()) > 0
        stays = stays | (breaks & filled[line])
    return stays.nonzero().squeeze(1)


def arrange(
    projected: Float[Tensor, "kept width"],
    newline: Float[Tensor, " width"],
    kept: Bool[Tensor, " patches"],
    entries: Int[Tensor, " stay"],
) -> Float[Tensor, "stay width"]:
    """Put the projected tokens of an image, and the newline token, in the order in which they stay."""
    rank = kept.cumsum(0) - 1  # where a kept patch stands among the projected ones
    source = torch.where(entries < 0, len(projected), rank[entries.clamp(min=0)]).to(projected.device)
    return torch.cat([projected, newline.to(projected)[None]])[source]


def inside(orders: Sequence[Int[Tensor, " _"]], tiles: Sequence[int], view: View) -> Bool[Tensor, "units patches"]:
    """Which patches of all tiles appear in the orders of their images: the others show only padding."""
    valid = torch.zeros(view.units, view.total, dtype=torch.bool)
    for order, image in zip(orders, torch.split(valid, list(tiles)), strict=True):
        image.view(-1)[order[order >= 0]] = True
    return valid.to(view.device)


def choose_per_image(selector: Selector, view: View, tiles: Sequence[int]) -> Selection:
    """Choose over all tiles of an image together: its tiles become one unit, stacked from top to bottom."""
    masks, patches, start = [], [], 0
    for count in tiles:
        selection = choose(selector, _joined(view, slice(start, start + count)))
        start += count
        masks.append(selection.mask.view(count, -1))
        if selection.patches is not None:
            patches.append(selection.patches.view(count, view.total, -1))
    return Selection(torch.cat(masks), torch.cat(patches) if patches else None)


def _joined(view: View, tiles: slice) -> View:
    """Make one unit of some tiles; its [CLS] is that of the first, the small copy of the whole image."""

    def stacked(of_patches: Tensor) -> Tensor:
        return of_patches[tiles].flatten(0, 1)[None]

    def features() -> Tensor:
        return torch.cat([view.cls[tiles][:1, None], stacked(view.patches)], dim=1)

    return replace(
        view,
        features=Features(features, lambda mask: features()[mask]),
        rows={block: row[tiles].transpose(0, 1).flatten(1, 2)[None] for block, row in view.rows.items()},
        keys={
            block: torch.cat([keys[tiles][:1, :1], stacked(keys[:, 1:])], dim=1) for block, keys in view.keys.items()
        },
        queries={block: query[tiles][:1] for block, query in view.queries.items()},
        grid=(view.grid[0] * (tiles.stop - tiles.start), view.grid[1]),
        pixels=stacked(view.pixels),
        valid=None if view.valid is None else stacked(view.valid),
        question=None if view.question is None else view.question[tiles][:1],
    )
