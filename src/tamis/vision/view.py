"""What a token selector sees of a picture, and what it has to say beforehand that it wants to see."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Reads:
    """What a selector wants to read on the way through the tower, beside the selected hidden state."""

    rows: tuple[int, ...] = ()
    """Blocks whose [CLS] attention row it reads."""
    keys: tuple[int, ...] = ()
    """Blocks whose key projections it reads; the block after the last one run may be named, and then projects only."""
    question: bool = False
    """Whether it reads the text around the image."""


@dataclass(frozen=True)
class Features:
    """The selected hidden state, made only when somebody looks at it, and then only as much of it as is used.

    A selector that goes by attention rows alone never looks: the last block then runs for the kept tokens only.
    """

    make: Callable[[], Tensor]
    """Makes the hidden state of every token, (units, 1 + patches, width), [CLS] first."""
    make_some: Callable[[Tensor], Tensor]
    """Makes it where a mask, (units, 1 + patches), is true: (true, width)."""

    @cached_property
    def whole(self) -> Float[Tensor, "units tokens width"]:
        """The hidden state of every token, bit for bit what the stock tower makes."""
        return self.make()

    def some(self, mask: Bool[Tensor, "units tokens"]) -> Float[Tensor, "kept width"]:
        """The hidden state of some tokens, unit by unit in raster order; equal to `whole` up to rounding."""
        return self.whole[mask] if "whole" in vars(self) else self.make_some(mask)

    @classmethod
    def known(cls, tokens: Float[Tensor, "units tokens width"]) -> Features:
        """Features that exist already."""
        return cls(lambda: tokens, lambda mask: tokens[mask])


@dataclass(frozen=True)
class View:
    """What a selector sees of each unit: an image, a tile of an image, or a frame of a video."""

    features: Features
    """Selected hidden state, before the projector."""
    rows: dict[int, Float[Tensor, "units heads patches"]]
    """Block → attention of the [CLS] query to the patches, after softmax over [CLS] and patches, float32."""
    keys: dict[int, Float[Tensor, "units tokens inner"]]
    """Block → key projections of [CLS] (first) and patches, heads concatenated."""
    queries: dict[int, Float[Tensor, "units inner"]]
    """Block → query projection of [CLS], heads concatenated; the same blocks as `keys`."""
    grid: tuple[int, int]
    """Rows and columns of patches."""
    heads: int
    """Attention heads of the tower."""
    depth: int
    """Blocks of the tower, run or not."""
    run: int
    """Blocks that make the features; the last of them is `run - 1`."""
    pixels: Tensor
    """The pixel values that went in, (units, …); the only thing that chance may depend on."""
    valid: Bool[Tensor, "units patches"] | None = None
    """False where a patch shows padding only and must not be kept; None: every patch is valid."""
    question: Sequence[Float[Tensor, "_ language_width"]] | None = None
    """Embeddings of the text around each unit, in the language model's input space; None: no text is known."""
    project: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)
    """The model's projector into that space; None where there is no language model."""

    @property
    def units(self) -> int:
        """How many units there are."""
        return self.pixels.shape[0]

    @property
    def total(self) -> int:
        """Patches of a unit."""
        return self.grid[0] * self.grid[1]

    @property
    def device(self) -> torch.device:
        """Where the pixels, and so the selection, are."""
        return self.pixels.device

    @property
    def patches(self) -> Float[Tensor, "units patches width"]:
        """Features of the patches."""
        return self.features.whole[:, 1:]

    @property
    def cls(self) -> Float[Tensor, "units width"]:
        """Features of the [CLS] token."""
        return self.features.whole[:, 0]

    @property
    def allowed(self) -> Bool[Tensor, "units patches"]:
        """True where a patch may be kept."""
        if self.valid is not None:
            return self.valid
        return torch.ones(self.units, self.total, dtype=torch.bool, device=self.device)

    @cached_property
    def fingerprints(self) -> tuple[int, ...]:
        """A number per unit that depends on its pixels only, and so not on the batch that it came in."""
        return tuple(zlib.crc32(unit.detach().float().cpu().contiguous().numpy()) for unit in self.pixels)
