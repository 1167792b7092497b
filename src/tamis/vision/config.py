"""How kept tokens are laid out in the prompt, and what costs are computed for. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tamis.core.budget import Budget
from tamis.core.errors import ConfigError, nearest


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


@dataclass(frozen=True)
class Shape:
    """The shape of a vision-language model and of its picture: all that cost depends on, and nothing learnt."""

    name: str
    """What the model is called."""
    family: Literal["llava", "llava_next", "video_llava"] = "llava"
    """Which class of transformers it is."""
    pictures: int = 1
    """What the tower sees: one image, the five tiles of a square one (LLaVA-NeXT), or the frames of a video."""
    side: int = 336
    """Height and width of what the tower sees, pixels."""
    patch: int = 14
    """Height and width of a patch, pixels."""
    tower_width: int = 1024
    """Width of the tower."""
    tower_inner: int = 4096
    """Width inside the tower's MLP."""
    tower_depth: int = 24
    """Blocks of the tower; the output of the last but one is used, as in LLaVA."""
    tower_heads: int = 16
    """Attention heads of the tower."""
    width: int = 4096
    """Width of the language model."""
    inner: int = 11008
    """Width inside the language model's MLP."""
    depth: int = 32
    """Layers of the language model."""
    heads: int = 32
    """Attention heads of the language model, for queries, keys and values alike."""
    vocabulary: int = 32064
    """Entries of the vocabulary; the last two stand for image and video."""

    @property
    def patches(self) -> int:
        """Patches of one picture."""
        return (self.side // self.patch) ** 2

    @property
    def fixed(self) -> int:
        """Image tokens that no budget drops: a newline after each row of 2 × 2 tiles, or the [CLS] of each frame."""
        return {"llava": 0, "llava_next": 2 * (self.side // self.patch), "video_llava": self.pictures}[self.family]

    @property
    def tokens(self) -> int:
        """Image tokens in the stock prompt."""
        return self.pictures * self.patches + self.fixed

    def kept(self, keep: Budget | int | float | str) -> int:
        """Patches that a budget keeps of one picture.

        Raises:
            BudgetError: If the budget cannot be read, or is a count above the number of patches.
        """
        return Budget.parse(keep).of(self.patches)


_LLAVA = Shape("llava-1.5-7b")

SHAPES = {
    shape.name: shape
    for shape in (
        _LLAVA,
        replace(_LLAVA, name="llava-1.5-13b", width=5120, inner=13824, depth=40, heads=40),
        replace(_LLAVA, name="llava-next-7b", family="llava_next", pictures=5),
        replace(_LLAVA, name="video-llava", family="video_llava", pictures=8, side=224),
        replace(_LLAVA, name="llava-1.5-7b-4-layers", depth=4),
    )
}
"""Shapes by name. LLaVA-NeXT's is that of a square image, Video-LLaVA's that of eight frames. The one with four layers
is LLaVA-1.5-7B with 4 of its 32 language-model layers, so that an ordinary machine can run it."""


PUBLISHED = ("llava-1.5-7b", "llava-1.5-13b", "llava-next-7b", "video-llava")
"""The shapes that the papers measured."""


def shape_named(name: str) -> Shape:
    """Look up a shape.

    Raises:
        ConfigError: If the name is unknown.
    """
    if name not in SHAPES:
        raise ConfigError(f"no shape {name!r}; {nearest(name, SHAPES)}")
    return SHAPES[name]
