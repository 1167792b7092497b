"""Result lines of the radio domain set as tables of the documentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import mean

from tamis.core.report import Cell, Table, size
from tamis.core.results import Run

_ABLATED = {
    "clst-t": "ClST-T as it is",
    "clst-t flat": "one stage in place of three (no hierarchy)",
    "clst-t linear-projection": "linear projections (no CTP)",
    "clst-t spatial-only": "attention over tokens alone (no PSCA)",
}
_LIMIT_FROM_DB = 0


def networks_table(runs: Iterable[Run]) -> Table | None:
    """Set all networks that were trained with all frames and three seeds side by side, the most accurate first.

    Args:
        runs: Result lines.

    Returns:
        The table; None if there is no line for it.
    """
    chosen = [run for run in _headlines(runs) if not _varied(run)]
    rows: list[list[Cell]] = [
        [
            run.method,
            _count(run.metrics.get("parameters")),
            _count(run.metrics.get("macs")),
            f"{run.metrics['accuracy']:.4f}",
            "{:.4f} to {:.4f}".format(*run.intervals["accuracy"]) if run.metrics["accuracy_sd"] else None,
            f"{run.metrics['accuracy_from_0_db']:.4f}",
            f"{run.metrics['macro_f1']:.4f}",
            f"{run.config['learning_rate']:g}" if run.config["learning_rate"] else None,
        ]
        for run in sorted(chosen, key=lambda run: -run.metrics["accuracy"])
    ]
    headers = ["network", "parameters", "MACs a frame", "accuracy", "95 %, over seeds", "from 0 dB", "macro-F1", "rate"]
    if not rows:
        return None
    one = max(chosen, key=lambda run: run.metrics["accuracy"])
    snrs = [float(snr) for snr in one.curves["accuracy"]]
    caption = (
        f"Preset {one.config['preset']}, {one.config['frames']:,} frames to train on, {one.n:,} to test, "
        f"{min(snrs):g} to {max(snrs):g} dB: means of three seeds at the learning rate that was best of three on "
        "validation frames. The interval is Student's t over three seeds, so it is wide; where there is none, nothing "
        "depends on the seed."
    )
    return Table(headers, rows, caption)


def parts_table(runs: Iterable[Run]) -> Table | None:
    """Set ClST-T beside itself without each of its three modifications; None if there is no line for it.

    Args:
        runs: Result lines.
    """
    by_method = {run.method: run for run in _headlines(runs)}
    if not by_method.keys() >= {"clst-t", "clst-t flat"}:
        return None
    whole = by_method["clst-t"]
    rows: list[list[Cell]] = []
    for method, said in _ABLATED.items():
        if method in by_method:
            run = by_method[method]
            losses = _by_seed(run, whole)
            points = None if run is whole else f"{100 * mean(losses):+.2f} ({_points(losses)})"
            rows.append([said, _count(run.metrics["parameters"]), f"{run.metrics['accuracy']:.4f}", points])
    headers = ["ClST-T", "parameters", "accuracy", "against ClST-T, points (by seed)"]
    return Table(headers, rows, "What each modification brings: test frames, means of three seeds.")


def trainings(lines: Iterable[Run]) -> list[Run]:
    """Choose the lines of single trainings that say how many frames they had, tested on the most frequent data.

    Args:
        lines: Result lines of any kind.
    """
    tested = [
        run
        for run in lines
        if (run.task, run.split, len(run.seeds)) == ("radio/accuracy", "test", 1)
        and isinstance(run.config.get("frames"), int)
    ]
    usual = Counter(run.dataset for run in tested).most_common(1)
    return [run for run in tested if run.dataset == usual[0][0]]


def skd_table(runs: Iterable[Run]) -> Table | None:
    """Set students with a teacher and alone side by side, seed by seed; None if no line is of a distillation.

    Args:
        runs: Lines of single trainings, tested.
    """
    tested = trainings(runs)
    full = max((run.config["frames"] for run in tested), default=0)
    reached = {(run.method, run.seeds[0]): run.metrics["accuracy"] for run in tested if run.config["frames"] == full}
    rows: list[list[Cell]] = []
    for method in dict.fromkeys(name for name, _ in reached if "+" in name):
        student = method.partition("+")[0]
        seeds = sorted(seed for name, seed in reached if name == method and (student, seed) in reached)
        if seeds:
            gains = [reached[method, seed] - reached[student, seed] for seed in seeds]
            whole = mean(reached[method, seed] for seed in seeds)
            rows.append([method, whole, whole - mean(gains), f"{100 * mean(gains):+.2f}", _points(gains)])
    headers = ["student", "accuracy", "alone", "gain, points", "gain by seed, points"]
    return Table(headers, rows, caption="Students with a teacher and alone, on test frames") if rows else None


def shipped_table(runs: Iterable[Run]) -> Table | None:
    """Set out what the networks that come with the package cost, and what they lose in int8; None without a line.

    Args:
        runs: Result lines.
    """
    rows: list[list[Cell]] = []
    for run in runs:
        if run.task == "radio/bench" and run.config.get("part") == "shipped":
            known = run.metrics
            float32, int8 = known["float32_accuracy"], known["int8_accuracy"]
            row: list[Cell] = [run.method, size(int(known["int8_bytes"])), f"{float32:.4f}"]
            rows.append([*row, f"{100 * (int8 - float32):+.2f}", f"{known['int8_frames_per_second']:,.0f}"])
    headers = ["model", "int8 file", "accuracy", "in int8, points", "int8 frames a second"]
    caption = (
        "The networks that come with the package, on test frames of the preset that they are named after; frames a "
        "second in ONNX Runtime, on one core."
    )
    return Table(headers, rows, caption) if rows else None


def few_table(runs: Iterable[Run]) -> Table | None:
    """Set out what is left with fewer frames to train on; None if there is no line for it.

    Args:
        runs: Result lines.
    """
    chosen = _headlines(runs)
    counts = sorted({run.config["frames"] for run in chosen})
    by_key = {(run.method.partition(" (")[0], run.config["frames"]): run for run in chosen}
    methods = [name for name, frames in by_key if frames == counts[-1] and (name, counts[0]) in by_key]
    if len(counts) < 2:
        return None
    rows: list[list[Cell]] = []
    for name in methods:
        found = [by_key.get((name, count)) for count in counts]
        rows.append([name, *(None if run is None else f"{run.metrics['accuracy']:.4f}" for run in found)])
    headers = ["network", *(f"{count:,} frames" for count in counts)]
    epochs = {run.config["frames"]: run.config["epochs"] for run in chosen if "epochs" in run.config}
    caption = (
        "Fewer frames to train on: test accuracy, means of three seeds after "
        f"{' or '.join(str(epochs[count]) for count in counts)} epochs."
    )
    return Table(headers, rows, caption)


def presets_table(runs: Iterable[Run]) -> Table | None:
    """Set out accuracies on the other presets of the generator, one seed; None if there is no line for it.

    Args:
        runs: Result lines.
    """
    tested = [run for run in runs if run.config.get("stage") == "presets" and run.split == "test"]
    presets = list(dict.fromkeys(run.config["preset"] for run in tested))
    reached = {(run.method, run.config["preset"]): run.metrics["accuracy"] for run in tested}
    rows: list[list[Cell]] = [
        [method, *(f"{reached[method, p]:.4f}" if (method, p) in reached else None for p in presets)]
        for method in dict.fromkeys(run.method for run in tested)
    ]
    frames = " or ".join(f"{count:,}" for count in dict.fromkeys(run.config["frames"] for run in tested))
    caption = f"Other presets of the generator, {frames} frames to train on, seed 0: accuracy on test frames."
    return Table(["network", *presets], rows, caption) if rows else None


def sizes_table(runs: Iterable[Run]) -> Table | None:
    """Set the sizes of ClST side by side, one seed; None if the larger ones were not trained.

    Args:
        runs: Result lines.
    """
    tested = [run for run in runs if run.split == "test" and len(run.seeds) == 1 and "frames" in run.config]
    sizes = [run for run in tested if run.config.get("stage") == "sizes"]

    def recipe(run: Run) -> tuple[object, ...]:
        return run.dataset, run.config["frames"], run.config["learning_rate"], run.seeds[0]

    same = {recipe(run) for run in sizes}
    small = [run for run in tested if run.method == "clst-t" and recipe(run) in same]
    rows: list[list[Cell]] = [
        [run.method, _count(run.metrics["parameters"]), _count(run.metrics["macs"]), f"{run.metrics['accuracy']:.4f}"]
        for run in (*small, *sizes)
    ]
    headers = ["network", "parameters", "MACs a frame", "accuracy"]
    return Table(headers, rows, "Larger ClST under the recipe of ClST-T, seed 0, test frames.") if sizes else None


def limit_table(runs: Sequence[Run]) -> Table | None:
    """Set networks beside the average likelihood ratio test, from 0 dB; None if there is no line of either.

    Args:
        runs: Result lines.
    """
    limits = [run for run in runs if run.task == "radio/limit"]
    tested = [run for run in runs if run.config.get("stage") == "limit" and run.split == "test"]
    if not limits or not tested:
        return None
    snrs = sorted(float(snr) for snr in limits[0].curves["accuracy"] if float(snr) >= _LIMIT_FROM_DB)
    rows: list[list[Cell]] = []
    for run in (*limits, *tested):
        reached = [run.curves["accuracy"][f"{snr:g}"] for snr in snrs]
        rows.append([run.method, *(f"{100 * value:.1f}" for value in (*reached, mean(reached)))])
    return Table(
        ["", *(f"{snr:g} dB" for snr in snrs), "mean"],
        rows,
        f"Six linear classes in white noise, {tested[0].config['frames']:,} frames to train on: accuracy in percent, "
        "beside the average likelihood ratio test, which nothing exceeds. Networks are not told the phase.",
    )


def _headlines(runs: Iterable[Run]) -> list[Run]:
    return [run for run in runs if run.task == "radio/accuracy" and run.headline and not run.dirty]


def _varied(run: Run) -> bool:
    """Say whether a line is of a part left out, of a distillation, or of fewer frames."""
    return " " in run.method.removesuffix(" logistic").removesuffix(" boosting") or "+" in run.method


def _by_seed(run: Run, other: Run) -> list[float]:
    one, two = (each.curves["accuracy_by_seed"] for each in (run, other))
    return [one[seed] - two[seed] for seed in sorted(one.keys() & two.keys())]


def _points(values: Iterable[float]) -> str:
    return ", ".join(f"{100 * value:+.2f}" for value in values)


def _count(value: int | float | None) -> str | None:
    return None if not value else f"{value:,.0f}"
