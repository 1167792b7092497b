"""What pruning saves, measured: time to the first token and peak memory of a stock model, with and without pruning.

Random weights serve, because cost depends on shapes only. All routes run in one process, in rounds that each run every
route once, in turning order, so that whatever else the machine does falls on all of them; a ratio is one of times in
the same round.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tamis.core.budget import Keep
from tamis.core.errors import ConfigError, LimitError
from tamis.core.report import Cell, Table
from tamis.core.results import Run, dataset_hash
from tamis.core.seed import derive, generator, torch_generator
from tamis.vision.config import Shape
from tamis.vision.cost import TEXT_TOKENS, build, pixels_of, tower_of
from tamis.vision.fastervlm import FasterVLM

Name = TypeVar("Name", bound=Hashable)

_RESAMPLES = 10_000
_HEADERS = {
    "first_token_flops": ("TFLOP to first token", 1e12),
    "tower_flops": ("tower", 1e12),
    "projector_flops": ("projector", 1e12),
    "prefill_flops": ("prefill", 1e12),
    "first_token_ratio": ("× stock", 1.0),
    "decode_flops": ("GFLOP a step", 1e9),
    "kv_bytes": ("cache, MB", 1e6),
    "seconds_median": ("seconds to first token", 1.0),
    "time_ratio": ("time × stock", 1.0),
    "peak_bytes": ("peak, MB", 1e6),
}


def alternate(
    routes: Mapping[Name, Callable[[], object]],
    repetitions: int,
    progress: Callable[[int], object] = lambda done: None,
) -> dict[Name, list[float]]:
    """Time routes in rounds that run each of them once, beginning with another one each time.

    Args:
        routes: What to time, by name; each is run once more before, untimed.
        repetitions: Rounds.
        progress: Called with the number of rounds done.

    Returns:
        Seconds of each route in each round.

    Raises:
        ConfigError: If there is no round.
    """
    if repetitions < 1:
        raise ConfigError(f"repetitions is {repetitions}; expected at least 1, better 5")
    names = list(routes)
    seconds: dict[Name, list[float]] = {name: [] for name in names}
    for route in routes.values():
        route()
    for done in range(repetitions):
        first = done % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            routes[name]()
            seconds[name].append(time.perf_counter() - start)
        progress(done + 1)
    return seconds


def median(values: Sequence[float]) -> tuple[float, list[float]]:
    """Give the median of repetitions, and its 95 % interval by bootstrap over them.

    Args:
        values: One value a repetition.
    """
    drawn = generator(0, "bootstrap").choice(np.asarray(values), size=(_RESAMPLES, len(values)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(np.median(values)), [float(low), float(high)]


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storages of the tensors that operations return, from then until they are released."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now, self.peak = 0, 0
        self._sizes: dict[int, int] = {}
        self._given: list[torch.UntypedStorage] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        for storage in _storages((args, kwargs)):
            if storage._cdata not in self._sizes:  # weights and inputs, which were there before
                self._sizes[storage._cdata] = 0
                self._given.append(storage)
        result = function(*args, **(kwargs or {}))
        for storage in _storages(result):
            if storage._cdata not in self._sizes:
                self._sizes[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self._release, storage._cdata)
        self.peak = max(self.peak, self.now)
        return result

    def _release(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def _storages(tree: object) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def peak_bytes(call: Callable[[], object]) -> int:
    """Measure the most bytes that tensors made by a call hold at one time, on any device, also on meta.

    Weights and inputs do not count, nor do buffers inside a kernel. Gradients are off. A call that itself turns on
    inference mode hides what composite operations hold between their parts.

    Args:
        call: What to measure; it is run once.
    """
    live = _LiveBytes()
    with torch.no_grad(), live:
        call()
    return live.peak


def random_batch(shape: Shape, *, dtype: torch.dtype = torch.float32, seed: int = 0) -> dict[str, Tensor]:
    """Make a batch as a processor would, of noise: one image or video between random words.

    Args:
        shape: What the batch is for.
        dtype: Type of the pixel values.
        seed: Of pixels and words.
    """
    random = torch_generator(seed, "batch", shape.name)
    words = torch.randint(3, shape.vocabulary - 2, (TEXT_TOKENS,), generator=random)
    video = shape.family == "video_llava"
    tokens = torch.full((shape.tokens,), shape.vocabulary - (1 if video else 2))
    ids = torch.cat([words[: TEXT_TOKENS // 2], tokens, words[TEXT_TOKENS // 2 :]])[None]
    pixels = torch.randn(shape.pictures, 3, shape.side, shape.side, generator=random).to(dtype)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    match shape.family:
        case "llava":
            batch["pixel_values"] = pixels
        case "llava_next":
            batch |= {"pixel_values": pixels[None], "image_sizes": torch.tensor([[2 * shape.side, 2 * shape.side]])}
        case "video_llava":
            batch["pixel_values_videos"] = pixels[None]
    return batch


def needed_bytes(shape: Shape, dtype: torch.dtype) -> int:
    """Estimate the memory that the unpruned model takes, weights included, without allocating any of it.

    Args:
        shape: The model and its picture.
        dtype: Type of the weights.
    """
    model = build(shape, dtype=dtype)
    prompt = torch.empty(1, shape.tokens + TEXT_TOKENS, shape.width, dtype=dtype, device="meta")
    hidden = torch.inference_mode()  # meta tensors have no fused attention; this hides the maps of the plain one
    weights: int = sum(weight.nbytes for weight in model.parameters())
    return weights + max(
        peak_bytes(hidden(lambda: tower_of(model)(pixels_of(shape, dtype)))),
        peak_bytes(hidden(lambda: model.model.language_model(inputs_embeds=prompt, use_cache=True))),
    )


def _available_bytes() -> int:
    """Memory that a process can still have: what Linux says is available, elsewhere all there is."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def measure(
    shape: Shape,
    keeps: Sequence[Keep],
    *,
    dtype: Literal["float32", "bfloat16"] = "float32",
    repetitions: int = 5,
    seed: int = 0,
    progress: Callable[[int], object] = lambda done: None,
) -> list[Run]:
    """Time a stock model with random weights on the CPU, unpruned and with FasterVLM at each budget.

    What is timed goes from pixel values and prompt to the logits of the first answer token, `prepare` included.

    Args:
        shape: The model and its picture.
        keeps: Budgets of each picture.
        dtype: Type of weights and pixel values.
        repetitions: Rounds, each of which runs every route once.
        seed: Of weights, pixels and words.
        progress: Called with the number of rounds done.

    Returns:
        Lines of task `vision/bench`: `all`, then `fastervlm` for each budget. Metrics: `seconds_median`; `time_ratio`,
        the median over rounds of pruned / unpruned time; `peak_bytes` of tensors beside weights and inputs.

    Raises:
        BudgetError: If a budget does not fit the shape.
        LimitError: If the unpruned model does not fit into the memory that is free.
    """
    budgets = [None, *dict.fromkeys(shape.kept(keep) for keep in keeps)]
    kind = getattr(torch, dtype)
    needed, free = needed_bytes(shape, kind), _available_bytes()
    if needed > free:
        raise LimitError(
            f"{shape.name} in {dtype} takes about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; take a smaller "
            "shape, such as llava-1.5-7b-4-layers, or count its cost without measuring"
        )
    start = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        model = build(shape, device="cpu", dtype=kind)
    batch = random_batch(shape, dtype=kind, seed=seed)

    def first_token(patches: int | None) -> None:
        inputs = batch if patches is None else FasterVLM(patches).prepare(model, **batch)
        model(**inputs, use_cache=True, logits_to_keep=1)

    routes = {patches: partial(first_token, patches) for patches in budgets}
    with torch.inference_mode():
        seconds = alternate(routes, repetitions, progress)
    peaks = {patches: peak_bytes(route) for patches, route in routes.items()}
    total = time.perf_counter() - start
    data = b"".join(tensor.contiguous().view(torch.uint8).numpy().tobytes() for tensor in batch.values())
    runs = []
    for patches in budgets:
        metrics: dict[str, int | float] = {"peak_bytes": peaks[patches]}
        intervals = {}
        metrics["seconds_median"], intervals["seconds_median"] = median(seconds[patches])
        if patches is not None:
            ratios = [pruned / stock for pruned, stock in zip(seconds[patches], seconds[None], strict=True)]
            metrics["time_ratio"], intervals["time_ratio"] = median(ratios)
        config = {
            "keep": 1.0 if patches is None else patches / shape.patches,
            "model": shape.name,
            "tokens": shape.tokens if patches is None else shape.pictures * patches + shape.fixed,
            "text_tokens": TEXT_TOKENS,
            "dtype": dtype,
            "threads": torch.get_num_threads(),
        }
        runs.append(
            Run.measured(
                "vision/bench",
                "all" if patches is None else FasterVLM.name,
                dataset=dataset_hash("noise", data),
                split="test",
                n=repetitions,
                metrics=metrics,
                intervals=intervals,
                seconds=total,
                config=config,
                seeds=[seed],
            )
        )
    return runs


