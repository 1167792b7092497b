"""How kept tokens are laid out in the prompt, and what costs are computed for. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Layout:
    """How the kept tokens of an image enter the prompt. The default follows the stock model as closely as can be."""

    newline: Literal["all", "none", "nonempty"] = "all"
    """LLaVA-NeXT's newline tokens: all rows, none, or only rows in which a token was kept."""
    budget: Literal["per_tile", "per_image"] = "per_tile"
    """Whether the budget holds for each tile or for all tiles of an image together."""
    unpad: bool = True
    """Whether patches that show only the padding of LLaVA-NeXT's tiles are excluded before the selection."""
    cls: Literal["keep", "drop"] = "keep"
    """What happens to [CLS] tokens that the stock model feeds to its language model, as Video-LLaVA does."""
    positions: Literal["contiguous", "original"] = "contiguous"
    """Position ids of the shorter prompt: 0, 1, 2 … as in both papers, or those of the full prompt, with gaps."""

    @classmethod
    def paper(cls) -> Layout:
        """The layout of the papers' code: padded tiles, no newlines, the same budget for each tile, no [CLS].

        Source:
            FasterVLM's code sets `mm_patch_merge_type` to `spatial` for LLaVA-NeXT and drops [CLS] for Video-LLaVA.
        """
        return cls(newline="none", budget="per_tile", unpad=False, cls="drop", positions="contiguous")
