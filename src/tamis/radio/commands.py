"""The command line of the radio domain: parse, call one function, print."""

from __future__ import annotations

import json as json_format
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from tamis.core.options import Count, File, Folder, Json, changed
from tamis.radio.config import PRESETS, How, SKDConfig, TrainConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tamis.radio.data import Frames, Splits

app = App(
    name="radio",
    help="Tell what modulation a radio signal carries, on devices as small as a microcontroller.",
    help_epilogue="Example: tamis radio eval clst-rml2016 kd-cnn-rml2016 --data rml2016 --out judged",
)
data = App(
    name="data",
    help="Generate frames, or look at those of a file.",
    help_epilogue="Example: tamis radio data info frames.safetensors",
)
app.command(data)

Numbers = Annotated[str, Parameter(allow_leading_hyphen=True)]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which frames, and how they are split."""

    data: str = "rml2016"
    """A preset of the generator (rml2016, rml22, default, clean), or a file: of a known data set, or generated."""
    classes: str | None = None
    """Only these classes, separated by commas, as the file or preset calls them."""
    per_cell: Count | None = None
    """Frames for each class and signal-to-noise ratio; 200 of a preset, all of a file."""
    data_seed: int = 0
    """Of the generator."""
    split: How = "stratified"
    """How frames are split for training, validation and test; use group for recordings."""

    def frames(self) -> Frames:
        """Generate or read."""
        from tamis.radio.data import load

        classes = None if self.classes is None else _parts(self.classes)
        return load(self.data, per_cell=self.per_cell, seed=self.data_seed, classes=classes)

    def splits(self, classes: Sequence[str] | None = None) -> Splits:
        """Generate or read, number the classes as a model does, and split."""
        from tamis.radio.data import split

        frames = self.frames()
        return split(frames if classes is None else frames.reorder(classes), self.split)

    def caution(self, *, everything: bool = False) -> None:
        """Say that frames of the training may be among those that judge, where a preset is cut in another way.

        Args:
            everything: Whether all frames judge, not those of the test part.
        """
        usual = self.per_cell in (None, 200) and self.split == "stratified" and self.classes is None and not everything
        if self.generated and self.data_seed == 0 and not usual:
            print(
                "tamis: warning: frames are split otherwise than in the training of the shipped models (200 a cell, "
                "stratified, all classes), so some that they were trained on may be among those that judge; "
                "--data-seed 1 gives new ones",
                file=sys.stderr,
            )

    @property
    def generated(self) -> bool:
        """Whether the frames come from the generator, so that their signal-to-noise ratios are right."""
        return self.data in PRESETS


_DATA = DataOptions()


@data.command(
    help_epilogue="Example: tamis radio data generate default --samples 1024 --snrs 0,10,20 --out frames.safetensors"
)
def generate(
    preset: str = "default",
    /,
    *,
    out: File,
    modulations: str | None = None,
    snrs: Numbers | None = None,
    samples: Count | None = None,
    samples_per_symbol: str | None = None,
    defects: str | None = None,
    per_cell: Count = 200,
    seed: int = 0,
    workers: Count = 1,
) -> None:
    """Generate labelled frames, every one through a channel of its own, and write them to one file.

    Args:
        preset: rml2016, rml22, default or clean.
        out: The file, usually ending in .safetensors.
        modulations: Names, separated by commas; by default those of the preset.
        snrs: Signal-to-noise ratios in dB, separated by commas.
        samples: Length of a frame.
        samples_per_symbol: One number, or least and greatest separated by a comma.
        defects: Known defects of RML2016.10a to bring back, separated by commas: snr, l1, ssb, transients, silence.
        per_cell: Frames for each modulation and signal-to-noise ratio.
        seed: The same seed gives the same frames, whatever the number of workers.
        workers: Processes to share the work among.
    """
    from tamis.core.errors import ConfigError
    from tamis.core.files import check_writable
    from tamis.radio import signals

    check_writable(out)
    changes: dict[str, object] = {}
    if modulations is not None:
        changes["modulations"] = _parts(modulations)
    if snrs is not None:
        changes["snrs_db"] = _numbers("--snrs", snrs, int)
    if samples is not None:
        changes["samples"] = samples
    if samples_per_symbol is not None:
        ends = _numbers("--samples-per-symbol", samples_per_symbol, float)
        if len(ends) > 2:
            raise ConfigError(
                f"--samples-per-symbol is {samples_per_symbol!r}; expected one number, or two: least, most"
            )
        changes["samples_per_symbol"] = (ends[0], ends[-1])
    if defects is not None:
        changes["defects"] = _parts(defects)
    frames = signals.generate(preset, per_cell=per_cell, seed=seed, workers=workers, **changes)
    print(frames.save(out))
    print(f"tamis: {len(frames)} frames of {len(frames.classes)} modulations; {frames.dataset}", file=sys.stderr)


@data.command(help_epilogue="Example: tamis radio data info RML2016.10a_dict.pkl --json")
def info(source: str, /, *, per_cell: Count | None = None, json: Json = False) -> int:
    """Say what is in a file or a preset, and what is wrong with it; exits with 1 if that is an error.

    Args:
        source: A file of a known data set, or a preset of the generator.
        per_cell: Look at so many frames of each class and signal-to-noise ratio at most.
        json: Print one JSON object.
    """
    from dataclasses import asdict

    import numpy as np

    from tamis.radio.data import load
    from tamis.radio.defects import audit, normalisation

    frames = load(source, per_cell=per_cell)
    findings = audit(frames)
    facts = {
        "dataset": frames.dataset,
        "frames": len(frames),
        "samples": frames.samples,
        "classes": list(frames.classes),
        "snrs_db": [float(snr) for snr in np.unique(frames.snr_db)],
        "groups": None if frames.groups is None else len(np.unique(frames.groups)),
        "normalisation": normalisation(frames),
    }
    code = int(any(finding.severity == "error" for finding in findings))
    if json:
        print(json_format.dumps({**facts, "findings": [asdict(finding) for finding in findings]}))
        return code
    for name, value in facts.items():
        shown = ", ".join(f"{v:g}" if isinstance(v, float) else v for v in value) if isinstance(value, list) else value
        print(f"{name:14} {shown}")
    for finding in findings:
        print(f"{finding.severity:14} {finding.message} ({finding.count})")
    return code


@app.command(help_epilogue="Example: tamis radio train clst-t --data rml2016 --epochs 20 --out runs/clst")
def train(
    network: str,
    /,
    *,
    out: Folder,
    options: DataOptions = _DATA,
    recipe: Annotated[TrainConfig, Parameter(name="*")] = TrainConfig(),
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Train a network, and write it to a folder; a training that was cut off goes on.

    Args:
        network: clst-t, clst-s, clst-b, clst-l, kd-cnn, kd-cnn-xs, kd-mobilenet, kd-mobilenet-xs, vt-cnn2, resnet-1d,
            mcldnn, pet-cgdnn, iqformer or lstm2.
        out: Folder of the model and its checkpoints.
        options: Which frames.
        recipe: How it is trained.
        device: Where to compute, as torch names devices.
        json: Print the result lines of validation and test as a JSON array.
    """
    from tamis.core.files import WEIGHTS, check_writable
    from tamis.core.results import json_array
    from tamis.radio.evaluation import evaluate
    from tamis.radio.methods import build
    from tamis.radio.training import train as train_network

    check_writable(out / WEIGHTS)
    splits = options.splits()
    made = build(network, seed=recipe.seed, **splits.train.task)
    judged = train_network(made, splits, recipe, method=network, out=out, device=device)
    tested = evaluate(made, splits.test, method=network, config=judged.config, seeds=[recipe.seed])
    if json:
        print(json_array([judged, tested]))
        return
    print(f"validation {judged.metrics['accuracy']:.4f}  test {tested.metrics['accuracy']:.4f}")
    print(out)


