"""What does each budget cost in answers? Every method on the scenes that the shipped model `tiny` can read.

    python benchmarks/vision_answers.py --write
    python benchmarks/vision_answers.py --parts second --second DIR --write
    python benchmarks/vision_answers.py --parts next,video --next DIR --video DIR --write

Parts, each with all methods on the same questions in one run:

    scenes     the test scenes, position ids as in the full prompt (these are the headline lines) and contiguous ones
    layers     VTC-CLS from each block on, against each single block, on the test scenes
    inside     the pruners inside the language model, on fewer of the test scenes, question by question
    sprites    a second kind of pictures, for which nothing was tuned
    ood        scenes with sizes, pairs of traits and clutter that training never showed
    attention  the papers' premises: do [CLS], the prompt and the response look at what answers rest on? Layers are
               chosen on validation scenes
    second     a model that was trained independently (another seed, fewer steps), in a directory of your own
    next       canvases, which a LLaVA-NeXT sees in tiles; from `tamis vision tune-tiny tiles`
    video      clips, of which a Video-LLaVA sees three frames; from `tamis vision tune-tiny video`

Random selection is averaged over three seeds. `--write` appends the lines to results/vision.jsonl, from a clean tree,
and refuses parts that have lines there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import lines
from tamis.core.errors import ConfigError, TamisError, one_line

if TYPE_CHECKING:
    from tamis.vision.evaluation import Sheet

BUDGETS = ("50%", "25%", "10%", "5%", "2.5%")
PEERS = ("fastervlm", "vtc-cls", "tamis", "divprune", "vispruner", "visionzip", "prumerge+", "random", "uniform")
METHODS = (*PEERS, "cdpruner")
INSIDE = ("fastv", "sparsevlm")
SEEDS = (0, 1, 2)
OWN = {"second": "tiny, second", "next": "tiny, tiles", "video": "tiny, video"}
"""Parts that take a model of one's own → what their lines call it."""
TOWER_BLOCKS = range(7)
"""Blocks of `tiny` that are run."""
PREMISES = 300
"""Pictures of each split on which the premises are tested."""


@dataclass(frozen=True)
class Part:
    """One examination."""

    methods: Sequence[str]
    budgets: Sequence[str] = BUDGETS
    kind: Literal["scenes", "sprites", "scenes-tiles", "scenes-video"] = "scenes"
    split: str = "test"
    count: int = 1000
    positions: Sequence[str] = ("original",)
    headline: bool = False


PARTS = {
    "scenes": Part(METHODS, positions=("original", "contiguous"), headline=True),
    "layers": Part((), ("25%", "10%", "5%")),
    "inside": Part((*INSIDE, "tamis", "random"), count=256),
    "sprites": Part(METHODS, kind="sprites"),
    "ood": Part(PEERS, BUDGETS[1:4], split="ood", count=500),
    "second": Part(PEERS, BUDGETS[1:4], count=500),
    "next": Part(METHODS, BUDGETS[:4], kind="scenes-tiles", count=200, positions=("original", "contiguous")),
    "video": Part(METHODS, BUDGETS[:4], kind="scenes-video", count=200, positions=("original", "contiguous")),
}


def pruners(part: Part) -> Iterator[Any]:
    """Make the methods of a part at all of its budgets."""
    from tamis.vision.methods import IN_LLM, SELECTORS

    if not part.methods:
        single = _single_block()
        for budget in part.budgets:
            for block in TOWER_BLOCKS:
                for made in (SELECTORS["vtc-cls"](budget, start_layer=block), single(budget, start_layer=block)):
                    yield replace(made, layout=replace(made.layout, positions="original"))
        return
    yield SELECTORS["text-only"]()
    for name in part.methods:
        for budget in part.budgets:
            if name in IN_LLM:
                yield IN_LLM[name](budget)
                continue
            for positions in part.positions:
                made = SELECTORS[name](budget)
                made = replace(made, layout=replace(made.layout, positions=positions))
                yield from [replace(made, seed=seed) for seed in SEEDS] if name == "random" else [made]


