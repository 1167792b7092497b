"""Every known layout made small; the sets themselves are too large to ship."""

import json
import pickle
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import safetensors.numpy

from tamis.core.errors import ConfigError, FileError, LimitError, TamisError
from tamis.radio import radioml
from tamis.radio.config import RML2016_CLASSES
from tamis.radio.data import Frames
from tamis.radio.radioml import HISARMOD_CLASSES, RML2018_CLASSES, read

SNRS = range(-20, 20, 2)
TEN = tuple(name for name in RML2016_CLASSES if name != "AM-SSB")


def cells(classes: Sequence[str], snrs: Sequence[int], frames: int = 3, samples: int = 4) -> dict[Any, Any]:
    """Frames that know where they stand: all samples of a frame are its number, I positive and Q negative."""
    made = {}
    number = 0
    for name in reversed(classes):
        for snr in snrs:
            numbers = np.arange(number, number + frames, dtype=np.float32)[:, None, None]
            made[name, snr] = np.broadcast_to(numbers * np.array([[1], [-1]], np.float32), (frames, 2, samples)).copy()
            number += frames
    return made


def written(path: Path, value: Any, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def refusal(path: Path, kind: type[TamisError] = FileError, **choice: Any) -> str:
    with pytest.raises(kind) as caught:
        read(path, **choice)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("suffix", ["pkl", "dat", "anything"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_of_2016_is_read_by_class_and_snr(protocol: int, suffix: str, tmp_path: Path) -> None:
    made = cells(RML2016_CLASSES, SNRS)
    frames = read(written(tmp_path / f"a.{suffix}", made, protocol))
    assert (frames.name, frames.classes, frames.samples_per_symbol) == ("RML2016.10a", RML2016_CLASSES, 8.0)
    keys = [(name, snr) for name in sorted(RML2016_CLASSES) for snr in SNRS]
    assert np.array_equal(frames.iq, np.concatenate([made[key] for key in keys]))
    assert [frames.classes[label] for label in frames.labels] == [name for name, _ in keys for _ in range(3)]
    assert frames.snr_db.tolist() == [snr for _, snr in keys for _ in range(3)]
    assert frames.groups is None
    assert frames.iq.flags.writeable
    assert frames.iq.flags.c_contiguous


def test_a_file_of_python_2_is_read(tmp_path: Path) -> None:
    path = tmp_path / "RML2016.10a_dict.pkl"
    path.write_bytes(
        b"(dp1\n(S'QPSK'\np2\nI-2\ntp3\ncnumpy.core.multiarray\n_reconstruct\np4\n(cnumpy\nndarray\np5\n(I0\ntS'b'\ntRp6\n"
        b"(I1\n(I1\nI2\nI1\ntcnumpy\ndtype\np7\n(S'f4'\nI0\nI1\ntRp8\n(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
        b"S'\\x00\\x00\\x80?\\x00\\x00\\x00\\xc0'\ntbs."
    )
    frames = read(path)
    assert (frames.classes, frames.snr_db.tolist(), frames.iq.tolist()) == (("QPSK",), [-2.0], [[[1.0], [-2.0]]])


@pytest.mark.parametrize(
    ("classes", "snrs", "name", "per_symbol"),
    [
        (RML2016_CLASSES, SNRS, "RML2016.10a", 8.0),
        (TEN, SNRS, "RML2016.10b", 8.0),
        (TEN, range(-20, 22, 2), "RML22", 2.0),
        (("A", "B"), (0, 2), "mine", 8.0),
    ],
)
def test_a_set_is_named_by_its_content(
    classes: tuple[str, ...], snrs: Sequence[int], name: str, per_symbol: float, tmp_path: Path
) -> None:
    frames = read(written(tmp_path / "mine.pkl", cells(classes, snrs, frames=1)))
    assert (frames.name, frames.samples_per_symbol) == (name, per_symbol)
    assert read(tmp_path / "mine.pkl", classes=classes[:1], snrs_db=[snrs[0]]).name == name


def test_cells_of_uneven_size_are_those_of_2016_04c(tmp_path: Path) -> None:
    made = cells(RML2016_CLASSES, SNRS, frames=1)
    made["WBFM", 18] = np.zeros((5, 2, 4), np.float32)
    frames = read(written(tmp_path / "a", made))
    assert (frames.name, len(frames)) == ("RML2016.04C", 11 * 20 + 4)
    assert not frames.iq[-5:].any()


def test_double_precision_and_keys_of_bytes_are_read(tmp_path: Path) -> None:
    value = {(b"QPSK", 0.0): np.ones((2, 2, 4)), ("BPSK", np.int64(2)): np.asfortranarray(np.full((1, 2, 4), 2, ">f8"))}
    frames = read(written(tmp_path / "a", value))
    assert (frames.classes, frames.iq[:, 0, 0].tolist(), frames.iq.dtype) == (
        ("BPSK", "QPSK"),
        [2.0, 1.0, 1.0],
        np.float32,
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([1, 2], "a pickle of a list; expected {(class, SNR): frames}"),
        ({}, "a pickle of a dict; expected {(class, SNR): frames}"),
        ({"X": np.zeros((1, 2, 4))}, "the entry 'X' is float64 (1, 2, 4); expected (class, SNR): floats"),
        ({("A", 0): np.zeros((1, 4, 2))}, "is float64 (1, 4, 2)"),
        ({("A", 0): np.zeros((1, 2, 4), int)}, "is int64 (1, 2, 4)"),
        ({("A", 0): [1.0]}, "is list"),
        ({(0, "A"): np.zeros((1, 2, 4))}, "the entry (0, 'A') is"),
        ({("A", 0): np.zeros((1, 2, 4)), ("A", 2): np.zeros((1, 2, 8))}, "frames have 4 to 8 samples"),
        ({("A", 0): np.full((1, 2, 4), np.nan)}, "hold NaN or infinity"),
        ({("A", 0): np.full((1, 2, 4), 1e300)}, "hold NaN or infinity"),
        ({("A\n", 0): np.zeros((1, 2, 4))}, "the name 'A\\n' is no plain text"),
        ({("A", float("nan")): np.zeros((1, 2, 4))}, "a signal-to-noise ratio is no number"),
    ],
)
def test_a_pickle_of_something_else_is_refused(value: Any, said: str, tmp_path: Path) -> None:
    assert said in refusal(written(tmp_path / "a.pkl", value))


def test_a_small_pickle_of_more_frames_than_anybody_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = np.zeros((1000, 2, 4), np.float32)
    path = written(tmp_path / "a.pkl", {("A", snr): cell for snr in range(9)})  # a memo makes them one array
    assert refusal(path) == "two entries are one and the same array; get the file again"
    monkeypatch.setattr(radioml, "_MAX_FRAMES", 8999)
    path = written(tmp_path / "a.pkl", {("A", snr): cell.copy() for snr in range(9)})
    assert refusal(path, LimitError) == "9000 frames; the limit is 8999"


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02cos\nsystem\n(S'touch here'\ntR.")
    assert "byte 2: asks for os.system" in refusal(tmp_path / "a.pkl")


def hdf5(path: Path, **datasets: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in datasets.items():
            file[name] = value
    return path


def rml2018(path: Path, per_cell: int = 5, snrs: Sequence[int] = (-20, 0, 30), samples: int = 1024) -> Path:
    """Class-major, then by SNR, one-hot, (time, I/Q); the first sample is the row, and Q is minus I."""
    labels = np.repeat(np.arange(24), len(snrs) * per_cell)
    levels = np.tile(np.repeat(snrs, per_cell), 24)
    x = np.zeros((len(labels), samples, 2), np.float32)
    x[:, 0, 0], x[:, 0, 1] = np.arange(len(labels)), -np.arange(len(labels))
    return hdf5(path, X=x, Y=np.eye(24, dtype=np.int64)[labels], Z=levels[:, None].astype(np.int64))


def test_2018_is_turned_to_rows_of_i_and_q_and_its_classes_are_in_the_corrected_order(tmp_path: Path) -> None:
    frames = read(rml2018(tmp_path / "GOLD_XYZ_OSC.0001_1024.hdf5"))
    assert (frames.name, frames.iq.shape, frames.classes) == ("RML2018.01A", (360, 2, 1024), RML2018_CLASSES)
    assert frames.iq[:, 0, 0].tolist() == list(range(360))
    assert np.array_equal(frames.iq[:, 1], -frames.iq[:, 0])
    assert frames.labels.tolist() == [row // 15 for row in range(360)]
    assert frames.snr_db[:15].tolist() == [-20.0] * 5 + [0.0] * 5 + [30.0] * 5
    assert (RML2018_CLASSES[0], RML2018_CLASSES[3], RML2018_CLASSES[-3:]) == ("OOK", "BPSK", ("FM", "GMSK", "OQPSK"))


def test_a_choice_reads_the_first_frames_of_each_cell_and_no_others(tmp_path: Path) -> None:
    path = rml2018(tmp_path / "a.h5", samples=16)
    frames = read(path, classes=["GMSK", "BPSK"], snrs_db=[30, 0], limit_per_cell=2)
    assert frames.classes == ("BPSK", "GMSK")
    assert frames.labels.tolist() == [0] * 4 + [1] * 4
    assert frames.snr_db.tolist() == [0.0, 0.0, 30.0, 30.0] * 2
    first = [3 * 15 + 5, 3 * 15 + 6, 3 * 15 + 10, 3 * 15 + 11]
    assert frames.iq[:, 0, 0].tolist() == first + [row + 19 * 15 for row in first]


@pytest.mark.parametrize("kind", ["pickle", "saved"])
def test_a_choice_means_the_same_in_every_layout(kind: str, tmp_path: Path) -> None:
    whole = read(written(tmp_path / "a.pkl", cells(("A", "B", "C"), (0, 2, 4))))
    path = tmp_path / "a.pkl" if kind == "pickle" else whole.save(tmp_path / "a.safetensors")
    frames = read(path, classes=["C", "A"], snrs_db=[4.0], limit_per_cell=2)
    rows = [row for row in range(27) if whole.labels[row] != 1 and whole.snr_db[row] == 4 and row % 3 < 2]
    assert np.array_equal(frames.iq, whole.iq[rows])
    assert (frames.classes, frames.labels.tolist()) == (("A", "C"), [0, 0, 1, 1])


def test_a_choice_of_nothing_that_is_there_is_refused(tmp_path: Path) -> None:
    path = rml2018(tmp_path / "a.h5", samples=16)
    assert refusal(path, ConfigError, classes=["16-QAM"]) == "has no class '16-QAM'; did you mean '16QAM'?"
    assert refusal(path, ConfigError, snrs_db=[1]) == ("has no signal-to-noise ratio 1; expected one of -20, 0, 30")
    with pytest.raises(ConfigError, match="limit_per_cell is 0"):
        read(path, limit_per_cell=0)


def test_more_frames_than_memory_allows_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = rml2018(tmp_path / "a.h5", samples=16)
    said = refusal(path, LimitError, max_bytes=360 * 2 * 16 * 4 - 1)
    assert said.startswith("360 frames take")
    assert "fewer frames of each" in said
    assert len(read(path, max_bytes=360 * 2 * 16 * 4)) == 360


def test_of_a_set_that_is_too_large_a_part_can_be_read(tmp_path: Path) -> None:
    """The file declares 16 frames a cell and stores none of them."""
    labels = np.repeat(np.arange(24), 26 * 16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("X", (len(labels), 1024, 2), "f4")
        file["Y"], file["Z"] = np.eye(24, dtype=np.int8)[labels], np.tile(np.repeat(range(-20, 32, 2), 16), 24)
    assert "9984 frames take 0.1 GB" in refusal(tmp_path / "a.h5", LimitError, max_bytes=1_000_000)
    frames = read(tmp_path / "a.h5", classes=["FM"], snrs_db=[18, 30], limit_per_cell=3, max_bytes=1_000_000)
    assert (frames.iq.shape, frames.snr_db.tolist()) == ((6, 2, 1024), [18.0] * 3 + [30.0] * 3)


@pytest.mark.parametrize("time_first", [False, True])
def test_hisarmod_is_read_whichever_way_its_frames_lie(time_first: bool, tmp_path: Path) -> None:
    samples = np.arange(26 * 2 * 8, dtype=np.float64).reshape(26, 2, 8)
    stored = samples.transpose(0, 2, 1) if time_first else samples
    path = hdf5(tmp_path / "a.h5", samples=stored, labels=np.arange(26)[::-1, None], snr=np.full((26, 1), -4.0))
    frames = read(path)
    assert (frames.name, frames.classes, frames.samples_per_symbol) == ("HisarMod2019.1", HISARMOD_CLASSES, 2.0)
    assert np.array_equal(frames.iq, samples)
    assert frames.labels.tolist() == list(range(25, -1, -1))
    assert set(frames.snr_db.tolist()) == {-4.0}


def mainland(path: Path) -> Path:
    """Rows as `generate.py` writes them: channels are counted anew in every cell; analog classes have no symbols."""
    columns = [(name, "i8") for name in ("ms", "snr", "chan_idx", "offset")] + [("sps", "f8"), ("ebw", "f8")]
    rows = np.zeros(24, np.dtype([*columns, ("iq_data", "f4", (2, 128))]))
    rows["ms"], rows["snr"] = np.repeat([0, 1], 12), np.tile(np.repeat([-20, 18], 6), 2)
    rows["chan_idx"] = np.tile([1, 1, 2, 2, 3, 3], 4)
    rows["sps"] = np.where(rows["ms"] == 0, np.nan, 6.0)
    rows["iq_data"] = np.arange(24)[:, None, None]
    with h5py.File(path, "w") as file:
        file["radioml"] = rows
        file["radioml"].attrs["ms_categories"] = np.array([b"AM-DSB", b"BPSK"])
    return path


def test_the_structured_layout_of_mainland_gives_channels_as_groups(tmp_path: Path) -> None:
    frames = read(mainland(tmp_path / "a.hdf5"))
    assert (frames.name, frames.classes, frames.samples_per_symbol) == ("radioml2016-mainland", ("AM-DSB", "BPSK"), 6.0)
    assert frames.iq[:, 1, 127].tolist() == list(range(24))
    assert frames.groups is not None
    assert frames.groups.tolist() == [row // 2 for row in range(24)]
    chosen = read(tmp_path / "a.hdf5", classes=["BPSK"], snrs_db=[18], limit_per_cell=3)
    assert (chosen.iq[:, 0, 0].tolist(), chosen.groups.tolist()) == ([18, 19, 20], [9, 9, 10])  # type: ignore[union-attr]


def test_the_attributed_layout_of_mainland_gives_transmissions_as_groups(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["schema"] = "radioml2016-attributed"
        file.attrs["modulation_names_json"] = json.dumps(["8PSK", "AM-DSB"])
        windows = file.create_group("windows")
        windows["iq"] = np.arange(4, dtype="<f4")[:, None, None] * np.ones((4, 2, 128), "<f4")
        windows["modulation_id"] = np.array([0, 0, 1, 1], "<i2")
        windows["snr_db"] = np.array([-20, -20, 18, 18], "<i2")
        windows["transmission_number"] = np.array([0, 1, 2, 2], "<u8")
        file.create_group("transmissions")
    frames = read(tmp_path / "a.h5")
    assert (frames.classes, frames.labels.tolist(), frames.groups.tolist()) == (  # type: ignore[union-attr]
        ("8PSK", "AM-DSB"), [0, 0, 1, 1], [0, 1, 2, 2],
    )  # fmt: skip
    assert frames.iq[:, 0, 0].tolist() == [0, 1, 2, 3]


def test_hdf5_files_of_something_else_are_refused(tmp_path: Path) -> None:
    x, y, z = np.zeros((4, 16, 2), np.float32), np.eye(24, dtype=int)[:4], np.zeros((4, 1))
    bad = {
        "an HDF5 file of data_save": {"data_save": x},
        "an HDF5 file of nothing": {},
        "Y has 10 classes": {"X": x, "Y": y[:, :10], "Z": z},
        "'Y' has 3 rows; expected 4": {"X": x, "Y": y[:3], "Z": z},
        "'Z' has 5 rows": {"X": x, "Y": y, "Z": np.zeros(5)},
        "not one-hot near row 0": {"X": x, "Y": y * 0, "Z": z},
        "expected floats, (frames, samples, 2)": {"X": x.astype(int), "Y": y, "Z": z},
        "'X' has shape (4, 32)": {"X": x.reshape(4, 32), "Y": y, "Z": z},
        "expected one number a frame": {"X": x, "Y": y, "Z": np.zeros((4, 2))},
        "a signal-to-noise ratio is no number": {"X": x, "Y": y, "Z": z * np.nan},
        "labels go from 0 to 26": {"samples": x, "labels": [0, 1, 2, 26], "snr": z},
        "labels go from -1 to 2": {"samples": x, "labels": [0, 1, 2, -1], "snr": z},
        "'labels' is not a plain dataset": {"samples": x, "labels": ["a", "b", "c", "d"], "snr": z},
        "'radioml' holds float64": {"radioml": np.zeros(4)},
    }
    for said, datasets in bad.items():
        assert said in refusal(hdf5(tmp_path / "a.h5", **datasets))


def test_an_hdf5_file_reads_nothing_but_itself(tmp_path: Path) -> None:
    secret = hdf5(tmp_path / "secret.h5", X=np.zeros((4, 16, 2), np.float32))
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(4 * 16 * 2 * 4))
    for way in ("external link", "soft link", "external data", "virtual"):
        path = hdf5(tmp_path / "a.h5", Y=np.eye(24)[:4], Z=np.zeros(4), real=np.zeros((4, 16, 2), np.float32))
        with h5py.File(path, "a") as file:
            if way == "external link":
                file["X"] = h5py.ExternalLink(str(secret), "/X")
            elif way == "soft link":
                file["X"] = h5py.SoftLink("/real")
            elif way == "external data":
                file.create_dataset("X", (4, 16, 2), "f4", external=[(str(raw), 0, h5py.h5f.UNLIMITED)])
            else:
                layout = h5py.VirtualLayout((4, 16, 2), "f4")
                layout[:] = h5py.VirtualSource(str(secret), "X", (4, 16, 2))
                file.create_virtual_dataset("X", layout)
        assert "'X' is not a plain dataset of this file" in refusal(path)


def test_an_hdf5_file_cannot_declare_more_frames_than_anybody_has(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("X", (2**40, 16, 2), "f4", chunks=(16, 16, 2))
        file.create_dataset("Y", (2**40, 24), "i1", chunks=(16, 24))
        file.create_dataset("Z", (2**40,), "i1", chunks=(16,))
    assert "the limit is 50000000 frames" in refusal(tmp_path / "a.h5", LimitError)


@pytest.mark.parametrize("kept", [8, 100, 600, 2000])
def test_a_damaged_hdf5_file_is_one_line(kept: int, tmp_path: Path) -> None:
    path = rml2018(tmp_path / "a.h5", samples=16)
    path.write_bytes(path.read_bytes()[:kept])
    refusal(path)


def sample_frames(groups: bool = True) -> Frames:
    rng = np.random.default_rng(0)
    return Frames(
        iq=rng.standard_normal((12, 2, 16)).astype(np.float32),
        labels=np.arange(12) % 3,
        snr_db=np.repeat(np.array([-4, 2.5], np.float32), 6),
        classes=("A", "Ä", 'B "C"'),
        name="my capture",
        groups=np.arange(12) // 4 if groups else None,
        samples_per_symbol=2.5,
    )


@pytest.mark.parametrize("groups", [False, True])
def test_saved_frames_come_back_as_they_were(groups: bool, tmp_path: Path) -> None:
    frames = sample_frames(groups)
    saved = frames.save(tmp_path / "new" / "a.safetensors")
    back = read(saved)
    for field in ("iq", "labels", "snr_db", "groups"):
        left, right = getattr(frames, field), getattr(back, field)
        assert (left is None and right is None) or (np.array_equal(left, right) and left.dtype == right.dtype)
    assert (back.classes, back.name, back.samples_per_symbol) == (frames.classes, frames.name, 2.5)
    assert back.dataset == frames.dataset
    assert back.iq.flags.writeable
    assert [file.name for file in saved.parent.iterdir()] == ["a.safetensors"]


def test_a_part_of_frames_is_saved_as_the_part(tmp_path: Path) -> None:
    frames = sample_frames()
    reversed_view = frames.take(np.arange(12)[::-1])
    assert np.array_equal(read(reversed_view.save(tmp_path / "a")).iq, frames.iq[::-1])


def test_saving_where_one_cannot_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        sample_frames().save(tmp_path)


def test_safetensors_of_something_else_are_refused(tmp_path: Path) -> None:
    about = json.dumps({"classes": ["A"], "name": "a", "samples_per_symbol": 8.0})
    iq, labels, snr = np.zeros((4, 2, 16), np.float32), np.zeros(4, np.int64), np.zeros(4, np.float32)
    good = {"iq": iq, "labels": labels, "snr_db": snr}
    path = tmp_path / "a.safetensors"
    bad: list[tuple[str, dict[str, Any], str | None]] = [
        ("not frames that tamis saved", good, None),
        ("not frames that tamis saved", good, "no json"),
        ("not frames that tamis saved", good, "[1]"),
        ("not frames that tamis saved", {"iq": iq}, about),
        ("not frames that tamis saved", {"weight": iq}, about),
        ("iq is F64 [4, 2, 16]", {**good, "iq": iq.astype(np.float64)}, about),
        ("iq is F32 [4, 16, 2]", {**good, "iq": iq.transpose(0, 2, 1).copy()}, about),
        ("labels has shape (3,)", {**good, "labels": labels[:3]}, about),
        ("labels go from 1 to 1", {**good, "labels": labels + 1}, about),
        ("hold NaN", {**good, "iq": iq * np.nan}, about),
        ("iq is F32 [4, 2, 0]", {**good, "iq": iq[:, :, :0].copy()}, about),
        ("groups are float64", {**good, "groups": np.full(4, np.nan)}, about),
        ("the names of classes are one text, 'A'", good, about.replace('["A"]', '"A"')),
        ("samples_per_symbol is 0", good, about.replace("8.0", "0")),
    ]
    for said, arrays, metadata in bad:
        path.write_bytes(safetensors.numpy.save(arrays, None if metadata is None else {"frames": metadata}))
        assert said in refusal(path)
    path.write_bytes(safetensors.numpy.save(good, {"frames": about})[:-1])
    assert "not frames that tamis saved" in refusal(path)


def test_what_is_no_data_set_is_said_in_one_line(tmp_path: Path) -> None:
    contents = {
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 641\n",
        "a web page": b"\n<!DOCTYPE html><html><body>Sign in</body></html>",
        "packed (bzip2); unpack it first": b"BZh91AY&SY",
        "packed (gzip)": b"\x1f\x8b\x08\x00",
        "packed (zip)": b"PK\x03\x04",
        "packed (tar)": b"a" * 257 + b"ustar",
        "empty": b"",
        "of no known kind": b"MATLAB 5.0 MAT-file",
        "not frames that tamis saved": struct.pack("<Q", 2) + b"{}",
    }
    for said, content in contents.items():
        (tmp_path / "RML2016.10a_dict.pkl").write_bytes(content)
        assert re.search(re.escape(said), refusal(tmp_path / "RML2016.10a_dict.pkl"))
    assert refusal(tmp_path / "none") == "no such file; check the path"
    assert refusal(tmp_path) == "a folder; give a file in it"
