"""The receipt of a pruning: what was kept, what that costs, how methods differ, and where chance does as well."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tamis.core.files import write_whole
from tamis.core.report import Cell, Details, Facts, Report, Section, Table, quantity, size
from tamis.vision.baselines.simple import BLIND
from tamis.vision.prune import ROUNDS, Figures, Result


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
    keep, least = min(((keep, of) for (name, keep), of in result.figures.items() if name == first), key=_tokens)
    report = Report(
        "What was kept",
        f"{_pictures(result)} through {result.model}: {total} image tokens each, down to {quantity(least.tokens)}.",
    )
    chance = result.figures.get(("random", keep))
    facts: dict[str, Cell] = {
        "tokens kept": f"{quantity(least.tokens)} of {total}",
        "[CLS] attention held": f"{least.attention_held:.0%}",
        "cover (random)": f"{_two(least.cover)} ({_two(chance.cover if chance else None)})",
        f"memory, {result.memory}": f"{size(least.tokens * result.bytes_per_token)} of "
        f"{size(total * result.bytes_per_token)}",
    }
    report.add(Facts(facts), *_warnings(result), *result.panels)
    if len(result.pictures) > len(result.panels):
        report.add(f"{len(result.panels)} of {len(result.pictures)} pictures are shown; `kept.json` has all of them.")
    report.add(Section("Side by side"), table(result))
    if result.failed:
        rows = [[one["file"], one["error"]] for one in result.failed]
        report.add(Section("Not read"), Table(["file", "why"], rows))
    report.add(
        Section("How to read this"),
        "In the pictures, kept tokens have their colours and dropped ones lie in fog. The heat maps rank the tokens by "
        "the attention that the tower's [CLS] token pays them, from dark to bright: in the last block that is used, "
        "and summed over the last third of the blocks.",
        "Attention held is the share of [CLS] attention, in that last block, that goes to kept tokens. Cover is the "
        "mean, over all tokens, of the highest cosine between a token and a kept one, after centring: 1 when all is "
        "kept, low when a budget is spent on duplicates. Agreement is the share of tokens kept by the method or by "
        f"{first} that both keep. None of these is accuracy: only answers tell that.",
        f"The tower took {result.seconds['ours'] * 1000:.0f} ms a picture for {first} and "
        f"{result.seconds['stock'] * 1000:.0f} ms as it comes: medians of {ROUNDS} rounds in turns on the first "
        f"pictures, {result.threads} threads, on this machine as busy as it was.",
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
        rows.append([method, keep, quantity(of.tokens), *(None if one is None else round(one, 3) for one in numbers)])
    headers = ["method", "keep", "tokens", "attention held", "cover", "cover, random", f"agreement with {first}"]
    return Table(headers, rows, caption=f"Means over {_pictures(result)}; higher is better, but none of it is accuracy")


def _warnings(result: Result) -> list[str]:
    """Say where methods are not better than chance, with the likely reason."""
    thin, blind = [], []
    for (chance_name, keep), chance in result.figures.items():
        if chance_name != "random" or chance.cover is None:
            continue
        others = {name: of for (name, kept), of in result.figures.items() if kept == keep and name not in BLIND}
        low = [f"{name} {_two(of.cover)}" for name, of in others.items() if (of.cover or 0) < chance.cover - 0.01]
        if low:
            thin.append(f"at {keep}, {_two(chance.cover)} against {', '.join(low)}")
        blind += [f"{name} at {keep}" for name, of in others.items() if of.attention_held <= chance.attention_held]
    warnings = []
    if thin:
        warnings.append(
            f"Random selection covers more of these pictures: {'; '.join(thin)}. The chosen tokens lie close together, "
            "which is right when the question is about what they show, and wrong for the rest."
        )
    if blind:
        warnings.append(f"No more [CLS] attention than random selection holds: {', '.join(blind)}.")
    if result.outliers > 0.005:
        warnings.append(
            f"{result.outliers:.1%} of the tokens have norms above three times the median. Such tokens draw [CLS] "
            "attention without showing anything; top-k by [CLS] attention may do worse than chance on this tower."
        )
    return warnings


def _tokens(keep_and_figures: tuple[str, Figures]) -> float:
    return keep_and_figures[1].tokens


def _pictures(result: Result) -> str:
    count = len(result.pictures)
    return "1 picture" if count == 1 else f"{count} pictures"


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _first(result: Result) -> str:
    return next(name for name, _ in result.figures)
