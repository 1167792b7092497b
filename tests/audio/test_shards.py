"""Tar files, honest and hostile."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tamis.audio import shards
from tamis.audio.shards import members
from tamis.core.errors import FileError, LimitError


def pack(path: Path, *entries: tarfile.TarInfo | tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                tar.addfile(info, io.BytesIO(entry[1]))
    return path


def entry(name: str, kind: bytes, linkname: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, linkname
    return info


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_members_are_where_they_are_said_to_be(tmp_path: Path, form: int) -> None:
    long = "folder/" + "x" * 90 + "/" + "y" * (90 if form != tarfile.USTAR_FORMAT else 9) + ".txt"
    told = {"a.flac": b"1234", "empty.txt": b"", "./b.flac": b"x" * 1000, long: b"long"}
    path = pack(tmp_path / "a.tar", entry("folder", tarfile.DIRTYPE), *told.items(), form=form)
    found = list(members(path))
    assert [member.name for member in found] == ["a.flac", "empty.txt", "b.flac", long]
    assert [member.read() for member in found] == list(told.values())
    content = path.read_bytes()
    assert all(content[one.offset : one.offset + one.size] == one.read() for one in found)


def test_a_tar_file_without_its_end_is_read(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", ("a.txt", b"x"))
    path.write_bytes(path.read_bytes()[:1024])
    assert [member.name for member in members(path)] == ["a.txt"]


@pytest.mark.parametrize(
    ("hostile", "said"),
    [
        (entry("x.flac", tarfile.SYMTYPE, "/etc/passwd"), "x.flac is a link, a device or sparse"),
        (entry("x.flac", tarfile.LNKTYPE, "a.flac"), "x.flac is a link"),
        (entry("x.flac", tarfile.FIFOTYPE), "x.flac is a link, a device"),
        (entry("x.flac", tarfile.CHRTYPE), "x.flac is a link, a device"),
        (entry("x.flac", b"V"), "x.flac is a link, a device"),
        (entry("x.flac", tarfile.GNUTYPE_SPARSE), "x.flac is a link, a device or sparse|damaged"),
        (("../x.flac", b""), r"a member is named '\.\./x\.flac'; expected printable names"),
        (("a/../../x.flac", b""), r"a member is named 'a/\.\./\.\./x\.flac'"),
        (("/etc/x.flac", b""), "a member is named '/etc/x.flac'"),
        (entry("../x", tarfile.DIRTYPE), r"a member is named '\.\./x'"),
        (("a\nb.flac", b""), r"a member is named 'a\\nb\.flac'"),
        (("a\x1b[2J.flac", b""), "a member is named"),
        (("a\udcff.flac", b""), r"a member is named 'a\\udcff\.flac'"),
        (("a\u202ecalf.flac", b""), "a member is named"),
    ],
)
def test_what_is_no_plain_file_below_the_folder_is_refused(
    tmp_path: Path, hostile: tarfile.TarInfo | tuple[str, bytes], said: str
) -> None:
    path = pack(tmp_path / "a.tar", ("a.flac", b"x"), hostile)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(FileError, match=said) as caught:
        list(members(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before


def header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """A header by hand, with a right sum, since tarfile writes no wrong one."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124 : 124 + len(size)] = size
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def negative(size: int) -> bytes:
    return (256**12 + size).to_bytes(12, "big")


def pax(text: bytes) -> bytes:
    return header(b"pax", b"%011o\0" % len(text), b"x") + text + bytes(-len(text) % 512)


SPARSE = pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n")
ONE = header(b"a.txt", b"00000000001\0") + b"x" + bytes(511)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no tar file"),
        (b"no tar file at all" * 100, "no tar file"),
        (b"\x1f\x8b\x08\x00" + bytes(600), "no tar file, compressed"),
        (ONE[:700], "unexpected end of data"),
        (ONE + b"z" * 512 + ONE, "damaged at byte 1024"),
        (header(b"a.txt", negative(-512)), "damaged at byte 0"),
        (ONE + header(b"a.txt", negative(-512)), "damaged at byte 1024"),
        (header(b"a.txt", b"77777777777\0"), "unexpected end of data|LIMIT"),
        (header(b"x", b"77777777777\0", b"L") + bytes(512), "a header of"),
        (header(b"x", b"77777777777\0", b"x") + bytes(512), "a header of"),
        (header(b"x", negative(-512), b"L"), "a header of"),
        (header(b"x", b"00000000000\0", b"x") * 3000, "no tar file"),
        (SPARSE + header(b"a", b"00000001000\0") + b"99\n1", "no tar file"),
        (SPARSE + header(b"a", b"00000001000\0") + b"999999999\n" + b"1\n" * 300_000, "a header of too many bytes"),
        (pax(b"12 size=-99\n") + ONE, "no tar file|damaged"),
    ],
)
def test_damaged_and_malicious_headers_are_one_line_and_end(tmp_path: Path, content: bytes, said: str) -> None:
    """Some of them keep `tarfile` itself busy for ever, or make it read all of a file at once."""
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises((FileError, LimitError), match=said.replace("LIMIT", "the limit is")) as caught:
        list(members(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda patch: patch.setattr(shards, "MAX_MEMBERS", 1), "more than 1 members"),
        (lambda patch: patch.setattr(shards, "MAX_MEMBER_BYTES", 2), "b.txt has 3 bytes, the limit is 2"),
    ],
)
def test_many_or_large_members_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None], said: str
) -> None:
    path = pack(tmp_path / "a.tar", ("a.txt", b"x"), ("b.txt", b"xyz"))
    change(monkeypatch)
    with pytest.raises(LimitError, match=said):
        list(members(path))


def test_a_tar_file_that_went_or_shrank_is_one_line(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", ("a.txt", b"x" * 100))
    (member,) = members(path)
    path.write_bytes(path.read_bytes()[:550])
    with pytest.raises(FileError, match=r"a\.tar:a\.txt: cut off after 38 of 100 bytes"):
        member.read()
    path.unlink()
    with pytest.raises(FileError, match=r"a\.tar:a\.txt: No such file"):
        member.read()
    with pytest.raises(FileError, match="No such file"):
        list(members(path))
