"""Result lines of the audio domain set as tables of the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tamis.core.report import Cell, Table
from tamis.core.results import Run


def losses_table(runs: Iterable[Run], dataset: str) -> Table | None:
    """Set the losses side by side on one test; None if there is no line of it.

    Args:
        runs: Result lines.
        dataset: Name of the test, without its hash.
    """
    chosen = _headlines(runs, "audio/retrieval", dataset)
    metrics = ["t2a_recall_at_1", "a2t_recall_at_1", "t2a_map_at_10", "a2t_map_at_10"]
    titles = ["R@1 T→A", "R@1 A→T", "mAP@10 T→A", "mAP@10 A→T"]
    if any("class_map_at_10" in run.metrics for run in chosen):
        metrics.append("class_map_at_10")
        titles.append("class mAP@10")
    if not chosen:
        return None
    rows: list[list[Cell]] = []
    for run in chosen:
        rows.append([run.method, *(_with_gain(run, metric) for metric in metrics)])
    sounds, captions, seeds = int(chosen[0].metrics["sounds"]), chosen[0].n, max(len(run.seeds) for run in chosen)
    return Table(
        ["loss", *titles],
        rows,
        f"{dataset}: {sounds} sounds, {captions} captions, means of {seeds} seeds, in percent. In brackets the gain "
        "over nt-xent and its 95 % interval by paired bootstrap. T→A is text to audio.",
    )


def moments_table(runs: Iterable[Run]) -> Table | None:
    """Set out where and in what order; None if there is no line of it."""
    chosen = _headlines(runs, "audio/moments")
    if not chosen:
        return None
    rows: list[list[Cell]] = [
        [run.method, *(_with_gain(run, name) for name in ("within_1_s", "within_1_s_by_chance", "order"))]
        for run in chosen
    ]
    return Table(
        ["loss", "found within 1 s", "by chance", "order told"],
        rows,
        f"Moments and order in test mixtures, in percent, means of {len(chosen[0].seeds)} seeds: the middle of the "
        "best window lies in an event of the kind that was asked for, or at most a second off "
        f'({chosen[0].n} events and kinds); "A, then B" is nearer to the sound than "B, then A", where a coin has 50. '
        "In brackets the gain over nt-xent and its 95 % interval by paired bootstrap.",
    )


def unseen_table(runs: Iterable[Run]) -> Table | None:
    """Set out what is found of classes that no training saw; None if there is no line of it."""
    chosen = _headlines(runs, "audio/unseen")
    if not chosen:
        return None
    rows: list[list[Cell]] = [[run.method, _with_gain(run, "class_map_at_10")] for run in chosen]
    return Table(
        ["loss", "class mAP@10"],
        rows,
        "Three classes of ESC-10 that the training did not see, after training on the seven others; ten rotations, in "
        "percent. In brackets the gain over nt-xent and its 95 % interval by paired bootstrap.",
    )


def speed_table(runs: Iterable[Run]) -> Table | None:
    """Set out how fast sounds are encoded; None if there is no line of it."""
    chosen = _headlines(runs, "audio/bench")
    if not chosen:
        return None
    names = ("decode", "front_end", "network", "network_bf16", "end_to_end")
    rows: list[list[Cell]] = [
        [run.method, *(f"{run.metrics[f'{name}_times_real_time']:.0f}" for name in names)] for run in chosen
    ]
    return Table(
        ["encoder", "decoding", "front end", "network", "in bfloat16", "all"],
        rows,
        "How many times faster than the sound lasts, on one core: medians over rounds. Decoding includes resampling; "
        "all is with the network in float32.",
    )


def _with_gain(run: Run, metric: str) -> str | None:
    """Write a fraction in percent, with its gain over NT-Xent in brackets where the line has one."""
    if metric not in run.metrics:
        return None
    text = f"{100 * run.metrics[metric]:.1f}"
    if f"{metric}_gain" in run.metrics:
        low, high = run.intervals[f"{metric}_gain"]
        text += f" ({100 * run.metrics[f'{metric}_gain']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}])"
    return text


def _headlines(runs: Iterable[Run], task: str, dataset: str | None = None) -> Sequence[Run]:
    return [
        run
        for run in runs
        if run.task == task and run.headline and not run.dirty and dataset in (None, run.dataset.partition("@")[0])
    ]
