"""How well a joint space finds: retrieval in both directions, classes, moments and order, as result lines."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tamis.audio.data import Collection
from tamis.audio.metrics import Ranking, caption_relevance, joined, paired_bootstrap, rank
from tamis.core.errors import ConfigError, InputError
from tamis.core.results import Run
from tamis.core.seed import generator

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from tamis.audio.latents import Encoded
    from tamis.audio.mixtures import Event
    from tamis.audio.space import JointSpace

DEPTH = 10
WAYS = {"t2a": "text → audio", "a2t": "audio → text"}
"""The directions of retrieval, as result lines and as people call them."""
_RANDOM = 10_000_000  # scores that are drawn for a baseline, about


class Retrieval(NamedTuple):
    """What was found, in both directions."""

    t2a: Ranking
    """Every caption a query; its sound is relevant."""
    a2t: Ranking
    """Every sound a query; all its captions are relevant."""
    owners: Int[np.ndarray, " sentences"]
    """Number of each sentence's sound."""

    def metrics(self) -> dict[str, float]:
        """Give recall, mAP and median rank of both directions, by the names of result lines."""
        sides = {"t2a": self.t2a, "a2t": self.a2t}
        return {f"{side}_{name}": value for side, found in sides.items() for name, value in found.summary().items()}


def retrieval(
    sounds: Float[np.ndarray, "sounds joint"],
    sentences: Float[np.ndarray, "sentences joint"],
    owners: Int[np.ndarray, " sentences"],
) -> Retrieval:
    """Search for every sentence among the sounds, and for every sound among the sentences.

    Args:
        sounds: Unit vectors.
        sentences: Unit vectors.
        owners: Number of each sentence's sound.

    Raises:
        InputError: If a sound has no sentence.
    """
    return _both_ways(sentences @ sounds.T, owners)


