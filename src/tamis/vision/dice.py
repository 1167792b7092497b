"""Random numbers for a batch of numbered things at once, each of which has a stream of its own.

Thing 17 of a seed gets the same numbers alone, in a batch of a thousand, and in every process.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, UInt8, UInt64

_STEP = np.uint64(0x9E3779B97F4A7C15)


def splitmix(state: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """Turn counters into random bits: the output function of SplitMix64, element by element.

    Source:
        Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014), with the constants of
        Vigna's public-domain `splitmix64.c`.
    """
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64[np.ndarray, "*shape"] = state ^ (state >> np.uint64(31))
    return mixed


class Dice:
    """A stream of random numbers for each of some numbered things; each roll goes on where the last one ended."""

    def __init__(self, seed: int, index: Int[np.ndarray, " things"]) -> None:
        """Start the streams.

        Args:
            seed: The seed of a purpose, as `tamis.core.seed.derive` makes it.
            index: The numbers of the things, from 0.
        """
        self._streams = splitmix(np.uint64(seed) + _STEP * (index.astype(np.uint64) + np.uint64(1)))
        self._rolled = 0

    def bits(self, count: int) -> UInt64[np.ndarray, "things count"]:
        """Roll 64 bits, `count` times for each thing."""
        steps = np.arange(self._rolled + 1, self._rolled + count + 1, dtype=np.uint64)
        self._rolled += count
        return splitmix(self._streams[:, None] + _STEP * steps)

    def uniform(self, *shape: int) -> Float[np.ndarray, "things ..."]:
        """Roll numbers in [0, 1), of the given shape for each thing."""
        numbers = (self.bits(int(np.prod(shape))) >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)
        return numbers.reshape(-1, *shape)

    def below(self, limit: int | Int[np.ndarray, ...], *shape: int) -> Int[np.ndarray, "things ..."]:
        """Roll whole numbers from 0 to `limit` − 1, of the given shape for each thing.

        Args:
            limit: A number, or an array that broadcasts to (things, *shape); at least 1 and below 2^31.
            shape: Shape of the numbers of one thing; none: one number.
        """
        high = (self.bits(int(np.prod(shape))) >> np.uint64(32)).reshape(-1, *shape)
        return ((high * np.asarray(limit).astype(np.uint64)) >> np.uint64(32)).astype(np.int64)

    def noise(self, count: int) -> UInt8[np.ndarray, "things count"]:
        """Roll bytes; `count` is a multiple of 8."""
        return self.bits(count // 8).astype("<u8").view(np.uint8)
