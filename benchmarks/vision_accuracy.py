"""How well are published benchmarks answered with few image tokens? Measured with your own LLaVA weights.

Runs the tasks of lmms-eval (pip install lmms-eval decord) on its stock `llava_hf` model: unpruned (`all`), with patches
drawn by chance (`random`), and with each method, in one process. Data and weights come from the Hugging Face Hub.
Prints a table; `--write` appends lines of task `vision/accuracy` to results/vision.jsonl, each as soon as it is
measured, from a clean tree, and the tables of the documentation then set them beside the published ones.

Three things differ from the stock harness, so that the numbers mean what the papers' numbers mean:

    prompt      always LLaVA's own (Vicuna's); the template of the model directory may leave out the picture
    textvqa     with the OCR words of the data set in the prompt, as LLaVA's evaluation has them
    failures    end the run; the harness takes a failed generation for an empty answer, thus for a wrong one
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lines
from tamis.core.budget import Budget
from tamis.core.errors import ConfigError, FileError, InputError, MissingExtraError, TamisError, one_line
from tamis.core.report import Table
from tamis.core.results import Run, dataset_hash

if TYPE_CHECKING:
    from tamis.vision.selector import Selector

PACKAGES = {"lmms_eval": "lmms-eval", "decord": "decord"}
"""What the harness's model imports, and how pip calls it; the harness does not ask for decord itself."""
PUBLISHED = {
    "llava-1.5-7b-hf": "llava-1.5-7b",
    "llava-1.5-13b-hf": "llava-1.5-13b",
    "llava-v1.6-vicuna-7b-hf": "llava-next-7b",
}
"""What the papers' rows call a model, by the last part of its Hub id or directory."""


@dataclass(frozen=True)
class Benchmark:
    """Where the harness keeps a published number."""

    task: str
    """Its name of the benchmark."""
    metric: str
    """Its name of the number."""
    maximum: float = 1.0
    """What the number is divided by to give the unit of docs/results.md."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the task that differ from the harness's."""


_WITH_OCR = {"pre_prompt": "", "post_prompt": "\nAnswer the question using a single word or phrase.", "ocr": True}

BENCHMARKS = {
    "gqa": Benchmark("gqa", "exact_match"),
    "mmb": Benchmark("mmbench_en_dev_static", "gpt_eval_score", 100.0),
    "mme_score": Benchmark("mme", "mme_perception_score"),
    "pope": Benchmark("pope", "pope_f1_score"),
    "sqa": Benchmark("scienceqa_img", "exact_match"),
    "textvqa": Benchmark("textvqa_val", "exact_match", settings={"lmms_eval_specific_kwargs": {"default": _WITH_OCR}}),
}
"""Benchmarks by their name in result lines: those whose published split has public answers and needs no judge."""


class _GenerationFailedError(BaseException):
    """Gets past the harness, which catches every `Exception` of `generate`."""


def load(model: str, device: str) -> Any:
    """Make the harness's stock LLaVA.

    Args:
        model: Hub id or directory of a LLaVA-1.5 or LLaVA-NeXT model over Vicuna.
        device: Where to compute, as torch names devices.

    Raises:
        ConfigError: If the model is of another family.
        FileError: If it cannot be loaded.
    """
    from lmms_eval.models.simple import llava_hf
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
        text = getattr(config, "text_config", config).model_type
        if config.model_type not in ("llava", "llava_next") or text != "llama":
            raise ConfigError(
                f"{model} is a {config.model_type!r} model over {text!r}; expected llava or llava_next over llama"
            )
        lm = llava_hf.LlavaHf(
            pretrained=model,
            device=device,
            device_map=device,
            batch_size=1,
            chat_template=llava_hf.VICUNA_CHAT_TEMPLATE,
        )
    except TamisError:
        raise
    except Exception as error:  # transformers raises whatever a damaged or absent model leads it to
        raise FileError(f"{model}: cannot be loaded on {device} ({_line(error)}); check name and device") from error
    lm.clean = lambda: None  # the harness throws the model away after the first run
    return lm


def measure(
    lm: Any, model: str, names: Sequence[str], chosen: Sequence[Selector], limit: int | None = None
) -> Iterator[Run]:
    """Run the benchmarks once under each selector.

    Args:
        lm: The harness's model.
        model: What result lines call it.
        names: Benchmarks, by their names in `BENCHMARKS`.
        chosen: What to measure.
        limit: Questions of each benchmark; all of them if None.

    Yields:
        One line for each selector, with a metric for each benchmark, as soon as it is there.

    Raises:
        BudgetError: If a budget is above the number of patches; before anything is run.
        ConfigError: If a generation fails.
        FileError: If the data cannot be had.
    """
    from tamis.vision.baselines.simple import Random

    config, vision = lm.model.config, lm.model.config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    pinpoints = getattr(config, "image_grid_pinpoints", None) or []
    pictures = 1 + max((height * width for height, width in pinpoints), default=0) // vision.image_size**2
    for selector, kept in [(selector, Budget.parse(selector.keep).of(patches)) for selector in chosen]:
        start = time.perf_counter()
        results = evaluate(lm, selector, names, limit)
        samples = {name: results["samples"][BENCHMARKS[name].task] for name in names}
        scores = {name: results["results"][BENCHMARKS[name].task] for name in names}
        splits = [results["configs"][BENCHMARKS[name].task]["test_split"] for name in names]
        yield Run.measured(
            "vision/accuracy",
            selector.name,
            dataset=dataset_hash("+".join(names), _questions(samples)),
            split="+".join(dict.fromkeys(splits)),
            n=sum(map(len, samples.values())),
            metrics={
                name: float(scores[name][f"{BENCHMARKS[name].metric},none"]) / BENCHMARKS[name].maximum
                for name in names
            },
            seconds=time.perf_counter() - start,
            config={
                "keep": kept / patches,
                "tokens": kept * pictures,
                "model": model,
                "harness": f"lmms-eval {results['lmms_eval_version']}",
                "dtype": str(lm.model.dtype).removeprefix("torch."),
                "device": lm.model.device.type,
            },
            seeds=[selector.seed] if isinstance(selector, Random) else [],
        )


