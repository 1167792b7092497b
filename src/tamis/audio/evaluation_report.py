"""What a person looks at after an evaluation: a table, curves of recall, and which sounds were judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.audio.evaluation import WAYS
from tamis.core.report import PALETTE, Cell, Details, Picture, Report, Section, Table, plot_style

if TYPE_CHECKING:
    from tamis.audio.data import Collection
    from tamis.audio.evaluation import Judged

_GREY = {"random": ":", "file-names": "--"}


def judged_table(judged: Judged, collection: Collection) -> Table:
    """Set what spaces found side by side.

    Args:
        judged: From `judge`.
        collection: The same as there.
    """
    columns = ("recall_at_1", "recall_at_5", "recall_at_10", "map_at_10", "median_rank")
    rows: list[list[Cell]] = []
    for side, way in WAYS.items():
        for run in judged.runs:
            row: list[Cell] = [way, run.method]
            row += [f"{100 * run.metrics[f'{side}_{name}']:.1f}" for name in columns[:-1]]
            row.append(int(run.metrics[f"{side}_median_rank"]))
            rows.append(row)
    return Table(
        ["direction", "model", "R@1", "R@5", "R@10", "mAP@10", "median rank"],
        rows,
        collection.report(),
        notes=(
            "In percent but for ranks. Text → audio: every caption is a query and its sound is relevant. Audio → text: "
            "every sound is a query, all its captions are relevant, and its rank is that of the best of them.",
        ),
    )


def judged_report(judged: Judged, collection: Collection, *, command: str) -> Report:
    """Make the report of what spaces found.

    Args:
        judged: From `judge`.
        collection: The same as there.
        command: That makes it again.
    """
    best = max(judged.runs[:-2], key=lambda run: run.metrics["t2a_map_at_10"])
    page = Report(
        f"Sounds and sentences: {collection.name}",
        f"{best.method} puts the sound that a sentence means first in {100 * best.metrics['t2a_recall_at_1']:.0f} %, "
        f"and among the first ten of {len(judged.encoded)} in {100 * best.metrics['t2a_recall_at_10']:.0f} %.",
    )
    page.add(judged_table(judged, collection), recall_picture(judged))
    page.add(Section("What was judged"), Details("Sounds", "\n".join(judged.encoded.ids)))
    if collection.missing:
        page.add(Details(f"{len(collection.missing)} clips without audio", "\n".join(collection.missing)))
    if mute := [item.id for item in collection.here if not item.captions]:
        page.add(Details(f"{len(mute)} clips that nobody described", "\n".join(mute)))
    if judged.encoded.missing:
        page.add(
            Details(f"{len(judged.encoded.missing)} clips that could not be read", "\n".join(judged.encoded.missing))
        )
    page.add(Section("Make it again"), Details("Command", command))
    return page


def recall_picture(judged: Judged) -> Picture:
    """Draw the share of queries whose sound, or caption, is among the first so many."""
    import matplotlib
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter

    with matplotlib.rc_context(plot_style()):
        figure, both = pyplot.subplots(1, 2, figsize=(9.4, 3.6), sharey=True)
        for axes, side, said in zip(both, WAYS, WAYS.values(), strict=True):
            for run, found in zip(judged.runs, judged.found, strict=True):
                places = np.unique(np.round(np.geomspace(1, max(2, len(judged.encoded)), 24)).astype(int))
                ranks = getattr(found, side).rank
                grey = {"color": PALETTE[-1], "linestyle": _GREY[run.method]} if run.method in _GREY else {}
                axes.plot(places, [100 * (ranks <= k).mean() for k in places], label=run.method, markersize=3, **grey)
            axes.set(xscale="log", xlabel="first so many", title=said, ylim=(0, 102))
            axes.xaxis.set_major_formatter("{x:.0f}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        both[0].set_ylabel("found, %")
        figure.legend(*both[0].get_legend_handles_labels(), loc="outside right upper")
        picture = Picture.of(figure, "Recall over the number of results, in both directions")
        pyplot.close(figure)
    return picture
