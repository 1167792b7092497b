"""What the benchmarks share: `--write`, what is checked before time is spent on it, and how an error is said."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from tamis.core.errors import ConfigError
from tamis.core.results import Run, read_runs

RESULTS = Path(__file__).parents[1] / "results" / "vision.jsonl"
"""Where `--write` appends result lines."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser that knows `--write`.

    Args:
        description: The docstring of the script, shown as it is.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--write", action="store_true", help=f"append the lines to {RESULTS.parent.name}/{RESULTS.name}")
    return made


def check(task: str, datasets: Iterable[str] = ()) -> None:
    """Refuse, before anything is measured, what could not be written afterwards.

    Args:
        task: Of the lines to come.
        datasets: Names of the data, without their hash, of which each may have lines of this task only once.

    Raises:
        ConfigError: If the source tree is not clean, or there are lines already.
        FileError: If the file is there and is no file of results.
    """
    probe = Run.measured(task, "all", dataset="none", split="test", n=0, metrics={}, seconds=0)
    if probe.dirty:
        raise ConfigError("--write: the tree is not clean, so its lines would not be shown; commit, then measure again")
    there = read_runs(RESULTS) if RESULTS.exists() else []
    for name in datasets:
        if any(run.task == task and run.dataset.partition("@")[0] == name for run in there):
            raise ConfigError(f"--write: {RESULTS.name} has lines of {task} on {name} already; remove those first")


def fail(script: str, message: str, code: int) -> int:
    """Say an error, and return the exit code.

    Args:
        script: Who says it.
        message: One line.
        code: The exit code.
    """
    print(f"{script}: error: {message}", file=sys.stderr)
    return code
