"""Files: found in a folder, and written whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tamis.core.errors import FileError

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
"""What a model directory holds."""


def write_whole(path: str | Path, data: str | bytes) -> Path:
    """Write a file under a temporary name beside it and rename it, so that nobody ever sees half of it.

    Args:
        path: Where to; folders on the way are made, an older file is replaced.
        data: Bytes, or text, which is written as UTF-8, with escapes for what UTF-8 does not hold.

    Returns:
        The path.

    Raises:
        FileError: If it cannot be written there; an older file is then as it was.
    """
    path = Path(path)
    content = data.encode(errors="backslashreplace") if isinstance(data, str) else data
    with _told(path):
        _check(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            partial.write_bytes(content)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    return path


def what_is(path: str | Path) -> str:
    """Say what lies at a path: "a file", "a folder", "no such file", or "no file" for a pipe or a device.

    A name that no file can have is that of none, and nothing is opened, since a pipe would be waited for.
    """
    path = Path(path)
    try:
        if path.is_file():
            return "a file"
        if path.is_dir():
            return "a folder"
        return "no file" if path.exists() else "no such file"
    except (OSError, ValueError):  # too long, or NUL in it
        return "no such file"


def check_writable(*paths: str | Path) -> None:
    """Refuse, before work is spent on them, files that `write_whole` could not write. Nothing is made.

    Args:
        paths: Where they are to be.

    Raises:
        FileError: If one cannot be written there.
    """
    for path in map(Path, paths):
        with _told(path):
            _check(path)


def _check(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError(0, "it is no regular file")
    folder = next(one for one in path.parents if one.exists())
    if not folder.is_dir():
        raise NotADirectoryError(0, f"{folder} is a file, not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, f"{folder} is not yours to write to")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "make room" if full else "give a file in a folder that you may write to"
        raise FileError(f"{path}: cannot be written ({error.strerror}); {remedy}") from error


def list_files(folder: str | Path, suffixes: tuple[str, ...], kind: str) -> list[Path]:
    """List files in a folder and below, sorted by path; links that lead out of the folder are left out.

    Args:
        folder: Where to look.
        suffixes: How the files are named, in lower case.
        kind: What one of them is called in messages.

    Raises:
        FileError: If it is no folder, or holds no such file.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileError(f"{folder}: not a folder; give a folder of {kind}s")
    inside = root.resolve()
    found = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in suffixes and path.is_file() and path.resolve().is_relative_to(inside)
    )
    if not found:
        raise FileError(f"{folder}: holds no {kind}; expected files named {', '.join(suffixes)}")
    return found
