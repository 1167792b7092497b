"""Sounds with sentences: the data sets of the field on their own layouts, with whatever part of the audio is there.

Audio of these sets rots: links die, archives are incomplete. So a reader takes the tables as they are, looks for each
file under the names that are in use, and says how many it found and which are missing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tamis.audio.shards import members
from tamis.audio.sound import Member
from tamis.core.errors import ConfigError, FileError, InputError, LimitError, nearest, one_line
from tamis.core.files import what_is

_AUDIO = (".flac", ".wav", ".ogg", ".mp3", ".opus")
_MAX_TABLE_BYTES = 2_000_000_000
_MAX_TEXT_BYTES = 1_000_000  # in a tar file
_MAX_DEPTH = 8  # of a YAML table


@dataclass(frozen=True)
class Item:
    """A clip with what is said of it."""

    id: str
    """Unique in its collection."""
    path: Path | Member | None
    """Its audio, as `sound.read` takes it; None if that is not there."""
    captions: tuple[str, ...]
    """Sentences that describe it; may be none."""
    labels: tuple[str, ...] = ()
    """Kinds of sound, in the words of the data set."""
    sources: tuple[str, ...] = ()
    """The recordings that it was cut or mixed from, its id by default; clips that share one must not fall into two
    splits."""
    fold: int | None = None
    """Of a published cross-validation."""

    def __post_init__(self) -> None:
        """Take a clip of which nothing is known as a recording of its own."""
        object.__setattr__(self, "sources", self.sources or (self.id,))


@dataclass(frozen=True)
class Collection:
    """Clips of one data set and split."""

    name: str
    """Such as "clotho-evaluation"."""
    items: tuple[Item, ...]
    """All that the tables name, in their order."""
    root: Path = field(default=Path(), compare=False)
    """Where it was read."""

    @property
    def here(self) -> tuple[Item, ...]:
        """Clips whose audio is there."""
        return tuple(item for item in self.items if item.path is not None)

    @property
    def missing(self) -> tuple[str, ...]:
        """Ids of the others."""
        return tuple(item.id for item in self.items if item.path is None)

    @property
    def dataset(self) -> str:
        """Name and hash of what is there: ids, captions and labels; not of the audio itself."""
        told = [[item.id, item.captions, item.labels] for item in self.here]
        return f"{self.name}@sha256:{hashlib.sha256(json.dumps(told).encode()).hexdigest()}"

    def described(self) -> Collection:
        """Give the clips of which something is said.

        Raises:
            InputError: If none of them is there, or a caption is no text.
        """
        said = replace(self, items=tuple(item for item in self.items if item.captions))
        if not said.here:
            raise InputError(f"{self.name}: no sound that is there has a caption; give a set with captions")
        check_sentences(caption for item in said.here for caption in item.captions)
        return said

    def report(self) -> str:
        """Say in one line what is there and what is not."""
        captions = sum(len(item.captions) for item in self.here)
        text = f"{self.name}: {len(self.here)} of {len(self.items)} clips, {captions} captions"
        if self.missing:
            few = one_line(", ".join(self.missing[:3]))
            text += f"; without audio {len(self.missing)} ({few}{', …' if len(self.missing) > 3 else ''})"
        return text


def load(name: str, root: str | Path, split: str | None = None) -> Collection:
    """Read a data set.

    Args:
        name: "clotho", "audiocaps", "wavcaps", "macs", "esc50", "esc10", "fsd50k", "folder" (a folder with
            `metadata.csv` or `metadata.jsonl`, as Hugging Face's audiofolder has it), "webdataset" (tar files with a
            sound and a .json or .txt of one stem), "csv" (a table with a column audio, path or file_name, and one or
            more of captions) or "jsonl" (a file of one JSON object a line, with the same keys).
        root: The folder that holds tables and audio; the file for "csv" and "jsonl"; either for "webdataset".
        split: Which part, in the data set's own word or as "train", "val" or "test"; all by default where the data set
            has no parts.

    Raises:
        ConfigError: If there is no such data set or split.
        FileError: If a table is missing, damaged, or not what the layout says.
        LimitError: If it is too large.
    """
    if name not in READERS:
        raise ConfigError(f"{name!r} is no data set; {nearest(name, READERS)}")
    place = Path(root)
    if what_is(place) == "no such file":
        raise FileError(f"{root}: no such {'file' if name in ('csv', 'jsonl') else 'folder'}; give where {name} lies")
    return READERS[name](place, split)


def shared(one: Collection, other: Collection) -> tuple[str, ...]:
    """Give the ids of the clips of the other collection whose file is in the one too, however it is spelt."""
    known = {_place(item) for item in one.here}
    return tuple(item.id for item in other.here if _place(item) in known)


def check_sentences(sentences: Iterable[str]) -> None:
    """Refuse what is no sentence.

    Raises:
        InputError: If one is empty, or no text.
    """
    for number, sentence in enumerate(sentences):
        if not isinstance(sentence, str) or not sentence.strip():
            raise InputError(f"sentence {number} is {sentence!r}; give some words")
        if any("\ud800" <= letter <= "\udfff" for letter in sentence):
            raise InputError(f"sentence {number} is {sentence[:40]!r}, which is no Unicode text; read it as UTF-8")


def reader_of(path: str | Path) -> str:
    """Say which data set a file or folder without a name is read as, by its suffix: "folder" for want of one.

    >>> reader_of("pairs.csv")
    'csv'
    """
    by_suffix = {".csv": "csv", ".jsonl": "jsonl", ".tar": "webdataset"}
    return by_suffix.get(Path(path).suffix.lower(), "folder")


def _clotho(root: Path, split: str | None) -> Collection:
    """Source: Clotho 2.1, Zenodo 4783391; folders also as aac-datasets 0.7 lays them."""
    words = {"train": "development", "val": "validation", "test": "evaluation"}
    part = _split(split or "evaluation", words, "clotho")
    table = _first(
        root,
        [
            f"{base}{inner}clotho_captions_{part}.csv"
            for base in ("", "CLOTHO_v2.1/")
            for inner in ("", "clotho_csv_files/")
        ],
    )
    about: dict[str, str] = {}
    details = table.with_name(f"clotho_metadata_{part}.csv")
    if details.is_file():
        about = {row["file_name"]: row["sound_id"] for row in _rows(details, ("file_name", "sound_id"), "latin-1")}
    folders = [root / base / part for base in ("", "clotho_audio_files", "CLOTHO_v2.1/clotho_audio_files")]
    items = []
    for row in _rows(table, ("file_name", *(f"caption_{i}" for i in range(1, 6)))):
        file = row["file_name"]
        names = [file, file.replace(":", "_")]
        captions = _written(row[f"caption_{i}"] for i in range(1, 6))
        items.append(Item(file, _find(root, folders, names), captions, sources=(about.get(file) or file,)))
    return Collection(f"clotho-{part}", tuple(items), root)


def _audiocaps(root: Path, split: str | None) -> Collection:
    """Source: cdjkim/audiocaps; folders also as aac-datasets 0.7 and the PANNs code lay them."""
    part = _split(split or "test", {"validation": "val", "train": "train", "test": "test"}, "audiocaps")
    table = _first(
        root, [f"{inner}{part}.csv" for inner in ("", "csv_files_v1/", "AUDIOCAPS/csv_files_v1/", "dataset/")]
    )
    grouped: dict[tuple[str, str], list[str]] = {}
    for row in _rows(table, ("youtube_id", "start_time", "caption")):
        grouped.setdefault((row["youtube_id"], row["start_time"]), []).append(row["caption"])
    bases = [root, root / "AUDIOCAPS", root / "audio", root / "waveforms"]
    folders = [base / inner for base in bases for inner in (f"audio_32000Hz/{part}", part, ".")]
    items = []
    for (video, start), captions in grouped.items():
        names = [stem + suffix for stem in (f"{video}_{start}", f"Y{video}", video) for suffix in _AUDIO]
        items.append(Item(f"{video}_{start}", _find(root, folders, names), _written(captions), sources=(video,)))
    return Collection(f"audiocaps-{part}", tuple(items), root)


def _wavcaps(root: Path, split: str | None) -> Collection:
    """Source: WavCaps, cvssp/WavCaps; a split is one of its four origins."""
    tables = {
        "AudioSet_SL": "AudioSet_SL/as_final.json",
        "BBC_Sound_Effects": "BBC_Sound_Effects/bbc_final.json",
        "FreeSound": "FreeSound/fsd_final.json",
        "SoundBible": "SoundBible/sb_final.json",
    }
    if split is not None and split not in tables:
        raise ConfigError(f"split is {split!r}; wavcaps has {', '.join(tables)}")
    items = []
    for origin in [split] if split else tables:
        path = _first(root, [f"json_files/{tables[origin]}", tables[origin]])
        entries = _json(path).get("data")
        if not isinstance(entries, list):
            raise FileError(f"{path}: has no list 'data'; give WavCaps' own file")
        folders = [root / audio / origin for audio in ("Audio", "audio", "waveforms", ".")]
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict) or not {"id", "caption"} <= entry.keys():
                raise FileError(f"{path}: entry {number} of 'data' lacks id or caption; give WavCaps' own file")
            stem = str(entry["id"]).removesuffix(".wav")
            found = _find(root, folders, [stem + suffix for suffix in _AUDIO])
            source = stem.removeprefix("Y") if origin == "AudioSet_SL" else stem  # as AudioCaps has the same videos
            items.append(Item(f"{origin}/{stem}", found, _written([entry["caption"]]), sources=(source,)))
    return Collection(f"wavcaps-{split}" if split else "wavcaps", tuple(items), root)


def _macs(root: Path, split: str | None) -> Collection:
    """Source: MACS, Zenodo 5114771: captions of TAU Urban Acoustic Scenes 2019; a clip is cut from its location."""
    import yaml

    _no_split(split, "macs")
    path = _first(root, ["MACS.yaml", "MACS/MACS.yaml"])
    try:
        entries = _plain_yaml(_text(path))["files"]
        said = [(one["filename"], [note["sentence"] for note in one["annotations"]]) for one in entries]
        if not isinstance(entries, list) or not all(
            isinstance(text, str) for file, sentences in said for text in (file, *sentences)
        ):
            raise ValueError("a file name or a sentence is no text")
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path}: not MACS' table of files, annotations and sentences ({one_line(error)})") from error
    folders = [root / inner for inner in ("audio", "TAU-urban-acoustic-scenes-2019-development/audio", ".")]
    items = []
    for file, sentences in said:
        scene, *_ = file.split("-")
        place = "-".join(file.split("-")[:3])
        items.append(Item(file, _find(root, folders, [file]), _written(sentences), (scene,), (place,)))
    return Collection("macs", tuple(items), root)


def _esc50(root: Path, split: str | None) -> Collection:
    """Source: karolpiczak/ESC-50; a split is a fold, "1" to "5"."""
    table = _first(root, ["meta/esc50.csv", "ESC-50-master/meta/esc50.csv"])
    audio = table.parents[1] / "audio"
    items = []
    for row in _rows(table, ("filename", "fold", "category", "src_file")):
        label, fold = row["category"].replace("_", " "), row["fold"]
        if not (fold.isascii() and fold.isdecimal() and len(fold) < 4 and row["filename"].strip("./")):
            raise FileError(f"{table}: {row['filename']!r} of fold {fold!r}; expected a file name and a whole number")
        found = _find(root, [audio], [row["filename"], str(Path(row["filename"]).with_suffix(".ogg"))])
        items.append(Item(row["filename"], found, (), (label,), (row["src_file"],), int(fold)))
    return _folds("esc50", items, split, root)


def _esc10(root: Path, split: str | None) -> Collection:
    """Source: karolpiczak/ESC-10, folders `001 - Dog bark`, with titles.csv where it is there."""
    titles: dict[str, str] = {}
    if (root / "titles.csv").is_file():
        rows = _rows(root / "titles.csv", ("folder", "file", "title"))
        titles = {f"{row['folder']}/{row['file']}": row["title"] for row in rows}
    items = []
    for path in sorted(root.glob("[0-9][0-9][0-9] - */*-*-*.*")):
        if path.suffix.lower() not in _AUDIO:
            continue
        fold, clip, *_ = path.stem.split("-")
        if not (fold.isascii() and fold.isdecimal() and len(fold) < 4):
            raise FileError(f"{path}: expected a name such as 1-100032-A.ogg: fold, clip and take")
        label = path.parent.name.partition(" - ")[2].lower()
        title = titles.get(f"{path.parent.name}/{path.name}")
        captions = _written([title])
        name = f"{path.parent.name}/{path.name}"
        items.append(Item(name, _inside(root, path), captions, (label,), (clip,), int(fold)))
    if not items:
        raise FileError(f"{root}: holds no folder such as '001 - Dog bark' with sounds; give ESC-10's folder")
    return _folds("esc10", items, split, root)


def _fsd50k(root: Path, split: str | None) -> Collection:
    """Source: FSD50K, Zenodo 4060432; train and val are parts of dev, test is eval. Titles are captions where there."""
    part = _split(split or "eval", {"train": "train", "val": "val", "test": "eval", "dev": "dev"}, "fsd50k")
    side = "eval" if part == "eval" else "dev"
    table = _first(root, [f"FSD50K.ground_truth/{side}.csv"])
    info = root / f"FSD50K.metadata/{side}_clips_info_FSD50K.json"
    titles = _json(info) if info.is_file() else {}
    items = []
    for row in _rows(table, ("fname", "labels", *(("split",) if side == "dev" else ()))):
        if part in ("train", "val") and row["split"] != part:
            continue
        told = titles.get(row["fname"], {})
        caption = _written([told.get("title")]) if isinstance(told, dict) else ()
        found = _find(root, [root / f"FSD50K.{side}_audio"], [f"{row['fname']}.wav"])
        source = str(told.get("uploader", "")) if isinstance(told, dict) else ""
        labels = tuple(row["labels"].split(","))
        items.append(Item(row["fname"], found, caption, labels, (source or row["fname"],)))
    return Collection(f"fsd50k-{part}", tuple(items), root)


def _folder(root: Path, split: str | None) -> Collection:
    """Source: audiofolder of Hugging Face datasets: `metadata.csv` or `.jsonl` with file_name and captions."""
    base = _below(root, split)
    table = _first(base, ["metadata.csv", "metadata.jsonl"])
    rows: Iterable[dict[str, Any]]
    rows = _rows(table, ("file_name",)) if table.suffix == ".csv" else (row for _, row in _lines(table))
    found = _listed(base, ((f"{table}: a line", row) for row in rows), ("file_name",))
    return Collection(root.name, found, root)


def _csv(path: Path, split: str | None) -> Collection:
    """A table of pairs: the file under audio, path or file_name, relative to the table; captions, label, source."""
    _no_split(split, "csv")
    rows = list(_rows(path, ()))
    if rows and not any(_is_caption(name) or name in ("label", "labels") for name in rows[0]):
        raise FileError(
            f"{path}:1: the header has none of caption, captions, text, caption_1 and label; name the captions so"
        )
    named = ((f"{path}: row {number}", row) for number, row in enumerate(rows, start=1))
    return Collection(path.stem, _listed(path.parent, named), path.parent)


def _jsonl(path: Path, split: str | None) -> Collection:
    """One JSON object a line: file under audio, path or file_name, relative to the list; captions, label, source."""
    _no_split(split, "jsonl")
    named = ((f"{path}:{number}", row) for number, row in _lines(path))
    return Collection(path.stem, _listed(path.parent, named), path.parent)


def _listed(
    root: Path, rows: Iterable[tuple[str, dict[str, Any]]], keys: Sequence[str] = ("audio", "path", "file_name")
) -> tuple[Item, ...]:
    """Make clips of the rows of a list, one of all rows that name one file, however they spell it."""
    items: dict[str, Item] = {}
    for where, row in rows:
        file = next((str(row[key]) for key in keys if row.get(key)), None)
        if file is None:
            raise FileError(f"{where}: has none of {', '.join(keys)}; give the sound's file")
        place, inside = root / file, root.resolve()
        try:
            real = place.resolve()
        except (OSError, ValueError):  # a name that is too long, or holds NUL
            real = inside / file
        if not real.is_relative_to(inside):
            raise FileError(f"{where}: {file[:80]!r} lies outside of {root}; put the list above the sounds")
        before = items.get(str(real))
        captions = (*(before.captions if before else ()), *_captions(row, where))
        labels = (*(before.labels if before else ()), *_told(row, "label"))
        sources = (*(before.sources if before else ()), *_told(row, "source"))
        name = before.id if before else file
        items[str(real)] = Item(
            name, _inside(root, place), captions, tuple(dict.fromkeys(labels)), tuple(dict.fromkeys(sources))
        )
    return tuple(items.values())


def _told(row: dict[str, Any], what: str) -> tuple[str, ...]:
    """Take what a clip is of: a text under "source" (or "label"), or a list under "sources"."""
    told = row.get(f"{what}s") or row.get(what)
    return _written(told) if isinstance(told, list) else _written([told])


def _webdataset(root: Path, split: str | None) -> Collection:
    """Source: webdataset: members of one stem are a sample. A split is a folder of tar files, as LAION's sets have it.

    Differs: what is compressed, links, or names a place outside is refused; see `shards`.
    """
    base = _below(root, split)
    if base.is_file():
        shards = [base]
    else:
        shards = [path for path in sorted(base.rglob("*.tar")) if _inside(root, path) is not None]
    if not shards:
        raise FileError(f"{base}: holds no .tar file; give a folder of them, or one")
    items = []
    for shard in shards:
        inner = shard.relative_to(base.parent if base.is_file() else base).with_suffix("").as_posix()
        for stem, parts in _samples(shard).items():
            sound = next((parts[suffix[1:]] for suffix in _AUDIO if suffix[1:] in parts), None)
            if sound is not None or parts.keys() & {"json", "txt"}:
                items.append(Item(f"{inner}/{stem}", sound, _said(parts)))
    return Collection(f"{root.stem}-{split}" if split else root.stem, tuple(items), root)


def _samples(shard: Path) -> dict[str, dict[str, Member]]:
    """Group members by what precedes the first dot of the file name; what follows says what each is."""
    samples: dict[str, dict[str, Member]] = {}
    for member in members(shard):
        folder, slash, name = member.name.rpartition("/")
        stem, _, suffix = name.partition(".")
        if stem and suffix:
            parts = samples.setdefault(f"{folder}{slash}{stem}", {})
            if suffix.lower() in parts:
                raise FileError(f"{shard}: holds {member.name} twice; pack it again")
            parts[suffix.lower()] = member
    return samples


def _said(parts: dict[str, Member]) -> tuple[str, ...]:
    """Read the captions of a sample, from its JSON or else its text."""
    texts: dict[str, str] = {}
    for kind in parts.keys() & {"json", "txt"}:
        member = parts[kind]
        if member.size > _MAX_TEXT_BYTES:
            raise LimitError(f"{member}: {member.size} bytes; the limit of a text is {_MAX_TEXT_BYTES}")
        try:
            texts[kind] = member.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise FileError(f"{member}: not UTF-8 at byte {error.start}; pack it as UTF-8") from error
    where = str(parts.get("json"))
    found = _captions(_object(texts["json"], where), where) if "json" in texts else ()
    return found or _written([texts.get("txt")])


READERS: dict[str, Callable[[Path, str | None], Collection]] = {
    "audiocaps": _audiocaps,
    "clotho": _clotho,
    "csv": _csv,
    "esc10": _esc10,
    "esc50": _esc50,
    "folder": _folder,
    "fsd50k": _fsd50k,
    "jsonl": _jsonl,
    "macs": _macs,
    "wavcaps": _wavcaps,
    "webdataset": _webdataset,
}
"""The data sets by name."""


def _place(item: Item) -> tuple[str, str]:
    """Say where the audio of a clip lies, the same for every spelling."""
    if isinstance(item.path, Member):
        return str(item.path.archive.resolve()), item.path.name
    assert item.path is not None
    return str(item.path.resolve()), ""


def _plain_yaml(text: str) -> Any:
    """Read YAML of texts, lists and mappings; what refers to other parts or nests deeply is refused.

    Raises:
        ValueError: If it is none.
        YAMLError: If it is no YAML.
    """
    import yaml

    whole: list[Any] = []
    open_ones: list[Any] = [whole]  # lists; a mapping is one of keys and values in turn until it ends
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent) or len(open_ones) > _MAX_DEPTH:
            raise ValueError("it refers to other parts of itself, or nests too deeply")
        if isinstance(event, yaml.ScalarEvent):
            open_ones[-1].append(event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_ones.append([])
        elif isinstance(event, yaml.CollectionEndEvent):
            made = open_ones.pop()
            if isinstance(event, yaml.MappingEndEvent):
                made = dict(zip(made[::2], made[1::2], strict=True))
            open_ones[-1].append(made)
    return whole[0] if whole else None


def _captions(row: dict[str, Any], where: str) -> tuple[str, ...]:
    """Take captions from whatever they are called: caption, captions, text, or caption_1 and so on."""
    found: list[Any] = []
    for key, value in row.items():
        if _is_caption(key):
            found += value if isinstance(value, list) else [value]
    if wrong := [one for one in found if isinstance(one, int | float)]:
        raise FileError(f"{where}: a caption is {wrong[0]}; expected a text")
    return _written(one for one in found if not isinstance(one, dict | list))


def _written(captions: Iterable[Any]) -> tuple[str, ...]:
    """Take what is written as captions; a blank one says nothing and is left out."""
    return tuple(text for one in captions if one is not None and (text := str(one).strip()))


def _is_caption(key: object) -> bool:
    name = str(key).lower()
    return name in ("caption", "captions", "text") or (name.startswith("caption_") and name[8:].isdigit())


def _folds(name: str, items: Sequence[Item], split: str | None, root: Path) -> Collection:
    folds = sorted({item.fold for item in items if item.fold is not None})
    if split is None:
        return Collection(name, tuple(items), root)
    if split not in map(str, folds):
        raise ConfigError(f"split is {split!r}; {name} has the folds {', '.join(map(str, folds))}")
    return Collection(f"{name}-{split}", tuple(item for item in items if str(item.fold) == split), root)


def _split(given: str, words: dict[str, str], name: str) -> str:
    if given not in words and given not in words.values():
        raise ConfigError(f"split is {given!r}; {name} has {', '.join(dict.fromkeys(words.values()))}")
    return words.get(given, given)


def _below(root: Path, split: str | None) -> Path:
    base = root / (split or "")
    if not base.resolve().is_relative_to(root.resolve()):
        raise ConfigError(f"split is {split!r}; expected a folder in {root}")
    return base


def _no_split(split: str | None, name: str) -> None:
    if split is not None:
        raise ConfigError(f"split is {split!r}; {name} has no splits")


def _first(root: Path, candidates: Sequence[str]) -> Path:
    for candidate in candidates:
        if (path := root / candidate).is_file():
            return path
    raise FileError(f"{root}: holds none of {', '.join(candidates)}; give the folder that the data set was unpacked to")


def _find(root: Path, folders: Sequence[Path], names: Sequence[str]) -> Path | None:
    """Find the first file there is; one that a table or a link leads out of the folder to does not count."""
    for folder in folders:
        for name in names:
            if name and (found := _inside(root, folder / name)) is not None:
                return found
    return None


def _inside(root: Path, path: Path) -> Path | None:
    try:
        if not path.is_file():  # most names that are looked for are not there, and resolving takes long
            return None
        return path if path.resolve().is_relative_to(root.resolve()) else None
    except (OSError, ValueError):  # a name that is too long, or holds NUL
        return None


def _text(path: Path, encoding: str = "utf-8-sig") -> str:
    try:
        if (found := what_is(path)) != "a file":
            raise FileError(f"{path}: {found}; give a table")
        if path.stat().st_size > _MAX_TABLE_BYTES:
            raise FileError(f"{path}: {path.stat().st_size} bytes; a table has at most {_MAX_TABLE_BYTES}")
        return path.read_text(encoding=encoding)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error


def _rows(path: Path, columns: Sequence[str], encoding: str = "utf-8-sig") -> Iterator[dict[str, str]]:
    """Read a table with a header, and refuse one that lacks a column or has rows of another length."""
    reader = csv.DictReader(io.StringIO(_text(path, encoding), newline=""), strict=True)
    try:
        header = reader.fieldnames or ()
        if len(set(header)) < len(header):
            twice = next(name for name, count in Counter(header).items() if count > 1)
            raise FileError(f"{path}:1: two columns are named {twice!r}; rename one")
        lacking = [name for name in columns if name not in header]
        if lacking:
            raise FileError(f"{path}:1: the header lacks {', '.join(lacking)}; give the data set's own table")
        for row in reader:
            if None in row or None in row.values():
                raise FileError(f"{path}:{reader.line_num}: has not {len(header)} fields, as the header")
            yield row
    except csv.Error as error:
        if "field larger" in str(error):
            limit = f"a field has more than {csv.field_size_limit()} characters; shorten it"
            raise FileError(f"{path}:{reader.line_num + 1}: {limit}") from error
        raise FileError(f"{path}:{reader.line_num}: not CSV ({error}); save it again") from error


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            yield number, _object(line, f"{path}:{number}")


def _json(path: Path) -> dict[str, Any]:
    return _object(_text(path), str(path))


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{where}: not JSON ({one_line(error)}); get the file again") from error
    if not isinstance(content, dict):
        raise FileError(f"{where}: expected a JSON object; got {' '.join(text.split())[:40]}")
    return content
