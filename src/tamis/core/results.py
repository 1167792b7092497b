"""A measured or published number, with all that is needed to trust it: one JSON object a line.

A measured line carries the commit, the environment and the time; a published one carries its `source` instead.
The two kinds share the other fields, so that a table can set them side by side, and never look alike.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import tamis
from tamis.core.errors import ConfigError, FileError, TamisError, one_line
from tamis.core.files import what_is, write_whole

SCHEMA = 1
_MEASURED_ONLY = ("seconds", "commit", "dirty", "env", "time")
_KINDS = {
    **dict.fromkeys(("task", "method", "dataset", "split", "commit", "time"), str),
    **dict.fromkeys(("metrics", "intervals", "curves", "config", "env", "source"), dict),
    "seeds": list,
    "dirty": bool,
}
_KIND_NAMES = {str: "a string", dict: "an object", list: "an array", bool: "true or false"}
_PACKAGES = ("numpy", "torch", "transformers")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One result line: either measured (`Run.measured`) or published (`source` is given).

    Values are kept as JSON has them, so a run equals itself after a round trip: tuples become lists.
    """

    task: str
    """What was asked, `<domain>/<what>`, such as "vision/accuracy"."""
    method: str
    """Which method answered, such as "fastervlm"; "all" is the unpruned model."""
    dataset: str
    """Name of the data, with `@sha256:` and its hash when measured."""
    split: str
    """Which part of the data; a headline line says "test"."""
    n: int | None
    """How many examples; None if a publication does not say."""
    metrics: dict[str, int | float]
    """The numbers, flat; accuracies are fractions, other units are in the name."""
    intervals: dict[str, list[int | float]] = field(default_factory=dict)
    """95 % intervals [low, high] of metrics, by metric name."""
    curves: dict[str, dict[str, int | float]] = field(default_factory=dict)
    """Numbers along an axis, `{name: {x: y}}`."""
    config: dict[str, Any] = field(default_factory=dict)
    """What the run was told: `keep` (fraction kept), `model`, `headline` and so on."""
    source: dict[str, str] | None = None
    """Of a published number: `paper`, `table` and `row`."""
    seeds: list[int] = field(default_factory=list)
    """Every seed that was used; empty if nothing was random, or if a publication names none."""
    seconds: int | float | None = None
    """Wall time of the whole measurement, in seconds."""
    commit: str | None = None
    """Commit of the tamis source tree, or "unknown" outside of one."""
    dirty: bool | None = None
    """Whether the source tree differed, or may have differed, from that commit (`results/` does not count)."""
    env: dict[str, str | int] | None = None
    """Versions, platform and core count."""
    time: str | None = None
    """When it was measured, UTC, ISO 8601 with Z."""

    def __post_init__(self) -> None:
        """Refuse a line that is neither measured nor published, and hold every value as JSON would."""
        unset = [name for name in _MEASURED_ONLY if getattr(self, name) is None]
        if self.source is None and unset:
            raise ConfigError(f"{self._label} has no {unset[0]}; a measured run needs it, a published one needs source")
        if self.source is not None and len(unset) < len(_MEASURED_ONLY):
            extra = next(name for name in _MEASURED_ONLY if name not in unset)
            raise ConfigError(f"{self._label} has both source and {extra}; a number is published or measured, not both")
        if self.source is None and self.n is None:
            raise ConfigError(f"{self._label} has no n; a measured run says how many examples it used")
        for name, value in self.metrics.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigError(f"{self._label}: metric {name} is {value!r}; expected a finite Python number")
        for name in ("metrics", "intervals", "curves", "config", "seeds"):
            object.__setattr__(self, name, self._as_json(name))

    @classmethod
    def measured(
        cls,
        task: str,
        method: str,
        *,
        dataset: str,
        split: str,
        n: int,
        metrics: Mapping[str, int | float],
        seconds: int | float,
        intervals: Mapping[str, Sequence[int | float]] | None = None,
        curves: Mapping[str, Mapping[Any, int | float]] | None = None,
        config: Mapping[str, Any] | None = None,
        seeds: Sequence[int] = (),
    ) -> Run:
        """Make the line of a measurement; commit, environment and time are filled in.

        Args:
            task: What was asked, `<domain>/<what>`.
            method: Which method answered.
            dataset: Name and hash of the data, from `dataset_hash`.
            split: Which part of the data.
            n: How many examples.
            metrics: The numbers, flat.
            seconds: Wall time in seconds.
            intervals: 95 % intervals of metrics.
            curves: Numbers along an axis.
            config: What the run was told.
            seeds: Every seed used.

        Raises:
            ConfigError: If a value is not finite or not a JSON value.
        """
        commit, dirty = source_state()
        return cls(
            task=task,
            method=method,
            dataset=dataset,
            split=split,
            n=n,
            metrics=dict(metrics),
            intervals={name: list(bounds) for name, bounds in (intervals or {}).items()},
            curves={name: {str(x): y for x, y in points.items()} for name, points in (curves or {}).items()},
            config=dict(config or {}),
            seeds=list(seeds),
            seconds=round(seconds, 3),
            commit=commit,
            dirty=dirty,
            env=_environment(),
            time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    @property
    def published(self) -> bool:
        """Whether the number was printed in a publication; otherwise it was measured by this code."""
        return self.source is not None

    @property
    def headline(self) -> bool:
        """Whether a claim rests on this line."""
        return self.config.get("headline") is True

    @property
    def _label(self) -> str:
        return f"run {self.task} of {self.method}"

    def _as_json(self, name: str) -> Any:
        try:
            return json.loads(json.dumps(getattr(self, name), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self._label}: {name} holds what JSON cannot: {error}; give finite numbers") from error

    def to_json(self) -> str:
        """Write the run as one line of JSON, keys sorted, with no line end.

        Raises:
            ConfigError: If a value is not finite or not a JSON value.
        """
        skipped = _MEASURED_ONLY if self.published else ("source",)
        line = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skipped}
        try:
            return json.dumps({"schema": SCHEMA, **line}, sort_keys=True, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self._label} cannot be written as JSON: {error}; give finite numbers") from error

    @classmethod
    def from_json(cls, line: str) -> Run:
        """Read one line; every key is expected and no other is accepted.

        Args:
            line: A JSON object as `to_json` writes it.

        Raises:
            ConfigError: If it is no such object; the message names the key.
        """
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise ConfigError(f"not JSON ({error}); expected one result object a line") from error
        if not isinstance(values, dict):
            raise ConfigError(f"a JSON {type(values).__name__}; expected one result object a line")
        skipped = _MEASURED_ONLY if "source" in values else ("source",)
        expected = {"schema", *(f.name for f in fields(cls) if f.name not in skipped)}
        if unknown := sorted(values.keys() - expected):
            raise ConfigError(f"unknown key {unknown[0]!r}; expected {', '.join(sorted(expected))}")
        if missing := sorted(expected - values.keys()):
            raise ConfigError(f"missing key {missing[0]!r}; a result line has {', '.join(sorted(expected))}")
        if (schema := values.pop("schema")) != SCHEMA:
            raise ConfigError(f"schema is {schema!r}; this tamis reads schema {SCHEMA}")
        for name, kind in _KINDS.items():
            if name in values and not isinstance(values[name], kind):
                raise ConfigError(f"{name} is {values[name]!r}; expected {_KIND_NAMES[kind]}")
        return cls(**values)

    def append(self, path: str | Path) -> None:
        """Add this run as one line at the end of a file, which is made if need be.

        Args:
            path: A `.jsonl` file.

        Raises:
            ConfigError: If this is a headline line off the test split, from a tree that is not clean, or a second one
                for the same task, dataset, method and keep.
            FileError: If the file cannot be written or is no file of results.
        """
        path = Path(path)
        if self.headline:
            self._check_headline(read_runs(path) if path.exists() else [])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
                raise FileError(f"{path}: the last line has no end, so it may be cut off; mend or remove it first")
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, (self.to_json() + "\n").encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise FileError(f"{path}: {error.strerror}; give a file that can be written") from error

    def _check_headline(self, others: Sequence[Run]) -> None:
        if self.split != "test":
            raise ConfigError(f"{self._label} is a headline on split {self.split!r}; a headline is measured on 'test'")
        if not self.published and (self.dirty or self.commit == "unknown"):
            raise ConfigError(f"{self._label} is a headline from a tree that is not clean; commit, then measure again")
        key = _headline_key(self)
        if any(other.headline and _headline_key(other) == key for other in others):
            raise ConfigError(f"{self._label} has a headline line already for {key[1]}, keep {key[3]}; remove that one")


def _headline_key(run: Run) -> tuple[str, str, str, Any]:
    return run.task, run.dataset, run.method, run.config.get("keep")


def json_array(runs: Iterable[Run]) -> str:
    """Write result lines as one JSON array.

    Raises:
        ConfigError: If a value is not finite or not a JSON value.
    """
    return f"[{', '.join(run.to_json() for run in runs)}]"


def write_runs(path: str | Path, runs: Iterable[Run]) -> Path:
    """Write a file of result lines, whole or not at all; an older one is replaced.

    Raises:
        ConfigError: If a value is not finite or not a JSON value.
        FileError: If it cannot be written.
    """
    return write_whole(path, "".join(run.to_json() + "\n" for run in runs))


def read_runs(path: str | Path) -> list[Run]:
    """Read a file of results, in order; blank lines are skipped.

    Args:
        path: A `.jsonl` file.

    Raises:
        FileError: If it cannot be read or a line is no result; the message names file and line.
    """
    try:
        if what_is(path) == "no file":
            raise OSError("it is no regular file")
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read ({error}); expected a file of result lines") from error
    runs = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                runs.append(Run.from_json(line))
            except (TamisError, ValueError, TypeError, OverflowError, RecursionError) as error:
                raise FileError(f"{path}:{number}: {one_line(error)[:300]}") from error
    return runs


def dataset_hash(name: str, data: bytes | Sequence[Path]) -> str:
    """Name a data set by its content: `name@sha256:…`.

    One file, or bytes, give their plain SHA-256; several files that of their list of hashes and names, as `sha256sum`
    prints it, in the order given.

    Args:
        name: What people call it.
        data: The content, or the files that hold it.

    Raises:
        FileError: If a file cannot be read, or no file is given.

    >>> dataset_hash("empty", b"")
    'empty@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    if isinstance(data, bytes):
        return f"{name}@sha256:{hashlib.sha256(data).hexdigest()}"
    if not data:
        raise FileError(f"data set {name} has no files; give at least one")
    digests = [file_sha256(path) for path in data]
    if len(data) == 1:
        return f"{name}@sha256:{digests[0]}"
    listing = "".join(f"{digest}  {path.name}\n" for digest, path in zip(digests, data, strict=True))
    return f"{name}@sha256:{hashlib.sha256(listing.encode()).hexdigest()}"


def file_sha256(path: Path) -> str:
    """Hash the content of a file, 64 hexadecimal digits.

    Raises:
        FileError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror})") from error


def source_state() -> tuple[str, bool]:
    """Give the commit of the git tree that holds this file, and say whether anything but its results differs from it.

    Returns:
        "unknown" and True outside of a tree.
    """
    here = Path(__file__).resolve()

    def git(*arguments: str) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=clean).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", ":/", ":(top,exclude)results"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True


def _environment() -> dict[str, str | int]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "tamis": tamis.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count() or 1,
        **versions,
    }
