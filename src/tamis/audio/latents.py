"""Sounds and sentences as encoders see them, computed once: what heads are trained on and judged with."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from tamis.audio.data import check_sentences
from tamis.audio.encoders import SoundEncoder, TextEncoder
from tamis.audio.mixtures import Event, Mixture
from tamis.audio.sound import DEFAULT, Limits, Member, Sound, checked, read, resample
from tamis.core.errors import ConfigError, FileError, InputError, MissingExtraError, TamisError, one_line
from tamis.core.files import check_writable, write_whole
from tamis.core.progress import progress

if TYPE_CHECKING:
    from jaxtyping import Bool, Int, Shaped

    from tamis.audio.data import Collection


class Described(NamedTuple):
    """A sound and what is said of it."""

    id: str
    """Unique in its set."""
    sound: Sound
    """What is heard."""
    captions: tuple[str, ...]
    """What is said."""
    labels: tuple[str, ...] = ()
    """Kinds of sound."""
    events: tuple[Event, ...] = ()
    """When they happen, where that is known."""
    pattern: str = ""
    """Of a mixture."""


class Rows(NamedTuple):
    """Sequences of different lengths, one after another."""

    values: Shaped[np.ndarray, rows * shape]
    """A row for each window or token."""
    starts: Int[np.ndarray, " items_1"]
    """Where each sequence starts, and at last where the last one ends."""

    @classmethod
    def of(cls, sequences: Sequence[np.ndarray]) -> Rows:
        """Put sequences one after another."""
        lengths = [len(sequence) for sequence in sequences]
        return cls(np.concatenate(list(sequences)), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    @property
    def size(self) -> int:
        """Number of sequences."""
        return len(self.starts) - 1

    def item(self, index: int) -> Shaped[np.ndarray, length * shape]:
        """Give one sequence."""
        return self.values[self.starts[index] : self.starts[index + 1]]

    def take(self, chosen: Sequence[int] | Int[np.ndarray, " chosen"]) -> Rows:
        """Give some of the sequences, in the order asked for."""
        if not len(chosen):
            return Rows(self.values[:0], np.zeros(1, np.int64))
        return Rows.of([self.item(int(i)) for i in chosen])

    def padded(
        self, chosen: Sequence[int] | Int[np.ndarray, " chosen"]
    ) -> tuple[Shaped[np.ndarray, "chosen longest *shape"], Bool[np.ndarray, "chosen longest"]]:
        """Give some of the sequences, filled up with zeros, and where they are not filled up."""
        lengths = np.diff(self.starts)[chosen]
        mask = np.arange(lengths.max(initial=1)) < lengths[:, None]
        out = np.zeros((*mask.shape, *self.values.shape[1:]), self.values.dtype)
        out[mask] = np.concatenate([self.item(int(i)) for i in chosen])
        return out, mask


@dataclass(frozen=True, eq=False)
class Encoded:
    """A set of sounds with sentences, as two encoders see it."""

    dataset: str
    """Name and hash of what was encoded."""
    ids: tuple[str, ...]
    """Of the sounds."""
    sounds: Rows
    """Latents of each sound's windows."""
    sentences: Rows
    """Latents of each sentence's tokens."""
    owners: Int[np.ndarray, " sentences"]
    """Number of each sentence's sound."""
    captions: tuple[str, ...]
    """The sentences."""
    labels: tuple[tuple[str, ...], ...]
    """Of each sound."""
    events: tuple[tuple[Event, ...], ...]
    """Of each sound; empty where they are not known."""
    patterns: tuple[str, ...]
    """Of each sound that is a mixture."""
    encoders: Mapping[str, str]
    """`sound` and `text`: names; `sound_fingerprint` and `text_fingerprint`."""
    missing: tuple[str, ...] = ()
    """What could not be read: id, and why."""

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, chosen: Sequence[int] | Int[np.ndarray, " chosen"], name: str) -> Encoded:
        """Give some of the sounds with their sentences.

        Args:
            chosen: Numbers of sounds.
            name: Of the subset, in front of the hash of its ids.
        """
        where = {int(old): new for new, old in enumerate(chosen)}
        said = [i for i, owner in enumerate(self.owners) if int(owner) in where]
        ids = tuple(self.ids[int(i)] for i in chosen)
        digest = hashlib.sha256(json.dumps([self.dataset, ids]).encode()).hexdigest()
        return replace(
            self,
            dataset=f"{name}@sha256:{digest}",
            ids=ids,
            sounds=self.sounds.take(chosen),
            sentences=self.sentences.take(said),
            owners=np.array([where[int(self.owners[i])] for i in said], np.int64),
            captions=tuple(self.captions[i] for i in said),
            labels=tuple(self.labels[int(i)] for i in chosen),
            events=tuple(self.events[int(i)] for i in chosen),
            patterns=tuple(self.patterns[int(i)] for i in chosen),
            missing=(),
        )

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file.

        Raises:
            FileError: If it cannot be written.
        """
        told = {
            name: getattr(self, name)
            for name in ("dataset", "ids", "captions", "labels", "events", "patterns", "missing")
        }
        tensors = {
            "sounds": np.ascontiguousarray(self.sounds.values),
            "sound_starts": self.sounds.starts,
            "sentences": np.ascontiguousarray(self.sentences.values),
            "sentence_starts": self.sentences.starts,
            "owners": self.owners,
        }
        text = json.dumps({**told, "encoders": dict(self.encoders)})
        return write_whole(path, safetensors.numpy.save(tensors, {"tamis": text, "sha256": _digest(text, tensors)}))

    @classmethod
    def load(cls, path: str | Path) -> Encoded:
        """Read what `save` wrote.

        Raises:
            FileError: If it is missing or damaged.
        """
        try:
            with safe_open(path, "numpy") as file:
                text = file.metadata()["tamis"]
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dict
                if file.metadata()["sha256"] != _digest(text, tensors):
                    raise ValueError("it was changed")
            told = json.loads(text)
            made = cls(
                dataset=str(told["dataset"]),
                ids=tuple(told["ids"]),
                sounds=Rows(tensors["sounds"], tensors["sound_starts"]),
                sentences=Rows(tensors["sentences"], tensors["sentence_starts"]),
                owners=tensors["owners"],
                captions=tuple(told["captions"]),
                labels=tuple(map(tuple, told["labels"])),
                events=tuple(tuple(Event(*event) for event in events) for events in told["events"]),
                patterns=tuple(told["patterns"]),
                encoders=told["encoders"],
                missing=tuple(told["missing"]),
            )
            made._check()
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise FileError(f"{path}: no encoded sounds ({one_line(error)}); encode them again") from error
        return made

    def check_made_by(self, sound: SoundEncoder, text: TextEncoder, where: object) -> None:
        """Refuse what other encoders made.

        Args:
            sound: That should have encoded the sounds.
            text: That should have encoded the sentences.
            where: What holds it.

        Raises:
            FileError: If others did.
        """
        if self.encoders != _named(sound, text) or (
            (self.sounds.values.shape[1], self.sentences.values.shape[1]) != (sound.width, text.width)
        ):
            raise FileError(f"{where}: encoded by others than {sound.name} and {text.name}; it is encoded again")

    def _check(self) -> None:
        """See that all parts are what they should be, and of one length.

        Raises:
            ValueError: If they are not.
        """
        texts = (self.dataset, *self.ids, *self.captions, *self.missing, *self.patterns, *dict(self.encoders).values())
        if not all(isinstance(text, str) for text in (*texts, *(label for labels in self.labels for label in labels))):
            raise ValueError("a name or a caption is no text")
        if {self.owners.dtype.kind, self.sounds.starts.dtype.kind, self.sentences.starts.dtype.kind} != {"i"}:
            raise ValueError("numbers of sounds or rows are not whole")
        for rows, count in ((self.sounds, len(self.ids)), (self.sentences, len(self.captions))):
            starts = rows.starts
            if rows.values.ndim != 2 or rows.values.dtype.kind != "f" or not np.isfinite(rows.values).all():
                raise ValueError("latents are no matrix of finite numbers")
            if (
                starts.shape != (count + 1,)
                or starts[0]
                or starts[-1] != len(rows.values)
                or (np.diff(starts) < 1).any()
            ):
                raise ValueError(f"{count} items, and their rows are not as many")
        owners, sounds = self.owners, len(self.ids)
        if owners.shape != (len(self.captions),) or (len(owners) and not 0 <= owners.min() <= owners.max() < sounds):
            raise ValueError("sentences of sounds that are not there")
        if not len(self.labels) == len(self.events) == len(self.patterns) == sounds:
            raise ValueError(f"{sounds} sounds, and not as many labels, events and patterns")
        if set(self.encoders) != {"sound", "text", "sound_fingerprint", "text_fingerprint"}:
            raise ValueError("the encoders are not named")


def _digest(told: str, tensors: Mapping[str, Shaped[np.ndarray, ...]]) -> str:
    digest = hashlib.sha256(told.encode())
    for name, values in sorted(tensors.items()):
        digest.update(json.dumps([name, values.shape, str(values.dtype)]).encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def encode(
    sounds: Iterable[Described | TamisError],
    name: str,
    sound_encoder: SoundEncoder,
    text_encoder: TextEncoder,
    *,
    total: int | None = None,
) -> Encoded:
    """Encode sounds and their sentences, one by one.

    Args:
        sounds: What to encode; an error stands for a sound that could not be read, and is told in `missing`.
        name: Of the set; the hash of what is heard and said is added.
        sound_encoder: For the sounds.
        text_encoder: For the sentences.
        total: How many sounds there will be, for the progress.

    Raises:
        InputError: If no sound is left, or one that was made in memory is no sound.
        LimitError: If one that was made in memory is too long.
    """
    read: list[Described] = []
    missing: list[str] = []
    heard, digest = [], hashlib.sha256()
    with progress(f"encoding {name}", total) as report:
        for done, described in enumerate(sounds, start=1):
            if isinstance(described, TamisError):
                missing.append(one_line(described))
                continue
            given = checked(described.sound)
            digest.update(str(given.rate).encode())
            digest.update(np.round(given.samples * 2**15).clip(-(2.0**31), 2.0**31 - 128).astype(np.int32).tobytes())
            digest.update(json.dumps([described.id, described.captions, described.labels]).encode())
            heard.append(sound_encoder.encode(resample(given, sound_encoder.rate).samples))
            read.append(described._replace(sound=Sound(np.zeros(0, np.float32), 0)))
            report(done)
    if not read:
        raise InputError(f"{name}: no sound could be read{f' ({missing[0]})' if missing else ''}; give some that can")
    _warn_of(missing, name)
    captions = [caption for one in read for caption in one.captions]
    said = text_encoder.encode(captions)
    return Encoded(
        dataset=f"{name}@sha256:{digest.hexdigest()}",
        ids=tuple(one.id for one in read),
        sounds=Rows.of(heard),
        sentences=Rows.of(said) if said else Rows(np.zeros((0, text_encoder.width), np.float32), np.zeros(1, np.int64)),
        owners=np.repeat(np.arange(len(read)), [len(one.captions) for one in read]),
        captions=tuple(captions),
        labels=tuple(one.labels for one in read),
        events=tuple(one.events for one in read),
        patterns=tuple(one.pattern for one in read),
        encoders=_named(sound_encoder, text_encoder),
        missing=tuple(missing),
    )


def _named(sound: SoundEncoder, text: TextEncoder) -> dict[str, str]:
    return {
        "sound": sound.name,
        "text": text.name,
        "sound_fingerprint": sound.fingerprint,
        "text_fingerprint": text.fingerprint,
    }


def _warn_of(missing: Sequence[str], name: str, more: str = "") -> None:
    if missing:
        count = f"sounds that could not be read are left out, {len(missing)} in all"
        warnings.warn(f"{name}: {count} ({missing[0]}){more}", stacklevel=3)


def encode_collection(
    collection: Collection, sound: SoundEncoder, text: TextEncoder, *, cache: Path | None = None
) -> Encoded:
    """Encode the clips of a collection that are there, or read what was encoded before.

    Args:
        collection: From `load`.
        sound: For the sounds.
        text: For the sentences.
        cache: A folder to keep the outcome in; it is used again while files, captions and encoders stay the same.

    Raises:
        FileError: If the folder cannot be written.
        InputError: If no sound can be read, or a caption is no text.
    """
    if cache is not None:
        check_writable(cache / "latents")
    check_sentences(caption for item in collection.here for caption in item.captions)
    told = [
        collection.dataset,
        [_state(item.path) for item in collection.here],
        sound.fingerprint,
        text.fingerprint,
    ]
    key = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    file = cache / f"latents-{key}.safetensors" if cache is not None else None
    if file is not None and file.is_file():
        try:
            kept = Encoded.load(file)
            kept.check_made_by(sound, text, file)
            _warn_of(kept.missing, collection.name, f"; {file} keeps that")
            return kept
        except FileError as error:
            warnings.warn(one_line(error), stacklevel=2)
    made = encode(of_collection(collection), collection.name, sound, text, total=len(collection.here))
    if file is not None:
        made.save(file)
    return made


def _state(path: Path | Member | None) -> list[Any] | None:
    """Say place, size and time of a file; None if it is gone."""
    if path is None:
        return None
    try:
        file = path.stat()
    except OSError:
        return None
    place = [str(path.archive.resolve()), path.offset, path.size] if isinstance(path, Member) else [str(path.resolve())]
    return [*place, file.st_size, file.st_mtime_ns]


def of_collection(collection: Collection, limits: Limits = DEFAULT) -> Iterator[Described | TamisError]:
    """Read the sounds of a collection that are there; one that cannot be read is given as its error.

    Args:
        collection: From `load`.
        limits: What is accepted.
    """
    for item in collection.here:
        assert item.path is not None
        try:
            yield Described(item.id, read(item.path, limits=limits), item.captions, item.labels)
        except MissingExtraError:
            raise
        except TamisError as error:
            yield error


def of_mixtures(mixtures: Iterable[Mixture], rate: int) -> Iterator[Described]:
    """Number mixtures.

    Args:
        mixtures: From `compose`.
        rate: Samples a second.
    """
    for number, mixture in enumerate(mixtures):
        labels = tuple(dict.fromkeys(event.label for event in mixture.events))
        yield Described(
            f"mixture-{number}", Sound(mixture.samples, rate), mixture.captions, labels, mixture.events, mixture.pattern
        )


def joined(parts: Sequence[Encoded], name: str) -> Encoded:
    """Put sets one after another that the same encoders saw.

    Args:
        parts: At least one.
        name: Of the whole.

    Raises:
        ConfigError: If the encoders differ.
    """
    first = parts[0]
    for part in parts[1:]:
        if part.encoders != first.encoders:
            raise ConfigError(
                f"{part.dataset.split('@')[0]} was encoded by {dict(part.encoders)}; expected {dict(first.encoders)}"
            )
    before = np.cumsum([0, *(len(part) for part in parts[:-1])])
    digest = hashlib.sha256(json.dumps([part.dataset for part in parts]).encode()).hexdigest()

    def all_of(field: str) -> Any:
        return tuple(value for part in parts for value in getattr(part, field))

    return Encoded(
        dataset=f"{name}@sha256:{digest}",
        ids=tuple(f"{part.dataset.split('@')[0]}/{one}" for part in parts for one in part.ids),
        sounds=_appended([part.sounds for part in parts]),
        sentences=_appended([part.sentences for part in parts]),
        owners=np.concatenate([part.owners + start for part, start in zip(parts, before, strict=True)]),
        captions=all_of("captions"),
        labels=all_of("labels"),
        events=all_of("events"),
        patterns=all_of("patterns"),
        encoders=first.encoders,
        missing=all_of("missing"),
    )


def _appended(parts: Sequence[Rows]) -> Rows:
    before = np.cumsum([0, *(len(part.values) for part in parts[:-1])])
    starts = [part.starts[:-1] + start for part, start in zip(parts, before, strict=True)]
    values = np.concatenate([part.values for part in parts])
    return Rows(values, np.concatenate([*starts, [len(values)]]).astype(np.int64))