def table(runs: Sequence[Run]) -> Table:
    """Set counted and measured lines of one shape side by side, a row for each method and budget.

    Args:
        runs: What `count` and `measure` returned.
    """
    rows: dict[tuple[str, float], dict[str, Cell]] = {}
    tokens: dict[tuple[str, float], int] = {}
    for run in runs:
        key = run.method, run.config["keep"]
        tokens[key] = run.config["tokens"]
        for metric, value in run.metrics.items():
            rows.setdefault(key, {})[metric] = value / _HEADERS[metric][1]
        for metric, (low, high) in run.intervals.items():
            rows[key][metric] = f"{run.metrics[metric]:.3g} [{low:.3g}, {high:.3g}]"
    shown = [metric for metric in _HEADERS if any(metric in row for row in rows.values())]
    notes = ["Operations: a multiply-add is two. `text-only` is the limit: no image token reaches the language model."]
    if timed := next((run for run in runs if "seconds_median" in run.metrics), None):
        notes.append(
            f"Measured in {timed.config['dtype']} on {timed.config['threads']} CPU threads: median of {timed.n} rounds "
            "[95 % interval]; peak of tensors beside weights and inputs."
        )
    return Table(
        ["method", "keep", "image tokens", *(_HEADERS[metric][0] for metric in shown)],
        [
            [method, f"{keep:.1%}", tokens[method, keep], *(row.get(metric) for metric in shown)]
            for (method, keep), row in rows.items()
        ],
        f"{runs[0].config['model']}: one image or video and {runs[0].config['text_tokens']} text tokens",
        notes,
    )
