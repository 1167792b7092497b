"""The main job: look at photographs, and let every method keep the tokens that matter to it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tamis.core.budget import Budget
from tamis.core.errors import ConfigError, FileError, TamisError
from tamis.core.readers import IMAGE_SUFFIXES, list_images, read_image, read_video_frames
from tamis.core.report import Picture
from tamis.vision.baselines.simple import Random
from tamis.vision.bench import alternate
from tamis.vision.fastervlm import score as last_block_score
from tamis.vision.loading import Loaded
from tamis.vision.methods import reads_of
from tamis.vision.metrics import agreement, attention_held, cover, outliers
from tamis.vision.panel import draw
from tamis.vision.selector import Selector, choose, kept_indices
from tamis.vision.tower import extent, look
from tamis.vision.view import View
from tamis.vision.vtccls import VTCCLS, blocks
from tamis.vision.vtccls import score as ensemble_score

SHOWN = 24
"""How many pictures are drawn; the indices of all of them are told."""
MOST = 200
"""How many selections are drawn of one picture at most."""
ROUNDS = 3
"""How often the tower is timed."""

Key = tuple[str, str]
"""A method and its budget, as people write them."""


@dataclass(frozen=True)
class Source:
    """A picture to look at, or why it cannot be."""

    name: str
    picture: Image.Image | None
    error: str = ""
    note: str = ""


@dataclass(frozen=True)
class Figures:
    """How a selection looks without a language model, as means over pictures."""

    tokens: float
    """Tokens kept."""
    attention_held: float
    """Share of the [CLS] attention that goes to them."""
    cover: float | None
    """How well they stand for all tokens; None where nothing is kept."""
    agreement: float
    """Share of tokens kept by this or the first method that both keep."""


@dataclass
class Result:
    """What each method kept of each picture."""

    model: str
    bytes_per_token: int
    memory: str
    """What those bytes are."""
    threads: int
    """CPU threads that the tower was timed with."""
    grid: tuple[int, int] = (0, 0)
    pictures: list[dict[str, Any]] = field(default_factory=list)
    """Per picture: `file`, `note` and `kept`: method → budget → indices in raster order."""
    failed: list[dict[str, str]] = field(default_factory=list)
    """Per file that could not be read: `file` and `error`."""
    figures: dict[Key, Figures] = field(default_factory=dict)
    panels: list[Picture] = field(default_factory=list)
    outliers: float = 0.0
    """Mean over pictures of the share of patches with outlying norms."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Median seconds a picture, by the `stock` tower and by `ours`: the first method's look, choice and features."""


