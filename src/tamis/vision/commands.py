"""The command line of the vision domain: parse, call one function, print."""

from __future__ import annotations

import json as json_format
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from tamis.core.budget import Budget
from tamis.core.errors import FileError, one_line
from tamis.core.options import Count, Json
from tamis.vision.config import TinyConfig, TinyTraining, VariantTraining

_OF_A_MODEL = ("config.json", "model.safetensors", "curves.json")
"""Files that a training of the small model writes."""
app = App(
    name="vision",
    help="Make vision-language models fast by keeping only the image tokens that matter.",
    help_epilogue="Example: tamis vision prune photo.jpg --keep 10% --out kept",
)


@app.command(help_epilogue="Example: tamis vision prune holiday/ --keep 25%,10% --method fastervlm,tamis --out kept")
def prune(
    path: Path,
    /,
    *,
    keep: str = "50%,25%,10%,5%",
    method: str = "fastervlm,vtc-cls,tamis,random",
    model: str = "vit-s14-focus",
    out: Path = Path("tamis-prune"),
    frames: Count = 8,
    batch: Count = 8,
    limit: Count | None = None,
    seed: int = 0,
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Show what each method keeps of a picture, a folder of pictures or a video, at several budgets.

    Args:
        path: A picture, a folder or a video.
        keep: Budgets for each picture or frame, separated by commas: 10%, 0.1 or 58 tokens.
        method: Methods, separated by commas.
        model: A name from `tamis models list`, a model directory or a Hub id; its vision tower is used.
        out: Folder of the report (index.html) and the kept indices (kept.json).
        frames: Frames taken from a video.
        batch: Pictures looked at together.
        limit: Look at this many pictures at most.
        seed: Of random selection.
        device: Where to compute, as torch names devices.
        json: Print what kept.json holds.
    """
    from itertools import islice

    from tamis.core.files import check_writable
    from tamis.core.progress import progress
    from tamis.vision.loading import load
    from tamis.vision.methods import selectors_at
    from tamis.vision.prune import prune as prune_pictures
    from tamis.vision.prune import sources
    from tamis.vision.receipt import as_json, table, write

    check_writable(out / "kept.json", out / "index.html")
    selectors = selectors_at(method, keep, seed)
    pictures = islice(sources(path, frames), limit)
    loaded = load(model, device)
    with progress("looking at pictures") as advance:
        result = prune_pictures(loaded, pictures, selectors, batch=batch, seed=seed, progress=advance)
    options: dict[str, object] = {"keep": keep, "method": method, "model": model, "frames": frames, "seed": seed}
    if limit is not None:
        options["limit"] = limit
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    command = shlex.join(["tamis", "vision", "prune", path.name, *given])
    page = write(result, out, command)
    for one in result.failed:
        print(f"tamis: not read: {one_line(FileError(one['error']))}", file=sys.stderr)
    if json:
        print(json_format.dumps(as_json(result), allow_nan=False))
        return
    table(result).print()
    print(page)


@app.command(help_epilogue='Example: tamis vision ask photo.jpg "What is on the table?" --model llava/ --keep 10%')
def ask(
    path: Path,
    question: str,
    /,
    *,
    model: str = "tiny",
    keep: str = "10%",
    method: str = "fastervlm,vtc-cls,tamis,random",
    max_new_tokens: Count = 64,
    seed: int = 0,
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Answer a question about a picture with all image tokens and with few, and say what each answer cost.

    Args:
        path: A picture.
        question: What to ask.
        model: A directory or a Hub id of a LLaVA, LLaVA-NeXT or Video-LLaVA model; `tiny`, which comes with the
            package, knows nothing but what `tamis vision scenes` draws.
        keep: Budgets, separated by commas.
        method: Methods, separated by commas, fastv and sparsevlm among them.
        max_new_tokens: Length of an answer.
        seed: Of random selection.
        device: Where to compute, as torch names devices.
        json: Print the answers as JSON.
    """
    from dataclasses import asdict

    from tamis.core.readers import read_image
    from tamis.vision.ask import ask as ask_model
    from tamis.vision.ask import table
    from tamis.vision.loading import load
    from tamis.vision.methods import pruners_at

    pruners = pruners_at(method, keep, seed)
    picture = read_image(path)
    answers = ask_model(load(model, device), picture, question, pruners, max_new_tokens=max_new_tokens)
    if json:
        print(json_format.dumps([asdict(answer) for answer in answers]))
    else:
        table(answers).print()


@app.command(help_epilogue="Example: tamis vision scenes drawn --count 20")
def scenes(
    out: Path,
    /,
    *,
    kind: Literal["scenes", "sprites", "scenes-tiles", "scenes-video"] = "scenes",
    split: Literal["train", "validation", "test", "ood"] = "test",
    count: Count = 16,
    seed: int = 0,
) -> None:
    """Draw scenes as PNG files, with questions and their answers in questions.jsonl.

    Args:
        out: Folder to write into.
        kind: Composed scenes; sprites, which need the font Noto Color Emoji; canvases of two tiles; or clips, whose
            frames lie side by side.
        split: Of the scenes; no two share one, and ood has sizes, pairs and clutter that the others never show.
        count: How many.
        seed: Of the scenes.
    """
    from tamis.vision.tiny_data import write_scenes

    print(write_scenes(out, kind=kind, split=split, count=count, seed=seed))


@app.command(name="eval", help_epilogue="Example: tamis vision eval --keep 10%,5% --count 200")
def evaluate(
    *,
    model: str = "tiny",
    keep: str = "25%,10%,5%,2.5%",
    method: str = "fastervlm,vtc-cls,tamis,divprune,random,uniform,text-only",
    kind: Literal["scenes", "sprites"] = "scenes",
    split: Literal["validation", "test", "ood"] = "test",
    count: Count = 500,
    positions: Literal["own", "original", "contiguous"] = "original",
    out: Path = Path("tamis-eval"),
    seed: int = 0,
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Examine a model that knows scenes with few image tokens: what does each budget cost in answers?

    Args:
        model: `tiny`, which comes with the package, or a directory that `tamis vision train-tiny` wrote.
        keep: Budgets, separated by commas.
        method: Methods, separated by commas, fastv and sparsevlm among them.
        kind: Composed scenes, or sprites, which need the font Noto Color Emoji.
        split: Of the scenes.
        count: Pictures; each has about twelve questions.
        positions: Position ids of the kept tokens: those that they had, contiguous ones, or as each method has them.
        out: Folder of the report (index.html) and the result lines (results.jsonl).
        seed: Of the scenes and of random selection.
        device: Where to compute, as torch names devices.
        json: Print the result lines as a JSON array.
    """
    from tamis.core.files import check_writable
    from tamis.core.progress import progress
    from tamis.core.results import json_array, write_runs
    from tamis.vision.baselines.simple import Random
    from tamis.vision.evaluation import examine, lines
    from tamis.vision.evaluation_report import flips, report_on, table, warnings
    from tamis.vision.loading import load
    from tamis.vision.methods import pruners_at, with_positions
    from tamis.vision.selector import Selector

    check_writable(out / "results.jsonl", out / "index.html")
    pruners = pruners_at(method, keep, seed)
    if positions == "own":
        pruners += with_positions([one for one in pruners if isinstance(one, Random)], "original")
    else:
        pruners = with_positions(pruners, positions)
    loaded = load(model, device)
    with progress("asking", count * (1 + len(pruners))) as advance:
        sheet = examine(loaded, pruners, kind=kind, split=split, count=count, seed=seed, progress=advance)
    last = Budget.parse_list(keep)[-1]
    shown = [one for one in pruners if isinstance(one, Selector) and one.name not in ("all", "text-only")]
    panels = [flips(loaded, sheet, one) for one in shown if one.keep == last and one.name not in ("random", "uniform")]
    options = {"model": model, "keep": keep, "method": method, "kind": kind, "split": split, "count": count}
    options |= {"positions": positions, "seed": seed}
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    made = lines(sheet)
    write_runs(out / "results.jsonl", made)
    page = report_on(sheet, shlex.join(["tamis", "vision", "eval", *given]), filter(None, panels)).write(
        out / "index.html"
    )
    if json:
        print(json_array(made))
        return
    table(sheet).print()
    for line in warnings(sheet):
        print(line)
    print(page)


@app.command(help_epilogue="Example: tamis vision advise drawn --loss 2%")
def advise(
    folder: Path,
    /,
    *,
    model: str = "tiny",
    loss: str = "2%",
    question: str | None = None,
    keep: str = "50%,25%,10%,5%,2.5%",
    method: str = "tamis,vtc-cls,fastervlm",
    max_new_tokens: Count = 16,
    limit: Count | None = None,
    device: str = "cpu",
    json: Json = False,
) -> int:
    """Find the smallest budget that loses no more than a share of the answers to your own questions.

    Each method is tested from its largest budget down to the first that loses too much. Without answers in
    questions.jsonl, those of the unpruned model are taken for right. Exits with 1 if no budget stays within the loss
    with 95 % confidence, which holds for all methods together.

    Args:
        folder: Pictures, and questions.jsonl with a JSON object a line: image, question and, if known, answer.
        model: A directory or a Hub id of a LLaVA, LLaVA-NeXT or Video-LLaVA model, or `tiny`.
        loss: Share of the answers that may be lost, such as 2% or 0.02.
        question: Asked about every picture of the folder, instead of questions.jsonl.
        keep: Budgets to try, separated by commas.
        method: Methods to try, separated by commas.
        max_new_tokens: Length of an answer.
        limit: Ask this many questions at most.
        device: Where to compute, as torch names devices.
        json: Print the advice as JSON.
    """
    from dataclasses import asdict

    from tamis.core.progress import progress
    from tamis.vision.advice import advise as find
    from tamis.vision.advice import read_items, said, share_of, table
    from tamis.vision.loading import load
    from tamis.vision.methods import pruners_at

    allowed = share_of(loss)
    items = read_items(folder, question)[:limit]
    pruners = pruners_at(method, keep)
    with progress("asking", len(items) * (2 + len(pruners))) as advance:
        advice = find(load(model, device), items, pruners, allowed, max_new_tokens=max_new_tokens, progress=advance)
    if json:
        print(json_format.dumps(asdict(advice)))
    else:
        table(advice).print()
        print(said(advice))
    return 0 if advice.best is not None else 1


@app.command(help_epilogue='Example: tamis vision analyze drawn/scenes-test-0000.png "where is the star?"')
def analyze(
    path: Path,
    question: str,
    /,
    *,
    model: str = "tiny",
    max_new_tokens: Count = 16,
    out: Path = Path("tamis-analyze"),
    device: str = "cpu",
) -> None:
    """Draw who looks where: [CLS] in the tower, the prompt's words and the response in the language model.

    Args:
        path: A picture.
        question: What to ask.
        model: A directory or a Hub id of a LLaVA, LLaVA-NeXT or Video-LLaVA model, or `tiny`.
        max_new_tokens: Length of the response.
        out: Folder of the report (index.html).
        device: Where to compute, as torch names devices.
    """
    from tamis.core.files import check_writable
    from tamis.core.readers import read_image
    from tamis.vision.analysis import analyze as look_into
    from tamis.vision.analysis import report_on, table
    from tamis.vision.loading import load

    check_writable(out / "index.html")
    picture = read_image(path)
    looks = look_into(load(model, device), picture, question, max_new_tokens=max_new_tokens)
    given = [path.name, question, "--model", model, "--max-new-tokens", str(max_new_tokens)]
    page = report_on(looks, picture, question, shlex.join(["tamis", "vision", "analyze", *given])).write(
        out / "index.html"
    )
    print(looks.answer)
    table(looks).print()
    print(page)


@app.command(name="train-tiny", help_epilogue="Example: tamis vision train-tiny --out tiny --device cuda --compiled")
def train_tiny(
    *,
    out: Path,
    sizes: Annotated[TinyConfig, Parameter(name="*")] = TinyConfig(),
    recipe: Annotated[TinyTraining, Parameter(name="*")] = TinyTraining(),
    device: str = "cpu",
) -> None:
    """Train the small vision-language model that reads scenes; cut off, it goes on where it was.

    Args:
        out: Folder of the model; checkpoints lie in `checkpoints` inside of it.
        sizes: Of the model.
        recipe: How it is trained.
        device: "cpu" or "cuda". On a processor the whole recipe takes days.
    """
    from tamis.core.files import check_writable, write_whole
    from tamis.vision.tiny import save
    from tamis.vision.tiny_training import train_tiny as train

    check_writable(*(out / name for name in _OF_A_MODEL))
    trained, curves = train(sizes, recipe, out=out / "checkpoints", device=device)
    save(trained, out)
    write_whole(out / "curves.json", json_format.dumps(curves, indent=1, allow_nan=False) + "\n")
    print(out)


@app.command(name="tune-tiny", help_epilogue="Example: tamis vision tune-tiny tiles --out tiny-next")
def tune_tiny(
    variant: Literal["tiles", "video"],
    /,
    *,
    out: Path,
    model: str = "tiny",
    recipe: Annotated[VariantTraining, Parameter(name="*")] = VariantTraining(),
    device: str = "cpu",
) -> None:
    """Teach the small model tiles, as a LLaVA-NeXT, or clips, as a Video-LLaVA; cut off, it goes on where it was.

    The tower stays as it is. Half an hour of a processor is enough.

    Args:
        variant: Canvases of two tiles, or clips of three frames.
        out: Folder of the model; checkpoints lie in `checkpoints` inside of it.
        model: `tiny`, or a directory that `tamis vision train-tiny` wrote.
        recipe: How it is taught.
        device: "cpu" or "cuda".
    """
    from tamis.core.files import check_writable, write_whole
    from tamis.vision.evaluation import check_vocabulary
    from tamis.vision.loading import load
    from tamis.vision.tiny import save
    from tamis.vision.tiny_variants import prepares
    from tamis.vision.variant_training import train_variant

    check_writable(*(out / name for name in _OF_A_MODEL))
    loaded = load(model)
    check_vocabulary(loaded)
    trained, curves = train_variant(variant, loaded.model, recipe, out=out / "checkpoints", device=device)
    save(trained, out, prepares(trained.config.model_type))
    write_whole(out / "curves.json", json_format.dumps(curves, indent=1, allow_nan=False) + "\n")
    print(out)


@app.command(help_epilogue="Example: tamis vision bench llava-1.5-7b --keep 50%,10%")
def bench(
    *shapes: str,
    keep: str = "50%,25%,10%,5%,2.5%",
    measure: bool = False,
    dtype: Literal["float32", "bfloat16"] = "float32",
    repetitions: Count = 5,
    seed: int = 0,
    json: Json = False,
) -> None:
    """Count what pruning saves: operations and cache bytes against keep, beside the limit; or measure it here.

    Args:
        shapes: llava-1.5-7b, llava-1.5-13b, llava-next-7b, video-llava (all of them if none is named), or
            llava-1.5-7b-4-layers, which an ordinary machine can run.
        keep: Budgets for each image, tile or frame, separated by commas.
        measure: Also time a model of that shape, with random weights, on this machine.
        dtype: Type of the numbers that are measured with.
        repetitions: Rounds of the measurement; each runs every budget once.
        seed: Of the random weights and pixels.
        json: Print the result lines as a JSON array.
    """
    from tamis.core.progress import progress
    from tamis.core.results import json_array
    from tamis.vision import bench as benchmarking
    from tamis.vision.config import PUBLISHED, shape_named
    from tamis.vision.cost import count

    budgets = Budget.parse_list(keep)
    lines = []
    for shape in [shape_named(name) for name in shapes or PUBLISHED]:
        runs = count(shape, budgets)
        if measure:
            with progress(f"measuring {shape.name}", total=repetitions) as advance:
                runs += benchmarking.measure(
                    shape, budgets, dtype=dtype, repetitions=repetitions, seed=seed, progress=advance
                )
        lines += runs
        if not json:
            benchmarking.table(runs).print()
            print()
    if json:
        print(json_array(lines))
