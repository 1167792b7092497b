"""The main job: look at photographs, keep the tokens that matter, and hand back the picture of what was kept."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tamis.core.budget import Budget
from tamis.core.errors import FileError, TamisError
from tamis.core.readers import DEFAULT, IMAGE_SUFFIXES, Limits, list_images, read_image, read_video_frames
from tamis.core.report import Cell, Details, Facts, Picture, Report, Section, Table
from tamis.vision.baselines.simple import Random
from tamis.vision.fastervlm import score as last_block_score
from tamis.vision.loading import Loaded
from tamis.vision.methods import reads_of
from tamis.vision.metrics import agreement, attention_held, cover, outliers
from tamis.vision.panel import draw
from tamis.vision.selector import Selector, choose, kept_indices
from tamis.vision.tower import blocks_run, depth_of, look
from tamis.vision.view import Reads, View
from tamis.vision.vtccls import VTCCLS
from tamis.vision.vtccls import score as ensemble_score

SHOWN = 24
"""How many pictures a report shows; the indices of all of them are in its JSON file."""


@dataclass(frozen=True)
class Source:
    """A picture to look at, or why it cannot be."""

    name: str
    picture: Image.Image | None
    error: str = ""
    note: str = ""


@dataclass
class Result:
    """What each method kept of each picture."""

    model: str
    grid: tuple[int, int] = (0, 0)
    budgets: list[str] = field(default_factory=list)
    pictures: list[dict[str, Any]] = field(default_factory=list)
    """Per picture: `file`, `note` and `kept`: method → budget → indices in raster order."""
    failed: list[dict[str, str]] = field(default_factory=list)
    """Per file that could not be read: `file` and `error`."""
    figures: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    """(method, budget) → mean over pictures of tokens, attention held, cover and agreement with the first method."""
    panels: list[Picture] = field(default_factory=list)
    outliers: float = 0.0
    """Mean over pictures of the share of patches with outlying norms."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Median seconds per picture of one look, by the stock tower and by ours, on the first batch."""
    bytes_per_token: int = 0

    def as_json(self) -> dict[str, Any]:
        """What `kept.json` holds."""
        figures = [{"method": method, "keep": keep, **values} for (method, keep), values in self.figures.items()]
        return {
            "model": self.model,
            "grid": list(self.grid),
            "pictures": self.pictures,
            "failed": self.failed,
            "figures": figures,
            "seconds_per_picture": self.seconds,
        }


def sources(path: Path, frames: int = 8, limits: Limits = DEFAULT) -> Iterator[Source]:
    """Read a picture, all pictures of a folder, or frames of a video, one at a time.

    Args:
        path: A picture, a folder or a video.
        frames: How many frames of a video, spread evenly.
        limits: What is accepted.

    Yields:
        One source per picture; those of a folder that cannot be read carry their error.

    Raises:
        FileError: If a single picture or a video cannot be read, or a folder has none.
        LimitError: If a single picture or a video is too large.
    """
    if path.is_dir():
        for file in list_images(path):
            name = str(file.relative_to(path))
            try:
                yield _source(name, file, limits)
            except TamisError as error:
                yield Source(name, None, error=str(error))
    elif path.suffix.lower() in IMAGE_SUFFIXES or not path.is_file():
        yield _source(path.name, path, limits)
    else:
        try:
            yield _source(path.name, path, limits)
        except FileError:
            shots = read_video_frames(path, frames, limits)
            for number, shot in enumerate(shots, start=1):
                yield Source(f"{path.name}, frame {number} of {len(shots)}", Image.fromarray(shot))


def _source(name: str, file: Path, limits: Limits) -> Source:
    picture = read_image(file, limits)
    return Source(name, picture, note="animated: its first frame" if picture.info["animated"] else "")


