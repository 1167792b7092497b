"""What a loss of a joint space sees, and what all of them share: pairs, which of them are no negatives, processes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tamis.core.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """A batch of pairs of a sound and a sentence, embedded in the joint space."""

    audio: Float[Tensor, "pairs joint"]
    """Embedding of each sound, of length 1."""
    text: Float[Tensor, "pairs joint"]
    """Embedding of each sentence, of length 1."""
    clips: Int[Tensor, " pairs"]
    """Number of each sound's clip; pairs of one clip with several captions share it."""
    audio_latents: Float[Tensor, "pairs audio"] | None = None
    """What the sound encoder gave, before the joint space."""
    text_latents: Float[Tensor, "pairs text"] | None = None
    """What the sentence encoder gave, before the joint space."""
    audio_views: Float[Tensor, "pairs joint"] | None = None
    """Embedding of another view of each sound, of length 1."""
    text_views: Float[Tensor, "pairs joint"] | None = None
    """Embedding of another caption of each sound, of length 1."""

    def __post_init__(self) -> None:
        """Refuse tensors that do not belong together."""
        if self.audio.shape != self.text.shape or self.audio.ndim != 2:
            raise ShapeError(
                f"audio has shape {tuple(self.audio.shape)} and text {tuple(self.text.shape)}; "
                "expected (pairs, joint) for both"
            )
        if not len(self.audio) or self.audio.dtype != self.text.dtype or not self.audio.is_floating_point():
            raise ShapeError(
                f"{len(self.audio)} pairs of {self.audio.dtype} and {self.text.dtype}; "
                "expected at least one, and one kind of floating point"
            )
        if self.clips.ndim != 1 or self.clips.is_floating_point():
            raise ShapeError(
                f"clips has shape {tuple(self.clips.shape)} of {self.clips.dtype}; expected whole numbers, one a pair"
            )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and len(value) != len(self.audio):
                raise ShapeError(f"{field.name} has {len(value)} rows; expected {len(self.audio)}, one for each pair")
        for name in ("audio_views", "text_views"):
            views = getattr(self, name)
            if views is not None and views.shape != self.audio.shape:
                raise ShapeError(f"{name} has shape {tuple(views.shape)}; expected {tuple(self.audio.shape)}")

    def __len__(self) -> int:
        return len(self.audio)


class Objective(nn.Module):
    """A loss of pairs. A subclass gives `terms`; what it minimises is their sum."""

    name: str
    """What result lines call it."""
    wants_views: bool = False
    """Whether it looks at another view of each pair."""
    last_tau: tuple[float, ...] | None = None
    """Mean, least and greatest temperature of the last batch, of a loss that has one for each pair."""

    def terms(self, pairs: Pairs) -> dict[str, Float[Tensor, ""]]:
        """Give the weighted terms of the loss, by name."""
        raise NotImplementedError

    def forward(self, pairs: Pairs) -> Float[Tensor, ""]:
        """Give the loss of a batch; pairs of all processes of a distributed training are seen as one batch."""
        return torch.stack(list(self.terms(gathered(pairs)).values())).sum()

    def prepare(self, *, joint: int, audio: int, text: int) -> None:
        """Make what has to be learnt for spaces of these widths; a training calls it before it starts."""

    def at(self, epoch: float) -> None:
        """Learn how far the training is, in epochs; without a call, a loss is what it is after the first one."""


def same_clip(clips: Int[Tensor, " pairs"]) -> Bool[Tensor, "pairs pairs"]:
    """Mark different pairs of one clip: another caption of the same sound is no negative.

    >>> same_clip(torch.tensor([5, 7, 5])).int().tolist()
    [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    """
    same = clips[:, None] == clips[None, :]
    same.fill_diagonal_(False)
    return same


def gathered(pairs: Pairs) -> Pairs:
    """Join the pairs of all processes of a distributed training, in the order of their ranks, with gradients.

    Each process then computes the loss of the whole batch. Gradients that are averaged over processes, as
    DistributedDataParallel does, are those of one process with the joint batch.
    """
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return pairs
    joined: dict[str, Any] = {}
    for field in dataclasses.fields(pairs):
        value = getattr(pairs, field.name)
        joined[field.name] = None if value is None else _Gather.apply(value)  # type: ignore[no-untyped-call]
    return Pairs(**joined)


class _Gather(torch.autograd.Function):
    """Join the rows of all processes; a row's gradient is the sum of what all of them give it."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        from torch import distributed

        parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        from torch import distributed

        total = gradients[0].contiguous().clone()  # autograd's own must stay as it is
        distributed.all_reduce(total)
        return total.chunk(distributed.get_world_size())[distributed.get_rank()]
