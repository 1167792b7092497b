"""What trainings with pytorch-lightning share: a folder that knows its training, and quiet."""

from __future__ import annotations

import json
import logging
import os
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamis.core.errors import ConfigError, FileError
from tamis.core.files import CONFIG, WEIGHTS, check_writable, write_whole
from tamis.core.seed import generator

if TYPE_CHECKING:
    import pytorch_lightning as pl

ABOUT, LAST, BEST = "training.json", "last.ckpt", "best.ckpt"


def check_same(folder: Path, told: Mapping[str, Any], *, whole: bool = False) -> None:
    """Refuse a folder that holds the checkpoints of another training, as far as one can say before long work.

    Args:
        folder: Of the checkpoints.
        told: What is known already of the training that the folder shall be for.
        whole: Whether that is all there will be to say.

    Raises:
        ConfigError: If the folder holds another training.
        FileError: If what says so is damaged.
    """
    file = folder / ABOUT
    if not (folder / LAST).exists():
        for name in (WEIGHTS, CONFIG):
            if (folder / name).exists():
                raise ConfigError(f"{folder}: holds {name}, which no training put there; give another folder")
        return
    if not file.exists():
        raise ConfigError(f"{folder}: holds {LAST}, but no {ABOUT} that says of what; give another folder")
    try:
        known = dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise FileError(f"{file}: not the description of a training; give another folder") from error
    here = json.loads(json.dumps(told))
    for name in sorted(here.keys() | (known.keys() if whole else set())):
        if here.get(name) != known.get(name):
            raise ConfigError(
                f"{file}: another training: {name} is {known.get(name)!r} there and {here.get(name)!r} here; "
                "give the same to go on with it, or another folder"
            )


@contextmanager
def claim(folder: Path, told: Mapping[str, Any]) -> Iterator[Path | None]:
    """Hold a folder for one training, and write into it which; refuse it if it holds the checkpoints of another.

    Args:
        folder: Of the checkpoints; made if need be.
        told: What makes the training the one that it is, as JSON has it.

    Yields:
        The checkpoint to go on from, if there is one.

    Raises:
        ConfigError: If the folder holds another training, or one is going on there.
        FileError: If what it holds is damaged, or it cannot be written.
    """
    check_writable(folder / ABOUT)
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        check_same(folder, told, whole=True)
        last = folder / LAST
        if last.exists():
            read_checkpoint(last)
            yield last
        else:
            write_whole(folder / ABOUT, json.dumps(told, indent=2, sort_keys=True) + "\n")
            yield None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes and threads that do the same, where the system can.

    Args:
        folder: That exists; nothing is written into it.

    Raises:
        ConfigError: If it is locked.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        yield
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{folder}: a training is going on there; wait for it, or give another folder") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(opened)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what was kept of a training; nothing in the file is executed.

    Raises:
        FileError: If it is damaged.
    """
    import torch

    try:
        with zipfile.ZipFile(path) as parts:  # torch writes checksums, and does not look at them
            if damaged := parts.testzip():
                raise ValueError(damaged)
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # of pickle, zipfile, struct or torch: a damaged file has many faces
        raise FileError(
            f"{path}: not a checkpoint of a training ({type(error).__name__}); remove its folder, and train again"
        ) from error


def trainer(*, epochs: int, device: str, callbacks: Sequence[pl.Callback], **options: Any) -> pl.Trainer:
    """Make a trainer that writes nothing by itself, and clips gradients at 1.

    Args:
        epochs: How many.
        device: "cpu" or "cuda".
        callbacks: What happens on the way.
        options: More of Lightning's.

    Raises:
        ConfigError: If there is no such device.
    """
    import pytorch_lightning as pl

    check_device(device)
    return pl.Trainer(
        max_epochs=epochs,
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        **options,
    )


def check_device(device: str) -> None:
    """Refuse a device on which torch cannot compute here.

    Args:
        device: "cpu" or "cuda".

    Raises:
        ConfigError: If there is no such device.
    """
    import torch

    devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    if device not in devices:
        raise ConfigError(f"device is {device!r}; torch can compute on {' or '.join(devices)} here")


@contextmanager
def quietly(threads: int | None = None) -> Iterator[None]:
    """Keep Lightning's advice to itself, and torch's threads and random state as they were.

    Args:
        threads: Of torch, meanwhile; as they are by default.
    """
    import torch

    logger, before = logging.getLogger("pytorch_lightning"), torch.get_num_threads()
    level = logger.level
    logger.setLevel(logging.ERROR)
    torch.set_num_threads(threads or before)
    try:
        with warnings.catch_warnings(), torch.random.fork_rng():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            yield
    except SystemExit:  # Lightning turns Ctrl-C into an exit
        raise KeyboardInterrupt from None
    finally:
        torch.set_num_threads(before)
        logger.setLevel(level)


class Shuffle:
    """Another order every epoch, the same in every run of the seed; Lightning says which epoch it is."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Learn the epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        order = generator(self.seed, "order", self.epoch).permutation(self.count)
        return iter(order.tolist())
