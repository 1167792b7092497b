"""What the benchmarks share: `--write`, what is checked before time is spent on it, and how an error is said."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from tamis.core import results
from tamis.core.errors import ConfigError
from tamis.core.results import Run, read_runs

RESULTS = Path(__file__).parents[1] / "results"
"""The folder in which `--write` appends result lines, to the file of their domain."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser that knows `--write`.

    Args:
        description: The docstring of the script, shown as it is.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--write", action="store_true", help=f"append the lines to a file in {RESULTS.name}/")
    return made


def check_clean() -> None:
    """Refuse a source tree that is not that of a commit.

    Raises:
        ConfigError: If it is not.
    """
    if results.source_state()[1]:
        raise ConfigError("the tree is not clean, so its lines would not be shown; commit, then measure")


def check(task: str, datasets: Iterable[str] = (), parts: Iterable[str] = ()) -> None:
    """Refuse, before anything is measured, what could not be written afterwards.

    Args:
        task: Of the lines to come.
        datasets: Names of the data, without their hash, of which each may have lines of this task only once.
        parts: Parts of a benchmark, as `part` in the config names them, of which the same holds.

    Raises:
        ConfigError: If the source tree is not clean, or there are lines already.
        FileError: If the file is there and is no file of results.
    """
    check_clean()
    path = _file(task)
    there = read_runs(path) if path.exists() else []
    for name in datasets:
        if any(run.task == task and run.dataset.partition("@")[0] == name for run in there):
            raise ConfigError(f"--write: {path.name} has lines of {task} on {name} already; remove those first")
    for part in parts:
        if any(run.task == task and run.config.get("part") == part for run in there):
            raise ConfigError(f"--write: {path.name} has lines of {task}, part {part}, already; remove those first")


def append(run: Run) -> None:
    """Add a line to the file of its domain.

    Raises:
        ConfigError: If it is a headline line and must not be, or there is one already.
        FileError: If the file cannot be written or is no file of results.
    """
    run.append(_file(run.task))


def fail(script: str, message: str, code: int) -> int:
    """Say an error, and return the exit code.

    Args:
        script: Who says it.
        message: One line.
        code: The exit code.
    """
    print(f"{script}: error: {message}", file=sys.stderr)
    return code


def _file(task: str) -> Path:
    return RESULTS / f"{task.partition('/')[0]}.jsonl"
