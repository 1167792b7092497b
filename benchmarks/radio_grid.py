"""Every network under one recipe, on generated signals: what recognises modulation best, and what made it so.

    python benchmarks/radio_grid.py --stages test,rates --workers 2

A grid of cells, each one training. A finished cell has its line in results/radio.jsonl and is never run again, so that
the grid can be stopped at any time and goes on where it was, from a clean tree; the models lie in runs/radio/. What the
lines come to is written by radio_headlines.py. Stages:

    rates      three learning rates for each network, judged on validation frames (the test frames are not looked at)
    test       three seeds at the best of them, judged on test frames
    skd-search weight and temperature of SKD for KD-CNN, judged on validation frames
    skd        both students with SKD, with plain distillation and with feature distillation, three seeds
    ablation   ClST-T without its hierarchy, its convolutional projection, its channel branch; three seeds
    classical  higher-order cumulants and scikit-learn, two classifiers, three seeds
    few        a tenth and three tenths of the training frames: ClST-T and the two best baselines, three seeds
    presets    the other presets of the generator: ClST-T and both students, one seed
    sizes      ClST-S and ClST-B, one seed
    limit      six linear classes in white noise from 0 dB on, twenty times the frames of a cell: how near the physical
               limit networks come

Data: preset rml2016, 11 classes × 20 signal-to-noise ratios × 200 frames, of which 120, 40 and 40 are for training,
validation and test. Recipe: TrainConfig with the epochs below; the learning rate is the network's own.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import lines
from tamis.core.errors import ConfigError, TamisError, one_line
from tamis.core.results import Run, read_runs

RESULTS = lines.RESULTS / "radio.jsonl"
MODELS = Path(__file__).parents[1] / "runs" / "radio"
EPOCHS = 12
PER_CELL = 200
RATES = (5e-4, 1.5e-3, 4e-3)
SEEDS = (0, 1, 2)
BASELINES = ("kd-cnn", "kd-mobilenet", "resnet-1d", "pet-cgdnn", "mcldnn", "lstm2", "vt-cnn2", "iqformer")
HEADLINE = ("clst-t", *BASELINES)
ABLATIONS: dict[str, dict[str, Any]] = {
    "flat": {"dims": (104,), "depths": (4,), "heads": (4,), "kernels": (15,), "strides": (8,)},
    "linear-projection": {"projection": "linear", "kv_stride": 1},
    "spatial-only": {"channel": "none"},
}
STUDENTS = ("kd-cnn", "kd-mobilenet")
DISTILLATIONS: dict[str, dict[str, Any]] = {
    "kd": {"views": 1},
    "skd": {},
    "feature-kd": {"views": 1, "weight": 0.0, "feature_weight": 1.0},
}
TEACHER = "clst-rml2016"
"""The shipped model: of ClST-T's three seeds, the one that is best on validation frames."""
WEIGHTS, TEMPERATURES = (0.3, 0.5, 0.7, 0.9), (1.0, 2.0, 4.0)
CLASSIFIERS = ("logistic", "boosting")
STAGES = ("rates", "test", "skd-search", "skd", "classical", "ablation", "few", "presets", "sizes", "limit")
LIMIT_METHODS = ("clst-t", "resnet-1d")


@dataclass(frozen=True)
class Cell:
    """One training, and what is to be judged after it."""

    stage: str
    method: str
    rate: float
    seed: int
    preset: str = "rml2016"
    fraction: float = 1.0
    variant: str = ""
    weight: float = 0.0
    temperature: float = 0.0

    @property
    def name(self) -> str:
        """What tells it from all others, on its line and as its folder."""
        parts = [self.method, self.variant, f"lr{self.rate:g}", f"seed{self.seed}"]
        parts += [f"{self.fraction:.0%}"] if self.fraction < 1 else []
        parts += [f"w{self.weight:g}-t{self.temperature:g}"] if self.weight else []
        return f"{self.preset}/" + "-".join(part for part in parts if part)

    @property
    def line_method(self) -> str:
        """What result lines call the method."""
        if self.variant in DISTILLATIONS:
            return f"{self.method}+{self.variant}"
        return f"{self.method} {self.variant}".strip()

    @property
    def tested(self) -> bool:
        """Whether the test frames are looked at."""
        return self.stage not in ("rates", "skd-search")


