"""The audio part of `tamis demo`: the shipped space on sounds that are generated here, said to be so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tamis.audio.evaluation import near_events, retrieval
from tamis.audio.mixtures import Clip, ComposeConfig, Mixture, compose
from tamis.audio.sound import Sound
from tamis.audio.space import JointSpace
from tamis.core.report import PALETTE, Cell, Details, Facts, Picture, Report, Section, Table, plot_style
from tamis.core.seed import generator

if TYPE_CHECKING:
    from jaxtyping import Float32

SAYS = "Sentences find generated sounds among each other, and the second at which something happens."
"""What the front page of the demo says of this part."""
RATE = 22_050
COUNT = 40
_SHOWN, _WITHIN_S = 3, 1.0


def run(out: Path) -> Path:
    """Write the demo's report into a folder and return the page's path.

    Raises:
        FileError: If the folder cannot be written.
    """
    space = JointSpace.from_pretrained("effects")
    clips = generated()
    mixtures = list(compose(clips, COUNT, ComposeConfig(rate=RATE, captions=1), seed=1))
    sounds = [Sound(one.samples, RATE) for one in mixtures]
    captions = [one.captions[0] for one in mixtures]
    audio, text = space.encode_audio(sounds), space.encode_text(captions)
    found = retrieval(audio, text, np.arange(COUNT))
    first = float(found.t2a.recall[5].mean())
    page = Report(
        "Sounds and sentences",
        f"{100 * first:.0f} % of the sentences have their sound among the first five of {COUNT}; by chance it would be "
        f"{100 * 5 / COUNT:.0f} %. All sounds are generated: noise, tones and clicks that imitate what they are named "
        "after. The space was trained on recordings.",
    )
    named = space.encode_text([clip.phrases[0] for clip in clips])
    alone = space.encode_audio([Sound(clip.samples, RATE) for clip in clips])
    ranks = (-space.similarity(alone, named)).argsort(axis=1)
    right = sum(int(clips[ranks[i, 0]].label == clip.label) for i, clip in enumerate(clips))
    page.add(
        Facts(
            {
                "sentence's sound is the first": f"{100 * found.t2a.recall[1].mean():.0f} %",
                "among the first five": f"{100 * first:.0f} %",
                "single sounds named rightly": f"{right} of {len(clips)}",
            }
        )
    )
    table = ranking_table(space, mixtures, audio, text)
    page.add(Section("Which sound does a sentence mean?"), table)
    page.add(Section("At which second?"))
    said = {clip.label: clip.phrases[0] for clip in clips}
    within, asked = placed(space, mixtures, said)
    page.add(
        "Bands are where the sounds are, lines how near their sentences come. Faint noise comes near to some sentence "
        "too, so `tamis audio locate` puts windows in which nothing sounds last. The moment that it names first is "
        f"right, or at most {_WITHIN_S:.0f} s off, for {within} of the {asked} sounds in all {COUNT} mixtures; in "
        "the others its sentence comes nearest to another sound."
    )
    for i in _examples(mixtures):
        page.add(f"“{mixtures[i].captions[0]}”", moment_picture(space, mixtures[i], said))
    page.add(Section("Single sounds"), naming_table(clips, ranks))
    page.add(Details("Every sentence", "\n".join(captions)))
    table.print()
    return page.write(out / "index.html")


def ranking_table(
    space: JointSpace,
    mixtures: Sequence[Mixture],
    audio: Float32[np.ndarray, "sounds joint"],
    text: Float32[np.ndarray, "sentences joint"],
) -> Table:
    """Show for some sentences what was ranked first, and where the right sound is."""
    scores = space.similarity(audio, text)
    rows: list[list[Cell]] = []
    for i in range(8):
        order = np.argsort(-scores[:, i], kind="stable")
        rows.append([mixtures[i].captions[0], int(np.flatnonzero(order == i)[0]) + 1, mixtures[order[0]].captions[0]])
    return Table(["sentence", "rank of its sound", "what the first sound is"], rows, f"{len(mixtures)} mixtures")


def naming_table(clips: Sequence[Clip], ranks: np.ndarray) -> Table:
    """Show what each single sound is called."""
    rows: list[list[Cell]] = [
        [clip.phrases[0], *(clips[j].phrases[0] for j in ranks[i, :2])] for i, clip in enumerate(clips)
    ]
    return Table(["generated to be", "nearest sentence", "second"], rows)


def placed(space: JointSpace, mixtures: Sequence[Mixture], said: Mapping[str, str]) -> tuple[int, int]:
    """Count for how many kinds of sound in mixtures the first moment is right, and how many were asked for."""
    right = asked = 0
    for mixture in mixtures:
        for label in dict.fromkeys(event.label for event in mixture.events):
            first = space.locate(Sound(mixture.samples, RATE), said[label])[0]
            middle = np.array([(first.start_s + first.end_s) / 2])
            own = [event for event in mixture.events if event.label == label]
            right += int(near_events(middle, own, _WITHIN_S)[0])
            asked += 1
    return right, asked


def moment_picture(space: JointSpace, mixture: Mixture, said: Mapping[str, str]) -> Picture:
    """Draw a mixture, its events, and how near each sentence is over time."""
    import matplotlib
    from matplotlib import pyplot

    sound = Sound(mixture.samples, RATE)
    with matplotlib.rc_context(plot_style()):
        figure, (above, below) = pyplot.subplots(2, 1, figsize=(9.4, 3.6), sharex=True, height_ratios=(1, 1.4))
        level = np.maximum.reduceat(np.abs(mixture.samples), np.arange(0, len(mixture.samples), 64))
        above.fill_between(np.arange(len(level)) * 64 / RATE, -level, level, color=PALETTE[-1], linewidth=0)
        above.set(yticks=[], ylabel="sound")
        above.grid(visible=False)
        for number, label in enumerate(dict.fromkeys(event.label for event in mixture.events)):
            moments = sorted(space.locate(sound, said[label]), key=lambda moment: moment.start_s)
            middles = [(moment.start_s + moment.end_s) / 2 for moment in moments]
            below.plot(middles, [moment.score for moment in moments], color=PALETTE[number], label=said[label])
            for event in mixture.events:
                if event.label == label:
                    above.axvspan(event.start_s, event.end_s, color=PALETTE[number], alpha=0.25, linewidth=0)
        below.set(xlabel="seconds", ylabel="cosine", xlim=(0, len(mixture.samples) / RATE))
        below.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        picture = Picture.of(figure, f"How near sentences are to a sound over time: {mixture.captions[0]}")
        pyplot.close(figure)
    return picture


def generated() -> list[Clip]:
    """Generate sounds that imitate what they are named after."""
    rng = generator(0, "audio", "demo")
    count = 2 * RATE
    time = np.arange(count) / RATE
    noise = rng.normal(size=count)
    low = np.convolve(noise, np.ones(40) / 40, mode="same")

    def decay(seconds: float) -> np.ndarray:
        return np.exp(-time / seconds)

    ticks = np.zeros(count)
    for start in range(0, count, RATE // 2):
        click = rng.normal(size=300) * np.exp(-np.arange(300) / 40)
        ticks[start : start + 300] += click[: count - start]
    rotor = low * (0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 12 * time)))
    saw = sum(np.sin(2 * np.pi * 95 * k * time + 3 * np.sin(2 * np.pi * 3 * time)) / k for k in range(1, 20))
    made = {
        "clock tick": ("a clock ticks", ticks),
        "rain": ("rain falls", np.diff(noise, prepend=0.0)),
        "sea waves": ("sea waves break", noise * (0.15 + np.sin(np.pi * time / 2) ** 4)),
        "helicopter": ("a helicopter flies", rotor),
        "chainsaw": ("a chainsaw runs", saw),
        "bass drum": ("a bass drum", np.sin(2 * np.pi * 60 * time * (1 + decay(0.03))) * decay(0.15)),
        "snare drum": ("a snare drum", noise * decay(0.08) + np.sin(2 * np.pi * 190 * time) * decay(0.06)),
        "cymbal": ("a cymbal", np.diff(noise, 2, prepend=[0.0, 0.0]) * decay(0.5)),
        "electronic blip": ("an electronic blip", np.sign(np.sin(2 * np.pi * 880 * time)) * decay(0.1)),
    }
    return [
        Clip((wave / np.abs(wave).max()).astype(np.float32), label, (phrase,), f"generated {label}")
        for label, (phrase, wave) in made.items()
    ]


def _examples(mixtures: Sequence[Mixture]) -> list[int]:
    """Choose mixtures of different patterns in which more than one thing happens."""
    chosen: dict[str, int] = {}
    for i, mixture in enumerate(mixtures):
        if mixture.pattern in ("then", "while", "three"):
            chosen.setdefault(mixture.pattern, i)
    return list(chosen.values())[:_SHOWN]
