"""How kept tokens are laid out, what costs are computed for, how the small model is trained. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from tamis.core.budget import Budget
from tamis.core.errors import ConfigError, check_range, check_rates, nearest


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


@dataclass(frozen=True, kw_only=True)
class TinyConfig:
    """Sizes of the small model."""

    tower_width: int = 192
    """Width of the tower."""
    tower_blocks: int = 8
    """Blocks of the tower; the last one serves its training only, as in LLaVA."""
    tower_heads: int = 6
    """Attention heads of the tower."""
    language_width: int = 192
    """Width of the language model."""
    language_blocks: int = 5
    """Layers of the language model."""
    language_heads: int = 6
    """Attention heads of the language model."""
    language_hidden: int = 512
    """Width inside the language model's perceptrons."""

    def __post_init__(self) -> None:
        """Refuse sizes that make no model."""
        check_range(self, 1, 16_384, *vars(self))
        if self.tower_blocks < 2:
            raise ConfigError("tower_blocks is 1; expected at least 2, because the last block makes no features")
        for part in ("tower", "language"):
            width, heads = getattr(self, f"{part}_width"), getattr(self, f"{part}_heads")
            if width % heads or (width // heads) % 2:
                raise ConfigError(f"{part}_width is {width}; expected an even number of channels for {heads} heads")


@dataclass(frozen=True, kw_only=True)
class TinyTraining:
    """How the small model is trained."""

    see_steps: int = 2000
    """Batches of the first stage."""
    read_steps: int = 3500
    """Batches of the second stage."""
    batch: int = 512
    """Pictures in a batch."""
    see_rate: float = 1e-3
    """Highest learning rate of the first stage."""
    read_rate: float = 1.5e-3
    """Highest learning rate of projector and language model."""
    tune_rate: float = 4e-4
    """Highest learning rate of the tower in the second stage."""
    beside: float = 0.2
    """Weight of the first stage's losses in the second."""
    weight_decay: float = 0.05
    """Of AdamW."""
    round_steps: int = 250
    """Steps between two validations, after each of which the training can be taken up again."""
    pool: int = 1200
    """Batches that are drawn, and kept in memory (27 KiB a picture); later steps see them again, in the same order."""
    workers: int = 2
    """Processes that draw scenes."""
    compiled: bool = False
    """Whether to compile the model; worth its minute on a GPU only."""
    seed: int = 0
    """Of scenes and weights."""

    def __post_init__(self) -> None:
        """Refuse a recipe that trains nothing."""
        check_range(self, 0, 10_000_000, "see_steps", "read_steps")
        check_range(self, 0, 1024, "workers")
        check_range(self, 2, 65_536, "batch")
        check_range(self, 1, 1_000_000, "round_steps", "pool")
        check_rates(self, "see_rate", "read_rate", "tune_rate")
        _check_weights(self, "beside", "weight_decay")
        if self.steps < 1:
            raise ConfigError("see_steps and read_steps are 0; expected at least one step")
        _check_rounds(self.steps, self.round_steps)

    @property
    def steps(self) -> int:
        """Batches in all."""
        return self.see_steps + self.read_steps


@dataclass(frozen=True, kw_only=True)
class VariantTraining:
    """How the small model is taught tiles or frames. All numbers are our choice."""

    steps: int = 300
    """Batches."""
    batch: int = 8
    """Canvases or clips in a batch."""
    asked: int = 3
    """How often each is asked about; the same question is asked once."""
    room: int = 240
    """Text tokens of a row; the image tokens are what costs time, so many questions share them. What is asked last and
    has no room any more is left out."""
    rate: float = 8e-4
    """Highest learning rate."""
    weight_decay: float = 0.01
    """Of AdamW."""
    round_steps: int = 60
    """Steps between two validations, after each of which the training can be taken up again."""
    seed: int = 0
    """Of canvases and clips."""

    def __post_init__(self) -> None:
        """Refuse a recipe that trains nothing."""
        check_range(self, 1, 1_000_000, "steps", "batch", "asked", "round_steps")
        check_range(self, 32, 4096, "room")  # less holds no question
        check_rates(self, "rate")
        _check_weights(self, "weight_decay")
        _check_rounds(self.steps, self.round_steps)


def _check_weights(training: object, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(training, name) < math.inf:
            raise ConfigError(f"{name} is {getattr(training, name)}; expected at least 0 and finite")


def _check_rounds(steps: int, round_steps: int) -> None:
    if steps % round_steps:
        raise ConfigError(f"{steps} steps in all are no whole number of rounds of {round_steps}")
