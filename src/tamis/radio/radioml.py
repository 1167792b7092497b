"""Read the data sets that the field compares on, in the layouts in which they are passed on.

| data set | file | what is in it |
|---|---|---|
| RadioML 2016.10a, 2016.10b, 2016.04C, RML22 | pickle, of any suffix | (class, SNR) → frames × 2 × 128 |
| RadioML 2018.01A | HDF5 | `X` frames × 1024 × 2, `Y` one-hot, `Z` SNR |
| HisarMod2019.1 | HDF5, of IQFormer | `samples` frames × 2 × 1024, `labels`, `snr` |
| mainland/radioml2016 | HDF5 | structured `radioml`, or `windows` and `transmissions` |
| any `Frames` | safetensors, of `Frames.save` | `iq`, `labels`, `snr_db`, `groups` |

A file is told by its content, never by its name. Labels are read first, then the frames chosen by them and no others,
so that a few classes of a file of 21 GB fit in memory.

Source:
    2016: radioML/dataset `generate_RML2016.10a.py`. RML22: venkateshsathya/RML22 `Datasetgeneration.py`.
    HisarMod2019.1: chenwwayne/IQFormerLite `main.py`. mainland/radioml2016: `generate.py` and `hdf5_output.py`.
    2018.01A: its users, who also corrected the order of its classes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis.core.errors import ConfigError, FileError, InputError, LimitError, TamisError, nearest, one_line
from tamis.core.files import what_is
from tamis.radio import safe_pickle
from tamis.radio.config import RML2016_CLASSES
from tamis.radio.data import MAX_BYTES, Frames, places

if TYPE_CHECKING:
    from jaxtyping import Float32, Int64
    from numpy.typing import NDArray

RML2018_CLASSES = (
    "OOK", "4ASK", "8ASK", "BPSK", "QPSK", "8PSK", "16PSK", "32PSK", "16APSK", "32APSK", "64APSK", "128APSK", "16QAM",
    "32QAM", "64QAM", "128QAM", "256QAM", "AM-SSB-WC", "AM-SSB-SC", "AM-DSB-WC", "AM-DSB-SC", "FM", "GMSK", "OQPSK",
)  # fmt: skip
"""The classes of RadioML 2018.01A in the order of its labels; the `classes.txt` that comes with it is wrong."""
HISARMOD_CLASSES = (
    "BPSK", "QPSK", "8PSK", "16PSK", "32PSK", "64PSK", "4QAM", "8QAM", "16QAM", "32QAM", "64QAM", "128QAM", "256QAM",
    "2FSK", "4FSK", "8FSK", "16FSK", "4PAM", "8PAM", "16PAM", "AM-DSB", "AM-DSB-SC", "AM-USB", "AM-LSB", "FM", "PM",
)  # fmt: skip
"""The classes of HisarMod2019.1 in the order of its labels."""

_KINDS = "a RadioML pickle, an HDF5 file of RadioML 2018.01A, HisarMod2019.1 or radioml2016, or frames that tamis saved"
_PACKED = {
    b"BZh": "bzip2",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "rar",
}
_PICKLES = (b"\x80", b"(d", b"(l", b"}", b"]")
_DAMAGE = (OSError, RuntimeError, KeyError, IndexError, TypeError, ValueError, OverflowError)
_MAX_FRAMES = 50_000_000
_MAX_CLASSES, _MAX_RATIOS = 1_000, 10_000
_MAX_BLOCK_BYTES = 2**29
_BLOCK = 4096


@dataclass(frozen=True)
class _Table:
    """A file of which only the labels were read."""

    name: str
    classes: tuple[str, ...]
    labels: Int64[np.ndarray, " frames"]
    snr_db: Float32[np.ndarray, " frames"]
    samples: int
    fetch: Callable[[NDArray[np.int64]], NDArray[np.float32]]
    """Reads the frames of ascending rows."""
    groups: Int64[np.ndarray, " frames"] | None = None
    samples_per_symbol: float = 8.0


def read(
    path: str | Path,
    *,
    classes: Sequence[str] | None = None,
    snrs_db: Sequence[int | float] | None = None,
    limit_per_cell: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> Frames:
    """Read frames from the file of a known data set.

    Args:
        path: The file.
        classes: Classes to read, in any order; all by default. Labels are numbered anew, in the order of the data set.
        snrs_db: Signal-to-noise ratios in dB to read; all by default.
        limit_per_cell: The first so many frames of each class and signal-to-noise ratio; all by default.
        max_bytes: The most memory that the frames may take.

    Returns:
        Frames in the order of the file; those of a pickle by class and signal-to-noise ratio.

    Raises:
        ConfigError: If the data set has no such class or signal-to-noise ratio.
        FileError: If the file is missing, damaged or of no known kind.
        LimitError: If the frames would take more memory than allowed.
    """
    try:
        with _opened(Path(path), max_bytes) as table:
            return _chosen(path, table, classes, snrs_db, limit_per_cell, max_bytes)
    except TamisError:
        raise
    except _DAMAGE as error:
        raise FileError(f"{path}: cannot be read ({one_line(error)}); get the file again") from error


def _chosen(
    path: str | Path,
    table: _Table,
    classes: Sequence[str] | None,
    snrs_db: Sequence[int | float] | None,
    limit_per_cell: int | None,
    max_bytes: int,
) -> Frames:
    for name in (table.name, *table.classes):
        if not name.isprintable():
            raise FileError(f"{path}: the name {ascii(name)[:60]} is no plain text; give it another")
    if not np.isfinite(table.snr_db).all():
        raise FileError(f"{path}: a signal-to-noise ratio is no number; get the file again")
    wanted = [table.classes.index(name) for name in _known(path, "class", classes, table.classes)]
    levels, level = np.unique(table.snr_db, return_inverse=True)
    if len(table.classes) > _MAX_CLASSES or len(levels) > _MAX_RATIOS:
        raise LimitError(
            f"{path}: {len(table.classes)} classes and {len(levels)} signal-to-noise ratios; the limits are "
            f"{_MAX_CLASSES} and {_MAX_RATIOS}"
        )
    levels_wanted = _known(path, "signal-to-noise ratio", snrs_db, levels.tolist())
    kept = np.isin(table.labels, wanted) & np.isin(table.snr_db, np.array(levels_wanted, np.float32))
    if limit_per_cell is not None:
        if limit_per_cell < 1:
            raise ConfigError(f"limit_per_cell is {limit_per_cell}; expected at least 1")
        kept &= places(table.labels * len(levels) + level, np.arange(len(level))) < limit_per_cell
    rows = np.flatnonzero(kept)
    needed = len(rows) * 2 * table.samples * 4
    if needed > max_bytes:
        raise LimitError(
            f"{path}: {len(rows)} frames take {needed / 1e9:.1f} GB, the limit is {max_bytes / 1e9:.1f} GB; "
            "choose classes, signal-to-noise ratios or fewer frames of each"
        )
    number = np.full(len(table.classes), -1)
    number[sorted(wanted)] = np.arange(len(wanted))
    with np.errstate(over="ignore"):  # what is no float32 becomes infinite, and Frames refuses that
        iq = table.fetch(rows)
    try:
        return Frames(
            iq=iq,
            labels=number[table.labels[rows]],
            snr_db=table.snr_db[rows],
            classes=tuple(table.classes[label] for label in sorted(wanted)),
            name=table.name,
            groups=None if table.groups is None else table.groups[rows],
            samples_per_symbol=table.samples_per_symbol,
        )
    except InputError as error:
        raise FileError(f"{path}: {error}; get the file again") from error


def _known(path: str | Path, what: str, wanted: Sequence[Any] | None, there: Sequence[Any]) -> Sequence[Any]:
    for one in wanted or ():
        if one not in there:
            names = [name if isinstance(name, str) else f"{name:g}" for name in there]
            raise ConfigError(f"{path}: has no {what} {one!r}; {nearest(str(one), names)}")
    return there if wanted is None else list(dict.fromkeys(wanted))


@contextmanager
def _opened(path: Path, max_bytes: int) -> Iterator[_Table]:
    """Open a file of any known kind and read its labels."""
    if (found := what_is(path)) != "a file":
        raise FileError(f"{path}: {found}; {'give a file in it' if found == 'a folder' else 'check the path'}")
    with open(path, "rb") as file:
        head = file.read(512)
    if not head:
        raise FileError(f"{path}: empty; expected {_KINDS}")
    if head.startswith(b"version https://git-lfs"):
        raise FileError(f"{path}: a Git LFS pointer, not the data it points to; run git lfs pull")
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise FileError(f"{path}: a web page, not the data that should have come; download the file itself")
    packed = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
    if packed or head[257:262] == b"ustar":
        raise FileError(f"{path}: packed ({packed or 'tar'}); unpack it first, and give the file that was in it")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        import h5py

        with h5py.File(path, "r") as opened:
            yield _hdf5(path, opened)
    elif head[8:9] == b"{":
        yield _saved(path)
    elif head.startswith(_PICKLES):
        yield _pickle(path, max_bytes)
    else:
        raise FileError(f"{path}: of no known kind; expected {_KINDS}")


def _pickle(path: Path, max_bytes: int) -> _Table:
    arrays = safe_pickle.load(path, safe_pickle.Limits(max_bytes=max_bytes))
    if not (isinstance(arrays, dict) and arrays):
        raise FileError(f"{path}: a pickle of a {type(arrays).__name__}; expected {{(class, SNR): frames}}")
    found: list[tuple[str, float, Any, NDArray[Any]]] = []
    for key, array in arrays.items():
        match key, array:
            case (str() | bytes() as name, int() | float() as snr), np.ndarray(ndim=3) if (
                array.shape[1] == 2 and array.shape[2] and array.dtype.kind == "f"
            ):
                found.append((name if isinstance(name, str) else name.decode("latin1"), snr, key, array))
            case _:
                what = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
                raise FileError(
                    f"{path}: the entry {ascii(key)[:60]} is {what}; expected (class, SNR): floats (frames, 2, samples)"
                )
    found.sort(key=lambda cell: cell[:2])
    lengths = sorted({array.shape[2] for *_, array in found})
    if len(lengths) > 1:
        raise FileError(f"{path}: frames have {lengths[0]} to {lengths[-1]} samples; expected one length")
    counts = [len(array) for *_, array in found]
    if len({id(array) for *_, array in found}) < len(found):
        raise FileError(f"{path}: two entries are one and the same array; get the file again")
    if sum(counts) > _MAX_FRAMES:
        raise LimitError(f"{path}: {sum(counts)} frames; the limit is {_MAX_FRAMES}")
    classes = tuple(sorted({name for name, *_ in found}))
    kind = _name(path, classes, max(snr for _, snr, *_ in found), counts)
    starts = np.cumsum([0, *counts])
    queue = [key for _, _, key, _ in found]

    def fetch(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        iq = np.empty((len(rows), 2, lengths[0]), np.float32)
        bounds = np.searchsorted(rows, starts)
        for number, key in enumerate(queue):
            cell = arrays.pop(key)  # so that no more than one copy of the whole is ever there
            low, high = bounds[number : number + 2]
            iq[low:high] = cell if high - low == len(cell) else cell[rows[low:high] - starts[number]]
        return iq

    return _Table(
        name=kind,
        classes=classes,
        labels=np.repeat(np.array([classes.index(name) for name, *_ in found]), counts),
        snr_db=np.repeat(np.array([snr for _, snr, *_ in found], np.float32), counts),
        samples=lengths[0],
        fetch=fetch,
        samples_per_symbol=2.0 if kind == "RML22" else 8.0,
    )


def _name(path: Path, classes: tuple[str, ...], loudest: int | float, counts: Sequence[int]) -> str:
    if classes == RML2016_CLASSES:
        return "RML2016.10a" if len(set(counts)) == 1 else "RML2016.04C"
    if {*classes} == {*RML2016_CLASSES} - {"AM-SSB"}:
        return "RML22" if loudest >= 20 else "RML2016.10b"
    return path.stem


def _hdf5(path: Path, file: Any) -> _Table:
    names = set(file)
    if names >= {"X", "Y", "Z"}:
        return _rml2018(path, file)
    if names >= {"samples", "labels", "snr"}:
        return _hisarmod(path, file)
    if "radioml" in names:
        return _structured(path, file)
    if names >= {"windows", "transmissions"}:
        return _windows(path, file)
    raise FileError(f"{path}: an HDF5 file of {', '.join(sorted(names)[:8]) or 'nothing'}; expected {_KINDS}")


def _rml2018(path: Path, file: Any) -> _Table:
    frames = _dataset(path, file, "X", 3)
    one_hot = _dataset(path, file, "Y", 2, len(frames))
    if one_hot.shape[1] != len(RML2018_CLASSES):
        raise FileError(f"{path}: Y has {one_hot.shape[1]} classes; expected the 24 of RadioML 2018.01A")
    labels = np.empty(len(frames), np.int64)
    for start in range(0, len(frames), 16 * _BLOCK):
        block = one_hot[start : start + 16 * _BLOCK]
        if not ((block != 0).sum(axis=1) == 1).all():
            raise FileError(f"{path}: Y is not one-hot near row {start}; get the file again")
        labels[start : start + len(block)] = block.argmax(axis=1)
    return _Table(
        name="RML2018.01A",
        classes=RML2018_CLASSES,
        labels=labels,
        snr_db=_column(path, _dataset(path, file, "Z", None, len(frames))).astype(np.float32),
        **_frames(path, frames),
    )


def _hisarmod(path: Path, file: Any) -> _Table:
    frames = _dataset(path, file, "samples", 3)
    labels = _column(path, _dataset(path, file, "labels", None, len(frames)))
    return _Table(
        name="HisarMod2019.1",
        classes=HISARMOD_CLASSES,
        labels=_labels(path, labels, len(HISARMOD_CLASSES)),
        snr_db=_column(path, _dataset(path, file, "snr", None, len(frames))).astype(np.float32),
        samples_per_symbol=2.0,
        **_frames(path, frames),
    )


def _structured(path: Path, file: Any) -> _Table:
    rows = _dataset(path, file, "radioml", 1)
    fields = rows.dtype.fields or {}
    kinds = {field: (kind.base.kind, len(kind.shape)) for field, (kind, *_) in fields.items()}
    columns = ("ms", "snr", "chan_idx")
    plain = all(kinds.get(field, ("", 0)) in {("i", 0), ("u", 0)} for field in columns)
    if not plain or kinds.get("iq_data") != ("f", 2) or fields["iq_data"][0].shape[0] != 2:
        raise FileError(f"{path}: 'radioml' holds {rows.dtype}; expected integers {columns} and iq_data of 2 rows")
    classes = _names(path, rows.attrs["ms_categories"])
    modulation, snr, channel = (rows.fields(field)[:] for field in columns)
    per_symbol = rows.fields("sps")[:] if kinds.get("sps") == ("f", 0) else np.array([8.0])
    per_symbol = per_symbol[np.isfinite(per_symbol)]

    def fetch(wanted: NDArray[np.int64]) -> NDArray[np.float32]:
        return _fetch(rows.fields("iq_data"), wanted, fields["iq_data"][0].shape[1], time_first=False)

    return _Table(
        name="radioml2016-mainland",
        classes=classes,
        labels=_labels(path, modulation, len(classes)),
        snr_db=snr.astype(np.float32),
        samples=fields["iq_data"][0].shape[1],
        fetch=fetch,
        groups=_channels(modulation, snr, channel),
        samples_per_symbol=float(np.median(per_symbol)) if len(per_symbol) else 8.0,
    )


def _windows(path: Path, file: Any) -> _Table:
    frames = _dataset(path, file, "windows/iq", 3)
    modulation, snr, transmission = (
        _column(path, _dataset(path, file, f"windows/{name}", None, len(frames)))
        for name in ("modulation_id", "snr_db", "transmission_number")
    )
    classes = _names(path, json.loads(file.attrs["modulation_names_json"]))
    return _Table(
        name="radioml2016-mainland",
        classes=classes,
        labels=_labels(path, modulation, len(classes)),
        snr_db=snr.astype(np.float32),
        groups=_channels(modulation, snr, transmission),
        **_frames(path, frames),
    )


def _channels(modulation: NDArray[Any], snr: NDArray[Any], number: NDArray[Any]) -> NDArray[np.int64]:
    """Number channel realisations, which the file counts anew for each class and signal-to-noise ratio."""
    keys = np.stack([modulation, snr, number], axis=1).astype(np.int64)
    return np.unique(keys, axis=0, return_inverse=True)[1].ravel()


def _dataset(path: Path, file: Any, name: str, ndim: int | None, length: int | None = None) -> Any:
    """Find a dataset that lies in this very file and holds numbers."""
    import h5py

    parts = name.split("/")
    links = [file.get("/".join(parts[: end + 1]), getlink=True) for end in range(len(parts))]
    dataset: Any = file[name] if all(isinstance(link, h5py.HardLink) for link in links) else None
    foreign = not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or bool(dataset.external)
    if foreign or dataset.dtype.hasobject or dataset.dtype.kind not in "iufV":
        raise FileError(f"{path}: {name!r} is not a plain dataset of this file; get the file again")
    if ndim is not None and dataset.ndim != ndim:
        raise FileError(f"{path}: {name!r} has shape {dataset.shape}; expected {ndim} axes")
    if not dataset.ndim or len(dataset) > _MAX_FRAMES or math.prod(dataset.chunks or ()) > 2**28:
        raise LimitError(
            f"{path}: {name!r} has shape {dataset.shape}; the limit is {_MAX_FRAMES} frames, in small chunks"
        )
    if length is not None and len(dataset) != length:
        raise FileError(f"{path}: {name!r} has {len(dataset)} rows; expected {length}, one a frame")
    return dataset


def _column(path: Path, dataset: Any) -> NDArray[Any]:
    if math.prod(dataset.shape) != len(dataset) or dataset.dtype.kind not in "iuf":
        raise FileError(f"{path}: {dataset.name} is {dataset.dtype} {dataset.shape}; expected one number a frame")
    column: NDArray[Any] = dataset[:].ravel()
    return column


def _labels(path: Path, labels: NDArray[Any], classes: int) -> NDArray[np.int64]:
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes and (labels == np.floor(labels)).all()):
        raise FileError(f"{path}: labels go from {labels.min()} to {labels.max()}; expected 0 to {classes - 1}")
    return labels.astype(np.int64)


def _names(path: Path, names: Any) -> tuple[str, ...]:
    if isinstance(names, str | bytes):
        raise FileError(f"{path}: the names of classes are one text, {names!r:.60}; expected a list")
    texts = tuple(name.decode("latin1") if isinstance(name, bytes) else str(name) for name in names)
    if len(set(texts)) != len(texts) or not texts:
        raise FileError(f"{path}: the names of classes are {texts}; expected different ones")
    return texts


def _frames(path: Path, dataset: Any) -> dict[str, Any]:
    """Say how long frames are and how to fetch them; whichever axis is 2 long is that of I and Q."""
    if dataset.dtype.kind != "f" or 2 not in dataset.shape[1:] or 0 in dataset.shape[1:]:
        raise FileError(
            f"{path}: {dataset.name} is {dataset.dtype} {dataset.shape}; expected floats, (frames, samples, 2) or "
            "(frames, 2, samples)"
        )
    time_first = dataset.shape[2] == 2
    samples = dataset.shape[1 if time_first else 2]
    return {"samples": samples, "fetch": lambda rows: _fetch(dataset, rows, samples, time_first=time_first)}


def _fetch(source: Any, rows: NDArray[np.int64], samples: int, *, time_first: bool) -> NDArray[np.float32]:
    """Read ascending rows, run by run."""
    iq = np.empty((len(rows), 2, samples), np.float32)
    ends = np.flatnonzero(np.diff(rows, append=-2) != 1) + 1
    step = max(1, min(_BLOCK, _MAX_BLOCK_BYTES // (16 * samples)))  # of at most float64
    start = 0
    for end in ends.tolist():
        for low in range(start, end, step):
            high = min(low + step, end)
            block = source[rows[low] : rows[high - 1] + 1]
            iq[low:high] = block.transpose(0, 2, 1) if time_first else block
        start = end
    return iq


def _saved(path: Path) -> _Table:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            about = json.loads((file.metadata() or {})["frames"])
            shape, kind = file.get_slice("iq").get_shape(), file.get_slice("iq").get_dtype()
            columns = {name: file.get_tensor(name) for name in sorted({*file.keys()} - {"iq"})}
        if kind != "F32" or len(shape) != 3 or shape[1] != 2 or not shape[2]:
            raise FileError(f"{path}: iq is {kind} {shape}; expected F32 (frames, 2, samples); save the frames again")
        for name, column in columns.items():
            if column.shape != (shape[0],):
                raise FileError(
                    f"{path}: {name} has shape {column.shape}; expected ({shape[0]},); save the frames again"
                )
        classes = _names(path, about["classes"])
        groups = columns.get("groups")
        if groups is not None and groups.dtype.kind not in "iu":
            raise FileError(f"{path}: groups are {groups.dtype}; expected whole numbers; save the frames again")
        return _Table(
            name=str(about["name"]),
            classes=classes,
            labels=_labels(path, columns["labels"], len(classes)),
            snr_db=columns["snr_db"].astype(np.float32),
            samples=shape[2],
            fetch=lambda rows: _fetch_saved(path, rows, shape[2]),
            groups=None if groups is None else groups.astype(np.int64),
            samples_per_symbol=float(about["samples_per_symbol"]),
        )
    except TamisError:
        raise
    except (SafetensorError, *_DAMAGE) as error:
        raise FileError(f"{path}: not frames that tamis saved ({one_line(error)}); expected {_KINDS}") from error


def _fetch_saved(path: Path, rows: NDArray[np.int64], samples: int) -> NDArray[np.float32]:
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return _fetch(file.get_slice("iq"), rows, samples, time_first=False)
