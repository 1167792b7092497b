"""The command line of the audio domain: parse, call one function, print."""

from __future__ import annotations

import json as json_format
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from tamis.audio.config import TrainConfig
from tamis.core.options import Count, File, Folder, Json, changed

if TYPE_CHECKING:
    from tamis.audio.data import Collection
    from tamis.core.results import Run

app = App(
    name="audio",
    help="Find the sound that a sentence describes, and the second at which it happens.",
    help_epilogue="Example: tamis audio locate street.wav 'a dog barks'",
)
data = App(
    name="data",
    help="Look at a data set of sounds and sentences, or compose one.",
    help_epilogue="Example: tamis audio data info clotho --root CLOTHO_v2.1",
)
app.command(data)

_EFFECTS = "effects"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where a data set lies."""

    root: Path | None = None
    """Folder of a named data set: clotho, audiocaps, wavcaps, macs, esc50, esc10, fsd50k, webdataset."""
    split: str | None = None
    """Which part, as the data set calls it, or train, val, test."""

    def collection(self, source: str, default: str | None = None) -> Collection:
        """Read a named data set, a table of pairs, or a folder with one.

        Args:
            source: Which.
            default: The part to take of a data set that has one for training, unless another was named.
        """
        from tamis.audio.data import READERS, load, reader_of
        from tamis.core.errors import ConfigError

        if source in READERS:
            if self.root is None:
                raise ConfigError(f"{source} needs --root, the folder in which it lies")
            parted = default if source in ("audiocaps", "clotho", "fsd50k") else None
            return load(source, self.root, self.split or parted)
        if self.root is not None:
            raise ConfigError(f"--root belongs to a named data set; {source} is none ({', '.join(READERS)})")
        return load(reader_of(source), source, self.split)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Encoders:
    """What the joint space is built on."""

    sound: str = "aisfx-overlap"
    """Encoder of sounds: aisfx, aisfx-overlap, mel-cnn, or clap: and an id or folder."""
    text: str = "minilm"
    """Encoder of sentences: minilm, words, clap: or st: and an id or folder."""


_DATA, _ENCODERS = DataOptions(), Encoders()


@data.command(help_epilogue="Example: tamis audio data info esc10 --root ESC-10 --json")
def info(source: str, /, *, options: DataOptions = _DATA, json: Json = False) -> None:
    """Say what is in a data set, and what is missing.

    Args:
        source: A named data set, a table of pairs (.csv, .jsonl), or a folder with metadata.csv or .jsonl.
        options: Where it lies.
        json: Print one JSON object.
    """
    from tamis.core.errors import one_line

    collection = options.collection(source)
    facts = {
        "dataset": collection.dataset,
        "clips": len(collection.items),
        "with_audio": len(collection.here),
        "captions": sum(len(item.captions) for item in collection.here),
        "labels": sorted({label for item in collection.here for label in item.labels}),
        "sources": len({source for item in collection.here for source in item.sources}),
        "missing": list(collection.missing),
    }
    if json:
        print(json_format.dumps(facts))
        return
    for name, value in facts.items():
        if isinstance(value, list):
            few = one_line(", ".join(value[:8]))
            value = f"{len(value)}{f': {few}' if few else ''}{', …' if len(value) > 8 else ''}"
        print(f"{name:12} {value}")


@data.command(
    help_epilogue="Example: tamis audio data compose esc10 --root ESC-10 --split 1 --count 1000 --out mixtures"
)
def compose(
    source: str,
    /,
    *,
    out: Folder,
    options: DataOptions = _DATA,
    count: Count = 1000,
    seconds: float = 10.0,
    captions: Count = 3,
    patterns: str = "one,twice,then,while,three",
    seed: int = 0,
) -> None:
    """Compose mixtures of labelled clips, with captions and times, into a folder that `train` takes.

    Args:
        source: A data set with labels; give one split of it, so that no recording is in two of yours.
        out: Folder of the .flac files and metadata.jsonl.
        options: Where the data set lies.
        count: How many mixtures.
        seconds: Length of each.
        captions: Sentences for each.
        patterns: What can happen: one, twice, then, while, three, separated by commas.
        seed: Another seed draws others.
    """
    from tamis.audio import mixtures as composing

    config = composing.ComposeConfig(seconds=seconds, captions=captions, patterns=tuple(patterns.split(",")))
    composing.composed(out)  # which refuses a folder of something else
    clips = composing.clips_of(options.collection(source), config.rate)
    print(composing.write(composing.compose(clips, count, config, seed=seed), config.rate, out, total=count))


@app.command(help_epilogue="Example: tamis audio train pairs.csv --out runs/effects")
def train(
    pairs: str,
    /,
    *,
    out: Folder,
    loss: str = "clsr",
    val: str | None = None,
    options: DataOptions = _DATA,
    encoders: Encoders = _ENCODERS,
    recipe: Annotated[TrainConfig, Parameter(name="*")] = TrainConfig(),
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Train a joint space of sounds and sentences; one that was cut off goes on.

    Args:
        pairs: A table of pairs (.csv, .jsonl), a folder with metadata.csv or .jsonl, or a named data set.
        out: Folder of the space, its checkpoints and the encoded pairs.
        loss: clsr, nt-xent, nt-xent-unmasked, infonce, triplet-sum, triplet-max, triplet-weighted, or a part of clsr:
            nt-xent+separability, nt-xent+temperature, nt-xent+reconstruction.
        val: Pairs to choose the best epoch by: a table or folder, or another split of the data set. By default up
            to a tenth of the clips.
        options: Where a named data set lies.
        encoders: What the space is built on.
        recipe: How it is trained.
        device: Where to train the heads: cpu or cuda.
        json: Print the result line of the validation.
    """
    from tamis.audio.ablation import loss_named
    from tamis.audio.training import train as train_space

    made = loss_named(loss)
    collection = options.collection(pairs, "train")
    print(f"tamis: {collection.report()}", file=sys.stderr)
    judged = None
    if val is not None:
        judged = _other(val, pairs, options)
        print(f"tamis: validation: {judged.report()}", file=sys.stderr)
    _, run = train_space(
        collection,
        made,
        recipe,
        val=judged,
        sound=encoders.sound,
        text=encoders.text,
        method=loss,
        out=out,
        device=device,
    )
    if json:
        print(run.to_json())
        return
    _numbers(run)
    print(out)


