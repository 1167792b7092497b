"""The command line of the vision domain: parse, call one function, print."""

from __future__ import annotations

import json as json_format
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter, validators

from tamis.core.budget import Budget
from tamis.core.errors import FileError, one_line

app = App(
    name="vision",
    help="Make vision-language models fast by keeping only the image tokens that matter.",
    help_epilogue="Example: tamis vision prune photo.jpg --keep 10% --out kept",
)

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
Json = Annotated[bool, Parameter(name="--json", negative="")]


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

    from tamis.core.progress import progress
    from tamis.vision.loading import load
    from tamis.vision.methods import selectors_at
    from tamis.vision.prune import prune as prune_pictures
    from tamis.vision.prune import sources
    from tamis.vision.receipt import as_json, table, write

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
    model: str,
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
        model: A directory or a Hub id of a LLaVA, LLaVA-NeXT or Video-LLaVA model.
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
        print(json_format.dumps([json_format.loads(run.to_json()) for run in lines]))
