"""Mixtures of labelled clips with captions and times: to train with, and to test *where* and *in what order*.

A mixture is drawn from a few patterns: one event, one event twice, one then another, one while another goes on, three
in a row. Its caption says what happens, in one of several wordings, and every event carries its seconds.
Sources are never shared between splits if the clips are not: split the clips first, by source.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tamis.audio.sound import DEFAULT, SILENCE, read
from tamis.core.errors import ConfigError, InputError, MissingExtraError, TamisError, check_range, one_line
from tamis.core.files import check_writable, write_whole
from tamis.core.progress import progress
from tamis.core.seed import generator

if TYPE_CHECKING:
    from jaxtyping import Float32

    from tamis.audio.data import Collection

_NAME = re.compile(r"mixture-\d{6,}\.flac")
_LIST, _UNFINISHED = "metadata.jsonl", ".composing"
PATTERNS = ("one", "twice", "then", "while", "three")
"""What can happen in a mixture."""
_WORDINGS: Mapping[str, tuple[str, ...]] = {
    "one": ("{a}", "{a} once"),
    "twice": ("{a} twice", "{a} and again", "{a} two times"),
    "then": ("{a}, then {b}", "first {a}, then {b}", "{a} before {b}", "{b} after {a}"),
    "while": ("{a} while {b}", "{a} and at the same time {b}", "{b} as {a}"),
    "three": ("{a}, then {b}, then {c}", "first {a}, then {b} and at last {c}"),
}
"""`{b} after {a}` says the order the other way round, so that the order of words does not give it away."""
PHRASES: Mapping[str, tuple[str, ...]] = {
    "dog bark": ("a dog barks", "a barking dog", "barking"),
    "rain": ("rain falls", "it is raining", "falling rain"),
    "sea waves": ("sea waves break", "waves of the sea", "the surf"),
    "baby cry": ("a baby cries", "a crying baby", "an infant is crying"),
    "clock tick": ("a clock ticks", "a ticking clock", "ticking"),
    "person sneeze": ("a person sneezes", "somebody sneezes", "a sneeze"),
    "helicopter": ("a helicopter flies", "a helicopter", "rotor blades of a helicopter"),
    "chainsaw": ("a chainsaw runs", "a chainsaw", "somebody saws with a chainsaw"),
    "rooster": ("a rooster crows", "a crowing rooster", "a cock crows"),
    "fire crackling": ("a fire crackles", "a crackling fire", "flames crackle"),
}
"""What happens, for the labels of ESC-10."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A short recording of one kind of sound."""

    samples: Float32[np.ndarray, " samples"]
    """Mono."""
    label: str
    """What kind of sound; clips of one kind share it."""
    phrases: tuple[str, ...]
    """What happens, as it may stand in a caption: "a dog barks", "a barking dog"."""
    source: str
    """The recording that it was cut from."""


class Event(NamedTuple):
    """One sound in a mixture."""

    label: str
    """What kind."""
    source: str
    """The recording that it was cut from."""
    start_s: float
    """Where it begins, in seconds."""
    end_s: float
    """Where it ends, in seconds."""


class Mixture(NamedTuple):
    """A composed sound."""

    samples: Float32[np.ndarray, " samples"]
    """Mono, at most 1 in magnitude."""
    captions: tuple[str, ...]
    """What happens, in other words each time as far as there are any."""
    events: tuple[Event, ...]
    """In the order in which they begin."""
    pattern: str
    """One of `PATTERNS`."""