def evaluate(lm: Any, selector: Selector, names: Sequence[str], limit: int | None) -> dict[str, Any]:
    """Run the harness under a selector and return what it returns.

    Raises:
        ConfigError: If a generation fails.
        FileError: If the data cannot be had.
    """
    from lmms_eval import evaluator

    from tamis.vision.context import pruned

    # New dictionaries each time, because the harness takes them apart.
    tasks = [{"task": BENCHMARKS[name].task, **deepcopy(BENCHMARKS[name].settings)} for name in names]
    model = lm.model
    with pruned(model, selector), tempfile.TemporaryDirectory() as folder:
        stock = model.generate

        def generate(**inputs: Any) -> Any:
            try:
                return stock(**inputs)
            except Exception as error:
                raise _GenerationFailedError from error

        vars(model)["generate"] = generate  # put back by `pruned`
        try:
            results: dict[str, Any] = evaluator.simple_evaluate(
                lm,
                tasks=tasks,
                limit=limit,
                bootstrap_iters=0,
                log_samples=True,
                cli_args=argparse.Namespace(output_path=folder, process_with_media=False),
            )
        except _GenerationFailedError as error:
            cause = _root(error)
            raise ConfigError(f"{selector.name} failed in generate: {type(cause).__name__}: {_line(cause)}") from cause
        except Exception as error:
            cause = _root(error)
            if not isinstance(cause, OSError):
                raise
            raise FileError(
                f"{', '.join(names)}: the data cannot be had ({_line(cause)}); check the network, then `hf auth login`"
            ) from error
    return results


def table(runs: Sequence[Run], names: Sequence[str]) -> Table:
    """Set the lines in one table, and say where a method is not better than chance.

    Args:
        runs: Lines of `measure`.
        names: The benchmarks.
    """
    chance = {run.config["tokens"]: run.metrics for run in runs if run.method == "random"}
    notes = []
    for run in runs:
        if run.method not in ("all", "random", "text-only"):
            beaten = [name for name in names if run.metrics[name] <= chance[run.config["tokens"]][name]]
            if beaten:
                notes.append(
                    f"{run.method}, {run.config['tokens']} tokens: not better than random in {', '.join(beaten)}."
                )
    rows = [[run.method, run.config["tokens"], *(run.metrics[name] for name in names), run.n] for run in runs]
    return Table(["method", "tokens", *names, "questions"], rows, runs[0].config["model"], notes)


def _questions(samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """The prompts and expected answers, one line each; the pictures are not part of it."""
    lines = [
        json.dumps([name, one["doc_id"], one["arguments"][0], one["target"]], default=str)
        for name, asked in samples.items()
        for one in sorted(asked, key=lambda one: one["doc_id"])
    ]
    return "\n".join(lines).encode()


def _root(error: BaseException) -> BaseException:
    """What an exception was raised from in the end; the harness wraps failed downloads in failed retries."""
    return error if error.__cause__ is None else _root(error.__cause__)


def _line(error: BaseException) -> str:
    return one_line(error)[:200]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and, if asked to, write; return the exit code.

    Args:
        arguments: What follows the script's name; by default that of this process.
    """
    parser = lines.parser(__doc__)
    parser.add_argument("--model", required=True, help="Hub id or directory, such as llava-hf/llava-1.5-7b-hf")
    parser.add_argument("--tasks", default="gqa,pope", help=f"some of {','.join(BENCHMARKS)} (default: %(default)s)")
    parser.add_argument("--method", default="fastervlm", help="methods, separated by commas (default: %(default)s)")
    parser.add_argument("--keep", default="58", help="budgets of each image or tile, separated by commas (default: 58)")
    parser.add_argument("--limit", type=int, help="questions of each benchmark, for a trial")
    parser.add_argument("--seed", type=int, default=0, help="of random selection (default: 0)")
    parser.add_argument("--device", default="cuda", help="where to compute, as torch names devices (default: cuda)")
    options = parser.parse_args(arguments)
    if missing := [package for module, package in PACKAGES.items() if find_spec(module) is None]:
        message = f"published benchmarks need more packages: pip install {' '.join(missing)}"
        return lines.fail("vision_accuracy", message, MissingExtraError.exit_code)
    try:
        names = list(dict.fromkeys(name.strip() for name in options.tasks.split(",")))
        if unknown := [name for name in names if name not in BENCHMARKS]:
            raise ConfigError(f"no benchmark {unknown[0]!r}; expected some of {', '.join(BENCHMARKS)}")
        if options.limit is not None and (options.limit < 1 or options.write):
            raise InputError(
                f"--limit {options.limit}: a trial of one question or more; it cannot be written with --write"
            )
        if options.write:
            lines.check("vision/accuracy")
        from tamis.vision.methods import selectors_at

        chosen = selectors_at(f"all,random,{options.method}", options.keep, options.seed)
        lm = load(options.model, options.device)
        folder = Path(options.model).name
        runs = []
        for run in measure(lm, PUBLISHED.get(folder, folder), names, chosen, options.limit):
            runs.append(run)
            if options.write:
                lines.append(run)
        table(runs, names).print()
    except TamisError as error:
        return lines.fail("vision_accuracy", one_line(error), error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