class Table:
    """What is known so far: the lines of the results file, by split and cell."""

    def __init__(self) -> None:
        runs = read_runs(RESULTS) if RESULTS.exists() else []
        self.runs = {(run.split, run.config["cell"]): run for run in runs if "cell" in run.config}

    def has(self, cell: Cell) -> bool:
        """Whether a cell is finished."""
        return ("test" if cell.tested else "val", cell.name) in self.runs

    def accuracy(self, cell: Cell, split: str) -> float | None:
        """What a cell reached."""
        run = self.runs.get((split, cell.name))
        return None if run is None else float(run.metrics["accuracy"])

    def add(self, run: Run) -> None:
        """Keep a line, in the file too."""
        lines.append(run)
        self.runs[run.split, run.config["cell"]] = run

    def rate(self, method: str, seed: int = 0) -> float | None:
        """The learning rate that was best on validation; None while one of them is missing."""
        reached = {rate: self.accuracy(Cell("rates", method, rate, seed), "val") for rate in RATES}
        if None in reached.values():
            return None
        return max(RATES, key=lambda rate: reached[rate] or 0.0)

    def best(self, count: int) -> dict[str, float]:
        """ClST-T and the baselines that are best on validation, with their learning rates; none until all are there."""
        rates = {method: rate for method in HEADLINE if (rate := self.rate(method))}
        if len(rates) < len(HEADLINE):
            return {}
        reached = {m: self.accuracy(Cell("rates", m, rates[m], 0), "val") or 0.0 for m in BASELINES}
        chosen = sorted(BASELINES, key=lambda method: -reached[method])[:count]
        return {method: rates[method] for method in ("clst-t", *chosen)}

    def searched(self) -> Cell | None:
        """The cell of the search for SKD's weight and temperature that is best on validation."""
        cells = list(_search(self))
        reached = [self.accuracy(cell, "val") for cell in cells]
        if not cells or None in reached:
            return None
        return cells[max(range(len(cells)), key=lambda i: reached[i] or 0.0)]


def _search(table: Table) -> Iterator[Cell]:
    if rate := table.rate("kd-cnn"):
        for weight in WEIGHTS:
            for temperature in TEMPERATURES:
                yield Cell("skd-search", "kd-cnn", rate, 0, variant="skd", weight=weight, temperature=temperature)


def cells(stages: Iterable[str], table: Table) -> Iterator[Cell]:
    """List the cells whose conditions are met, in the order in which they should run.

    Args:
        stages: Which stages.
        table: What is known so far.
    """
    for stage in stages:
        if stage == "rates":
            yield from (Cell(stage, method, rate, 0) for method in HEADLINE for rate in RATES)
        elif stage == "skd-search":
            yield from _search(table)
        elif stage == "classical":
            yield from (
                Cell(stage, "cumulants", 0.0, seed, variant=variant) for variant in CLASSIFIERS for seed in SEEDS
            )
        elif stage == "skd":
            best = table.searched()
            for student in STUDENTS if best else ():
                if rate := table.rate(student):
                    assert best is not None
                    for seed in SEEDS:
                        for variant in DISTILLATIONS:
                            yield replace(best, stage=stage, method=student, rate=rate, seed=seed, variant=variant)
        else:
            yield from _with_rate(stage, table)


def _with_rate(stage: str, table: Table) -> Iterator[Cell]:
    """Cells that need nothing but the best learning rate of their network."""
    clst = table.rate("clst-t")
    if stage == "test":
        for method in HEADLINE:
            if rate := table.rate(method):
                yield from (Cell(stage, method, rate, seed) for seed in SEEDS)
    elif stage == "ablation" and clst:
        yield from (Cell(stage, "clst-t", clst, seed, variant=variant) for variant in ABLATIONS for seed in SEEDS)
    elif stage == "few":
        for fraction in (0.1, 0.3):
            for method, rate in table.best(2).items():
                yield from (Cell(stage, method, rate, seed, fraction=fraction) for seed in SEEDS)
    elif stage == "presets":
        rates = {method: table.rate(method) for method in ("clst-t", *STUDENTS)}
        for preset in ("default", "clean", "rml22"):
            yield from (Cell(stage, method, rate, 0, preset=preset) for method, rate in rates.items() if rate)
    elif stage == "limit":
        for method in LIMIT_METHODS:
            if rate := table.rate(method):
                yield Cell(stage, method, rate, 0, preset="clean-linear")
    elif stage == "sizes" and clst:
        yield from (Cell(stage, method, clst, 0) for method in ("clst-s", "clst-b"))


@functools.lru_cache(maxsize=2)
def data(preset: str) -> Any:
    """Generate a preset's frames and split them."""
    from tamis.radio.config import LINEAR_CLASSES
    from tamis.radio.data import split
    from tamis.radio.signals import generate

    if preset == "clean-linear":
        told = {"name": preset, "modulations": LINEAR_CLASSES, "snrs_db": tuple(range(0, 20, 2))}
        linear = generate("clean", per_cell=20 * PER_CELL, seed=0, **told)
        return split(linear, fractions=(0.9, 0.05, 0.05), seed=0)
    return split(generate(preset, per_cell=PER_CELL, seed=0), seed=0)