@app.command(
    help_epilogue="Example: tamis radio distill --teacher clst-rml2016 --student kd-cnn --budget 50KB --out student"
)
def distill(
    *,
    teacher: str,
    student: Literal["kd-cnn", "kd-mobilenet"] = "kd-cnn",
    budget: str = "50KB",
    out: Folder,
    options: DataOptions = _DATA,
    recipe: Annotated[TrainConfig, Parameter(name="*")] = TrainConfig(),
    skd: Annotated[SKDConfig, Parameter(name="*")] = SKDConfig(),
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Train the widest student within a budget, with a teacher and without, and report both.

    Args:
        teacher: A shipped name, a model directory or a Hub id.
        student: Which network is to be made as wide as the budget allows.
        budget: Bytes of the int8 ONNX file, such as 50KB, or processor time for one frame in it, such as 2ms.
        out: Folder: the student in skd/ with model.int8.onnx, the one trained alone in alone/, the teacher's logits,
            the report (index.html) and the result lines (runs.jsonl).
        options: Which frames.
        recipe: How both are trained.
        skd: How the teacher enters the loss.
        device: Where to compute, as torch names devices.
        json: Print the result lines as a JSON array.
    """
    from tamis.core.files import check_writable
    from tamis.core.results import json_array, write_runs
    from tamis.radio import bench
    from tamis.radio.alrt import limit_of
    from tamis.radio.evaluation_report import table
    from tamis.radio.methods import load_network
    from tamis.radio.shrink import receipt, shrink, spending

    spending(budget)
    check_writable(out / "runs.jsonl", out / "index.html")
    tutor = load_network(teacher)
    options.caution()
    splits = options.splits(tutor.classes)
    name = next(iter(_labels(teacher, student)))
    judged = shrink(tutor, name, student, budget, splits, recipe, skd, out=out, device=device)
    width = judged[1].run.config["width"]
    print(f"tamis: the widest {student} within {budget} has {width:g} of its usual width", file=sys.stderr)
    told = ["--teacher", teacher, "--student", student, "--budget", budget, *changed(options, recipe, skd)]
    told += ["--out", str(out)]
    page = receipt(
        judged,
        splits,
        budget,
        limit=limit_of(splits.test) if options.generated else None,
        command=shlex.join(["tamis", "radio", "distill", *map(_public, told)]),
    )
    write_runs(out / "runs.jsonl", [one.run for one in judged])
    written = page.write(out / "index.html")
    if json:
        print(json_array(one.run for one in judged))
        return
    table(judged).print()
    print()
    bench.table({one.run.method: one.cost for one in judged if one.cost}).print()
    print(written)


@app.command(
    name="eval", help_epilogue="Example: tamis radio eval clst-rml2016 kd-cnn-rml2016 --data rml2016 --out judged"
)
def evaluate_models(
    *models: str,
    options: DataOptions = _DATA,
    everything: Annotated[bool, Parameter(name="--all-frames", negative="")] = False,
    cost: Annotated[bool, Parameter(negative="")] = False,
    lines: File | None = None,
    out: Folder = Path("tamis-eval"),
    json: Json = False,
) -> None:
    """Judge models on test frames: accuracy over the signal-to-noise ratio beside the limit, costs, and confusions.

    Args:
        models: Shipped names, model directories, Hub ids, or .onnx files that tamis exported.
        options: Which frames; the test part of their split is used.
        everything: Use all frames, not the test part: for data that none of the models was trained on.
        cost: Also export the networks, and measure bytes and times.
        lines: A file of result lines; curves over training frames and gains of distillation are drawn of it.
        out: Folder of the report (index.html) and the result lines (runs.jsonl).
        json: Print the result lines as a JSON array.
    """
    from tamis.core.errors import ConfigError
    from tamis.core.files import check_writable
    from tamis.core.progress import progress
    from tamis.core.results import json_array, read_runs, write_runs
    from tamis.radio import bench
    from tamis.radio.alrt import limit_of
    from tamis.radio.data import split
    from tamis.radio.defects import audit, audit_splits
    from tamis.radio.evaluation_report import judge, report_on, table
    from tamis.radio.methods import load_network
    from tamis.radio.network import Network
    from tamis.radio.onnx_export import OnnxClassifier

    if not models:
        raise ConfigError("no model is named; give shipped names or directories, such as kd-cnn-rml2016")
    more = read_runs(lines) if lines else ()
    classifiers: dict[str, Network | OnnxClassifier] = {
        label: OnnxClassifier(name) if name.endswith(".onnx") else load_network(name)
        for label, name in _labels(*models).items()
    }
    classes = next(iter(classifiers.values())).classes
    for name, classifier in classifiers.items():
        if classifier.classes != classes:
            raise ConfigError(
                f"{name}: knows {', '.join(classifier.classes)}; {models[0]} knows {', '.join(classes)}; "
                "judge them one at a time"
            )
    check_writable(out / "runs.jsonl", out / "index.html")
    options.caution(everything=everything)
    everyone = options.frames()
    findings = audit(everyone)
    everyone = everyone.reorder(classes)
    frames = calibration = everyone
    if not everything:
        splits = split(everyone, options.split)
        findings += audit_splits(splits)
        frames, calibration = splits.test, splits.train
    networks = {name: one for name, one in classifiers.items() if isinstance(one, Network)}
    measured = bench.costs(networks, calibration) if cost else {}
    judged = []
    part = "all" if everything else "test"
    told = {"preset": frames.name, "per_cell": options.per_cell, "data_seed": options.data_seed, "cut": options.split}
    with progress("judging models", total=len(classifiers)) as advance:
        for done, (name, classifier) in enumerate(classifiers.items(), start=1):
            judged.append(judge(classifier, frames, method=name, split=part, cost=measured.get(name), config=told))
            advance(done)
    flags = [*(["--all-frames"] if everything else []), *(["--cost"] if cost else [])]
    flags += ["--lines", _public(str(lines))] if lines else []
    flags += ["--out", _public(str(out))]
    page = report_on(
        judged,
        frames,
        limit=limit_of(frames) if options.generated else None,
        findings=findings,
        lines=more,
        command=shlex.join(["tamis", "radio", "eval", *map(_public, (*models, *changed(options))), *flags]),
    )
    write_runs(out / "runs.jsonl", [one.run for one in judged])
    written = page.write(out / "index.html")
    if json:
        print(json_array(one.run for one in judged))
        return
    table(judged).print()
    if measured:
        print()
        bench.table(measured).print()
    print(written)


@app.command(help_epilogue="Example: tamis radio export kd-cnn-rml2016 --data rml2016 --out kd-cnn")
def export(model: str, /, *, out: Folder, options: DataOptions = _DATA, json: Json = False) -> None:
    """Write a model as ONNX in float32 and int8, and a student as C too; measure what each form lost.

    Args:
        model: A shipped name, a model directory or a Hub id.
        out: Folder of the files.
        options: Which frames: int8 ranges are set by the training part of their split, and the test part judges.
        json: Print a JSON array of the forms.
    """
    from dataclasses import asdict

    from tamis.core.files import check_writable
    from tamis.radio.export import export as export_network
    from tamis.radio.export import table
    from tamis.radio.methods import load_network

    check_writable(out / "model.onnx")
    network = load_network(model)
    options.caution()
    splits = options.splits(network.classes)
    forms = export_network(network, out, calibration=splits.train, test=splits.test)
    if json:
        print(json_format.dumps([asdict(one) for one in forms]))
    else:
        table(forms).print()
        print(out)


@app.command(help_epilogue="Example: tamis radio bench clst-rml2016 kd-cnn-rml2016 --json")
def bench(*models: str, options: DataOptions = _DATA, rounds: Count = 9, json: Json = False) -> None:
    """Measure what models cost: bytes of their ONNX files, and times on one core of this machine.

    Args:
        models: Shipped names, model directories or Hub ids, or names of networks, which are taken with random weights;
            all of those if none is named.
        options: Frames to set the int8 ranges by; the training part of their split is used.
        rounds: How often each is timed, in turns.
        json: Print the result lines as a JSON array.
    """
    import time

    from tamis.core.results import json_array
    from tamis.radio.bench import cost_run, costs, table
    from tamis.radio.methods import NETWORKS, build, load_network

    start = time.perf_counter()
    named = _labels(*(models or NETWORKS))
    trained = {label: load_network(name) for label, name in named.items() if name not in NETWORKS}
    frames = options.splits().train
    networks = {
        label: trained[label] if label in trained else build(name, seed=0, **frames.task)
        for label, name in named.items()
    }
    measured = costs(networks, frames, rounds=rounds)
    if json:
        seconds = time.perf_counter() - start
        print(json_array(cost_run(name, cost, frames, seconds) for name, cost in measured.items()))
        return
    table(measured).print()


def _parts(text: str) -> tuple[str, ...]:
    """Split at commas."""
    return tuple(part.strip() for part in text.split(","))


def _numbers(option: str, text: str, kind: type[int] | type[float]) -> tuple[int | float, ...]:
    """Read numbers separated by commas."""
    from tamis.core.errors import ConfigError

    try:
        return tuple(kind(part) for part in _parts(text))
    except ValueError as error:
        what = "whole numbers" if kind is int else "numbers"
        raise ConfigError(f"{option} is {text!r}; expected {what} separated by commas") from error


def _labels(*models: str) -> dict[str, str]:
    """Call each model by the last part of its path, or as it was typed where two would be called the same."""
    last = [Path(name).name or name for name in models]
    return {short if last.count(short) == 1 else name: name for short, name in zip(last, models, strict=True)}


def _public(path: str) -> str:
    """Leave out the folders above an absolute path, which are nobody's business."""
    return Path(path).name if Path(path).is_absolute() else path
