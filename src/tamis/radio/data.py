"""Frames of I/Q samples with their labels, and honest ways of splitting them."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tamis.core.errors import ConfigError, InputError, ShapeError, check_choice, nearest
from tamis.core.files import what_is, write_whole
from tamis.core.seed import generator
from tamis.radio.config import PRESETS, How

if TYPE_CHECKING:
    from jaxtyping import Float32, Int64
    from numpy.typing import NDArray


MAX_BYTES = 8_000_000_000
"""The most memory that frames may take, read or generated."""


@dataclass(frozen=True, eq=False)
class Frames:
    """Labelled frames; checked when made."""

    iq: Float32[np.ndarray, "frames 2 samples"]
    """I in row 0, Q in row 1; of any scale."""
    labels: Int64[np.ndarray, " frames"]
    """Index of each frame's class in `classes`."""
    snr_db: Float32[np.ndarray, " frames"]
    """Signal-to-noise ratio in dB over the whole sampled band, as labelled."""
    classes: tuple[str, ...]
    """Names of the classes."""
    name: str
    """What people call the data, such as "rml2016"."""
    groups: Int64[np.ndarray, " frames"] | None = None
    """Frames of one channel realisation or recording share a number; None if every frame is its own."""
    samples_per_symbol: float = 8.0
    """Samples per symbol, nominal."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together, labels without a class, and samples that are no numbers."""
        n = len(self.iq)
        kinds = {"iq": np.float32, "labels": np.int64, "snr_db": np.float32}
        for field, kind in (kinds if self.groups is None else {**kinds, "groups": np.int64}).items():
            array = getattr(self, field)
            if not (isinstance(array, np.ndarray) and array.dtype == kind):
                told = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise InputError(f"{self.name}: {field} is {told}; expected an array of {kind.__name__}")
        if len(set(self.classes)) != len(self.classes) or not all(name.isprintable() for name in self.classes):
            raise InputError(f"{self.name}: classes are {self.classes!r}; expected different names of plain text")
        if not 0 < self.samples_per_symbol < math.inf:
            raise InputError(f"{self.name}: samples_per_symbol is {self.samples_per_symbol}; expected more than 0")
        if self.iq.ndim != 3 or self.iq.shape[1] != 2 or not self.iq.shape[2]:
            raise ShapeError(
                f"{self.name}: iq has shape {self.iq.shape}; expected (frames, 2, samples): I and Q are rows"
            )
        for field in ("labels", "snr_db", "groups"):
            array = getattr(self, field)
            if array is not None and array.shape != (n,):
                raise ShapeError(f"{self.name}: {field} has shape {array.shape}; expected ({n},), one a frame")
        if n and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise InputError(
                f"{self.name}: labels go from {self.labels.min()} to {self.labels.max()}; expected 0 to "
                f"{len(self.classes) - 1}"
            )
        bad = ~np.isfinite(self.iq).all(axis=(1, 2))
        if not np.isfinite(self.snr_db).all():
            raise InputError(f"{self.name}: a signal-to-noise ratio is NaN or infinite")
        if bad.any():
            raise InputError(f"{self.name}: frame {bad.argmax()} and {bad.sum() - 1} others hold NaN or infinity")

    def __len__(self) -> int:
        return len(self.iq)

    def __repr__(self) -> str:
        return f"<{len(self)} frames of {self.name}: {len(self.classes)} classes, {self.samples} samples each>"

    @property
    def samples(self) -> int:
        """Length of a frame in complex samples."""
        return int(self.iq.shape[2])

    @property
    def task(self) -> dict[str, Any]:
        """What a network must be made for to classify them: classes, samples and samples_per_symbol."""
        return {"classes": self.classes, "samples": self.samples, "samples_per_symbol": self.samples_per_symbol}

    @cached_property
    def dataset(self) -> str:
        """Name and hash of the content, as result lines carry it."""
        digest = hashlib.sha256(json.dumps([self.classes, self.samples]).encode())
        for array in (self.iq, self.labels, self.snr_db):
            digest.update(np.ascontiguousarray(array).data)
        return f"{self.name}@sha256:{digest.hexdigest()}"

    def take(self, index: NDArray[Any]) -> Frames:
        """Choose frames by index or by mask, in the order given."""
        groups = None if self.groups is None else self.groups[index]
        return replace(self, iq=self.iq[index], labels=self.labels[index], snr_db=self.snr_db[index], groups=groups)

    def reorder(self, classes: Sequence[str]) -> Frames:
        """Renumber the labels as a list of classes has them, which may hold more.

        16QAM and QAM16 are one, unless the list or the frames have both.

        Raises:
            ConfigError: If a class of the frames is not in the list.
        """
        both = any(len(set(map(_spelt, names))) < len(names) for names in (classes, self.classes))
        spelt = str if both else _spelt
        known = {spelt(name): number for number, name in enumerate(classes)}
        if strange := [name for name in self.classes if spelt(name) not in known]:
            raise ConfigError(
                f"{self.name}: holds {', '.join(strange)}, of which {', '.join(classes)} knows nothing; leave those out"
            )
        order = np.array([known[spelt(name)] for name in self.classes], dtype=np.int64)
        return replace(self, labels=order[self.labels], classes=tuple(classes))

    def save(self, path: str | Path) -> Path:
        """Write the frames to one safetensors file, whole or not at all; `load` reads it.

        Args:
            path: Where to; folders on the way are made, an older file is replaced.

        Returns:
            The path.

        Raises:
            FileError: If it cannot be written there.
        """
        from safetensors.numpy import save

        columns = {"iq": self.iq, "labels": self.labels, "snr_db": self.snr_db, "groups": self.groups}
        arrays = {name: np.ascontiguousarray(column) for name, column in columns.items() if column is not None}
        about = {"classes": self.classes, "name": self.name, "samples_per_symbol": self.samples_per_symbol}
        return write_whole(path, save(arrays, {"frames": json.dumps(about)}))


