"""What a person looks at: accuracy over the signal-to-noise ratio, what it costs, and where classifiers err."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis.core.report import PALETTE, Cell, Details, Facts, Picture, Report, Section, Table, plot_style
from tamis.core.results import Run
from tamis.radio.alrt import alrt_limit
from tamis.radio.bench import Cost
from tamis.radio.evaluation import Classifier, logits, report
from tamis.radio.metrics import confusion, mcnemar
from tamis.radio.modulation import CONSTELLATIONS

if TYPE_CHECKING:
    from jaxtyping import Float32, Int
    from matplotlib.axes import Axes

    from tamis.radio.data import Frames
    from tamis.radio.defects import Finding

COST_HEADERS = ("parameters", "MACs", "float32", "int8", "float32 ms", "int8 ms", "int8 frames/s")
"""Headings of the columns that `cost_cells` fills."""
_SHOWN_SNRS = 6


@dataclass(frozen=True)
class Judged:
    """A classifier, what it said of the frames, and what it costs."""

    run: Run
    """Its result line; `run.method` is its name."""
    scores: Float32[np.ndarray, "frames classes"]
    """Its logits."""
    cost: Cost | None = None
    """Bytes and times; None if they were not measured."""


def judge(
    classifier: Classifier,
    frames: Frames,
    *,
    method: str,
    cost: Cost | None = None,
    config: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (),
) -> Judged:
    """Classify frames, count, and keep what was said.

    Args:
        classifier: A network, or any function from frames to logits.
        frames: With the classes of the classifier, in its order.
        method: What the result line calls it.
        cost: Its bytes and times.
        config: What the run was told.
        seeds: Every seed used.
    """
    start = time.perf_counter()
    scores = logits(classifier, frames)
    run = report(
        scores,
        frames,
        method=method,
        split="test",
        task="radio/accuracy",
        config=config,
        curves=None,
        seeds=seeds,
        seconds=time.perf_counter() - start,
    )
    return Judged(run, scores, cost)


def report_on(
    judged: Sequence[Judged],
    frames: Frames,
    *,
    limit: Mapping[str, float] | None,
    findings: Sequence[Finding] = (),
    lines: Sequence[Run] = (),
    command: str,
) -> Report:
    """Lay an evaluation out as a report.

    Args:
        judged: Classifiers, judged on the same frames.
        frames: What they were judged on.
        limit: The accuracy that no classifier can exceed, by signal-to-noise ratio in dB; None where it is not known.
        findings: Of the audit of the data.
        lines: More result lines, such as those of trainings on fewer frames; curves are drawn of what they hold.
        command: The command line that gives the same.
    """
    best = max(judged, key=lambda one: one.run.metrics["accuracy"])
    snrs = sorted(float(snr) for snr in best.run.curves["accuracy"])
    span = f"{snrs[0]:g} to {snrs[-1]:g} dB"
    page = Report(
        "How well modulations are told apart",
        f"{best.run.method} is right on {best.run.metrics['accuracy']:.1%} of {len(frames)} frames of "
        f"{frames.name}, averaged over {span}.",
    )
    low, high = best.run.intervals["accuracy"]
    facts: dict[str, Cell] = {
        f"accuracy, {span}": f"{best.run.metrics['accuracy']:.1%}",
        "95 % interval": f"{low:.1%} to {high:.1%}",
        "chance": f"{1 / len(frames.classes):.1%}",
    }
    if best.cost:
        facts["int8 file"] = size(best.cost.int8_bytes)
    page.add(
        Facts(facts), *(f"{finding.message} ({finding.count})." for finding in findings if finding.severity != "note")
    )
    page.add(Section("Over the signal-to-noise ratio"), snr_picture([one.run for one in judged], limit))
    if any(one.cost for one in judged):
        page.add(Section("What it costs"), front_picture(judged))
    page.add(Section("Side by side"), table(judged))
    if len(judged) > 1:
        page.add(_pairs(judged, frames))
    page.add(
        Section(f"Where {best.run.method} errs"),
        *(block for pair in confusion_pictures(best, frames).items() for block in pair),
    )
    if few := few_picture(lines):
        page.add(Section("With fewer training frames"), few)
    if gains := skd_table(lines):
        page.add(Section("What distillation brought"), gains, _SKD)
    page.add(Section("How to read this"), _HOW.format(span=span), *([_LIMIT] if limit else []))
    page.add(Details("The same from the command line", command))
    return page


_HOW = (
    "Accuracy is averaged over {span}, evenly; an average over other ratios is another number. The signal-to-noise "
    "ratio is the mean signal power over the mean noise power in the whole sampled band. Bands and intervals are 95 % "
    "Wilson intervals: what chance in the choice of frames can do, not what another training would give."
)
_LIMIT = (
    "The limit is the average likelihood ratio test, the best that any classifier can do on the linear modulations in "
    "white noise, with phase, timing and pulse known; other classes are taken as told without error. It is computed by "
    "Monte Carlo for the symbols inside a frame, so a curve may touch it by chance. One that stays above it has seen "
    "its test frames, or their labels are wrong."
)
_SKD = (
    "Gains are of the same student with the same seed, with and without the teacher. What is specific to signals in "
    "SKD is that the teacher looks at each frame under several carrier phases and its logits are averaged; the row of "
    "plain distillation is the same loss without that."
)


def limit_of(frames: Frames) -> dict[str, float] | None:
    """Compute the accuracy that no classifier can exceed, by signal-to-noise ratio in dB.

    Args:
        frames: Generated ones, whose signal-to-noise ratios are right. Fading and offsets only lower the limit.

    Returns:
        The limit with the symbols of a frame known and all classes that are not linear told without error; None if
        fewer than two classes are linear.
    """
    linear = [name for name in frames.classes if name in CONSTELLATIONS]
    if len(linear) < 2:
        return None
    samples, per_symbol = frames.samples, frames.samples_per_symbol
    limits = {
        f"{snr:g}": alrt_limit(linear, float(snr), samples=samples, samples_per_symbol=per_symbol, seed=0)
        for snr in np.unique(frames.snr_db)
    }
    return {snr: limit.among(len(frames.classes)) for snr, limit in limits.items()}


def snr_picture(runs: Sequence[Run], limit: Mapping[str, float] | None) -> Picture:
    """Draw accuracy over the signal-to-noise ratio, with intervals and the limit."""
    import matplotlib
    from matplotlib import pyplot

    with matplotlib.rc_context(plot_style()):
        figure, axes = pyplot.subplots(figsize=(7.6, 4.2))
        for run in runs[: len(PALETTE)]:
            x = sorted(float(snr) for snr in run.curves["accuracy"])
            keys = [f"{snr:g}" for snr in x]
            (line,) = axes.plot(x, [run.curves["accuracy"][key] for key in keys], label=run.method)
            if "accuracy_low" in run.curves:
                low, high = ([run.curves[f"accuracy_{side}"][key] for key in keys] for side in ("low", "high"))
                axes.fill_between(x, low, high, color=line.get_color(), alpha=0.13, linewidth=0)
        if limit:
            x = sorted(float(snr) for snr in limit)
            axes.plot(x, [limit[f"{snr:g}"] for snr in x], "--", color=PALETTE[-1], marker="", label="limit (ALRT)")
        axes.set(xlabel="signal-to-noise ratio, dB", ylabel="accuracy", ylim=(0, 1.02))
        axes.legend(loc="upper left", fontsize="small")
        picture = Picture.of(figure, "Accuracy of each classifier over the signal-to-noise ratio")
        pyplot.close(figure)
    return picture


def front_picture(judged: Sequence[Judged]) -> Picture:
    """Draw accuracy against bytes and against milliseconds; a line joins those that nothing smaller or faster beats."""
    import matplotlib
    from matplotlib import pyplot

    with matplotlib.rc_context(plot_style()):
        figure, both = pyplot.subplots(1, 2, figsize=(9.4, 3.9), sharey=True)
        measured = [(one.run, one.cost) for one in judged if one.cost]
        for axes, label, values in (
            (both[0], "int8 ONNX file, bytes", [cost.int8_bytes for _, cost in measured]),
            (both[1], "one frame, int8, one core, ms", [cost.int8_ms for _, cost in measured]),
        ):
            points = [(x, run.metrics["accuracy"], run.method) for x, (run, _) in zip(values, measured, strict=True)]
            _front(axes, points)
            axes.set(xscale="log", xlabel=label)
            axes.minorticks_off()
        both[0].set_ylabel("accuracy")
        picture = Picture.of(figure, "Accuracy against the size of the int8 file and against the time for one frame")
        pyplot.close(figure)
    return picture


def _front(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    front = [p for p in sorted(points) if all(q[1] < p[1] for q in points if q[0] <= p[0] and q != p)]
    axes.plot([p[0] for p in front], [p[1] for p in front], "-", color=PALETTE[-1], marker="", linewidth=1.2)
    for number, (x, y, name) in enumerate(points):
        axes.plot([x], [y], linestyle="")
        low = number % 2 == 0
        offset = (6, -11) if low else (6, 5)
        axes.annotate(name, (x, y), xytext=offset, textcoords="offset points", fontsize="small")
    axes.margins(x=0.22, y=0.14)


def confusion_pictures(judged: Judged, frames: Frames) -> dict[str, Picture]:
    """Draw the confusion at 0 dB and above, and at several signal-to-noise ratios; by what is said above each."""
    predicted = judged.scores.argmax(axis=1)
    classes = len(frames.classes)
    loud = frames.snr_db >= 0
    pooled = confusion(frames.labels[loud], predicted[loud], classes) if loud.any() else None
    snrs = np.unique(frames.snr_db)
    shown = snrs[np.unique(np.linspace(0, len(snrs) - 1, min(_SHOWN_SNRS, len(snrs))).round().astype(int))]
    parts = {
        f"{snr:g} dB": confusion(frames.labels[frames.snr_db == snr], predicted[frames.snr_db == snr], classes)
        for snr in shown
    }
    pictures = {
        "Rows are what was sent, columns what was said, at several ratios.": _matrices(
            parts, frames.classes, large=False
        )
    }
    if pooled is not None:
        pictures["All frames of 0 dB and above, as shares of what was sent."] = _matrices(
            {"": pooled}, frames.classes, large=True
        )
    return pictures


def _matrices(
    matrices: Mapping[str, Int[np.ndarray, "classes classes"]], classes: tuple[str, ...], *, large: bool
) -> Picture:
    import matplotlib
    from matplotlib import pyplot

    columns = 1 if large else 3
    rows = -(-len(matrices) // columns)
    side = 6.2 if large else 3.0
    with matplotlib.rc_context({**plot_style(), "axes.grid": False, "font.size": 10.0 if large else 8.0}):
        figure, grid = pyplot.subplots(rows, columns, figsize=(side * columns, side * rows), squeeze=False)
        for axes in grid.flat[len(matrices) :]:
            axes.axis("off")
        for axes, (title, matrix) in zip(grid.flat, matrices.items(), strict=False):
            share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
            axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
            axes.set_title(title)
            ticks = range(len(classes))
            axes.set_xticks(ticks, classes if large else [""] * len(classes), rotation=60, ha="right")
            axes.set_yticks(ticks, classes)
            if large:
                for row, column in np.argwhere(share >= 0.015):
                    ink = "white" if share[row, column] > 0.55 else "#222222"
                    text = f"{share[row, column]:.2f}".lstrip("0") if share[row, column] < 0.995 else "1"
                    axes.text(column, row, text, ha="center", va="center", color=ink, fontsize="small")
                axes.set(xlabel="said", ylabel="sent")
        what = "at 0 dB and above" if large else "at several signal-to-noise ratios"
        picture = Picture.of(figure, f"Confusion matrix {what}: rows are what was sent, columns what was said")
        pyplot.close(figure)
    return picture


def few_picture(lines: Sequence[Run]) -> Picture | None:
    """Draw accuracy over the number of training frames, of lines that name it; None if there are too few."""
    curves: dict[str, dict[int, list[float]]] = {}
    for run in lines:
        if run.task == "radio/accuracy" and run.split == "test" and "seed" in run.config.get("cell", ""):
            curves.setdefault(run.method, {}).setdefault(run.config["frames"], []).append(run.metrics["accuracy"])
    curves = {method: points for method, points in curves.items() if len(points) > 1}
    if not curves:
        return None
    import matplotlib
    from matplotlib import pyplot

    with matplotlib.rc_context(plot_style()):
        figure, axes = pyplot.subplots()
        for method, points in sorted(curves.items())[: len(PALETTE)]:
            x = sorted(points)
            mean = [float(np.mean(points[count])) for count in x]
            spread = [[m - min(points[c]) for m, c in zip(mean, x, strict=True)],
                      [max(points[c]) - m for m, c in zip(mean, x, strict=True)]]  # fmt: skip
            axes.errorbar(x, mean, yerr=spread, capsize=3, label=method)
        axes.set(xscale="log", xlabel="training frames", ylabel="accuracy")
        axes.legend(fontsize="small")
        picture = Picture.of(
            figure,
            "Accuracy over the number of training frames",
            "Means over seeds; the bars reach from the worst seed to the best.",
        )
        pyplot.close(figure)
    return picture


def skd_table(lines: Sequence[Run]) -> Table | None:
    """Set students with and without a teacher side by side, seed by seed; None if no line is of a distillation."""
    tested = [run for run in lines if run.split == "test" and "cell" in run.config and len(run.seeds) == 1]
    full = max((run.config["frames"] for run in tested), default=0)
    tested = [run for run in tested if run.config["frames"] == full and run.config["preset"] == "rml2016"]
    reached = {(run.method, run.seeds[0]): run.metrics["accuracy"] for run in tested}
    rows: list[list[Cell]] = []
    for method in dict.fromkeys(run.method for run in tested if "+" in run.method):
        student = method.partition("+")[0]
        seeds = sorted(seed for name, seed in reached if name == method and (student, seed) in reached)
        if seeds:
            gains = [reached[method, seed] - reached[student, seed] for seed in seeds]
            mean = float(np.mean([reached[method, seed] for seed in seeds]))
            each = ", ".join(f"{100 * gain:+.2f}" for gain in gains)
            rows.append([method, mean, mean - float(np.mean(gains)), f"{100 * float(np.mean(gains)):+.2f}", each])
    headers = ["student", "accuracy", "alone", "gain, points", "gain by seed, points"]
    return Table(headers, rows, caption="Students with a teacher and alone, on test frames") if rows else None


def table(judged: Sequence[Judged]) -> Table:
    """Set the classifiers side by side, the most accurate first."""
    headers = ["method", "accuracy", "95 % interval", "from 0 dB", "macro-F1"]
    rows: list[list[Cell]] = []
    costed = any(one.cost for one in judged)
    for one in sorted(judged, key=lambda one: -one.run.metrics["accuracy"]):
        metrics, (low, high) = one.run.metrics, one.run.intervals["accuracy"]
        row: list[Cell] = [one.run.method, round(metrics["accuracy"], 4), f"{low:.3f} to {high:.3f}"]
        row += [round(metrics[name], 4) if name in metrics else None for name in ("accuracy_from_0_db", "macro_f1")]
        rows.append([*row, *(cost_cells(one.cost) if costed else [])])
    if costed:
        headers += COST_HEADERS
    notes = (
        ["Bytes are of the ONNX file; times are of one core of this machine, ms for one frame alone."] if costed else []
    )
    return Table(headers, rows, caption="All classifiers on the same frames", notes=notes)


def cost_cells(cost: Cost | None) -> list[Cell]:
    """Write a cost as the cells of a row; dashes if it was not measured."""
    if cost is None:
        return [None] * 7
    return [
        f"{cost.parameters:,}",
        f"{cost.macs / 1e6:.2f} M",
        size(cost.float32_bytes),
        size(cost.int8_bytes),
        round(cost.float32_ms, 3),
        round(cost.int8_ms, 3),
        f"{cost.int8_frames_per_second:,.0f}",
    ]


def _pairs(judged: Sequence[Judged], frames: Frames) -> Table:
    ordered = sorted(judged, key=lambda one: -one.run.metrics["accuracy"])
    right = [(one.scores.argmax(axis=1) == frames.labels).astype(np.int64) for one in ordered]
    rows: list[list[Cell]] = []
    for (first, a), (second, b) in pairwise(zip(ordered, right, strict=True)):
        gap = first.run.metrics["accuracy"] - second.run.metrics["accuracy"]
        rows.append([f"{first.run.method} over {second.run.method}", f"{100 * gap:+.2f}", f"{mcnemar(a, b):.2g}"])
    return Table(["pair", "points", "p (McNemar)"], rows, caption="Neighbours, on the same frames")


def size(count: float) -> str:
    """Write a number of bytes as people do, in powers of 1000."""
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.1f} KB"
