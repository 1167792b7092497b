"""What the radio grid comes to: means over seeds, on which claims rest, and the physical limit beside them.

    python benchmarks/radio_headlines.py --write

A mean is that of three trainings of one method that were tested on the same frames. Trainings from a tree that was not
clean do not count. `--write` appends what results/radio.jsonl does not hold yet, from a clean tree.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from statistics import mean, stdev
from typing import Literal

import lines
from radio_grid import SEEDS, data
from tamis.core.errors import TamisError, one_line
from tamis.core.results import Run, read_runs
from tamis.radio.alrt import limit_of

_TOLD = ("preset", "frames", "learning_rate", "epochs")


def means(runs: Sequence[Run]) -> Iterator[Run]:
    """Give the means over the seeds of all that was tested with every seed and has no such line yet.

    Args:
        runs: Result lines of single trainings, and those of means that are there.
    """
    there = {(run.method, run.dataset) for run in runs if run.headline}
    tested = [run for run in runs if run.split == "test" and "cell" in run.config]
    unclean = {run.config["cell"] for run in runs if "cell" in run.config and not _clean(run)}
    groups: dict[tuple[str, str, int, float], list[Run]] = {}
    for run in tested:
        if run.config["cell"] not in unclean:
            key = (run.method, run.dataset, run.config["frames"], run.config["learning_rate"])
            groups.setdefault(key, []).append(run)
    for (method, dataset, frames, _), group in groups.items():
        most = max(run.config["frames"] for run in tested if run.dataset == dataset)
        name = method if frames == most else f"{method} ({frames} frames)"
        if sorted(seed for run in group for seed in run.seeds) == list(SEEDS) and (name, dataset) not in there:
            yield _mean(name, group)


def _clean(run: Run) -> bool:
    """Say whether a line, and the training behind it, is from the tree of a commit."""
    return not run.dirty and not any(commit.endswith("+") for commit in run.config.get("trained_at", ()))


def _mean(name: str, group: Sequence[Run]) -> Run:
    one = group[0]
    values = [run.metrics["accuracy"] for run in group]
    half = 4.303 * stdev(values) / len(values) ** 0.5  # Student's t, two degrees of freedom
    metrics = {key: mean(run.metrics[key] for run in group) for key in one.metrics}
    metrics.update({key: one.metrics[key] for key in ("parameters", "macs") if key in metrics})
    return Run.measured(
        "radio/accuracy",
        name,
        dataset=one.dataset,
        split="test",
        n=one.n or 0,
        metrics={**metrics, "accuracy_sd": stdev(values)},
        intervals={"accuracy": [mean(values) - half, mean(values) + half]},
        curves={
            "accuracy": {snr: mean(run.curves["accuracy"][snr] for run in group) for snr in one.curves["accuracy"]},
            "accuracy_by_seed": {str(run.seeds[0]): run.metrics["accuracy"] for run in group},
        },
        config={"headline": True, **{key: one.config[key] for key in _TOLD if key in one.config}},
        seeds=SEEDS,
        seconds=sum(run.seconds or 0 for run in group),
    )


def limits(runs: Sequence[Run]) -> Iterator[Run]:
    """Give the limits of the data on which the grid's stage `limit` was tested, if they have no lines yet.

    Args:
        runs: Result lines.
    """
    dataset = next((run.dataset for run in runs if run.config.get("stage") == "limit" and run.split == "test"), None)
    if dataset is None or any(run.task == "radio/limit" and run.dataset == dataset for run in runs):
        return
    frames = data("clean-linear").test
    phases: tuple[Literal["known", "unknown"], ...] = ("known", "unknown")
    for phase in phases:
        start = time.perf_counter()
        found = limit_of(frames, phase=phase)
        assert found is not None
        yield Run.measured(
            "radio/limit",
            f"alrt, phase {phase}",
            dataset=dataset,
            split="test",
            n=len(frames),
            metrics={"accuracy": mean(found.values())},
            curves={"accuracy": found},
            config={"preset": frames.name, "phase": phase},
            seeds=[0],
            seconds=time.perf_counter() - start,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is not there yet and, if asked to, write it; return the exit code.

    Args:
        arguments: What follows the script's name; by default that of this process.
    """
    told = lines.parser(__doc__).parse_args(arguments)
    try:
        if told.write:
            lines.check_clean()
        runs = read_runs(lines.RESULTS / "radio.jsonl")
        for run in (*means(runs), *limits(runs)):
            print(f"{run.method}: {run.metrics['accuracy']:.4f}")
            if told.write:
                lines.append(run)
    except TamisError as error:
        return lines.fail("radio_headlines", one_line(error), error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
