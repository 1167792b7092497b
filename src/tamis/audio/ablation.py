"""Which loss makes the better space, and what each part of CLSR adds: every loss with every seed, compared in pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

from tamis.audio.baselines.infonce import InfoNCE
from tamis.audio.baselines.ntxent import NTXent
from tamis.audio.baselines.triplet import Triplet
from tamis.audio.clsr import CLSRLoss
from tamis.audio.config import CLSRConfig, JointConfig, TrainConfig
from tamis.audio.data import Collection
from tamis.audio.encoders import load_sound_encoder, load_text_encoder
from tamis.audio.evaluation import WAYS, Retrieval, against, baselines, evaluate, retrieval, with_captions
from tamis.audio.latents import Encoded, encode_collection
from tamis.audio.objective import Objective
from tamis.audio.space import JointSpace
from tamis.audio.training import check_apart, encode_held_out, fit, hold_out
from tamis.core.errors import ConfigError, nearest
from tamis.core.report import PALETTE, Cell, Details, Facts, Picture, Report, Section, Table, plot_style
from tamis.core.results import Run
from tamis.core.training import check_device

_OFF = CLSRConfig(separability="none", temperature="fixed", reconstruction=0.0)
_FULL = CLSRConfig()


def _only(part: str, **told: object) -> Callable[[], Objective]:
    def make() -> Objective:
        loss = CLSRLoss(replace(_OFF, **told))  # type: ignore[arg-type]
        loss.name = f"nt-xent+{part}"
        return loss

    return make


LOSSES: Mapping[str, Callable[[], Objective]] = {
    "nt-xent": NTXent,
    "nt-xent-unmasked": lambda: NTXent(mask_captions=False),
    "infonce": InfoNCE,
    "triplet-sum": lambda: Triplet("sum"),
    "triplet-max": lambda: Triplet("max"),
    "triplet-weighted": lambda: Triplet("weighted"),
    "nt-xent+separability": _only("separability", separability=_FULL.separability),
    "nt-xent+temperature": _only("temperature", temperature=_FULL.temperature),
    "nt-xent+reconstruction": _only("reconstruction", reconstruction=_FULL.reconstruction),
    "clsr": CLSRLoss,
}
"""By the names of result lines: baselines, each part of CLSR alone on NT-Xent, and all of them."""
PLAIN = "nt-xent"
"""The loss that all others are compared with."""


def loss_named(name: str) -> Objective:
    """Make a loss by the name that result lines call it.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in LOSSES:
        raise ConfigError(f"{name!r} is no loss; {nearest(name, LOSSES)}")
    return LOSSES[name]()


@dataclass(frozen=True)
class Trial:
    """One loss with one seed, judged on one test set."""

    method: str
    """Name of the loss."""
    seed: int
    """Of the training."""
    run: Run
    """The result line."""
    found: Retrieval
    """What each query found."""


def ablate(
    train: Encoded,
    val: Encoded | None,
    tests: Mapping[str, Encoded],
    *,
    losses: Sequence[str] = tuple(LOSSES),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    config: TrainConfig = TrainConfig(),
    sizes: JointConfig | None = None,
    out: str | Path,
    device: str = "cpu",
) -> dict[str, list[Trial]]:
    """Train every loss with every seed, and judge each on every test.

    Args:
        train: To train on.
        val: To choose epochs by.
        tests: Looked at once, when the training is over.
        losses: Names of `LOSSES`.
        seeds: Of the trainings.
        config: The recipe, but for its seed.
        sizes: Of the heads.
        out: A folder; each space is in `out/LOSS/SEED`, and is not trained again.
        device: Where to compute.

    Returns:
        Trials by the name of the test.

    Raises:
        ConfigError: If there is no such loss.
    """
    trials: dict[str, list[Trial]] = {test: [] for test in tests}
    for name in dict.fromkeys(losses):
        for seed in dict.fromkeys(seeds):
            folder = Path(out) / name / str(seed)
            recipe = replace(config, seed=seed)
            space, judged = fit(
                train, val, loss_named(name), recipe, sizes=sizes, method=name, out=folder, device=device
            )
            for test, encoded in tests.items():
                described = with_captions(encoded)
                run = evaluate(
                    space, described, method=name, config=judged.config, seeds=[seed], seconds=judged.seconds
                )
                trials[test].append(Trial(name, seed, run, retrieval(*space.embed(described), described.owners)))
    return trials


def compare(
    pairs: Collection,
    judged: Collection,
    *,
    sound: str,
    text: str,
    losses: Sequence[str] = tuple(LOSSES),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    config: TrainConfig = TrainConfig(),
    out: Path,
    device: str = "cpu",
) -> tuple[list[Trial], Encoded]:
    """Encode two collections, train every loss with every seed on the one, and judge each on the other.

    Args:
        pairs: To train on; up to a tenth of its clips chooses the epochs.
        judged: To judge with.
        sound: Encoder of sounds; see `tamis.audio.encoders`.
        text: Encoder of sentences.
        losses: Names of `LOSSES`.
        seeds: Of the trainings.
        config: The recipe, but for its seed.
        out: A folder of what is encoded and of the spaces.
        device: Where to compute.

    Returns:
        The trials, and what they were judged on.

    Raises:
        ConfigError: If there is no such loss, seed, device or encoder, or a sound is in both collections.
        FileError: If the weights of an encoder are not here.
        InputError: If a collection has no sound with a caption that can be read.
    """
    for name in losses:
        loss_named(name)
    for seed in seeds:
        replace(config, seed=seed)  # which checks it
    check_device(device)
    pairs, judged = pairs.described(), judged.described()
    check_apart(pairs, judged)
    learnt, held = hold_out(pairs)
    hearing, reading = load_sound_encoder(sound), load_text_encoder(text)
    encoded = encode_collection(learnt, hearing, reading, cache=out)
    held_out = encode_held_out(held, hearing, reading, cache=out) if held is not None else None
    test = encode_collection(judged, hearing, reading, cache=out)
    tests = {judged.name: test}
    trials = ablate(encoded, held_out, tests, losses=losses, seeds=seeds, config=config, out=out, device=device)
    return trials[judged.name], test


