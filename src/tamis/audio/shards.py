"""Tar files that nobody vouches for: where their members lie. Nothing is unpacked, and no name becomes a path."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from tamis.audio.sound import Member
from tamis.core.errors import FileError, LimitError, one_line

MAX_MEMBERS = 200_000
"""In one tar file."""
MAX_MEMBER_BYTES = 500_000_000
"""Of one member: it is held in memory while it is read."""
_MAX_HEADER_BYTES = 4_096  # of what precedes a member, such as a long name
_MAX_HEADER_READS = 1_000


def members(path: Path) -> Iterator[Member]:
    """List the files in a tar file that is not compressed, in its order.

    Args:
        path: The tar file.

    Raises:
        FileError: If it is no tar file, is damaged, or holds a link, a device, a sparse file, or a name that leads out
            of a folder or cannot be printed.
        LimitError: If it holds too many members, or too large ones.
    """
    try:
        with path.open("rb") as file:
            headers = _Headers(file)
            with tarfile.open(fileobj=headers, mode="r:") as tar:  # type: ignore[call-overload]
                for count, info in enumerate(tar, start=1):
                    headers.reads = 0
                    if info.size < 0:  # which leads older Pythons round in circles
                        raise FileError(f"{path}: damaged at byte {info.offset}; get it again")
                    if count > MAX_MEMBERS:
                        raise LimitError(f"{path}: more than {MAX_MEMBERS} members, which is the limit; split it")
                    name = _checked_name(path, info.name)
                    if info.isdir():
                        continue
                    if not info.isreg() or info.issparse():
                        raise FileError(f"{path}: {name} is a link, a device or sparse; pack plain files only")
                    if info.size > MAX_MEMBER_BYTES:
                        raise LimitError(f"{path}: {name} has {info.size} bytes, the limit is {MAX_MEMBER_BYTES}")
                    yield Member(path, name, info.offset_data, info.size)
                file.seek(tar.offset)
                if file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # tarfile takes a broken header for the end
                    raise FileError(f"{path}: damaged at byte {tar.offset}; get it again")
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}; check the path") from error
    except (tarfile.TarError, ValueError, RecursionError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(
            f"{path}: no tar file, compressed, or damaged ({one_line(error)}); give a plain .tar"
        ) from error


class _Headers:
    """A file that gives tarfile only as much at a time as an honest header has."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.reads = file, 0
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        self.reads += 1
        if not 0 <= size <= _MAX_HEADER_BYTES or self.reads > _MAX_HEADER_READS:
            raise tarfile.ReadError(f"a header of {size if size > _MAX_HEADER_BYTES else 'too many'} bytes")
        return self.file.read(size)


def _checked_name(path: Path, name: str) -> str:
    parts = PurePosixPath(name)
    if not name.isprintable() or parts.is_absolute() or ".." in parts.parts:
        raise FileError(f"{path}: a member is named {name!r}; expected printable names below one folder; pack it again")
    return str(parts)