@dataclass(frozen=True, kw_only=True)
class ComposeConfig:
    """What mixtures are like; every number is our choice."""

    rate: int = 44_100
    """Samples a second of clips and mixtures."""
    seconds: float = 10.0
    """Length of a mixture."""
    longest: float = 2.5
    """Seconds that an event lasts at most."""
    gap: tuple[float, float] = (0.2, 1.0)
    """Least and greatest silence between events that follow each other, in seconds."""
    gain_db: tuple[float, float] = (-9.0, 0.0)
    """Least and greatest level of an event, drawn for each."""
    floor_db: float = -50.0
    """Level of the white noise beneath, against full scale; clips have one of -20 dB where `gain_db` is 0."""
    patterns: tuple[str, ...] = PATTERNS
    """Which patterns, drawn evenly."""
    captions: int = 3
    """Sentences for each mixture."""

    def __post_init__(self) -> None:
        """Refuse what makes no mixture."""
        object.__setattr__(self, "patterns", tuple(self.patterns))
        if not self.patterns or not set(self.patterns) <= set(PATTERNS):
            raise ConfigError(f"patterns are {self.patterns}; expected some of {', '.join(PATTERNS)}")
        if not self.longest > 0 or not 3 * self.longest + 2 * self.gap[1] <= self.seconds <= DEFAULT.max_seconds:
            raise ConfigError(
                f"seconds is {self.seconds:g} and longest {self.longest:g}; three events with gaps of "
                f"{self.gap[1]:g} s need {3 * self.longest + 2 * self.gap[1]:g} s, and the limit of a sound is "
                f"{DEFAULT.max_seconds:g} s"
            )
        check_range(self, 1, 100, "captions")
        if self.rate < 1000 or not 0 <= self.gap[0] <= self.gap[1] or self.gain_db[0] > self.gain_db[1]:
            raise ConfigError(
                f"rate is {self.rate}, gap {self.gap} and gain_db {self.gain_db}; "
                "expected at least 1000 Hz, and (least, greatest)"
            )


def compose(
    clips: Sequence[Clip], count: int, config: ComposeConfig = ComposeConfig(), *, seed: int = 0
) -> Iterator[Mixture]:
    """Draw mixtures; each depends on the seed and its own number alone.

    Args:
        clips: Of at least three kinds.
        count: How many mixtures.
        config: What they are like.
        seed: Another seed draws others.

    Raises:
        ConfigError: If there are fewer than three kinds of sound.
        InputError: If a clip is silent, or has no phrase.
    """
    kinds: dict[str, list[Clip]] = {}
    for clip in clips:
        if not clip.phrases:
            raise InputError(f"a clip of {clip.label!r} has no phrase; say what happens in it")
        kinds.setdefault(clip.label, []).append(clip)
    if len(kinds) < 3:
        raise ConfigError(f"clips of {len(kinds)} kinds ({', '.join(kinds)}); a mixture of three needs three")
    labels = sorted(kinds)
    for number in range(count):
        rng = generator(seed, "audio", "mixture", number)
        pattern = config.patterns[rng.integers(len(config.patterns))]
        wanted = {"one": 1, "twice": 1, "then": 2, "while": 2, "three": 3}[pattern]
        drawn = [kinds[labels[i]] for i in rng.choice(len(labels), wanted, replace=False)]
        chosen = [of_kind[rng.integers(len(of_kind))] for of_kind in drawn]
        yield _mixture(chosen, pattern, config, rng)


def wordings(phrases: Sequence[str], count: int, *, seed: int = 0) -> list[str]:
    """Write captions of any phrases, as those of mixtures, without a sound.

    Args:
        phrases: Such as "a dog barks".
        count: How many captions.
        seed: Another seed draws others.
    """
    rng = generator(seed, "audio", "wordings")
    made = []
    for _ in range(count):
        wording = rng.choice(_WORDINGS[PATTERNS[rng.integers(len(PATTERNS))]])
        a, b, c = (phrases[i] for i in rng.integers(len(phrases), size=3))
        made.append(str(wording).format(a=a, b=b, c=c))
    return made


