"""What does reading [CLS] rows under fused attention save, against the published way of asking for all attention maps?

Both ways turn pixels into the projected features of the kept tokens, with the same random weights of the shape of
CLIP-L/14-336 and LLaVA-1.5-7B's projector, in fp32 on the CPU. They run in turn in one process:

    published   eager attention, all 24 blocks, every map and hidden state stored; FasterVLM projects all tokens and
                then drops, VTC-CLS drops and then projects, as the code of each does
    ours        `look`, `choose`, features of what is kept, and the projector on these, as `prepare` does

The kept tokens must be the same and their features equal to 1e-5 of the largest, or the benchmark fails. Memory is that
of tensors beyond what the stock tower needs for its own pass without maps. Prints a table; `--write` adds the lines of
task `vision/prefill` to results/vision.jsonl, from a clean tree and once for each number of images.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

import lines
from tamis.core.errors import ConfigError, TamisError, one_line
from tamis.core.report import Table
from tamis.core.results import Run, dataset_hash
from tamis.core.seed import derive, torch_generator
from tamis.vision.bench import alternate, median, peak_bytes
from tamis.vision.config import SHAPES, Shape
from tamis.vision.cost import build, flops
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.selector import Selector, choose
from tamis.vision.tower import look
from tamis.vision.vtccls import VTCCLS

KEEP = "10%"
TOLERANCE = 1e-5

# The language model is not run, so it is as small as the projector's width allows.
FULL = replace(SHAPES["llava-1.5-7b"], name="clip-vit-large-patch14-336", depth=1, inner=8, vocabulary=8)
SMALL = replace(
    FULL, name="small", side=84, tower_width=64, tower_inner=256, tower_depth=6, tower_heads=4, width=64, heads=4
)

Kept = tuple[Tensor, Tensor]
"""Mask of the kept tokens, (images, patches), and their projected features, (kept, width)."""


@dataclass(frozen=True)
class Setting:
    """One tower for both ways, and what it looks at."""

    stock: Any
    """The tower with fused attention."""
    eager: Any
    """The same weights with plain attention, which can return maps."""
    projector: Any
    pixels: Tensor


def published_fastervlm(setting: Setting, keep: int) -> Kept:
    """Follow `llava_arch.py` of FasterVLM: score by the last but one map, project everything, drop."""
    output = setting.eager(setting.pixels, output_attentions=True, output_hidden_states=True)
    scores = output.attentions[-2][:, :, 0, 1:].mean(dim=1)
    mask = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, scores.topk(keep).indices, True)
    return mask, setting.projector(output.hidden_states[-2][:, 1:])[mask]


def published_vtccls(setting: Setting, keep: int) -> Kept:
    """Follow `clip_encoder.py` of VTC-CLS, for each image by itself: sum over maps, drop, project."""
    output = setting.eager(setting.pixels, output_attentions=True, output_hidden_states=True)
    start = 2 * len(output.attentions) // 3
    scores = torch.stack([maps[:, :, 0, 1:].mean(dim=1) for maps in output.attentions[start:-1]]).sum(dim=0)
    mask = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, scores.topk(keep).indices, True)
    return mask, setting.projector(output.hidden_states[-2][:, 1:][mask])


def ours(setting: Setting, selector: Selector) -> Kept:
    """Take the way of `prepare`."""
    depth = len(setting.stock.encoder.layers)
    view = look(setting.stock, setting.pixels, selector.reads(depth, depth - 1))
    mask = choose(selector, view).mask
    return mask, setting.projector(view.features.some(pad(mask, (1, 0))))


def prepare_setting(shape: Shape, images: int) -> Setting:
    """Build the tower with random weights and draw the pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(0, "weights"))
        inner = build(shape, device="cpu", dtype=torch.float32).model
    stock = inner.vision_tower
    eager = copy.deepcopy(stock, {id(weight): weight for weight in stock.parameters()})
    eager.set_attn_implementation("eager")
    pixels = torch.randn(images, 3, shape.side, shape.side, generator=torch_generator(0, "pixels"))
    return Setting(stock, eager, inner.multi_modal_projector, pixels)


