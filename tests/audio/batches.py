"""Batches of pairs for tests of losses."""

from typing import Any

import torch
from torch.nn import functional

from tamis.audio.objective import Pairs


def pairs(n: int = 6, *, joint: int = 8, clips: list[int] | None = None, seed: int = 0, **changes: Any) -> Pairs:
    """Random pairs with latents of 5 and 7 dimensions, in double precision."""
    rng = torch.Generator().manual_seed(seed)

    def unit(width: int) -> torch.Tensor:
        return functional.normalize(torch.randn(n, width, generator=rng, dtype=torch.float64), dim=1)

    made: dict[str, Any] = {
        "audio": unit(joint),
        "text": unit(joint),
        "clips": torch.tensor(clips or list(range(n))),
        "audio_latents": torch.randn(n, 5, generator=rng, dtype=torch.float64),
        "text_latents": torch.randn(n, 7, generator=rng, dtype=torch.float64),
        "audio_views": unit(joint),
        "text_views": unit(joint),
    }
    return Pairs(**(made | changes))
