"""Result lines set as tables: what was measured, and what was published beside it.

Lines of a dirty tree are left out, and a number that was not measured is said not to have been.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from itertools import groupby

from tamis.core.errors import InputError
from tamis.core.report import Cell, Table
from tamis.core.results import Run


def results_tables(runs: Iterable[Run]) -> list[Table]:
    """Set measured lines as tables: one for each task, dataset and split, one column a metric.

    Settings stand in a column of their own where they differ between the lines of a table. Published lines and lines of
    a dirty tree are left out.

    Args:
        runs: Result lines, in any order.

    Returns:
        Tables in the order of task, dataset and split.
    """
    clean = sorted((run for run in runs if not run.published and not run.dirty), key=_group)
    return [_results_table(list(group)) for _, group in groupby(clean, key=_group)]


def paper_table(published: Sequence[Run], measured: Iterable[Run], *, metrics: Sequence[str], command: str) -> Table:
    """Set published numbers beside ours, each in a column of its own.

    A line of ours answers a published one when task, method and model are the same and the fraction kept agrees to
    0.001 (a tenth of 576 tokens is 58, which is 0.1007). Each metric is that of the first such line which has it; where
    there is none the cell says "not run".

    Args:
        published: Lines with a `source`, in the order of the rows.
        measured: Lines of ours.
        metrics: The metrics to show, two columns each.
        command: The command that would measure what was not run; shown below the table.

    Returns:
        One row for each published line.

    Raises:
        InputError: If a published line has no source, or a measured line has one.
    """
    ours = [run for run in measured if not run.dirty]
    for run in published:
        if not run.published:
            raise InputError(f"the line {run.task} {run.method} has no source; pass measured lines as `measured`")
    for run in ours:
        if run.published:
            raise InputError(f"the line {run.task} {run.method} has a source; pass published lines as `published`")
    rows: list[list[Cell]] = []
    for run in published:
        answers = [line for line in ours if _answers(line, run)]
        row: list[Cell] = [run.config.get("model"), run.method, run.config.get("tokens")]
        for metric in metrics:
            value = run.metrics.get(metric)
            none = None if value is None else "not run"
            row += [value, next((line.metrics[metric] for line in answers if metric in line.metrics), none)]
        rows.append([*row, "; ".join(str((run.source or {})[key]) for key in ("paper", "table"))])
    headers = ["model", "method", "tokens"]
    for metric in metrics:
        headers += [f"{metric}, published", f"{metric}, measured here"]
    missing = any("not run" in row for row in rows)
    return Table([*headers, "source"], rows, notes=[f"not run: see `{command}`."] if missing else [])


def _group(run: Run) -> tuple[str, str, str]:
    return run.task, run.dataset, run.split


def _answers(run: Run, published: Run) -> bool:
    same = (run.task, run.method, run.config.get("model")) == (
        published.task,
        published.method,
        published.config.get("model"),
    )
    keep, published_keep = run.config.get("keep", math.nan), published.config.get("keep", math.nan)
    return same and math.isclose(keep, published_keep, abs_tol=1e-3)


def _results_table(runs: list[Run]) -> Table:
    metrics = list(dict.fromkeys(name for run in runs for name in run.metrics))
    settings = [
        name
        for name in dict.fromkeys(name for run in runs for name in run.config)
        if name not in ("keep", "headline")
        and len({json.dumps(run.config.get(name), sort_keys=True) for run in runs}) > 1
    ]
    budgets = any("keep" in run.config for run in runs)
    rows: list[list[Cell]] = []
    for run in sorted(runs, key=lambda run: -run.config.get("keep", math.inf)):
        keep = run.config.get("keep")
        row: list[Cell] = [run.method]
        if budgets:
            row.append(None if keep is None else f"{keep:.1%}")
        row += [_setting(run.config.get(name)) for name in settings]
        row += [_with_interval(run, name) for name in metrics]
        rows.append([*row, run.n, len(run.seeds or ()), f"`{(run.commit or 'unknown')[:7]}`"])
    headers = ["method", *(["keep"] if budgets else []), *settings, *metrics, "n", "seeds", "commit"]
    task, dataset, split = _group(runs[0])
    name, _, digest = dataset.partition("@sha256:")
    return Table(headers, rows, f"{task}: {name}{f' ({digest[:8]})' if digest else ''}, {split}")


def _setting(value: object) -> Cell:
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value)


def _with_interval(run: Run, metric: str) -> Cell:
    value, interval = run.metrics.get(metric), run.intervals.get(metric)
    if value is None or interval is None:
        return value
    decimals = 3 if abs(value) < 10 else 1
    return f"{value:.{decimals}f} ({interval[0]:.{decimals}f} to {interval[1]:.{decimals}f})"