def summary(trials: Sequence[Trial], encoded: Encoded, *, test: str) -> Table:
    """Set losses side by side: means over the seeds, and the gain over NT-Xent in pairs.

    Args:
        trials: Of one test.
        encoded: The test.
        test: Its name.
    """
    described = with_captions(encoded)
    plain = [trial for trial in trials if trial.method == PLAIN]
    rows: dict[str, list[list[Cell]]] = {side: [] for side in WAYS}
    for method in dict.fromkeys(trial.method for trial in trials):
        own = [trial for trial in trials if trial.method == method]
        gains = against([t.found for t in own], [t.found for t in plain]) if plain and method != PLAIN else {}
        for side, way in WAYS.items():
            row: list[Cell] = [way, method]
            for metric in (f"{side}_recall_at_1", f"{side}_map_at_10"):
                values = [float(trial.run.metrics[metric]) for trial in own]
                row.append(f"{100 * mean(values):.1f}")
                if metric in gains:
                    gain, low, high = (100 * value for value in gains[metric])
                    row.append(f"{gain:+.1f} [{low:+.1f}, {high:+.1f}]")
                else:
                    row.append(f"± {100 * stdev(values):.1f}" if len(values) > 1 else None)
            rows[side].append(row)
    for line, _ in baselines(described):
        for side, way in WAYS.items():
            reached = [f"{100 * line.metrics[f'{side}_{name}']:.1f}" for name in ("recall_at_1", "map_at_10")]
            rows[side].append([way, line.method, reached[0], None, reached[1], None])
    count = len({trial.seed for trial in trials})
    return Table(
        ["direction", "loss", "R@1", "gain", "mAP@10", "gain"],
        [row for side in WAYS for row in rows[side]],
        f"{test}: {len(described)} sounds, {len(described.captions)} captions, means over {count} seeds",
        notes=(
            "All in percent. A gain is over nt-xent, with its 95 % interval from a paired bootstrap over sounds, each "
            "with all its captions, and seeds; nt-xent itself shows the standard deviation over seeds.",
        ),
    )


def gains_picture(trials: Sequence[Trial], *, test: str) -> Picture:
    """Draw the gains over NT-Xent with their intervals."""
    import matplotlib
    from matplotlib import pyplot

    plain = [trial.found for trial in trials if trial.method == PLAIN]
    methods = [m for m in dict.fromkeys(trial.method for trial in trials) if m != PLAIN]
    with matplotlib.rc_context(plot_style()):
        figure, axes = pyplot.subplots(figsize=(7.2, 1.2 + 0.5 * len(methods)))
        for place, method in enumerate(methods):
            gains = against([trial.found for trial in trials if trial.method == method], plain)
            for shift, metric in ((-0.14, "t2a_map_at_10"), (0.14, "a2t_map_at_10")):
                gain, low, high = (100 * value for value in gains[metric])
                colour = PALETTE[0] if metric.startswith("t2a") else PALETTE[1]
                marker = "o" if metric.startswith("t2a") else "s"
                label = None if place else ("text → audio" if metric.startswith("t2a") else "audio → text")
                axes.errorbar(
                    gain, place + shift, xerr=[[gain - low], [high - gain]], fmt=marker, color=colour, label=label
                )
        axes.axvline(0, color="#757A82", linewidth=1)
        axes.set(yticks=range(len(methods)), yticklabels=methods, xlabel="gain in mAP@10 over nt-xent, points")
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        figure.legend(loc="outside upper right", ncols=2)
        picture = Picture.of(
            figure,
            f"Gains of {len(methods)} losses over nt-xent on {test}",
            f"{test}: gain over nt-xent, with the 95 % interval of a paired bootstrap over sounds and seeds.",
        )
        pyplot.close(figure)
    return picture


def report_on(trials: Mapping[str, Sequence[Trial]], tests: Mapping[str, Encoded], *, command: str) -> Report:
    """Make the report of an ablation.

    Args:
        trials: From `ablate`.
        tests: The same as there.
        command: That makes it again.
    """
    first, own = next(iter(trials.items()))
    best = max(
        dict.fromkeys(trial.method for trial in own),
        key=lambda method: mean(float(t.run.metrics["t2a_map_at_10"]) for t in own if t.method == method),
    )
    page = Report("Losses of a joint space", f"On {first}, {best} finds most, by mAP@10 from text to audio.")
    reached = [float(t.run.metrics["t2a_map_at_10"]) for t in own if t.method == best]
    page.add(
        Facts(
            {
                "best loss": best,
                "its mAP@10, text → audio": f"{100 * mean(reached):.1f} %",
                "seeds": len({trial.seed for trial in own}),
            }
        )
    )
    for test, encoded in tests.items():
        page.add(Section(test), summary(trials[test], encoded, test=test))
        if len({trial.method for trial in trials[test]} - {PLAIN}) and any(t.method == PLAIN for t in trials[test]):
            page.add(gains_picture(trials[test], test=test))
        page.add(Details("Sounds that were judged", "\n".join(with_captions(encoded).ids)))
    page.add(Section("Make it again"), Details("Command", command))
    return page


def trained(out: str | Path, loss: str, seed: int) -> JointSpace:
    """Load a space that `ablate` trained."""
    return JointSpace.from_pretrained(Path(out) / loss / str(seed))