def run(cell: Cell, judged: Run | None, device: str) -> list[Run]:
    """Train a cell, unless it was judged on validation and its model is there, and judge it."""
    from tamis.radio.cost import macs, parameters
    from tamis.radio.evaluation import evaluate
    from tamis.radio.methods import load_network

    frames = data(cell.preset)
    if cell.method == "cumulants":
        return _classical(cell, frames)
    folder = MODELS / cell.name
    if judged is not None and (folder / "model.safetensors").is_file():
        network = load_network(folder)
    else:
        network, judged = _train(cell, frames, folder, device)
    told = {**judged.config, "cell": cell.name, "stage": cell.stage}
    counts = {"parameters": parameters(network), "macs": macs(network)}
    found = [replace(judged, config=told, metrics={**judged.metrics, **counts})]
    if cell.tested:
        tested = evaluate(network.to(device), frames.test, method=cell.line_method, config=told, seeds=[cell.seed])
        found.append(replace(tested, metrics={**tested.metrics, **counts}, seconds=judged.seconds))
    return found


def _classical(cell: Cell, frames: Any) -> list[Run]:
    import numpy as np
    import torch

    from tamis.radio.baselines.cumulants import Cumulants
    from tamis.radio.evaluation import evaluate

    start = time.perf_counter()
    fitted = Cumulants(cell.variant, seed=cell.seed)
    fitted.fit(frames.train)

    def classify(iq: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.log(fitted.predict_proba(iq.numpy()) + 1e-12)).float()

    told = {
        "preset": cell.preset,
        "frames": len(frames.train),
        "learning_rate": 0.0,
        "cell": cell.name,
        "stage": cell.stage,
    }
    return [
        evaluate(
            classify,
            part,
            method=cell.line_method,
            split=split,
            config=told,
            seeds=[cell.seed],
            seconds=time.perf_counter() - start,
        )
        for split, part in (("val", frames.val), ("test", frames.test))
    ]


def _train(cell: Cell, frames: Any, folder: Path, device: str) -> tuple[Any, Run]:
    from tamis.radio.config import SKDConfig, TrainConfig
    from tamis.radio.data import few
    from tamis.radio.methods import build, load_network
    from tamis.radio.skd import distill
    from tamis.radio.training import train

    if cell.fraction < 1:
        frames = frames._replace(train=few(frames.train, cell.fraction, seed=cell.seed))
    epochs = round(EPOCHS / cell.fraction**0.5)
    recipe = TrainConfig(epochs=epochs, learning_rate=cell.rate, seed=cell.seed)
    network = build(cell.method, seed=cell.seed, **frames.train.task, **ABLATIONS.get(cell.variant, {}))
    if cell.variant not in DISTILLATIONS:
        return network, train(network, frames, recipe, method=cell.line_method, out=folder, device=device)
    settings: dict[str, Any] = {"weight": cell.weight, "temperature": cell.temperature}
    skd = SKDConfig(**{**settings, **DISTILLATIONS[cell.variant]})
    teacher = load_network(TEACHER)
    cache = MODELS / f"targets-{skd.views}.safetensors"
    return distill(
        teacher, network, frames, recipe, skd, method=cell.line_method, out=folder, cache=cache, device=device
    )


def grid(stages: list[str], workers: int, methods: list[str] | None, device: str) -> None:
    """Run all cells of the stages that are not finished, of some networks only if they are named."""
    table = Table()
    running: dict[Future[list[Run]], Cell] = {}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        while True:
            busy = {cell.name for cell in running.values()}
            wanted = [cell for cell in cells(stages, table) if methods is None or cell.method in methods]
            waiting = [cell for cell in wanted if not table.has(cell) and cell.name not in busy]
            for cell in waiting[: workers - len(running)]:
                print(f"{cell.stage}: {cell.name}", file=sys.stderr)
                running[pool.submit(run, cell, table.runs.get(("val", cell.name)), device)] = cell
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                cell = running.pop(future)
                for line in future.result():
                    if (line.split, cell.name) not in table.runs:
                        table.add(line)
                    print(f"{line.split:5} {cell.name}: {line.metrics['accuracy']:.4f}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run stages of the grid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", default="test,rates", help=f"by commas, of {', '.join(STAGES)}")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="trainings at a time, a thread each")
    parser.add_argument("--methods", help="by commas; of all networks by default")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    told = parser.parse_args(arguments)
    stages = told.stages.split(",")
    try:
        for stage in stages:
            if stage not in STAGES:
                raise ConfigError(f"--stages: {stage!r}; expected {', '.join(STAGES)}")
        lines.check_clean()
        grid(stages, told.workers, told.methods.split(",") if told.methods else None, told.device)
    except TamisError as error:
        return lines.fail("radio_grid", one_line(error), error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