def compare(shape: Shape, images: int, repetitions: int, *, headline: bool) -> list[Run]:
    """Measure both methods both ways.

    Args:
        shape: Tower and projector.
        images: Images in the batch.
        repetitions: Rounds, each of which runs all four routes once.
        headline: Whether claims rest on the lines.

    Raises:
        ConfigError: If the ways do not keep the same tokens with the same features.
    """
    start = time.perf_counter()
    setting = prepare_setting(shape, images)
    keep = shape.kept(KEEP)
    selectors: list[Selector] = [FasterVLM(KEEP), VTCCLS(KEEP)]
    originals: dict[str, Callable[[], Kept]] = {
        "fastervlm": partial(published_fastervlm, setting, keep),
        "vtc-cls": partial(published_vtccls, setting, keep),
    }
    routes: dict[tuple[str, str], Callable[[], Kept]] = {}
    for selector in selectors:
        routes["published", selector.name] = originals[selector.name]
        routes["ours", selector.name] = partial(ours, setting, selector)
    with torch.inference_mode():
        errors = {selector.name: feature_error(routes, selector.name) for selector in selectors}
        seconds = alternate(routes, repetitions)
    plain = peak_bytes(lambda: setting.stock(setting.pixels))
    extra = {route: peak_bytes(call) - plain for route, call in routes.items()}
    operations = {route: flops(call) for route, call in routes.items()}
    total = time.perf_counter() - start
    runs = []
    for selector in selectors:
        our, their = ("ours", selector.name), ("published", selector.name)
        seconds_median, seconds_interval = median(seconds[our])
        published_median, published_interval = median(seconds[their])
        ratio, ratio_interval = median([a / b for a, b in zip(seconds[our], seconds[their], strict=True)])
        run = Run.measured(
            "vision/prefill",
            selector.name,
            dataset=dataset_hash(f"noise-{images}", setting.pixels.numpy().tobytes()),
            split="test",
            n=repetitions,
            metrics={
                "time_ratio": ratio,
                "seconds_median": seconds_median,
                "published_seconds_median": published_median,
                "flops_ratio": operations[our] / operations[their],
                "flops": operations[our],
                "published_flops": operations[their],
                "extra_bytes": extra[our],
                "extra_ratio": extra[our] / plain,
                "published_extra_bytes": extra[their],
                "published_extra_ratio": extra[their] / plain,
                "extra_of_published": extra[our] / extra[their],
                "stock_peak_bytes": plain,
                "feature_error": errors[selector.name],
            },
            intervals={
                "time_ratio": ratio_interval,
                "seconds_median": seconds_interval,
                "published_seconds_median": published_interval,
            },
            seconds=total,
            config={
                "keep": keep / shape.patches,
                "model": shape.name,
                "images": images,
                "same_tokens": True,
                "dtype": "float32",
                "device": "cpu",
                "threads": torch.get_num_threads(),
                "headline": headline,
            },
            seeds=[0],
        )
        runs.append(run)
    return runs


def feature_error(routes: dict[tuple[str, str], Callable[[], Kept]], method: str) -> float:
    """Largest difference between both ways, in parts of the largest feature, once they kept the same tokens.

    Raises:
        ConfigError: If they did not, or the difference is above the tolerance.
    """
    (our_mask, our_features), (their_mask, their_features) = routes["ours", method](), routes["published", method]()
    if not torch.equal(our_mask, their_mask):
        differing = int((our_mask & ~their_mask).sum())
        raise ConfigError(f"{method}: {differing} of {int(our_mask.sum())} kept tokens differ; expected the same")
    error = float((our_features - their_features).abs().max() / their_features.abs().max())
    if error > TOLERANCE:
        raise ConfigError(f"{method}: features differ by {error:.2g} of the largest; expected at most {TOLERANCE:g}")
    return error


def table(runs: list[Run]) -> Table:
    """Set both methods and numbers of images in one table."""
    rows = []
    for run in runs:
        metrics, (low, high) = run.metrics, run.intervals["time_ratio"]
        rows.append(
            [
                run.method,
                run.config["images"],
                metrics["published_seconds_median"],
                metrics["seconds_median"],
                f"{metrics['time_ratio']:.3f} [{low:.3f}, {high:.3f}]",
                metrics["flops_ratio"],
                metrics["published_extra_bytes"] / 1e6,
                metrics["extra_bytes"] / 1e6,
                f"{metrics['extra_of_published']:.2%}",
                f"{metrics['feature_error']:.1e}",
            ]
        )
    headers = ["method", "images", "published, s", "ours, s", "time ratio", "FLOP ratio"]
    headers += ["published extra, MB", "ours extra, MB", "of published", "feature error"]
    return Table(headers, rows, f"{runs[0].config['model']}, keep {KEEP}, {runs[0].config['threads']} threads")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and, if asked to, write; return the exit code.

    Args:
        arguments: What follows the script's name; by default that of this process.
    """
    parser = lines.parser(__doc__)
    parser.add_argument("--size", choices=("full", "small"), default="full", help="small only shows that it works")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 4], help="images in a batch (default: 1 4)")
    parser.add_argument("--repetitions", type=int, default=9, help="rounds (default: %(default)s)")
    options = parser.parse_args(arguments)
    shape = FULL if options.size == "full" else SMALL
    try:
        if options.write:
            lines.check("vision/prefill", [f"noise-{images}" for images in options.images])
        runs = []
        for images in options.images:
            runs += compare(shape, images, options.repetitions, headline=options.size == "full")
        table(runs).print()
        if options.write:
            for run in runs:
                lines.append(run)
    except TamisError as error:
        return lines.fail("vision_prefill", one_line(error), error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
