"""How many names meet every cell, chosen by cover, at random, by renown and by the alphabet? And how long does it take?

A cell is a value, or values that occur together in a name. The first question is asked of the open corpus, in every
language and type, for all values and for all pairs of values; random choice is drawn 200 times. Each order may stop at
the very name that meets the last cell. The second is asked of generated rows in the format and the size of CLSE, see
`tamis.language.data.synthetic`. They are noise: values are drawn, not annotated.

Prints tables; `--write` adds lines of the tasks `language/cover` and `language/bench` to results/language.jsonl, from a
clean tree and once. `--plot` draws the written lines into docs/assets/language-cover.png and measures nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import lines
from tamis.core.errors import ConfigError, TamisError, one_line
from tamis.core.files import write_whole
from tamis.core.progress import progress
from tamis.core.report import Picture, Table
from tamis.core.results import Run, read_runs
from tamis.language.baselines import METHODS, compare, effort_picture
from tamis.language.corpus import Corpus
from tamis.language.covering import cover
from tamis.language.data import load, save, synthetic

COVER, BENCH = "language/cover", "language/bench"
LEVELS = ("value", "pair")
DRAWS, SEED = 200, 0
PLOT = Path(__file__).parents[1] / "docs" / "assets" / "language-cover.png"


def compared(corpus: Corpus, level: str) -> list[Run]:
    """Ask the first question at one level: a line for each way to choose.

    Args:
        corpus: Where names come from.
        level: What a cell is.
    """
    start = time.perf_counter()
    found = compare(corpus, level=level, draws=DRAWS, seed=SEED)
    runs = []
    for method, effort in found.efforts.items():
        runs.append(
            Run.measured(
                COVER,
                method,
                dataset=corpus.dataset,
                split="test",
                n=found.groups,
                metrics={
                    "names": effort.total,
                    "names_ratio": effort.total / found.efforts["cover"].total,
                    "cells_met": effort.met,
                },
                intervals={"names": effort.interval} if effort.interval else None,
                curves={"names": effort.names},
                config={
                    "level": level,
                    "cells": found.cells,
                    "keep": effort.total / found.entities,
                    "headline": True,
                    **({"draws": DRAWS} if method == "random" else {}),
                },
                seeds=[SEED] if method == "random" else [],
                seconds=time.perf_counter() - start,
            )
        )
    return runs


def timed(corpus: Corpus, level: str) -> Run:
    """Ask the second question at one level: read a file, and cover every language and type with the usual time limit.

    Args:
        corpus: The rows to write to the file.
        level: What a cell is.
    """
    start = time.perf_counter()
    with TemporaryDirectory() as folder:
        path = save(corpus, Path(folder) / "clse.csv")
        before = time.perf_counter(), time.process_time()
        read = load(path)
        between = time.perf_counter(), time.process_time()
    with progress("covering languages and types") as advance:
        found = cover(read, level=level, progress=advance)
    after = time.perf_counter(), time.process_time()
    return Run.measured(
        BENCH,
        "cover",
        dataset=corpus.dataset,
        split="test",
        n=len(read),
        metrics={
            "read_seconds": between[0] - before[0],
            "read_cpu_seconds": between[1] - before[1],
            "cover_seconds": after[0] - between[0],
            "cover_cpu_seconds": after[1] - between[1],
            "names": len(found.entities),
            "names_bound": found.lower_bound,
        },
        config={"level": level, "cells": len(found.cells)},
        seeds=[SEED],
        seconds=time.perf_counter() - start,
    )


def table(runs: Sequence[Run]) -> Table:
    """Set lines of the first question side by side."""
    rows = [
        (
            run.config["level"],
            run.method,
            round(run.metrics["names"]),
            run.metrics["names_ratio"],
            run.metrics["cells_met"],
        )
        for run in runs
    ]
    return Table(("level", "method", "names", "times the cover", "cells met by as many names"), rows)


def plot(runs: Sequence[Run]) -> Picture:
    """Draw how many names each way to choose takes in each language.

    Args:
        runs: Lines of `language/cover`.

    Raises:
        ConfigError: If there are none.
    """
    its = {(run.config["level"], run.method): run.curves["names"] for run in runs if run.task == COVER}
    if not its:
        raise ConfigError(f"there is no line of {COVER} to draw; measure with --write first")
    panels = {f"all {level}s": {method: its[level, method] for method in METHODS} for level in LEVELS}
    return effort_picture(panels, "How many names each way to choose takes in each of 34 languages")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and, if asked to, write or draw; return the exit code.

    Args:
        arguments: What follows the script's name; by default that of this process.
    """
    parser = lines.parser(__doc__)
    parser.add_argument("--plot", action="store_true", help=f"draw the written lines into {PLOT.name}")
    options = parser.parse_args(arguments)
    written = lines.RESULTS / "language.jsonl"
    try:
        if options.plot:
            print(write_whole(PLOT, plot(read_runs(written)).data))
            return 0
        if options.write:
            lines.check(COVER, ["open"])
            lines.check(BENCH, ["clse-sized"])
        runs = [run for level in LEVELS for run in compared(load("open"), level)]
        table(runs).print()
        print()
        timings = [timed(synthetic(seed=SEED), level) for level in LEVELS]
        headers = ["level", *timings[0].metrics]
        Table(headers, [[run.config["level"], *run.metrics.values()] for run in timings]).print()
        if options.write:
            for run in [*runs, *timings]:
                lines.append(run)
    except TamisError as error:
        return lines.fail("language_cover", one_line(error), error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