@app.command(help_epilogue="Example: tamis audio ablate pairs.csv --test held-out.csv --seeds 0,1,2 --out ablation")
def ablate(
    pairs: str,
    /,
    *,
    test: str,
    out: Folder = Path("tamis-ablation"),
    losses: str | None = None,
    seeds: str = "0,1,2,3,4",
    options: DataOptions = _DATA,
    encoders: Encoders = _ENCODERS,
    recipe: Annotated[TrainConfig, Parameter(name="*")] = TrainConfig(),
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Train with every loss and seed, and say what each part of CLSR adds, in pairs.

    Args:
        pairs: To train on, as `train` takes them; up to a tenth of the clips chooses the epochs.
        test: Other pairs to judge with: a table or folder, or another split of the data set.
        out: Folder of the report (index.html), the result lines (runs.jsonl) and the spaces.
        losses: Names, separated by commas; all by default.
        seeds: Numbers, separated by commas.
        options: Where a named data set lies.
        encoders: What the spaces are built on.
        recipe: How they are trained; --seed belongs to one training.
        device: Where to train the heads.
        json: Print the result lines as a JSON array.
    """
    from tamis.audio import ablation
    from tamis.core.errors import ConfigError
    from tamis.core.files import check_writable
    from tamis.core.results import json_array, write_runs

    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError as error:
        raise ConfigError(f"--seeds is {seeds!r}; expected whole numbers separated by commas") from error
    if recipe.seed != TrainConfig().seed:
        raise ConfigError(f"--seed is {recipe.seed}, of one training; give --seeds {recipe.seed}")
    check_writable(out / "index.html", out / "runs.jsonl")
    judged = _other(test, pairs, options)
    trials, encoded = ablation.compare(
        options.collection(pairs, "train"),
        judged,
        sound=encoders.sound,
        text=encoders.text,
        losses=losses.split(",") if losses is not None else list(ablation.LOSSES),
        seeds=numbers,
        config=recipe,
        out=out,
        device=device,
    )
    more = {"test": test, "losses": losses, "seeds": seeds, "device": device if device != "cpu" else None, "out": out}
    told = _again("ablate", pairs, options, encoders, recipe, **more)
    page = ablation.report_on({judged.name: trials}, {judged.name: encoded}, command=told)
    runs = [trial.run for trial in trials]
    write_runs(out / "runs.jsonl", runs)
    written = page.write(out / "index.html")
    if json:
        print(json_array(runs))
        return
    ablation.summary(trials, encoded, test=judged.name).print()
    print(written)


@app.command(
    name="eval", help_epilogue="Example: tamis audio eval effects --dataset clotho --root CLOTHO_v2.1 --out judged"
)
def evaluate(
    *models: str,
    dataset: str,
    options: DataOptions = _DATA,
    out: Folder = Path("tamis-eval"),
    json: Json = False,
) -> None:
    """Judge joint spaces on a data set: recall, mAP and median rank in both directions.

    Args:
        models: Shipped names or directories of spaces; clap: and an id or folder for CLAP as it is. "effects" by
            default.
        dataset: A named data set, a table of pairs (.csv, .jsonl), or a folder with metadata.csv or .jsonl.
        options: Where a named data set lies; of clotho, audiocaps and fsd50k the test part by default.
        out: Folder of the report (index.html), the result lines (runs.jsonl) and what was encoded.
        json: Print the result lines as a JSON array.
    """
    from tamis.audio.evaluation import judge
    from tamis.audio.evaluation_report import judged_report, judged_table
    from tamis.core.files import check_writable
    from tamis.core.results import json_array, write_runs

    check_writable(out / "index.html", out / "runs.jsonl")
    collection = options.collection(dataset)
    print(f"tamis: {collection.report()}", file=sys.stderr)
    judged = judge(models or (_EFFECTS,), collection, split=options.split or "test", cache=out)
    told = _again("eval", *(models or (_EFFECTS,)), options, dataset=dataset, out=out)
    page = judged_report(judged, collection, command=told)
    write_runs(out / "runs.jsonl", judged.runs)
    written = page.write(out / "index.html")
    if json:
        print(json_array(judged.runs))
        return
    judged_table(judged, collection).print()
    print(written)


@app.command(help_epilogue="Example: tamis audio locate street.wav 'a dog barks' --top 3")
def locate(sound: File, sentence: str, /, *, model: str = _EFFECTS, top: Count = 3, json: Json = False) -> None:
    """Say where in a sound something is heard.

    Windows 20 dB below the loudest come last, since every sentence is near to some silence.

    Args:
        sound: A file of up to ten minutes: WAV, FLAC, Ogg, Opus, MP3, AIFF, CAF, W64, RF64 or AU.
        sentence: What is to be heard; of one thing, such as "a dog barks".
        model: A shipped name, or a directory.
        top: How many moments, the best first, none of which touches another.
        json: Print a JSON array.
    """
    from tamis.audio.space import JointSpace, apart

    found = apart(JointSpace.from_pretrained(model).locate(sound, sentence))[:top]
    if json:
        print(json_format.dumps([{k: round(v, 4) for k, v in moment._asdict().items()} for moment in found]))
        return
    if not found:
        print(f"tamis: {sound}: silence, in which nothing is heard", file=sys.stderr)
    for moment in found:
        print(f"{moment.start_s:8.2f} – {moment.end_s:8.2f} s  {moment.score:+.3f}")


def _other(given: str, pairs: str, options: DataOptions) -> Collection:
    """Read other pairs: a table or folder, or another split of the same named data set."""
    from tamis.audio.data import READERS

    if pairs in READERS and not Path(given).exists():
        return DataOptions(root=options.root, split=given).collection(pairs)
    return DataOptions().collection(given)


def _again(verb: str, *words: Any, **options: Any) -> str:
    """Write the command that does the same again.

    Args:
        verb: Such as "eval".
        words: What it was given; of a group of options, those that are not as they are by default.
        options: Single options; those that are None were not given.
    """
    told = ["tamis", "audio", verb]
    for word in words:
        told += [word] if isinstance(word, str) else changed(word)
    for name, value in options.items():
        told += [f"--{name}", str(value)] if value is not None else []
    return shlex.join(told)


def _numbers(run: Run) -> None:
    from tamis.audio.evaluation import WAYS

    print(f"{run.split}: sounds {run.metrics['sounds']}, captions {run.n}")
    for side, said in WAYS.items():
        shown = "  ".join(f"R@{k} {run.metrics[f'{side}_recall_at_{k}']:.3f}" for k in (1, 5, 10))
        print(f"{said}  {shown}  mAP@10 {run.metrics[f'{side}_map_at_10']:.3f}")