def write(mixtures: Iterable[Mixture], rate: int, out: str | Path, *, total: int | None = None) -> Path:
    """Write mixtures into a folder as audiofolder has it: .flac files and metadata.jsonl, which is written last.

    Mixtures that an earlier run wrote there go, even if it was cut off, so that the folder holds none that
    metadata.jsonl does not name.

    Args:
        mixtures: From `compose`.
        rate: Samples a second.
        out: The folder; made if need be.
        total: How many there will be, for the progress.

    Returns:
        The path of metadata.jsonl, whose lines hold file_name, captions, sources, pattern and events.

    Raises:
        ConfigError: If the folder holds another data set.
        FileError: If it cannot be written.
        MissingExtraError: If soundfile is not installed.
    """
    try:
        import soundfile
    except (ModuleNotFoundError, OSError) as error:  # OSError: the library itself is missing
        raise MissingExtraError("writing sounds", "audio") from error
    lines, listed, unfinished = [], Path(out) / _LIST, Path(out) / _UNFINISHED
    older = composed(out)
    with progress("composing", total) as report:
        for number, mixture in enumerate(mixtures):
            if not number:  # not before the first one is there: clips may make no mixture
                write_whole(unfinished, "")
                listed.unlink(missing_ok=True)
            name = f"mixture-{number:06d}.flac"
            with io.BytesIO() as buffer:
                soundfile.write(buffer, mixture.samples, rate, format="FLAC", subtype="PCM_16")
                write_whole(Path(out) / name, buffer.getvalue())
            events = [event._asdict() for event in mixture.events]
            sources = list(dict.fromkeys(event.source for event in mixture.events))
            told = {
                "file_name": name,
                "captions": mixture.captions,
                "sources": sources,
                "pattern": mixture.pattern,
                "events": events,
            }
            lines.append(json.dumps(told, ensure_ascii=False) + "\n")
            older.discard(name)
            report(number + 1)
    for name in older:
        (Path(out) / name).unlink(missing_ok=True)
    write_whole(listed, "".join(lines))
    unfinished.unlink(missing_ok=True)
    return listed