def sources(path: Path, frames: int = 8) -> Iterator[Source]:
    """Read a picture, all pictures of a folder, or frames of a video, one at a time.

    Args:
        path: A picture, a folder or a video.
        frames: How many frames of a video, spread evenly.

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
                yield _source(name, file)
            except TamisError as error:
                yield Source(name, None, error=str(error))
        return
    try:
        yield _source(path.name, path)
    except FileError:
        if path.suffix.lower() in IMAGE_SUFFIXES or not path.is_file():
            raise
        shots = read_video_frames(path, frames)
        for number, shot in enumerate(shots, start=1):
            yield Source(f"{path.name}, frame {number} of {len(shots)}", Image.fromarray(shot))


def _source(name: str, file: Path) -> Source:
    picture = read_image(file)
    return Source(name, picture, note="animated: its first frame" if picture.info["animated"] else "")


def prune(
    loaded: Loaded,
    pictures: Iterable[Source],
    selectors: Sequence[Selector],
    *,
    batch: int = 8,
    seed: int = 0,
    progress: Callable[[int], object] = lambda done: None,
) -> Result:
    """Let every selector choose, from one look at each picture.

    Random selection is always added at the same budgets: it is what the others are compared with.

    Args:
        loaded: The tower.
        pictures: What to look at.
        selectors: Which rules, with their budgets.
        batch: Pictures looked at together.
        seed: Of the random selection that is added.
        progress: Called with the number of pictures done.

    Raises:
        BudgetError: If a budget does not fit the number of tokens.
        ConfigError: If a selector does not fit the tower, or there are too many to draw.
        FileError: If no picture could be read.
    """
    chosen = {(one.name, str(Budget.parse(one.keep))): one for one in selectors}
    for keep in {keep: None for _, keep in chosen if keep not in ("0", "100%")}:
        chosen.setdefault(("random", keep), Random(keep, seed=seed))
    if len(chosen) > MOST:
        raise ConfigError(f"{len(chosen)} methods and budgets with random selection; at most {MOST} fit one picture")
    depth, run = extent(loaded.tower, loaded.layers)
    reads = reads_of([*chosen.values(), VTCCLS(1.0)], depth, run)  # VTC-CLS's rows are drawn in any case
    memory = "tower features" if loaded.model is None else "key–value cache"
    result = Result(loaded.name, loaded.bytes_per_token, memory, torch.get_num_threads())
    sums: dict[Key, Tensor] = {key: torch.zeros(4, dtype=torch.float64) for key in chosen}
    remaining, done, outlying = iter(pictures), 0, 0.0
    while group := list(islice(remaining, batch)):
        result.failed += [{"file": one.name, "error": one.error} for one in group if one.picture is None]
        good = [one for one in group if one.picture is not None]
        if good:
            with torch.inference_mode():
                pixels = loaded.pixels([one.picture for one in good if one.picture is not None])
                view = look(loaded.tower, pixels, reads, loaded.layers)
                masks = {key: choose(selector, view).mask for key, selector in chosen.items()}
                for key, figures in _figures(view, masks).items():
                    sums[key] += figures
                outlying += float(outliers(view.patches).double().mean(-1).sum())
                result.pictures += _told(good, masks)
                result.panels += _panels(loaded, good[: SHOWN - len(result.panels)], view, masks)
                if not result.seconds:
                    result.grid = view.grid
                    result.seconds = _clock(loaded, pixels[:2], next(iter(chosen.values())))
        done += len(group)
        progress(done)
    if not result.pictures:
        first = result.failed[0]["error"] if result.failed else "nothing was given"
        raise FileError(f"none of {len(result.failed)} files is a picture that can be read; the first: {first}")
    count = len(result.pictures)
    result.outliers = outlying / count
    for key, total in sums.items():
        tokens, held, covered, agreed = (total / count).tolist()
        result.figures[key] = Figures(tokens, held, covered if tokens else None, agreed)
    return result


def _figures(view: View, masks: Mapping[Key, Tensor]) -> dict[Key, Tensor]:
    """Sum over pictures: tokens, attention held, cover (0 where nothing is kept), agreement with the first method."""
    row, features = view.rows[view.run - 1], view.patches
    first = next(iter(masks))
    sums = {}
    for (method, keep), mask in masks.items():
        covered = cover(features, mask) if bool(mask.any()) else torch.zeros(view.units)
        reference = masks.get((first[0], keep), masks[first])
        columns = [mask.sum(-1), attention_held(row, mask), covered, agreement(mask, reference)]
        sums[method, keep] = torch.stack([column.double().cpu().sum() for column in columns])
    return sums


def _told(good: Sequence[Source], masks: Mapping[Key, Tensor]) -> list[dict[str, Any]]:
    """Give the kept indices of each picture of a batch as JSON holds them."""
    kept: list[dict[str, dict[str, list[int]]]] = [{} for _ in good]
    for (method, keep), mask in masks.items():
        for of_picture, indices in zip(kept, kept_indices(mask), strict=True):
            of_picture.setdefault(method, {})[keep] = indices.tolist()
    return [{"file": one.name, "note": one.note, "kept": of} for one, of in zip(good, kept, strict=True)]


def _clock(loaded: Loaded, pixels: Tensor, selector: Selector) -> dict[str, float]:
    """Time the stock tower against what a selector needs of it, in turns: median seconds a picture."""
    stock: Any = getattr(loaded.tower, "vision_model", loaded.tower)
    reads = selector.reads(*extent(loaded.tower, loaded.layers))

    def ours() -> Tensor:
        view = look(loaded.tower, pixels, reads, loaded.layers)
        features = view.features.some(torch.nn.functional.pad(choose(selector, view).mask, (1, 0)))
        return features.cpu()  # waits for the device

    routes: dict[str, Callable[[], object]] = {"stock": lambda: stock(pixels).last_hidden_state.cpu(), "ours": ours}
    seconds = alternate(routes, ROUNDS)
    return {name: sorted(of)[ROUNDS // 2] / len(pixels) for name, of in seconds.items()}


def _panels(loaded: Loaded, good: Sequence[Source], view: View, masks: Mapping[Key, Tensor]) -> Iterator[Picture]:
    """Draw what was kept of the first pictures of a batch."""
    last = last_block_score(view.rows[view.run - 1])
    ensemble = ensemble_score(view.rows[block] for block in blocks(view.depth, view.run, None))
    methods = ", ".join(dict.fromkeys(method for method, _ in masks))
    for index, source in enumerate(good):
        shown = loaded.shown(view.pixels[index : index + 1])[0]
        of_picture = {key: mask[index].cpu().numpy() for key, mask in masks.items()}
        buffer = io.BytesIO()
        draw(shown, view.grid, [last[index], ensemble[index]], of_picture).save(buffer, format="WEBP", quality=86)
        alt = f"{source.name}: the photograph, [CLS] attention, and the patches kept by {methods}"
        caption = source.name + (f" ({source.note})" if source.note else "")
        yield Picture(buffer.getvalue(), alt, caption)
