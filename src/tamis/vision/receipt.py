"""The receipt of a pruning: what was kept, what that costs, how methods differ, and where chance does as well."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tamis.core.files import write_whole
from tamis.core.report import Cell, Details, Facts, Report, Section, Table
from tamis.vision.prune import Result

_NO_CHOICE = ("all", "text-only", "random", "uniform")
"""Methods that do not go by what a picture shows, and so are not held against chance."""


def write(result: Result, out: Path, command: str) -> Path:
    """Write `kept.json` and `index.html` into a folder, each whole or not at all; return the page's path.

    Args:
        result: What `prune` returned.
        out: The folder; made if it is not there.
        command: The command line that gives the same.

    Raises:
        FileError: If the folder cannot be written.
    """
    write_whole(out / "kept.json", json.dumps(as_json(result), allow_nan=False) + "\n")
    return report_on(result, command).write(out / "index.html")


def as_json(result: Result) -> dict[str, Any]:
    """Give what `kept.json` holds."""
    return {
        "model": result.model,
        "grid": list(result.grid),
        "pictures": result.pictures,
        "failed": result.failed,
        "figures": [{"method": name, "keep": keep, **asdict(of)} for (name, keep), of in result.figures.items()],
        "seconds_per_picture": result.seconds,
    }


def report_on(result: Result, command: str) -> Report:
    """Lay the receipt out as a report.

    Args:
        result: What `prune` returned.
        command: The command line that gives the same.
    """
    total = result.grid[0] * result.grid[1]
    first = _first(result)
    least = min(of.tokens for (name, _), of in result.figures.items() if name == first)
    count = len(result.pictures)
    report = Report(
        "What was kept",
        f"{count} picture{'s' * (count != 1)} through {result.model}: {total} image tokens each, down to {least:.0f}.",
    )
    facts: dict[str, Cell] = {
        "tokens kept": f"{least:.0f} of {total}",
        "memory of the tokens": f"{_size(least * result.bytes_per_token)} of {_size(total * result.bytes_per_token)}",
        "tower pass, ours": f"{result.seconds['ours'] * 1000:.0f} ms a picture",
        "tower pass, stock": f"{result.seconds['stock'] * 1000:.0f} ms a picture",
    }
    report.add(Facts(facts), *result.panels)
    if count > len(result.panels):
        report.add(f"{len(result.panels)} of {count} pictures are shown; `kept.json` has all of them.")
    report.add(Section("Side by side"), table(result), *_warnings(result))
    if result.failed:
        rows = [[one["file"], one["error"]] for one in result.failed]
        report.add(Section("Not read"), Table(["file", "why"], rows))
    report.add(
        Section("How to read this"),
        "Attention held is the share of [CLS] attention, in the block that made the features, that goes to kept "
        "tokens. Cover is the mean, over all tokens, of the highest cosine between a token and a kept one, after "
        "centring: 1 when everything is kept, low when a budget is spent on duplicates. Agreement is the share of "
        f"tokens kept by the method or by {first} that both keep. None of these is accuracy: only answers tell that.",
        Details("The same from the command line", command),
    )
    return report


def table(result: Result) -> Table:
    """Set the methods side by side at every budget, each beside random selection."""
    first = _first(result)
    rows: list[list[Cell]] = []
    for (method, keep), of in result.figures.items():
        chance = result.figures.get(("random", keep))
        numbers = [of.attention_held, of.cover, chance.cover if chance else None, of.agreement]
        rows.append([method, keep, f"{of.tokens:.0f}", *(None if one is None else round(one, 3) for one in numbers)])
    headers = ["method", "keep", "tokens", "attention held", "cover", "cover, random", f"agreement with {first}"]
    return Table(headers, rows, caption=f"Means over {len(result.pictures)} pictures")


def _warnings(result: Result) -> list[str]:
    """Say where a method is not better than chance, with the likely reason."""
    warnings = []
    for method in dict.fromkeys(name for name, _ in result.figures if name not in _NO_CHOICE):
        thin, blind = [], []
        for (name, keep), of in result.figures.items():
            chance = result.figures.get(("random", keep))
            if name != method or chance is None or of.cover is None or chance.cover is None:
                continue
            if of.cover < chance.cover - 0.01:
                thin.append(f"{of.cover:.2f} against {chance.cover:.2f} at {keep}")
            if of.attention_held <= chance.attention_held:
                blind.append(keep)
        if thin:
            warnings.append(
                f"{method} covers less of these pictures than random selection does ({'; '.join(thin)}): its tokens "
                "lie close together. That is right when the question is about what they show, and wrong for the rest."
            )
        if blind:
            warnings.append(f"{method} holds no more [CLS] attention than random selection at {', '.join(blind)}.")
    if result.outliers > 0.005:
        warnings.append(
            f"{result.outliers:.1%} of the tokens have norms above three times the median. Such tokens draw [CLS] "
            "attention without showing anything; top-k by [CLS] attention may do worse than chance on this tower."
        )
    return warnings


def _first(result: Result) -> str:
    return next(name for name, _ in result.figures)


def _size(count: int | float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
