"""Random numbers from a seed and a purpose, without global state.

Every use of randomness has its own stream, named by keys: `generator(0, "scenes", 17)` gives the same numbers in every
process, in whatever order the streams are made.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def derive(seed: int, *keys: str | int) -> int:
    """Derive a 63-bit seed from a seed and the keys that name its purpose.

    Args:
        seed: The seed that the user gave.
        keys: What the numbers are for, such as "scenes", 17; order matters, and 1 differs from "1".
    """
    digest = hashlib.sha256(json.dumps([int(seed), *keys]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *keys: str | int) -> np.random.Generator:
    """Make the NumPy generator of a seed and a purpose.

    Args:
        seed: The seed that the user gave.
        keys: What the numbers are for.
    """
    import numpy as np

    return np.random.default_rng(derive(seed, *keys))


def torch_generator(seed: int, *keys: str | int) -> torch.Generator:
    """Make the torch generator, on the CPU, of a seed and a purpose.

    Args:
        seed: The seed that the user gave.
        keys: What the numbers are for.
    """
    import torch

    return torch.Generator().manual_seed(derive(seed, *keys))
