"""CLSR against the losses that people train joint spaces with, and what each of its parts adds.

    python benchmarks/audio_losses.py --esc10 ../shared/data/audio --sonic-pi DIR --tuxpaint DIR --write

`DIR` is where Debian's sonic-pi-samples and tuxpaint-stamps-default were unpacked (`apt-get download`, `dpkg-deb -x`).
Parts:

    losses     every loss with every seed, on composed mixtures and on ESC-10: retrieval in both directions, classes
    moments    where an event is in a mixture, and "A, then B" against "B, then A", for NT-Xent and CLSR
    unseen     ESC-10's classes that no training saw: trained on seven, tested on three, ten rotations

Definitions and epochs were chosen on the validation parts, after training on the training parts alone. Here every space
is trained on both, for as many epochs, and the test parts are read once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from lines import append, check, fail, parser
from tamis.audio.config import TrainConfig
from tamis.core.errors import ConfigError, TamisError, one_line
from tamis.core.results import Run
from tamis.core.statistics import wilson

if TYPE_CHECKING:
    import numpy as np

    from tamis.audio.ablation import Trial
    from tamis.audio.latents import Encoded
    from tamis.audio.metrics import Ranking
    from tamis.audio.space import JointSpace

SEEDS = (0, 1, 2, 3, 4)
UNSEEN_SEEDS = (0, 1, 2)
RECIPE = TrainConfig(epochs=6)
PLAIN = "nt-xent"
COMPARED = (PLAIN, "clsr")


def losses(out: Path, sets: dict[str, Encoded], names: Sequence[str]) -> list[Run]:
    """Train every loss, and write the report of all."""
    from tamis.audio.ablation import ablate, report_on, summary
    from tamis.audio.evaluation import baselines

    tests = {"mixtures": sets["mixtures-test"], "esc10": sets["esc10-test"]}
    trials = ablate(sets["learnt"], None, tests, losses=names, seeds=SEEDS, config=RECIPE, out=out)
    report_on(trials, tests, command="python benchmarks/audio_losses.py").write(out / "index.html")
    runs: list[Run] = []
    for test, encoded in tests.items():
        summary(trials[test], encoded, test=test).print()
        plain = [trial for trial in trials[test] if trial.method == PLAIN]
        for method in names:
            own = [trial for trial in trials[test] if trial.method == method]
            line = headline(own, plain)
            if test == "esc10":
                line = with_classes(line, out, own, plain, encoded)
            runs += [trial.run for trial in own] + [line]
        for line, _ in baselines(encoded):
            runs.append(replace(line, config={**line.config, "headline": True}))
    return runs


def headline(own: Sequence[Trial], plain: Sequence[Trial]) -> Run:
    """Set the mean over the seeds in one line, with the gains over NT-Xent in pairs."""
    from tamis.audio.evaluation import against

    first = own[0].run
    metrics = {name: mean(float(trial.run.metrics[name]) for trial in own) for name in first.metrics}
    intervals: dict[str, list[float]] = {}
    if own[0].method != PLAIN and plain:
        gains = against([trial.found for trial in own], [trial.found for trial in plain])
        for name, (gain, low, high) in gains.items():
            metrics[f"{name}_gain"], intervals[f"{name}_gain"] = gain, [low, high]
    return Run.measured(
        first.task,
        first.method,
        dataset=first.dataset,
        split="test",
        n=first.n or 0,
        metrics=metrics,
        intervals=intervals,
        config={**first.config, "headline": True},
        seeds=[trial.seed for trial in own],
        seconds=sum(trial.run.seconds or 0 for trial in own),
    )


def with_classes(line: Run, out: Path, own: Sequence[Trial], plain: Sequence[Trial], encoded: Encoded) -> Run:
    """Add how well the classes of ESC-10 are found by each of their phrases; phrases of one class are a group."""
    import numpy as np

    from tamis.audio.ablation import trained

    found, known = (
        np.stack([class_ranking(trained(out, trial.method, trial.seed), encoded).average_precision for trial in trials])
        for trials in (own, plain or own)
    )
    asked, _ = phrases_of(encoded)
    metrics, intervals = {"class_map_at_10": float(found.mean())}, {}
    if own[0].method != PLAIN and plain:
        metrics["class_map_at_10_gain"], intervals["class_map_at_10_gain"] = gain_over(found, known, np.array(asked))
    return replace(line, metrics=line.metrics | metrics, intervals=line.intervals | intervals)


def gain_over(better: np.ndarray, worse: np.ndarray, groups: np.ndarray) -> tuple[float, list[float]]:
    """Give the mean gain of (seeds, queries), and its interval."""
    from tamis.audio.metrics import paired_bootstrap

    difference = paired_bootstrap(better, worse, groups=groups)
    return difference.mean, [difference.low, difference.high]


def phrases_of(encoded: Encoded) -> tuple[list[str], list[str]]:
    """Give every phrase of every class of ESC-10: the classes, and the phrases."""
    from tamis.audio.mixtures import PHRASES

    pairs = [(label, phrase) for label in sorted({one[0] for one in encoded.labels}) for phrase in PHRASES[label]]
    return [label for label, _ in pairs], [phrase for _, phrase in pairs]


def class_ranking(space: JointSpace, encoded: Encoded) -> Ranking:
    """Rank the sounds of ESC-10 for every phrase of its classes."""
    from tamis.audio.evaluation import classes

    wanted, said = phrases_of(encoded)
    return classes(space.embed(encoded)[0], [one[0] for one in encoded.labels], space.encode_text(said), wanted)


def in_time(out: Path, encoded: Encoded, roots: Roots) -> list[Run]:
    """Measure where and in what order, for the spaces that `losses` trained."""
    import numpy as np

    from audio_corpus import COMPOSE, clips
    from audio_corpus import SEEDS as MIXTURE_SEEDS
    from tamis.audio.ablation import trained
    from tamis.audio.encoders import load_sound_encoder
    from tamis.audio.evaluation import moments, order
    from tamis.audio.metrics import paired_bootstrap
    from tamis.audio.mixtures import PHRASES, compose
    from tamis.audio.space import audible

    sound = load_sound_encoder(encoded.encoders["sound"])
    lengths = [len(encoded.sounds.item(i)) for i in range(len(encoded))]
    centres = [sound.starts_s(length, COMPOSE.seconds) + sound.window_s / 2 for length in lengths]
    mixtures = compose(clips(roots, "test"), len(encoded), COMPOSE, seed=MIXTURE_SEEDS["test"])
    sounding = [audible(one.samples, sound, length) for one, length in zip(mixtures, lengths, strict=True)]
    follows = [i for i, pattern in enumerate(encoded.patterns) if pattern == "then"]
    runs: list[Run] = []
    reached: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for method in COMPARED:
        start = time.perf_counter()
        within, told = [], []
        for seed in SEEDS:
            space = trained(out, method, seed)
            labels = sorted({event.label for events in encoded.events for event in events})
            phrases = {label: PHRASES[label][0] if label in PHRASES else label for label in labels}
            queries = dict(zip(labels, space.encode_text(list(phrases.values())), strict=True))
            rows = encoded.sounds
            alone = space.embed_windows(rows.values)
            windows = [alone[rows.starts[i] : rows.starts[i + 1]] for i in range(len(encoded))]
            found = moments(windows, centres, encoded, queries, sounding)
            within.append(found.within)
            names = [[phrases[event.label] for event in encoded.events[i]] for i in follows]
            sounds = space.embed(encoded)[0][follows]
            right, wrong = (
                space.encode_text([f"{one[a]}, then {one[b]}" for one in names]) for a, b in ((0, 1), (1, 0))
            )
            told.append(order(sounds, right, wrong))
        reached[method] = np.stack(within), np.stack(told)
        metrics = {
            "within_1_s": float(np.mean(within)),
            "within_1_s_by_chance": found.by_chance,
            "order": float(np.mean(told)),
        }
        bound = paired_bootstrap(np.stack(within), np.zeros((len(SEEDS), len(within[0]))), groups=found.sounds)
        intervals = {
            "within_1_s": [bound.low, bound.high],
            "order": list(wilson(round(float(np.mean(told)) * len(follows)), len(follows))),
        }
        if method != PLAIN:
            for i, (name, groups) in enumerate((("within_1_s", found.sounds), ("order", np.array(follows)))):
                metrics[f"{name}_gain"], intervals[f"{name}_gain"] = gain_over(
                    reached[method][i], reached[PLAIN][i], groups
                )
        runs.append(
            Run.measured(
                "audio/moments",
                method,
                dataset=encoded.dataset,
                split="test",
                n=len(within[0]),
                metrics=metrics,
                intervals=intervals,
                config={"headline": True, "sound": encoded.encoders["sound"], "tolerance_s": 1.0},
                seeds=SEEDS,
                seconds=time.perf_counter() - start,
            )
        )
    return runs


def unseen(sets: dict[str, Encoded]) -> list[Run]:
    """Train on seven of ESC-10's classes and search for the three others, ten times."""
    import numpy as np

    from tamis.audio.ablation import loss_named
    from tamis.audio.evaluation import classes
    from tamis.audio.latents import joined
    from tamis.audio.training import fit

    whole = joined([sets["esc10-train"], sets["esc10-val"]], "esc10-learnt")
    test = sets["esc10-test"]
    labels = sorted({one[0] for one in test.labels})
    precision: dict[str, list[np.ndarray]] = {method: [] for method in (*COMPARED, "random")}
    asked: list[str] = []
    start = time.perf_counter()
    for turn in range(len(labels)):
        held = {labels[(turn + i) % len(labels)] for i in range(3)}
        learnt = whole.subset([i for i, one in enumerate(whole.labels) if one[0] not in held], f"seven-{turn}")
        judged = test.subset([i for i, one in enumerate(test.labels) if one[0] in held], f"three-{turn}")
        rng = np.random.default_rng(turn)
        wanted, _ = phrases_of(judged)
        shape = (len(wanted), len(judged))
        named = [one[0] for one in judged.labels]
        random = classes(np.eye(shape[1]), named, rng.random(shape), wanted)
        precision["random"].append(np.tile(random.average_precision, (len(UNSEEN_SEEDS), 1)))
        asked += wanted
        for method in COMPARED:
            each = []
            for seed in UNSEEN_SEEDS:
                recipe = replace(RECIPE, seed=seed, epochs=40, batch=64)
                space, _ = fit(learnt, None, loss_named(method), recipe, method=method)
                each.append(class_ranking(space, judged).average_precision)
            precision[method].append(np.stack(each))
    taken = time.perf_counter() - start
    runs = []
    for method, found in precision.items():
        values = np.concatenate(found, axis=1)
        metrics, intervals = {"class_map_at_10": float(values.mean())}, {}
        if method == "clsr":
            known = np.concatenate(precision[PLAIN], axis=1)
            metrics["class_map_at_10_gain"], intervals["class_map_at_10_gain"] = gain_over(
                values, known, np.array(asked)
            )
        runs.append(
            Run.measured(
                "audio/unseen",
                method,
                dataset=test.dataset,
                split="test",
                n=values.shape[1],
                metrics=metrics,
                intervals=intervals,
                config={"headline": True, "sound": test.encoders["sound"], "rotations": len(labels), "unseen": 3},
                seeds=UNSEEN_SEEDS,
                seconds=taken,
            )
        )
    return runs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for."""
    made = parser(__doc__)
    made.add_argument("--esc10", type=Path, required=True, help="ESC-10's folder")
    made.add_argument("--sonic-pi", type=Path, help="where sonic-pi-samples was unpacked")
    made.add_argument("--tuxpaint", type=Path, help="where tuxpaint-stamps-default was unpacked")
    made.add_argument("--out", type=Path, default=Path("runs/audio"), help="folder of latents, spaces and the report")
    made.add_argument("--parts", default="losses,moments,unseen", help="by commas")
    made.add_argument("--losses", help="by commas; all by default")
    told = made.parse_args(arguments)
    wanted = told.parts.split(",")
    try:
        from audio_corpus import Roots, parts
        from tamis.audio.ablation import LOSSES
        from tamis.audio.encoders import load_sound_encoder, load_text_encoder
        from tamis.audio.latents import joined

        for part in wanted:
            if part not in ("losses", "moments", "unseen"):
                raise ConfigError(f"--parts: {part!r}; expected losses, moments, unseen")
        if told.write:
            if "losses" in wanted:
                check("audio/retrieval", ["mixtures-test", "esc10-test"])
            if "moments" in wanted:
                check("audio/moments", ["mixtures-test"])
            if "unseen" in wanted:
                check("audio/unseen", ["esc10-test"])
        roots = Roots(told.esc10, told.sonic_pi, told.tuxpaint)
        sound, text = load_sound_encoder("aisfx-overlap"), load_text_encoder("minilm")
        sets = {
            f"{part}-{split}": encoded
            for split in ("train", "val", "test")
            for part, encoded in parts(roots, split, sound, text, told.out / "latents")
        }
        sets["learnt"] = joined([encoded for name, encoded in sets.items() if not name.endswith("-test")], "learnt")
        runs: list[Run] = []
        if "losses" in wanted:
            runs += losses(told.out, sets, told.losses.split(",") if told.losses else list(LOSSES))
        if "moments" in wanted:
            runs += in_time(told.out, sets["mixtures-test"], roots)
        if "unseen" in wanted:
            runs += unseen(sets)
        for run in runs:
            if run.headline:
                print(f"{run.task:16} {run.method:24} {run.dataset.split('@')[0]:16} {run.metrics}")
            if told.write:
                append(run)
    except TamisError as error:
        return fail("audio_losses", one_line(error), error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