def chance(sounds: int, owners: Int[np.ndarray, " sentences"], *, draws: int | None = None) -> Retrieval:
    """Rank at random, as a baseline.

    Args:
        sounds: How many.
        owners: Number of each sentence's sound.
        draws: How many rankings of every query are drawn; by default a hundred for small sets, one for the largest.

    Returns:
        What each query found, in one draw after the other.
    """
    draws = draws or min(100, max(1, _RANDOM // max(1, sounds * len(owners))))
    found = [
        _both_ways(generator(seed, "audio", "chance").random((len(owners), sounds)), owners) for seed in range(draws)
    ]
    return Retrieval(
        joined([one.t2a for one in found]), joined([one.a2t for one in found]), np.tile(np.asarray(owners), draws)
    )


def file_names(encoded: Encoded) -> Retrieval:
    """Search by the words of file names, as a file manager does: the share of a caption's words in the name.

    Args:
        encoded: Whose ids are names of files, with the folders that they lie in.
    """
    names = [set(_words(re.sub(r"\.\w{1,5}$", "", one))) for one in encoded.ids]
    said = [set(_words(one)) for one in encoded.captions]
    scores = np.array([[len(words & name) / max(1, len(words)) for name in names] for words in said])
    return _both_ways(scores, encoded.owners)


def _both_ways(scores: Float[np.ndarray, "sentences sounds"], owners: Int[np.ndarray, " sentences"]) -> Retrieval:
    text_to_audio, audio_to_text = caption_relevance(owners, scores.shape[1])
    t2a, a2t = rank(scores, text_to_audio, depth=DEPTH), rank(scores.T, audio_to_text, depth=DEPTH)
    return Retrieval(t2a, a2t, owners)


def classes(
    sounds: Float[np.ndarray, "sounds joint"],
    labels: Sequence[str],
    queries: Float[np.ndarray, "queries joint"],
    wanted: Sequence[str],
) -> Ranking:
    """Search for kinds of sound: every sound of the kind is relevant.

    Args:
        sounds: Unit vectors.
        labels: Kind of each sound.
        queries: Unit vectors of sentences.
        wanted: The kind that each sentence means.
    """
    relevant = np.array(labels)[None, :] == np.array(wanted)[:, None]
    return rank(queries @ sounds.T, relevant, depth=DEPTH)


def evaluate(
    space: JointSpace,
    encoded: Encoded,
    *,
    method: str,
    split: str = "test",
    config: Mapping[str, Any] | None = None,
    curves: Mapping[str, Mapping[Any, float]] | None = None,
    seeds: Sequence[int] = (),
    seconds: float | None = None,
) -> Run:
    """Measure retrieval between the sounds and sentences of a set, in both directions.

    Args:
        space: The joint space.
        encoded: By its encoders; sounds without a sentence are left out.
        method: What the result line calls the space, such as "clsr".
        split: Which part of the data it is.
        config: What the line shall say of the training.
        curves: Of the training.
        seeds: Of the training.
        seconds: Wall time of the training; that of the evaluation by default.

    Raises:
        InputError: If no sound has a sentence.
    """
    start = time.perf_counter()
    described = with_captions(encoded)
    found = retrieval(*space.embed(described), described.owners)
    taken = time.perf_counter() - start if seconds is None else seconds
    return _line(found, described, method=method, split=split, config=config, curves=curves, seeds=seeds, seconds=taken)


def _line(
    found: Retrieval,
    encoded: Encoded,
    *,
    method: str,
    seconds: float,
    split: str = "test",
    config: Mapping[str, Any] | None = None,
    curves: Mapping[str, Mapping[Any, float]] | None = None,
    seeds: Sequence[int] = (),
    bounded: bool = True,
) -> Run:
    """Make the result line of what was found, with intervals by bootstrap unless it is not `bounded`."""
    recalls = {"t2a": found.t2a.recall[1][None], "a2t": found.a2t.recall[1][None]}
    groups = {"t2a": found.owners, "a2t": None}
    bounds = {
        f"{side}_recall_at_1": paired_bootstrap(hits, np.zeros_like(hits), groups=groups[side], resamples=2000)
        for side, hits in (recalls if bounded else {}).items()
    }
    return Run.measured(
        "audio/retrieval",
        method,
        dataset=encoded.dataset,
        split=split,
        n=len(encoded.captions),
        metrics={**found.metrics(), "sounds": len(encoded)},
        intervals={name: [bound.low, bound.high] for name, bound in bounds.items()},
        curves=curves,
        config={"sound": encoded.encoders["sound"], "text": encoded.encoders["text"], **(config or {})},
        seeds=seeds,
        seconds=seconds,
    )


def with_captions(encoded: Encoded) -> Encoded:
    """Leave out sounds that nobody described.

    Raises:
        InputError: If none is left.
    """
    described = np.unique(encoded.owners)
    if not len(described):
        raise InputError(f"{encoded.dataset.split('@')[0]}: no sound has a caption; give some that do")
    if len(described) == len(encoded):
        return encoded
    return encoded.subset(described, encoded.dataset.split("@")[0])


class Judged(NamedTuple):
    """What spaces found in a collection, and what they are compared with."""

    runs: tuple[Run, ...]
    """A result line for each space, then those of random ranking and of a search in file names."""
    found: tuple[Retrieval, ...]
    """What each of them found, in the same order."""
    encoded: Encoded
    """Which sounds and captions were judged."""


def judge(models: Sequence[str], collection: Collection, *, split: str = "test", cache: Path | None = None) -> Judged:
    """Judge joint spaces on the described sounds of a collection that are there.

    Args:
        models: Shipped names or directories of spaces; "clap:" and an id or folder for CLAP's own ranking.
        collection: From `load`.
        split: What result lines call it.
        cache: A folder that keeps encoded sounds, as `encode_collection` does.

    Raises:
        ConfigError: If there is no such model.
        FileError: If the weights of an encoder are not here.
        InputError: If no sound with a caption can be read.
    """
    from tamis.audio.adapters import ZeroShot
    from tamis.audio.encoders import load_sound_encoder, load_text_encoder
    from tamis.audio.latents import encode_collection
    from tamis.audio.space import JointSpace

    described = collection.described()
    spaces: dict[str, ZeroShot | JointSpace] = {}
    for name in models:
        if name.startswith("clap:"):
            spaces[name] = ZeroShot(load_sound_encoder(name), load_text_encoder(name))
        else:
            spaces[name] = JointSpace.from_pretrained(name)
    encoders = {name: (space.sound_encoder, space.text_encoder) for name, space in spaces.items()}
    short = Counter(Path(name).name for name in spaces)
    runs, found = [], []
    for name, space in spaces.items():
        start = time.perf_counter()
        called = Path(name).name if short[Path(name).name] == 1 else name
        encoded = encode_collection(described, *encoders[name], cache=cache)
        sounds, sentences = space.embed(encoded)
        found.append(retrieval(sounds, sentences, encoded.owners))
        taken = time.perf_counter() - start
        runs.append(_line(found[-1], encoded, method=called or name, split=split, seconds=taken))
    for line, ranking in baselines(encoded, split=split):
        found.append(ranking)
        runs.append(line)
    return Judged(tuple(runs), tuple(found), encoded)


def baselines(encoded: Encoded, *, split: str = "test") -> list[tuple[Run, Retrieval]]:
    """Judge random ranking and a search in file names, which every number stands beside.

    Args:
        encoded: Sounds, each with a sentence.
        split: What result lines call it.
    """
    random, named = chance(len(encoded), encoded.owners), file_names(encoded)
    return [
        (_line(random, encoded, method="random", split=split, seconds=0.0, bounded=False), random),
        (_line(named, encoded, method="file-names", split=split, seconds=0.0), named),
    ]


class Moments(NamedTuple):
    """Whether events were found where they are."""

    within: Float[np.ndarray, " events"]
    """1 where the middle of the best window lies in the event, or at most a tolerance off; else 0."""
    sounds: Int[np.ndarray, " events"]
    """Number of the mixture that each event is in."""
    by_chance: float
    """What a window drawn at random, of those in which something sounds, reaches on average."""


def moments(
    windows: Sequence[Float[np.ndarray, "windows joint"]],
    centres_s: Sequence[Float[np.ndarray, " windows"]],
    encoded: Encoded,
    queries: Mapping[str, Float[np.ndarray, " joint"]],
    audible: Sequence[Bool[np.ndarray, " windows"]],
    *,
    tolerance_s: float = 1.0,
) -> Moments:
    """Find each kind of event of each mixture, and hold the moment against the truth.

    Args:
        windows: Of each sound, embedded each by itself.
        centres_s: Middles of the windows, in seconds.
        encoded: Mixtures, whose events are known.
        queries: An embedded sentence for each kind.
        audible: In which windows of each sound something sounds; the others are not looked at.
        tolerance_s: Seconds that the middle of the best window may lie outside of an event of the kind.

    Raises:
        InputError: If no event is known.
    """
    within, where, expected = [], [], []
    each = zip(windows, centres_s, encoded.events, audible, strict=True)
    for number, (vectors, centres, events, sounds) in enumerate(each):
        for label in dict.fromkeys(event.label for event in events):
            right = near_events(centres, [event for event in events if event.label == label], tolerance_s)
            scores = np.where(sounds, vectors @ queries[label], -np.inf)
            within.append(float(right[np.argmax(scores)]))
            where.append(number)
            expected.append(float(right[sounds].mean()))
    if not within:
        raise InputError(f"{encoded.dataset.split('@')[0]}: no event is known; compose mixtures")
    return Moments(np.array(within), np.array(where), float(np.mean(expected)))


def near_events(
    centres_s: Float[np.ndarray, " windows"], events: Sequence[Event], tolerance_s: float
) -> Bool[np.ndarray, " windows"]:
    """Say which windows have their middle in one of the events, or at most a tolerance off.

    Args:
        centres_s: Middles of the windows, in seconds.
        events: All of the kind that is looked for.
        tolerance_s: In seconds.
    """
    right = np.zeros(len(centres_s), bool)
    for event in events:
        right |= (centres_s >= event.start_s - tolerance_s) & (centres_s <= event.end_s + tolerance_s)
    return right


def order(
    sounds: Float[np.ndarray, "sounds joint"],
    right: Float[np.ndarray, "sounds joint"],
    wrong: Float[np.ndarray, "sounds joint"],
) -> Float[np.ndarray, " sounds"]:
    """Tell "A then B" from "B then A": 1 where the right sentence is nearer to the sound, one half where neither is.

    Args:
        sounds: Unit vectors of sounds in which one thing follows another.
        right: Of the sentence that says so, a row for each sound.
        wrong: Of the sentence with the two exchanged.
    """
    difference = (sounds * right).sum(axis=1) - (sounds * wrong).sum(axis=1)
    return np.asarray((np.sign(difference) + 1) / 2)


def against(
    better: Sequence[Retrieval], worse: Sequence[Retrieval], *, resamples: int = 2000
) -> dict[str, tuple[float, float, float]]:
    """Compare two methods by paired bootstrap over sounds, each with all its captions, and seeds.

    Args:
        better: Of one method, one for each seed, all on one set.
        worse: Of the other, of the same seeds in the same order.
        resamples: Of the bootstrap.

    Returns:
        By metric: mean gain, and its 95 % interval.

    Raises:
        ConfigError: If the numbers of seeds differ, or the sets.
    """
    if not better or len(better) != len(worse):
        raise ConfigError(f"{len(better)} seeds against {len(worse)}; expected the same ones")
    if not all(np.array_equal(one.owners, better[0].owners) for one in (*better, *worse)):
        raise ConfigError("what is compared was not found in one set; judge both on the same sounds and captions")
    gains = {}
    for side, groups in (("t2a", better[0].owners), ("a2t", None)):
        found = [[getattr(one, side) for one in method] for method in (better, worse)]
        for name, first, second in (
            ("recall_at_1", *([one.recall[1] for one in method] for method in found)),
            (f"map_at_{DEPTH}", *([one.average_precision for one in method] for method in found)),
        ):
            difference = paired_bootstrap(np.stack(first), np.stack(second), groups=groups, resamples=resamples)
            gains[f"{side}_{name}"] = (difference.mean, difference.low, difference.high)
    return gains


def _words(text: str) -> list[str]:
    return "".join(c.lower() if c.isalpha() else " " for c in text).split()