def prune(
    loaded: Loaded,
    pictures: Iterator[Source],
    methods: Mapping[str, type[Selector]],
    budgets: Sequence[Budget],
    *,
    batch: int = 8,
    seed: int = 0,
    progress: Callable[[int], object] = lambda done: None,
) -> Result:
    """Let every method choose at every budget, from one look at each picture.

    Random selection is always among the methods: it is what the others are compared with.

    Args:
        loaded: The tower.
        pictures: What to look at.
        methods: Selectors by name.
        budgets: What to keep of each picture.
        batch: Pictures looked at together.
        seed: Of random selection.
        progress: Called with the number of pictures done.

    Raises:
        BudgetError: If a budget does not fit the number of tokens.
        FileError: If no picture could be read.
    """
    chosen: dict[tuple[str, str], Selector] = {}
    named: dict[str, type[Selector]] = {**methods, "random": Random}
    for name, method in named.items():
        for budget in budgets:
            chosen[name, str(budget)] = Random(budget, seed=seed) if method is Random else method(budget)
    depth = depth_of(loaded.tower)
    layers = [loaded.layers] if isinstance(loaded.layers, int) else list(loaded.layers)
    run = max(blocks_run(depth, layer) for layer in layers)
    ensemble = VTCCLS(1.0).reads(depth, run).rows
    reads = reads_of([*chosen.values(), VTCCLS(1.0)], depth, run)
    result = Result(loaded.name, budgets=[str(budget) for budget in budgets], bytes_per_token=loaded.bytes_per_token)
    sums: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in chosen}
    outlying: list[float] = []
    done = 0
    while group := list(islice(pictures, batch)):
        done += len(group)
        result.failed += [{"file": one.name, "error": one.error} for one in group if one.picture is None]
        good = [one for one in group if one.picture is not None]
        if good:
            with torch.inference_mode():
                pixels = loaded.pixels([one.picture for one in good if one.picture is not None])
                view = look(loaded.tower, pixels, reads, loaded.layers)
                if not result.seconds:
                    result.grid = view.grid
                    result.seconds = _clock(loaded, pixels[:2], chosen)
                masks = {key: choose(selector, view).mask for key, selector in chosen.items()}
                _tell(view, masks, sums)
                outlying += outliers(view.patches).float().mean(-1).tolist()
                _record(result, good, masks)
                for index in range(min(len(good), max(0, SHOWN - len(result.panels)))):
                    heats = [last_block_score(view.rows[run - 1])[index], _ensemble(view, ensemble)[index]]
                    panel = draw(loaded.shown(pixels[index : index + 1])[0], view.grid, heats, _of(masks, index))
                    result.panels.append(_picture(panel, good[index], methods))
        progress(done)
    if not result.pictures:
        first = result.failed[0]["error"] if result.failed else "nothing was given"
        raise FileError(f"none of {len(result.failed)} files is a picture that can be read; the first: {first}")
    result.outliers = float(np.mean(outlying))
    result.figures = {
        key: {name: float(np.mean([one[name] for one in of])) for name in of[0]} for key, of in sums.items()
    }
    return result


def _ensemble(view: View, blocks: Sequence[int]) -> Tensor:
    return ensemble_score(view.rows[block] for block in blocks)


def _of(masks: Mapping[tuple[str, str], Tensor], index: int) -> dict[tuple[str, str], NDArray[np.bool_]]:
    return {key: mask[index].cpu().numpy() for key, mask in masks.items()}


def _tell(
    view: View, masks: Mapping[tuple[str, str], Tensor], sums: Mapping[tuple[str, str], list[dict[str, float]]]
) -> None:
    """Add the figures of a batch's pictures to those of the pictures before."""
    row = view.rows[view.run - 1]
    first = next(iter(masks))[0]
    for (method, budget), mask in masks.items():
        columns = {
            "tokens": mask.sum(-1).float(),
            "attention_held": attention_held(row, mask),
            "cover": cover(view.patches, mask) if bool(mask.any(-1).all()) else torch.full((view.units,), -1.0),
            "agreement": agreement(mask, masks[first, budget]),
        }
        for index in range(view.units):
            sums[method, budget].append({name: float(values[index]) for name, values in columns.items()})


def _record(result: Result, good: Sequence[Source], masks: Mapping[tuple[str, str], Tensor]) -> None:
    for index, one in enumerate(good):
        kept: dict[str, dict[str, list[int]]] = {}
        for (method, budget), mask in masks.items():
            kept.setdefault(method, {})[budget] = kept_indices(mask[index : index + 1])[0].tolist()
        result.pictures.append({"file": one.name, "note": one.note, "kept": kept})


def _clock(
    loaded: Loaded, pixels: Tensor, chosen: Mapping[tuple[str, str], Selector], repeats: int = 3
) -> dict[str, float]:
    """Time the stock tower, and a look for the first method with its choice, in turns."""
    selector = next(iter(chosen.values()))
    depth = depth_of(loaded.tower)
    layers = [loaded.layers] if isinstance(loaded.layers, int) else list(loaded.layers)
    reads: Reads = selector.reads(depth, max(blocks_run(depth, layer) for layer in layers))
    stock: Any = getattr(loaded.tower, "vision_model", loaded.tower)
    times: dict[str, list[float]] = {"stock": [], "ours": []}
    for _ in range(repeats):
        start = time.perf_counter()
        stock(pixels)
        middle = time.perf_counter()
        choose(selector, look(loaded.tower, pixels, reads, loaded.layers))
        times["stock"].append(middle - start)
        times["ours"].append(time.perf_counter() - middle)
    return {name: float(np.median(of)) / len(pixels) for name, of in times.items()}