def _single_block() -> Any:
    """Make the method that goes by the row of one block alone; FasterVLM is the last of them."""
    from tamis.vision.vtccls import VTCCLS

    @dataclass(frozen=True)
    class SingleBlock(VTCCLS):
        name = "single block"

        def reads(self, depth: int, run: int) -> Any:
            return replace(super().reads(depth, run), rows=(self.start_layer,))

        def select(self, view: Any, keep: int) -> Any:
            return super().select(replace(view, run=self.start_layer + 1), keep)

    return SingleBlock


def measure(name: str, model: str) -> Sheet:
    """Examine a model on one part."""
    from tamis.vision.evaluation import examine
    from tamis.vision.loading import load

    part = PARTS[name]
    made = list(pruners(part))
    total = part.count * (1 + len(made))

    def tell(done: int) -> None:
        print(f"\r{name}: {done / total:.0%}", end="", file=sys.stderr, flush=True)

    sheet = examine(load(model), made, kind=part.kind, split=part.split, count=part.count, progress=tell)
    print(file=sys.stderr)
    return sheet


def attention(write: bool) -> None:
    """Test the papers' premises, print and write."""
    from tamis.vision import analysis
    from tamis.vision.loading import load

    start = time.perf_counter()
    loaded = load("tiny")
    chosen, tested = (analysis.premises(loaded, split=split, count=PREMISES) for split in ("validation", "test"))
    for run in analysis.lines(tested, chosen, time.perf_counter() - start):
        print(run.method, {name: round(value, 3) for name, value in run.metrics.items()})
        if write:
            lines.append(run)


def check(parts: Sequence[str], own: Mapping[str, str | None]) -> None:
    """Refuse parts that there are not, and a part without the directory of its model or the other way round.

    Args:
        parts: As told.
        own: Directories of the models of `OWN`.

    Raises:
        ConfigError: If the options do not fit together.
    """
    for name in parts:
        if name not in (*PARTS, "attention"):
            raise ConfigError(f"--parts: {name!r}; expected {', '.join((*PARTS, 'attention'))}")
    for name, folder in own.items():
        if name in parts and (not folder or not Path(folder).is_dir()):
            raise ConfigError(
                f"--{name} is {folder!r}; the part {name} needs the directory of a model, such as `tamis vision "
                f"train-tiny` or `tune-tiny` writes it: --parts {name} --{name} DIR"
            )
        if folder is not None and name not in parts:
            raise ConfigError(f"--{name} is {folder!r}, but --parts has no {name}; add it, or leave --{name} out")


def main(arguments: list[str] | None = None) -> int:
    """Examine, print, and write."""
    made = lines.parser(__doc__)
    made.add_argument(
        "--parts",
        default="scenes,layers,inside,sprites,ood,attention",
        help=f"by commas, of {', '.join(PARTS)}, attention",
    )
    for name in OWN:
        made.add_argument(f"--{name}", metavar="DIR", help=f"directory of the model for the part {name}")
    told = made.parse_args(arguments)
    parts = list(dict.fromkeys(part.strip() for part in told.parts.split(",")))
    try:
        check(parts, {name: getattr(told, name) for name in OWN})
        if told.write:
            lines.check("vision/accuracy", parts=[name for name in parts if name in PARTS])
            if "attention" in parts:
                lines.check("vision/attention", ["scenes"])
        for name in parts:
            if name == "attention":
                attention(told.write)
                continue
            from tamis.vision.evaluation import lines as lines_of
            from tamis.vision.evaluation_report import table

            sheet = measure(name, getattr(told, name) if name in OWN else "tiny")
            table(sheet).print()
            for run in lines_of(replace(sheet, model=OWN.get(name, "tiny"))):
                positions = run.config["positions"]
                headline = PARTS[name].headline and positions == "original"
                told_too = {"part": name, "headline": True} if headline else {"part": name}
                if told.write:
                    lines.append(replace(run, config=run.config | told_too))
    except TamisError as error:
        return lines.fail("vision_answers", one_line(error), error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
