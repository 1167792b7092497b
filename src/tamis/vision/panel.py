"""Draw what was kept of a photograph: its heat maps, and a line of pictures per method with one per budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

_CELL = 224
"""Side of a picture in a panel, in pixels."""
_WIDTH = 4
"""Pictures in a line where methods stand side by side, because there are one or two budgets."""
_WIDEST = 8
"""Pictures in a line at most."""
_INK = (117, 122, 130)
"""Grey that is read on white and on a dark page."""


def draw(
    shown: NDArray[np.uint8],
    grid: tuple[int, int],
    heats: Sequence[Tensor],
    masks: Mapping[tuple[str, str], NDArray[np.bool_]],
) -> Image.Image:
    """Draw a panel: the photograph and its heat maps, then a line per method with a picture per budget.

    Args:
        shown: What the tower saw, (height, width, 3).
        grid: Rows and columns of patches.
        heats: Scores of the last block that is run, and of the ensemble.
        masks: (method, budget) → kept patches.
    """
    photo = Image.fromarray(shown).resize((_CELL, _CELL), Image.Resampling.LANCZOS)
    lines: list[list[tuple[str, Image.Image]]] = [
        [
            ("photograph", photo),
            ("[CLS] last block", heat(photo, heats[0], grid)),
            ("[CLS] ensemble", heat(photo, heats[1], grid)),
        ]
    ]
    cells = [(f"{method} {keep}", fogged(photo, mask.reshape(grid))) for (method, keep), mask in masks.items()]
    budgets = max(sum(1 for _ in keys) for _, keys in groupby(masks, key=lambda key: key[0]))
    width = min(budgets, _WIDEST) if budgets > 2 else _WIDTH
    lines += [cells[start : start + width] for start in range(0, len(cells), width)]
    gap, label = 12, 38
    columns = max(map(len, lines))
    panel = Image.new("RGBA", (columns * (_CELL + gap) - gap, len(lines) * (_CELL + label + gap) - gap), (0, 0, 0, 0))
    pen, font = ImageDraw.Draw(panel), ImageFont.load_default(size=26)
    for row, cells in enumerate(lines):
        for column, (text, cell) in enumerate(cells):
            left, top = column * (_CELL + gap), row * (_CELL + label + gap)
            pen.text((left, top + 4), text, fill=(*_INK, 255), font=font)
            panel.paste(cell, (left, top + label))
    return panel


def fogged(photo: Image.Image, mask: NDArray[np.bool_]) -> Image.Image:
    """Show the kept patches as they are, and the rest as through fog."""
    fog = Image.blend(photo.convert("L").convert("RGB"), Image.new("RGB", photo.size, (205, 208, 212)), 0.82)
    window = Image.fromarray(mask.astype(np.uint8) * 255).resize(photo.size, Image.Resampling.NEAREST)
    return Image.composite(photo, fog, window)


def heat(photo: Image.Image, scores: Tensor, grid: tuple[int, int]) -> Image.Image:
    """Lay scores over the photograph, on a scale by rank so that a few strong patches do not hide the rest."""
    from matplotlib import colormaps

    ranks = scores.flatten().argsort().argsort().float() / max(1, scores.numel() - 1)
    colours = (colormaps["magma"](ranks.view(grid).cpu().numpy())[..., :3] * 255).astype(np.uint8)
    return Image.blend(photo, Image.fromarray(colours).resize(photo.size, Image.Resampling.BICUBIC), 0.72)