def _spelt(name: str) -> str:
    """Spell QAM and PAM as RML2016 does: 16QAM becomes QAM16."""
    return re.sub(r"^(\d+)(QAM|PAM)$", r"\2\1", name)


class Splits(NamedTuple):
    """Frames to learn from, to choose by, and to be judged on."""

    train: Frames
    val: Frames
    test: Frames


def load(
    source: str | Path,
    *,
    per_cell: int | None = None,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    snrs_db: Sequence[int | float] | None = None,
) -> Frames:
    """Generate frames from a preset, or read them from a file.

    Args:
        source: "rml2016", "rml22", "default" or "clean", which are generated; or a file: RadioML 2016.10a, 2016.10b,
            2016.04C or 2018.01A, RML22, HisarMod2019.1, an HDF5 file of mainland/radioml2016, or what `Frames.save`
            wrote. What it is, is told by its content.
        per_cell: Frames for each class and signal-to-noise ratio: how many to generate (200 by default), or how many
            to read at most (all by default; the first ones).
        seed: Of the generator.
        classes: Classes to have; all by default.
        snrs_db: Signal-to-noise ratios in dB to have; all by default.

    Raises:
        ConfigError: If there is no such preset, class or signal-to-noise ratio.
        FileError: If the file cannot be read as one of these.
        LimitError: If the frames would take too much memory.
    """
    if isinstance(source, str) and source in PRESETS:
        from tamis.radio.signals import generate

        chosen = {"modulations": classes, "snrs_db": snrs_db}
        changes: dict[str, Any] = {field: tuple(values) for field, values in chosen.items() if values is not None}
        return generate(source, per_cell=200 if per_cell is None else per_cell, seed=seed, **changes)
    if isinstance(source, str) and "/" not in source and what_is(source) == "no such file":
        raise ConfigError(f"{source!r} is neither a file nor a preset of the generator; {nearest(source, PRESETS)}")
    from tamis.radio.radioml import read

    return read(source, classes=classes, snrs_db=snrs_db, limit_per_cell=per_cell)


def split(
    frames: Frames,
    how: str = "stratified",
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
    seed: int = 0,
) -> Splits:
    """Split frames into three parts; each keeps the order of the frames.

    Args:
        frames: What to split.
        how: "stratified" cuts every cell of class and signal-to-noise ratio alike. "group" keeps the frames of a group
            together, and balances cells, classes and sizes as far as the groups allow. "snr" gives each part
            signal-to-noise ratios of its own. "amr-benchmark" is the published split of RML2016.10a.
        fractions: Shares of train, val and test; they add up to 1.
        seed: Another seed gives another split; "amr-benchmark" has its own.

    Raises:
        ConfigError: If there is no such way, a part would be empty, frames of one group would fall into two parts, or
            the frames are not those that "amr-benchmark" is made for.

    Source:
        amr-benchmark: Richardzhangxx/AMR-Benchmark, RML201610a/1DCNN-PF/dataset2016.py, `load_data`. Differs: the
        frames of a part are not shuffled.
    """
    check_choice("how", how, How)
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ConfigError(f"fractions are {fractions}; expected three numbers above 0 that add up to 1")
    if how == "group":
        part = _by_group(frames, fractions, seed)
    else:
        _check_groups(frames, how)
        if how == "snr":
            part = _by_snr(frames, fractions, seed)
        elif how == "stratified":
            rank, count = _ranks(frames, seed, "split")
            part = _part((rank + 0.5) / count, fractions)
        else:
            part = _amr_benchmark(frames, fractions)
    for number, name in enumerate(Splits._fields):
        if not (part == number).any():
            raise ConfigError(
                f"{frames.name}: nothing is left for {name} in a split of {len(frames)} frames by how={how!r}; "
                "give more frames or other fractions"
            )
    return Splits(*(frames.take(part == number) for number in range(3)))