def _picture(panel: Image.Image, source: Source, methods: Mapping[str, type[Selector]]) -> Picture:
    buffer = io.BytesIO()
    panel.save(buffer, format="WEBP", quality=86)
    alt = f"{source.name}: the photograph, [CLS] attention, and the patches kept by {', '.join(methods)}"
    return Picture(buffer.getvalue(), alt, caption=source.name + (f" ({source.note})" if source.note else ""))


def report_on(result: Result, command: str) -> Report:
    """Write the receipt: what was kept, what that costs, how the methods differ, and where chance does as well.

    Args:
        result: What `prune` returned.
        command: The command line that gives the same report.
    """
    total = result.grid[0] * result.grid[1]
    first = next(method for method, _ in result.figures)
    least = result.figures[first, result.budgets[-1]]["tokens"]
    report = Report(
        "What was kept",
        f"{len(result.pictures)} picture{'s' * (len(result.pictures) != 1)} through {result.model}: "
        f"{total} image tokens each, down to {least:.0f}.",
    )
    facts: dict[str, Cell] = {
        "tokens kept": f"{least:.0f} of {total}",
        "memory of the tokens": f"{_size(least * result.bytes_per_token)} of {_size(total * result.bytes_per_token)}",
        "tower pass, ours": f"{result.seconds['ours'] * 1000:.0f} ms a picture",
        "tower pass, stock": f"{result.seconds['stock'] * 1000:.0f} ms a picture",
    }
    report.add(Facts(facts), *result.panels)
    if len(result.pictures) > len(result.panels):
        report.add(f"{len(result.panels)} of {len(result.pictures)} pictures are shown; `kept.json` has all of them.")
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
    first = next(method for method, _ in result.figures)
    rows: list[list[Cell]] = []
    for (method, budget), figure in result.figures.items():
        chance = result.figures["random", budget]
        cells = [figure["tokens"], figure["attention_held"], figure["cover"], chance["cover"], figure["agreement"]]
        rows.append([method, budget, f"{cells[0]:.0f}", *(round(cell, 3) for cell in cells[1:])])
    headers = ["method", "keep", "tokens", "attention held", "cover", "cover, random", f"agreement with {first}"]
    return Table(headers, rows, caption=f"Means over {len(result.pictures)} pictures")


def _warnings(result: Result) -> list[str]:
    """Say where a method is not better than chance, with the likely reason."""
    warnings = []
    for method in dict.fromkeys(method for method, _ in result.figures):
        worse = [
            f"{figure['cover']:.2f} against {result.figures['random', budget]['cover']:.2f} at {budget}"
            for (name, budget), figure in result.figures.items()
            if name == method and figure["cover"] < result.figures["random", budget]["cover"] - 0.01
        ]
        if worse and method != "random":
            warnings.append(
                f"{method} covers less of these pictures than random selection does ({'; '.join(worse)}): its tokens "
                "lie close together. That is right when the question is about what they show, and wrong for the rest."
            )
        held = [
            budget
            for (name, budget), figure in result.figures.items()
            if name == method and figure["attention_held"] <= result.figures["random", budget]["attention_held"]
        ]
        if held and method not in ("random", "uniform", "text-only"):
            warnings.append(f"{method} holds no more [CLS] attention than random selection at {', '.join(held)}.")
    if result.outliers > 0.005:
        warnings.append(
            f"{result.outliers:.1%} of the tokens have norms above three times the median. Such tokens draw [CLS] "
            "attention without showing anything; top-k by [CLS] attention may do worse than chance on this tower."
        )
    return warnings


def _size(count: int | float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def write(result: Result, out: Path, command: str) -> Path:
    """Write `kept.json` and `index.html` into a folder, each whole or not at all; return the page's path.

    Raises:
        FileError: If the folder cannot be written.
    """
    text = json.dumps(result.as_json(), allow_nan=False) + "\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        partial = out / ".kept.json.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(out / "kept.json")
    except OSError as error:
        raise FileError(f"{out}: cannot be written ({error.strerror}); give a folder that you may write to") from error
    return report_on(result, command).write(out / "index.html")
