"""What a training does around its loop: where it computes, whose its folder is, and how quiet Lightning is about it."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tamis.core.errors import ConfigError, FileError
from tamis.core.files import write_whole

ABOUT, LAST = "training.json", "last.ckpt"
"""Files of a training's folder: which training it is for, and what is needed to go on with it."""


def check_device(device: str) -> None:
    """Refuse a device that trainings do not know, or that is not there.

    Args:
        device: "cpu" or "cuda".

    Raises:
        ConfigError: If it is another one, or there is none.
    """
    import torch

    devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    if device not in devices:
        raise ConfigError(f"device is {device!r}; torch can compute on {' or '.join(devices)} here")


def claim(folder: Path, told: Mapping[str, Any]) -> Path | None:
    """Write into a folder which training it is for, or refuse it if it holds another.

    Args:
        folder: Made if it is not there.
        told: All that makes the training what it is, as JSON can hold it.

    Returns:
        The checkpoint to go on from, if there is one.

    Raises:
        ConfigError: If the folder holds another training, or a checkpoint of nobody knows what.
        FileError: If it cannot be written, or what it holds is damaged.
    """
    text = json.dumps(told, indent=2, sort_keys=True) + "\n"
    file, last = folder / ABOUT, folder / LAST
    if not file.exists():
        if last.exists():
            raise ConfigError(f"{folder}: holds {LAST}, but no {ABOUT} that says of what; give another folder")
        write_whole(file, text)
        return None
    try:
        known = dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise FileError(f"{file}: not the description of a training; give another folder") from error
    here = json.loads(text)
    for name in sorted(here.keys() | known.keys()):
        if here.get(name) != known.get(name):
            raise ConfigError(
                f"{file}: another training: {name} is {known.get(name)!r} there and {here.get(name)!r} here; "
                "give the same to go on with it, or another folder"
            )
    if not last.exists():
        return None
    read_checkpoint(last)
    return last


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what was kept of a training; nothing in the file is executed.

    Args:
        path: The file.

    Raises:
        FileError: If it is no checkpoint.
    """
    import torch

    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # of pickle, zipfile, struct or torch: a damaged file has many faces
        raise FileError(
            f"{path}: not a checkpoint of a training ({type(error).__name__}); remove its folder, and train again"
        ) from error


@contextmanager
def quietly(threads: int | None = None) -> Iterator[None]:
    """Keep Lightning's advice to itself, and torch's threads and random state as they were.

    Args:
        threads: Of torch inside of the context; None leaves them.
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