def few(frames: Frames, fraction: float, seed: int = 0) -> Frames:
    """Choose a share of every cell of class and signal-to-noise ratio, at least one frame.

    A smaller share is always part of a larger one.

    Args:
        frames: What to choose from, such as the training part of a split.
        fraction: Above 0, up to 1.
        seed: Another seed chooses others.

    Raises:
        ConfigError: If the fraction is none.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"fraction is {fraction}; expected above 0, up to 1")
    rank, count = _ranks(frames, seed, "few")
    return frames.take(rank < np.maximum(1, np.round(fraction * count)))


def cells(frames: Frames) -> tuple[Int64[np.ndarray, " frames"], int]:
    """Number the cells of class and signal-to-noise ratio, class by class.

    Args:
        frames: Any.

    Returns:
        The cell of each frame, and how many cells there are, empty ones included.
    """
    levels, level = np.unique(frames.snr_db, return_inverse=True)
    return frames.labels * len(levels) + level, len(levels) * len(frames.classes)


def places(cell: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count, for each frame, those of its cell that come before it.

    Args:
        cell: Number of each frame's cell.
        order: The frames in the order in which to count.
    """
    order = order[np.argsort(cell[order], kind="stable")]
    sizes = np.bincount(cell)
    place = np.empty(len(cell), np.int64)
    place[order] = np.arange(len(cell)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return place


def _ranks(frames: Frames, seed: int, purpose: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Shuffle each cell; return every frame's rank in its cell, and the size of that cell."""
    cell, _ = cells(frames)
    rank = places(cell, generator(seed, "radio", purpose).permutation(len(frames)))
    return rank, np.bincount(cell)[cell]


def _part(place: NDArray[np.float64], fractions: Sequence[float]) -> NDArray[np.int64]:
    """Say which part a place between 0 and 1 falls into."""
    return np.searchsorted(np.cumsum(fractions)[:2], place, side="right")


def _check_groups(frames: Frames, how: str) -> None:
    if frames.groups is None:
        return
    level = np.unique(frames.snr_db, return_inverse=True)[1]
    within = np.stack([frames.groups, level]) if how == "snr" else np.arange(len(frames))[None]
    if len(np.unique(frames.groups)) < np.unique(within, axis=1).shape[1]:
        raise ConfigError(
            f"{frames.name}: how={how!r} would put frames of one channel or recording into two parts; give how='group'"
        )


def _by_snr(frames: Frames, fractions: Sequence[float], seed: int) -> NDArray[np.int64]:
    levels, level = np.unique(frames.snr_db, return_inverse=True)
    place = (generator(seed, "radio", "split").permutation(len(levels)) + 0.5) / len(levels)
    return _part(place, fractions)[level]


def _by_group(frames: Frames, fractions: Sequence[float], seed: int) -> NDArray[np.int64]:
    """Give each group, the largest first, to the part that has least of its cells, of its classes and of the whole."""
    from scipy.sparse import coo_array

    if frames.groups is None:
        raise ConfigError(f"{frames.name}: the frames have no groups; give how='stratified'")
    names, group = np.unique(frames.groups, return_inverse=True)
    cell, number = cells(frames)
    columns = np.stack([cell, number + frames.labels, np.full(len(frames), number + len(frames.classes))])
    shape = (len(names), number + len(frames.classes) + 1)
    counts = coo_array((np.ones(columns.size), (np.tile(group, 3), columns.ravel())), shape).tocsr()
    total = np.maximum(counts.sum(axis=0), 1)
    share = np.array(fractions)[:, None]
    have = np.zeros((3, shape[1]))
    part = np.empty(len(names), np.int64)
    shuffled = generator(seed, "radio", "split").permutation(len(names))
    for name in shuffled[np.argsort(-np.bincount(group)[shuffled], kind="stable")]:
        inside = slice(counts.indptr[name], counts.indptr[name + 1])
        column, count = counts.indices[inside], counts.data[inside]
        after = have[:, column] + count * (column == shape[1] - 1)  # the whole decides before anything is there
        part[name] = (count * after / (share * total[column])).sum(axis=1).argmin()
        have[part[name], column] += count
    return part[group]


def _amr_benchmark(frames: Frames, fractions: Sequence[float]) -> NDArray[np.int64]:
    if tuple(fractions) != (0.6, 0.2, 0.2):
        raise ConfigError(f"fractions are {fractions}; how='amr-benchmark' has 0.6, 0.2 and 0.2: leave them out")
    levels = np.unique(frames.snr_db)
    part = np.full(len(frames), 2)
    rng = np.random.RandomState(2016)
    start = 0
    for name in sorted(frames.classes):
        label = frames.classes.index(name)
        for level in levels:
            rows = np.flatnonzero((frames.labels == label) & (frames.snr_db == level))
            if len(rows) != 1000:
                raise ConfigError(
                    f"{frames.name}: {len(rows)} frames of {name} at {level:g} dB; how='amr-benchmark' needs 1000 "
                    "each: give RML2016.10a, whole"
                )
            block = np.arange(start, start + 1000)
            train = rng.choice(block, size=600, replace=False)
            rest = np.setdiff1d(block, train)
            # The original draws from list(set(block) - set(train)), which CPython orders by the number modulo 2048.
            val = rng.choice(rest[np.argsort(rest % 2048)], size=200, replace=False)
            part[rows[train - start]] = 0
            part[rows[val - start]] = 1
            start += 1000
    return part
