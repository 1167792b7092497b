"""What a person looks at: accuracy over the signal-to-noise ratio, what it costs, and where classifiers err."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis.core.report import PALETTE, Cell, Details, Facts, Picture, Report, Section, Table, plot_style, size
from tamis.core.results import Run
from tamis.radio import bench
from tamis.radio.alrt import above_limit
from tamis.radio.bench import Cost
from tamis.radio.evaluation import Classifier, logits, report
from tamis.radio.metrics import confusion, mcnemar
from tamis.radio.results_tables import skd_table, trainings

if TYPE_CHECKING:
    from jaxtyping import Float32, Int
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from tamis.radio.data import Frames
    from tamis.radio.defects import Finding

_COLOURS, _GREY = PALETTE[:-1], PALETTE[-1]
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
    split: str = "test",
    cost: Cost | None = None,
    config: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (),
) -> Judged:
    """Classify frames, count, and keep what was said.

    Args:
        classifier: A network, or any function from frames to logits.
        frames: With the classes of the classifier, in its order.
        method: What the result line calls it.
        split: Which part of the data the frames are.
        cost: Its bytes and times.
        config: What the run was told.
        seeds: Every seed used.
    """
    start = time.perf_counter()
    scores = logits(classifier, frames)
    seconds = time.perf_counter() - start
    run = report(scores, frames, method=method, seconds=seconds, split=split, config=config, seeds=seeds)
    return Judged(run, scores, cost)


def report_on(
    judged: Sequence[Judged],
    frames: Frames,
    *,
    about: str | None = None,
    limit: Mapping[str, float] | None,
    findings: Sequence[Finding] = (),
    lines: Sequence[Run] = (),
    command: str,
) -> Report:
    """Lay an evaluation out as a report.

    Args:
        judged: Classifiers, judged on the same frames.
        frames: What they were judged on.
        about: Name of the classifier that the page is about; the most accurate one by default.
        limit: The accuracy that no classifier can exceed, by signal-to-noise ratio in dB; None where it is not known.
        findings: Of the audit of the data.
        lines: More result lines, such as those of trainings on fewer frames; curves are drawn of what they hold.
        command: The command line that gives the same.
    """
    ranked = _ranked(judged)
    chosen = next(one for one in ranked if about in (None, one.run.method))
    name, metrics, (low, high) = chosen.run.method, chosen.run.metrics, chosen.run.intervals["accuracy"]
    span = _span(chosen.run)
    page = Report(
        "How well modulations are told apart",
        f"{name} is right on {metrics['accuracy']:.1%} of {len(frames):,} frames of {frames.name}, "
        f"averaged over {span} (95 % interval {low:.1%} to {high:.1%}).",
    )
    facts: dict[str, Cell] = {f"accuracy, {span}": f"{metrics['accuracy']:.1%}"}
    if "accuracy_from_0_db" in metrics:
        facts["accuracy, from 0 dB"] = f"{metrics['accuracy_from_0_db']:.1%}"
    facts["chance"] = f"{1 / len(frames.classes):.1%}"
    if chosen.cost:
        facts["int8 file"] = size(chosen.cost.int8_bytes)
    page.add(Facts(facts))
    page.add(
        *(
            f"{one.severity.capitalize()}, of the data: {one.message} ({one.count:,})."
            for one in findings
            if one.severity != "note"
        )
    )
    drawn = ranked[: len(_COLOURS)]
    page.add(Section("Over the signal-to-noise ratio"), snr_picture([one.run for one in drawn], limit))
    if len(ranked) > len(drawn):
        page.add(f"The {len(drawn)} most accurate of {len(ranked)} are drawn.")
    for one in ranked:
        if limit and (above := above_limit(one.run.curves["accuracy_low"], limit)):
            page.add(
                f"Warning: {one.run.method} is above the limit at {', '.join(above)} dB, which no classifier is: it "
                "has seen its test frames, or their labels are wrong."
            )
    page.add(Section("Side by side"), table(judged))
    if len(judged) > 1:
        page.add(_pairs(ranked, frames))
    if costs := {one.run.method: one.cost for one in ranked if one.cost}:
        page.add(Section("What it costs"), *front_pictures(drawn), bench.table(costs))
    page.add(
        Section(f"Where {name} errs"),
        *(block for pair in confusion_pictures(chosen, frames).items() for block in pair),
    )
    if few := few_picture(lines):
        page.add(Section("With fewer training frames"), few)
    if gains := skd_table(lines):
        page.add(Section("What distillation brought"), gains, _SKD)
    page.add(Section("How to read this"), _HOW.format(span=span), *([_LIMIT] if limit else []))
    page.add(Details("The same from the command line", command))
    return page


_HOW = (
    "Accuracy counts all frames from {span} alike; an average over other ratios is another number. Ratios are as the "
    "data say; of generated signals it is the mean signal power over the mean noise power in the whole sampled band. "
    "Bands and intervals are 95 % Wilson intervals: what chance in the choice of frames can do, not what another "
    "training would give."
)
_LIMIT = (
    "The limit is the average likelihood ratio test, the best that any classifier can do on the linear modulations in "
    "white noise, with phase, timing and pulse known; other classes are taken as told without error. It is computed by "
    "Monte Carlo for the symbols inside a frame, so a curve may touch it by chance. One that stays above it has seen "
    "its test frames, or their labels are wrong."
)
_SKD = (
    "Gains are of the same student with the same seed, with and without the teacher. What is specific to signals in "
    "SKD is that the teacher looks at each frame under several carrier phases and its logits are averaged; plain "
    "distillation, `kd`, is the same loss without that."
)


def snr_picture(runs: Sequence[Run], limit: Mapping[str, float] | None) -> Picture:
    """Draw accuracy over the signal-to-noise ratio, with intervals and the limit; of six lines at most."""
    import matplotlib
    from matplotlib import pyplot

    with matplotlib.rc_context(plot_style()):
        figure, axes = pyplot.subplots(figsize=(6.4, 4.6))
        for run, colour in zip(runs, _COLOURS, strict=False):
            x = sorted(float(snr) for snr in run.curves["accuracy"])
            keys = [f"{snr:g}" for snr in x]
            axes.plot(x, [run.curves["accuracy"][key] for key in keys], color=colour, label=run.method)
            if "accuracy_low" in run.curves:
                low, high = ([run.curves[f"accuracy_{side}"][key] for key in keys] for side in ("low", "high"))
                axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
        if limit:
            x = sorted(float(snr) for snr in limit)
            axes.plot(
                x,
                [limit[f"{snr:g}"] for snr in x],
                "--",
                color=_GREY,
                marker="",
                label="limit (ALRT), other classes as told",
            )
        axes.set(xlabel="signal-to-noise ratio, dB", ylabel="accuracy", ylim=(0, 1.02))
        axes.locator_params(axis="x", integer=True)
        figure.legend(loc="outside lower left", ncols=2, fontsize="small")
        picture = Picture.of(figure, "Accuracy of each classifier over the signal-to-noise ratio")
        pyplot.close(figure)
    return picture


def front_pictures(judged: Sequence[Judged]) -> list[Picture]:
    """Draw accuracy against bytes and against milliseconds; steps join those that nothing smaller or faster beats.

    There is nothing to draw of fewer than two whose cost is known.
    """
    costs = {one.run.method: one.cost for one in judged if one.cost}
    if len(costs) < 2:
        return []
    return [
        _front_picture(judged, "size of the int8 file", {name: float(c.int8_bytes) for name, c in costs.items()}, size),
        _front_picture(
            judged, "one frame in int8 on one core, ms", {name: c.int8_ms for name, c in costs.items()}, "{:g}".format
        ),
    ]


def _front_picture(
    judged: Sequence[Judged], axis: str, spent: Mapping[str, float], written: Callable[[float], str]
) -> Picture:
    import matplotlib
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    with matplotlib.rc_context(plot_style()):
        figure, axes = pyplot.subplots(figsize=(4.2, 3.6))
        points: dict[str, tuple[float, float]] = {}
        for one, style in zip(judged, plot_style()["axes.prop_cycle"], strict=False):
            if (x := spent.get(one.run.method)) is not None:
                points[one.run.method] = x, one.run.metrics["accuracy"]
                axes.plot(*points[one.run.method], **style, linestyle="", zorder=3)
        steps: list[tuple[float, float]] = []
        for x, y in sorted(points.values(), key=lambda point: (point[0], -point[1])):
            if not steps or y > steps[-1][1]:
                steps += [(x, steps[-1][1] if steps else y), (x, y)]
        axes.plot(*zip(*steps, strict=True), "-", color=_GREY, marker="", linewidth=1.2)
        least, most = min(spent.values()) / 2.5, max(spent.values()) * 2.5
        axes.set(xscale="log", xlim=(least, most), xlabel=axis, ylabel="accuracy, in float32")
        axes.margins(y=0.2)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: written(x)))
        axes.xaxis.set_minor_locator(NullLocator())
        _name(axes, points, steps)
        said = "The line joins the models that nothing smaller or faster beats."
        picture = Picture.of(figure, f"Accuracy against {axis}", said)
        pyplot.close(figure)
    return picture


_PLACES = [(right, up) for up in (5, -5, 14, -14, 23, -23) for right in (-7, 7, 0)]
"""Where a name may stand, seen from its point: points to the right and upward; the first free place is taken."""


def _name(axes: Axes, points: Mapping[str, tuple[float, float]], line: Sequence[tuple[float, float]]) -> None:
    """Write the name of each point beside it in its colour, clear of points, line and names where there is room."""
    from matplotlib.path import Path
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # so that data have places
    pixels = axes.transData.transform
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in pixels(list(points.values()))]
    path = Path(pixels(line))

    def clashes(text: Annotation) -> int:
        box = text.get_window_extent()
        outside = box.x0 < axes.bbox.x0 or box.x1 > axes.bbox.x1
        return int(3 * box.count_overlaps(taken) + path.intersects_bbox(box, filled=False) + 10 * outside)

    for (name, point), drawn in zip(points.items(), axes.lines, strict=False):
        texts = [
            axes.annotate(
                name,
                point,
                xytext=(right, up),
                textcoords="offset points",
                ha=("center", "left", "right")[np.sign(right)],
                va=("center", "bottom", "top")[np.sign(up)],
                color=drawn.get_color(),
                fontsize="small",
                in_layout=False,
            )
            for right, up in _PLACES
        ]
        best = min(texts, key=clashes)
        taken.append(best.get_window_extent())
        for text in texts:
            if text is not best:
                text.remove()


def confusion_pictures(judged: Judged, frames: Frames) -> dict[str, Picture]:
    """Draw the confusion at several signal-to-noise ratios, and at 0 dB and above; by what is said above each."""
    predicted = judged.scores.argmax(axis=1)
    snrs = np.unique(frames.snr_db)
    shown = snrs[np.unique(np.linspace(0, len(snrs) - 1, min(_SHOWN_SNRS, len(snrs))).round().astype(int))]

    def at(chosen: NDArray[np.bool_]) -> Int[np.ndarray, "classes classes"]:
        return confusion(frames.labels[chosen], predicted[chosen], len(frames.classes))

    parts = {f"{snr:g} dB": at(frames.snr_db == snr) for snr in shown}
    said = "Rows are what was sent, columns what was said, both in the order of the names."
    pictures = {said: _matrices(parts, frames.classes, large=False)}
    if (loud := frames.snr_db >= 0).any():
        pictures["All frames of 0 dB and above, as shares of what was sent."] = _matrices(
            {"": at(loud)}, frames.classes, large=True
        )
    return pictures


def _matrices(
    matrices: Mapping[str, Int[np.ndarray, "classes classes"]], classes: tuple[str, ...], *, large: bool
) -> Picture:
    import matplotlib
    from matplotlib import pyplot

    columns = 1 if large else min(3, len(matrices))
    rows = -(-len(matrices) // columns)
    size = (6.2, 6.2) if large else (0.8 + 2.6 * columns, 2.8 * rows)
    style: Any = {
        "axes.grid": False,
        "axes.spines.left": False,
        "axes.spines.bottom": False,
        "figure.constrained_layout.hspace": 0.08,
        "font.size": 10.0,
    }
    with matplotlib.rc_context({**plot_style(), **style}):
        figure, grid = pyplot.subplots(rows, columns, figsize=size, squeeze=False, sharey=True)
        for axes in grid.flat[len(matrices) :]:
            axes.set_axis_off()
        for axes, (title, matrix) in zip(grid.flat, matrices.items(), strict=False):
            share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
            axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
            axes.set_title(title)
            axes.tick_params(length=0)
            axes.set_xticks(range(len(classes)), classes if large else [""] * len(classes), rotation=60, ha="right")
            axes.set_yticks(range(len(classes)), classes)
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
    """Draw accuracy over the number of training frames, of methods trained with several; None if there is none."""
    curves: dict[str, dict[int, list[float]]] = {}
    for run in trainings(lines):
        curves.setdefault(run.method, {}).setdefault(run.config["frames"], []).append(run.metrics["accuracy"])
    curves = {method: points for method, points in curves.items() if len(points) > 1}
    if not curves:
        return None
    import matplotlib
    from matplotlib import pyplot

    best_first = sorted(curves.items(), key=lambda item: -float(np.mean(item[1][max(item[1])])))
    counts = sorted({count for points in curves.values() for count in points})
    with matplotlib.rc_context(plot_style()):
        figure, axes = pyplot.subplots(figsize=(6.2, 4.2))
        for method, points in best_first[: len(PALETTE)]:
            x = sorted(points)
            mean = np.array([np.mean(points[count]) for count in x])
            least, most = (np.array([side(points[count]) for count in x]) for side in (min, max))
            axes.errorbar(x, mean, yerr=[mean - least, most - mean], capsize=3, label=method)
        axes.set(xscale="log", xlabel="training frames", ylabel="accuracy")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.minorticks_off()
        figure.legend(loc="outside lower left", ncols=3, fontsize="small")
        picture = Picture.of(
            figure,
            "Accuracy over the number of training frames",
            "Means over seeds; the bars reach from the worst seed to the best.",
        )
        pyplot.close(figure)
    return picture


def table(judged: Sequence[Judged]) -> Table:
    """Set the classifiers side by side, the most accurate first."""
    rows: list[list[Cell]] = []
    for one in _ranked(judged):
        metrics, (low, high) = one.run.metrics, one.run.intervals["accuracy"]
        row: list[Cell] = [one.run.method, round(metrics["accuracy"], 4), f"{low:.3f} to {high:.3f}"]
        rows.append(
            row + [round(metrics[name], 4) if name in metrics else None for name in ("accuracy_from_0_db", "macro_f1")]
        )
    headers = ["method", "accuracy", "95 % interval", "from 0 dB", "macro-F1"]
    return Table(headers, rows, caption="All classifiers on the same frames")


def _pairs(ranked: Sequence[Judged], frames: Frames) -> Table:
    right = [(one.scores.argmax(axis=1) == frames.labels).astype(np.int64) for one in ranked]
    rows: list[list[Cell]] = []
    for (first, a), (second, b) in pairwise(zip(ranked, right, strict=True)):
        gap = first.run.metrics["accuracy"] - second.run.metrics["accuracy"]
        p = mcnemar(a, b)
        name = f"{first.run.method} over {second.run.method}"
        rows.append([name, f"{100 * gap:+.2f}", f"{p:.2g}" if p >= 0.0001 else "< 0.0001"])
    return Table(["pair", "points", "p (McNemar)"], rows, caption="Neighbours, on the same frames")


def _ranked(judged: Sequence[Judged]) -> list[Judged]:
    return sorted(judged, key=lambda one: -one.run.metrics["accuracy"])


def _span(run: Run) -> str:
    snrs = [float(snr) for snr in run.curves["accuracy"]]
    return f"{min(snrs):g} to {max(snrs):g} dB" if len(snrs) > 1 else f"{snrs[0]:g} dB"