def composed(out: str | Path) -> set[str]:
    """Name the mixtures that an earlier run of `write` left in a folder.

    Raises:
        ConfigError: If the folder holds another data set.
        FileError: If it cannot be written.
    """
    folder, listed = Path(out), Path(out) / _LIST
    check_writable(listed)
    refusal = ConfigError(f"{folder}: holds another data set; give a folder of its own")
    there = {path.name for path in folder.glob("mixture-*.flac") if _NAME.fullmatch(path.name)}
    if (folder / "metadata.csv").exists():
        raise refusal
    if (folder / _UNFINISHED).exists():
        return there
    if not listed.exists():
        if there:
            raise refusal
        return set()
    try:
        told = [json.loads(line) for line in listed.read_text(encoding="utf-8").split("\n") if line]
        names = {str(one["file_name"]) for one in told if one["events"] is not None and one["pattern"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise refusal from error
    if len(names) < len(told) or not all(_NAME.fullmatch(name) for name in names):
        raise refusal
    return names


def clips_of(
    collection: Collection, rate: int = ComposeConfig.rate, phrases: Mapping[str, tuple[str, ...]] = PHRASES
) -> list[Clip]:
    """Read the labelled clips of a collection; silent ones and those that cannot be read are left out, with a warning.

    Args:
        collection: From `load`, with labels; its first label is a clip's kind.
        rate: Samples a second, to which all are converted.
        phrases: What happens, by label; else the clip's captions say it, or the label itself.

    Raises:
        InputError: If no clip is left.
    """
    made = []
    for item in collection.here:
        if not item.labels or item.path is None:
            continue
        label = item.labels[0]
        try:
            samples = read(item.path, rate).samples
            active(samples, rate)
        except MissingExtraError:
            raise
        except TamisError as error:
            warnings.warn(f"{item.id} is left out: {one_line(error)}", stacklevel=2)
            continue
        made.append(Clip(samples, label, phrases.get(label) or item.captions or (label,), item.sources[0]))
    if not made:
        raise InputError(
            f"{collection.name}: has no clip with a label and a sound; give labels, as a column label of a table"
        )
    return made


def active(samples: Float32[np.ndarray, " samples"], rate: int, below_db: float = 35.0) -> slice:
    """Find where a clip sounds: from the first to the last 10 ms that are not far below the loudest.

    Args:
        samples: Mono.
        rate: Samples a second.
        below_db: What counts as far.

    Raises:
        InputError: If the clip is silent.
    """
    step = max(1, rate // 100)
    if not np.abs(samples).max(initial=0.0) > SILENCE:
        raise InputError("a clip is silent; leave it out")
    frames = np.add.reduceat(samples.astype(np.float64) ** 2, np.arange(0, len(samples), step))
    loud = np.flatnonzero(frames > frames.max() * 10 ** (-below_db / 10))
    return slice(int(loud[0]) * step, min(len(samples), (int(loud[-1]) + 1) * step))


def _mixture(chosen: list[Clip], pattern: str, config: ComposeConfig, rng: np.random.Generator) -> Mixture:
    length = round(config.seconds * config.rate)
    samples = rng.normal(0, 10 ** (config.floor_db / 20), length)
    parts = [(clip, _part(clip, config, rng)) for clip in chosen]
    if pattern == "twice":
        parts = parts * 2
    events = []
    if pattern == "while":
        starts = _together([len(part) for _, part in parts], length, rng)
    else:
        gaps = rng.uniform(*config.gap, size=len(parts) - 1) * config.rate
        starts = _in_a_row([len(part) for _, part in parts], gaps, length, rng)
    for (clip, part), start in zip(parts, starts, strict=True):
        samples[start : start + len(part)] += part * 10 ** (rng.uniform(*config.gain_db) / 20)
        events.append(Event(clip.label, clip.source, start / config.rate, (start + len(part)) / config.rate))
    wordings = rng.permutation(_WORDINGS[pattern])
    captions = []
    for number in range(config.captions):
        said = [clip.phrases[rng.integers(len(clip.phrases))] for clip in chosen]
        captions.append(wordings[number % len(wordings)].format_map(dict(zip("abc", said, strict=False))))
    loudest = float(np.abs(samples).max())
    scaled = (samples / max(1.0, loudest)).astype(np.float32)
    return Mixture(scaled, tuple(captions), tuple(sorted(events, key=lambda event: event.start_s)), pattern)


def _part(clip: Clip, config: ComposeConfig, rng: np.random.Generator) -> Float32[np.ndarray, " samples"]:
    """Cut a stretch out of where a clip sounds, scale it to a root mean square of 0.1, and fade its ends."""
    sounding = clip.samples[active(clip.samples, config.rate)]
    most = round(config.longest * config.rate)
    if len(sounding) > most:
        start, whole = int(rng.integers(len(sounding) - most + 1)), sounding
        sounding = whole[start : start + most]
        if not np.abs(sounding).max() > SILENCE:  # a pause within the clip
            loudest = int(np.abs(whole).argmax())
            start = min(max(0, loudest - most // 2), len(whole) - most)
            sounding = whole[start : start + most]
    part = sounding * np.float32(0.1 / np.sqrt(np.mean(sounding.astype(np.float64) ** 2)))
    fade = min(config.rate // 100, len(part) // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    part[:fade] *= ramp
    part[len(part) - fade :] *= ramp[::-1]
    return part


def _in_a_row(lengths: list[int], gaps: np.ndarray, length: int, rng: np.random.Generator) -> list[int]:
    starts = np.concatenate([[0], np.cumsum(np.array(lengths[:-1]) + gaps)]).astype(int)
    return [int(start) for start in starts + rng.integers(length - (starts[-1] + lengths[-1]) + 1)]


def _together(lengths: list[int], length: int, rng: np.random.Generator) -> list[int]:
    """Let the shorter one begin and end within the longer one."""
    longer = int(np.argmax(lengths))
    start = int(rng.integers(length - max(lengths) + 1))
    inside = start + int(rng.integers(max(lengths) - min(lengths) + 1))
    return [start if i == longer else inside for i in range(2)]
