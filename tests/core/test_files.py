import os
from pathlib import Path

import pytest

from tamis.core.errors import FileError
from tamis.core.files import check_writable, write_whole


@pytest.mark.parametrize(("data", "content"), [("grüße\r\n", "grüße\r\n".encode()), (b"\x00\xff", b"\x00\xff")])
def test_text_and_bytes_arrive_as_they_are_and_folders_are_made(
    data: str | bytes, content: bytes, tmp_path: Path
) -> None:
    path = write_whole(tmp_path / "a" / "b" / "file", data)
    assert path.read_bytes() == content
    assert write_whole(str(path), "newer") == path
    assert path.read_text() == "newer"
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_whole(tmp_path / "kept.json", "old")

    def full(partial: Path, *_: object) -> None:
        partial.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, step, full)
    with pytest.raises(FileError, match=r"kept\.json: cannot be written \(No space left on device\); make room"):
        write_whole(path, "new")
    assert os.listdir(tmp_path) == ["kept.json"]
    assert path.read_text() == "old"


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(partial: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", "half")
    assert os.listdir(tmp_path) == []


def test_names_that_are_no_text_are_escaped(tmp_path: Path) -> None:
    assert write_whole(tmp_path / "names.txt", "bad\udcff.wav ü").read_text(encoding="utf-8") == "bad\\udcff.wav ü"


def test_a_folder_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, "", ".", "..", "/"):
        with pytest.raises(FileError, match="it is a folder"):
            write_whole(folder, "x")
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(FileError, match=r"\(.*report\.html is a file, not a folder\)"):
        write_whole(tmp_path / "report.html" / "kept.json", "x")
    with pytest.raises(FileError, match=r"\(.*report\.html is a file, not a folder\)"):
        write_whole(tmp_path / "report.html" / "deeper" / "kept.json", "x")
    assert (tmp_path / "report.html").read_text() == "mine"


def test_what_could_not_be_written_is_known_before_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    check_writable("new", "file", tmp_path / "deep" / "er" / "file", Path("folder") / "new")
    with pytest.raises(FileError, match=r"^folder: cannot be written \(it is a folder\)"):
        check_writable("new", "folder")
    with pytest.raises(FileError, match=r"\(file is a file, not a folder\)"):
        check_writable("file/deep/er")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != Path("folder"))
    check_writable("new/file")
    with pytest.raises(FileError, match=r"\(folder is not yours to write to\)"):
        check_writable("folder/new/file")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
    assert os.listdir(tmp_path / "folder") == []
