"""Files as Python 2 wrote them are byte for byte from Python 2.7 with NumPy 1.16; the others are written here."""

import io
import os
import pickle
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tamis.core.errors import FileError, LimitError, TamisError
from tamis.radio.safe_pickle import Limits, load

WRITTEN_BY_PYTHON_2 = {
    0: b"(dp1\n(S'QPSK'\np2\nI-2\ntp3\ncnumpy.core.multiarray\n_reconstruct\np4\n(cnumpy\nndarray\np5\n(I0\ntS"
    b"'b'\ntRp6\n(I1\n(I1\nI2\nI2\ntcnumpy\ndtype\np7\n(S'f4'\nI0\nI1\ntRp8\n(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
    b"I00\nS'\\x00\\x00\\x80?\\x00\\x00\\x00\\xc0\\x00\\x00\\x00?\\x00\\x00\\x80@'\ntbs(S'WBFM'\np9\nI18\nt"
    b"p10\ng4\n(g5\n(I0\ntS'b'\ntRp11\n(I1\n(I1\nI2\nI2\ntg8\nI00\nS'\\x00\\x00@@\\x00\\x00\\x00\\x00\\x00"
    b"\\x00\\x80\\xbf\\x00\\x00\\x7fC'\ntbs.",
    1: b"}q\x01((U\x04QPSKq\x02J\xfe\xff\xff\xfftq\x03cnumpy.core.multiarray\n_reconstruct\nq\x04(cnumpy\nndar"
    b"ray\nq\x05(K\x00tU\x01btRq\x06(K\x01(K\x01K\x02K\x02tcnumpy\ndtype\nq\x07(U\x02f4K\x00K\x01tRq\x08(K"
    b"\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbI00\nU\x10\x00\x00\x80?\x00\x00\x00\xc0\x00\x00"
    b"\x00?\x00\x00\x80@tb(U\x04WBFMq\tK\x12tq\nh\x04(h\x05(K\x00tU\x01btRq\x0b(K\x01(K\x01K\x02K\x02th\x08"
    b"I00\nU\x10\x00\x00@@\x00\x00\x00\x00\x00\x00\x80\xbf\x00\x00\x7fCtbu.",
    2: b"\x80\x02}q\x01(U\x04QPSKq\x02J\xfe\xff\xff\xff\x86q\x03cnumpy.core.multiarray\n_reconstruct\nq\x04cnu"
    b"mpy\nndarray\nq\x05K\x00\x85U\x01b\x87Rq\x06(K\x01K\x01K\x02K\x02\x87cnumpy\ndtype\nq\x07U\x02f4K\x00"
    b"K\x01\x87Rq\x08(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10\x00\x00\x80?\x00\x00"
    b"\x00\xc0\x00\x00\x00?\x00\x00\x80@tbU\x04WBFMq\tK\x12\x86q\nh\x04h\x05K\x00\x85U\x01b\x87Rq\x0b(K\x01"
    b"K\x01K\x02K\x02\x87h\x08\x89U\x10\x00\x00@@\x00\x00\x00\x00\x00\x00\x80\xbf\x00\x00\x7fCtbu.",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.pkl"


def loaded(file: Path, content: bytes, **limits: int) -> Any:
    file.write_bytes(content)
    return load(file, Limits(**limits))


def refusal(file: Path, content: bytes, kind: type[TamisError] = FileError, **limits: int) -> str:
    with pytest.raises(kind) as caught:
        loaded(file, content, **limits)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert "byte" in message
    assert message.isprintable()
    return message.removeprefix(f"{file}: ")


def same(left: Any, right: Any) -> bool:
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_a_file_of_python_2_is_read_without_a_copy(protocol: int, file: Path) -> None:
    content = loaded(file, WRITTEN_BY_PYTHON_2[protocol])
    assert list(content) == [(b"QPSK", -2), (b"WBFM", 18)]
    assert content[b"QPSK", -2].tolist() == [[[1, -2], [0.5, 4]]]
    assert content[b"WBFM", 18].tolist() == [[[3, 0], [-1, 255]]]
    assert all(array.dtype == np.float32 and not array.flags.owndata for array in content.values())


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_it_reads_what_pickle_reads_in_files_of_python_2(protocol: int, file: Path) -> None:
    expected = pickle.loads(WRITTEN_BY_PYTHON_2[protocol], encoding="latin1")
    ours = loaded(file, WRITTEN_BY_PYTHON_2[protocol])
    assert same({(name.decode(), snr): array for (name, snr), array in ours.items()}, expected)


VALUES = {
    "frames": {("8PSK", -20): np.arange(24, dtype=np.float32).reshape(2, 2, 6), ("WBFM", 18): np.ones((1, 2, 6))},
    "plain": [
        None,
        True,
        False,
        0,
        -1,
        255,
        65535,
        -(2**31),
        2**40,
        -(2**62),
        1.5,
        -0.0,
        "",
        "é\n\\x",
        "\ud800",
        b"\0",
    ],
    "nested": {"a": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], {}, {1: {2.5: [b"x" * 300, "y" * 300]}}]},
    "many": list(range(2000)),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "types": [np.zeros(3, kind) for kind in ("u1", "i2", "<i8", "f2", "f8", "?")],
    "shared": [array := np.ones(5, np.float32), array],
    "text array": np.array(["a", "bcd"]),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", VALUES)
def test_what_python_3_wrote_is_read_as_pickle_reads_it(name: str, protocol: int, file: Path) -> None:
    value = VALUES[name]
    if name == "plain" and protocol < 3:
        value = [one for one in value if not isinstance(one, bytes)] + [b"bytes \xff"]
    content = pickle.dumps(value, protocol)
    assert same(loaded(file, content), pickle.loads(content))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_an_array_without_frames_is_read(protocol: int, file: Path) -> None:
    value = np.zeros((0, 2, 128), np.float32)
    assert same(loaded(file, pickle.dumps(value, protocol)), value)


def test_scalars_of_numpy_become_plain_numbers(file: Path) -> None:
    content = loaded(file, pickle.dumps({("A", np.int64(-20)): np.float32(0.5), ("B", np.str_("C")): np.bool_(True)}))
    assert content == {("A", -20): 0.5, ("B", "C"): True}
    assert [type(value) for key in content for value in (key[1], content[key])] == [int, float, str, bool]


def test_other_byte_orders_keep_their_values(file: Path) -> None:
    value = np.array([1, 2, -3], ">f8")
    assert loaded(file, pickle.dumps(value)).tolist() == value.tolist()


def test_a_file_of_many_frames_is_read(file: Path) -> None:
    """More bytes than a frame of protocol 4, and more than the buffer of the file."""
    value = {("A", 0): np.random.default_rng(0).standard_normal((1000, 2, 128)).astype(np.float32)}
    for protocol in (0, 2, 4, 5):
        assert same(loaded(file, pickle.dumps(value, protocol)), value)


scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
)
shapes = arrays.array_shapes(max_dims=3, max_side=4)
numbers = arrays.arrays(np.float32, shapes) | arrays.arrays(np.int16, shapes)
plain = st.recursive(
    scalars | numbers,
    lambda below: (
        st.lists(below, max_size=4)
        | st.tuples(below, below)
        | st.dictionaries(st.text() | st.integers(0, 9) | st.tuples(st.text(), st.integers(-99, 99)), below, max_size=4)
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=50)
@given(value=plain, protocol=st.integers(3, 5))
def test_anything_plain_is_read_as_it_was_written(value: Any, protocol: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert same(loaded(Path(folder) / "a", pickle.dumps(value, protocol)), value)


SEEDS = [*WRITTEN_BY_PYTHON_2.values(), *(pickle.dumps(VALUES["frames"], protocol) for protocol in range(6))]


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_file_is_refused_in_one_line_or_read_but_nothing_else(content: bytes, changes: Any) -> None:
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    with tempfile.TemporaryDirectory() as folder:
        try:
            loaded(Path(folder) / "a", bytes(damaged), max_steps=10_000)
        except (FileError, LimitError) as error:
            said = str(error)
        else:
            said = ""
    assert said.isprintable()


@pytest.mark.parametrize("protocol", range(6))
def test_a_file_cut_short_anywhere_is_refused(protocol: int, file: Path) -> None:
    content = pickle.dumps({("A", 0): np.ones((1, 2, 3), np.float32)}, protocol)
    for end in range(0, len(content), 3):
        refusal(file, content[:end])


class Call:
    """Pickled as the call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def reach(*path: str) -> bytes:
    """A pickle that calls the function of a module with a string."""
    return b"c" + "\n".join(path).encode() + b"\n(S'touch here'\ntR."


HOSTILE = {
    "os.system": reach("os", "system"),
    "posix.system": reach("posix", "system"),
    "eval": reach("builtins", "eval"),
    "eval of Python 2": reach("__builtin__", "eval"),
    "getattr": reach("builtins", "getattr"),
    "bytes": reach("builtins", "bytes"),
    "numpy.load": reach("numpy", "load"),
    "f2py": reach("numpy.f2py.crackfortran", "myeval"),
    "numpy's testing": reach("numpy.testing._private.utils", "runstring"),
    "dotted name": reach("numpy", "ndarray.tofile"),
    "dotted module": reach("numpy.core.multiarray", "_reconstruct.__self__"),
    "codecs.open": reach("codecs", "open"),
    "encode to another codec": b"c_codecs\nencode\n(Va\nVrot13\ntR.",
    "a class instead of ndarray": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.",
    "call of ndarray": b"cnumpy\nndarray\n((I9\ntS'f4'\ntR.",
    "call of a string": b"S'os'\n(tR.",
    "stack global": pickle.dumps(Call(os.system, "touch here"), 4),
    "stack global of numbers": b"\x80\x04K\x01K\x02\x93.",
    "INST": b"(S'touch here'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'touch here'\no.",
    "NEWOBJ": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "NEWOBJ_EX": b"\x80\x04cnumpy\nndarray\n)}\x92.",
    "EXT1": b"\x80\x02\x82\x01)R.",
    "EXT2": b"\x80\x02\x83\x01\x00)R.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00)R.",
    "PERSID": b"Pos\n.",
    "BINPERSID": b"S'os'\nQ.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "protocol 6": b"\x80\x06N.",
    "unknown opcode": b"\xffN.",
    "build on a dict": b"}(S'__class__'\nNdb.",
    "build on a class": b"cnumpy\nndarray\n(dp0\nS'__array_finalize__'\nNsb.",
    "object array": pickle.dumps(np.array([None, {}], object)),
    "structured array": pickle.dumps(np.zeros(2, [("a", "f4"), ("b", "O")])),
    "structured array of numbers": pickle.dumps(np.zeros(2, [("a", "f4"), ("b", "i2")])),
    "dates": pickle.dumps(np.zeros(2, "M8[s]")),
    "a set": pickle.dumps({1, 2}),
    "a function": pickle.dumps(len),
    "a class": b"cnumpy\nndarray\n.",
    "an array never filled": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR.",
    "a type never filled": b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR.",
    "the mark alone": b"(.",
    "nothing at all": b".",
    "two objects": b"NN.",
    "a memo that is not there": b"h\x09.",
    "a negative memo": b"Np-1\ng-2\n.",
    "a key that is a list": b"}]Ns.",
    "a key that is nested": b"}(((ttNs.",
    "an odd number of items": b"}(K\x01u.",
    "an integer of a million bytes": b"\x80\x02\x8b\x40\x42\x0f\x00" + b"\x01" * 1_000_000 + b".",
    "a million digits": b"L" + b"9" * 1_000_000 + b"L\n.",
    "more bytes than there are": b"\x80\x04\x8e" + struct.pack("<Q", 2**63) + b"abc.",
    "a negative length": b"\x80\x02T\xff\xff\xff\xffabc.",
    "a frame longer than the file": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.",
    "a string without quotes": b"Sabc\n.",
    "a string opened as text": b"S'abc'\r\n.",
    "a bad escape": b"S'\\xzz'\n.",
    "bad UTF-8": b"\x80\x04\x8c\x02\xff\xfe.",
    "trailing garbage": pickle.dumps({}) + b"x",
    "a second pickle": pickle.dumps({}) + pickle.dumps({}),
    "empty": b"",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_and_nothing_happens(name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    refusal(file, HOSTILE[name])
    assert os.listdir() == [file.name]


def test_the_refusal_names_the_byte_and_what_was_asked_for(file: Path) -> None:
    message = refusal(file, b"(lp0\n" + reach("os", "system"))
    assert message == "byte 5: asks for os.system that no pickle of plain arrays needs; do not unpickle this file"
    assert refusal(file, b"N" + HOSTILE["EXT4"]) == (
        "byte 3: opcode EXT4 that no pickle of plain arrays needs; do not unpickle this file"
    )


def array_pickle(shape: tuple[int, ...], data: bytes, code: bytes = b"f4", order: bytes = b"<") -> bytes:
    """An array whose shape need not agree with its bytes."""
    sides = b"".join(b"I%d\n" % side for side in shape)
    kind = b"cnumpy\ndtype\n(S'" + code + b"'\nI0\nI1\ntR(I3\nS'" + order + b"'\nNNNI-1\nI-1\nI0\ntb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    return empty + b"(I1\n(" + sides + b"t" + kind + b"I00\nT" + struct.pack("<i", len(data)) + data + b"tb."


def test_an_array_is_read_only_if_its_bytes_fill_its_shape(file: Path) -> None:
    data = np.arange(4, dtype="<f4").tobytes()
    assert loaded(file, array_pickle((2, 2), data)).tolist() == [[0, 1], [2, 3]]
    for shape in ((2, 3), (5,), (2**40, 2**40), (-2, -2), (-4,), (0, 4), (2**62, 4), (2,) * 30):
        assert "16 bytes for an array of" in refusal(file, array_pickle(shape, data))
    refusal(file, array_pickle((0, 2**62, 2**62), b""))
    assert loaded(file, array_pickle((0, 2), b"")).shape == (0, 2)


@pytest.mark.parametrize("code", [b"O", b"O8", b"V4", b"f4,O", b"f3", b"f9", b"U99999", b"", b"(2,)f4", b"os.system"])
def test_types_that_are_no_numbers_are_refused(code: bytes, file: Path) -> None:
    refusal(file, array_pickle((1,), b"abcd", code))


def test_an_unknown_byte_order_is_refused(file: Path) -> None:
    refusal(file, array_pickle((1,), b"abcd", order=b"!"))


def test_too_many_steps_are_refused(file: Path) -> None:
    bomb = b"]" + b"".join(b"r" + struct.pack("<I", number) for number in range(2000)) + b"."
    assert loaded(file, bomb) == []
    assert "more than 1000 steps" in refusal(file, bomb, LimitError, max_steps=1000)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(file: Path) -> None:
    with open(file, "wb") as huge:
        huge.truncate(9_000_000_000)
    with pytest.raises(LimitError, match=r"9000000000 bytes, the limit is 8000000000"):
        load(file)


def test_deep_nesting_is_refused(file: Path) -> None:
    assert loaded(file, b"(" * 10 + b"l" * 10 + b".") == [[[[[[[[[[]]]]]]]]]]
    assert "nested" in refusal(file, b"(" * 20_000 + b"l" * 20_000 + b".", LimitError)
    assert "nested" in refusal(file, b")" + b"\x85" * 20_000 + b".", LimitError)
    assert "nested" in refusal(file, b"]" * 1000 + b"a" * 999 + b".", LimitError)


@pytest.mark.parametrize(
    "content",
    [b"]q\x00h\x00a.", b"}q\x00K\x01h\x00s.", b"]q\x00(h\x00ta.", b"]q\x00]q\x01h\x00aa."],
    ids=["list in itself", "dict in itself", "list in a tuple in itself", "list in a list in itself"],
)
def test_what_holds_itself_is_refused(content: bytes, file: Path) -> None:
    assert "nested within itself" in refusal(file, content, LimitError)


def test_tuples_shared_a_billion_times_cost_nothing(file: Path) -> None:
    doubling = b")" + b"".join(b"q%ch%c\x86" % (level, level) for level in range(14)) + b"."
    loaded(file, doubling)
    refusal(file, b"}" + doubling[:-1] + b"Ns.")  # as a key its hash would take for ever


def test_text_is_not_made_into_bytes_without_end(file: Path) -> None:
    text = b"X" + struct.pack("<I", 100_000) + b"a" * 100_000 + b"q\x01"
    call = b"c_codecs\nencode\nq\x02(h\x01X\x06\0\0\0latin1tR"
    again = b"h\x02(h\x01X\x06\0\0\0latin1tR"
    assert "out of text" in refusal(file, b"(" + text + call + again * 50 + b"l.", LimitError)


def test_arrays_made_many_times_of_the_same_bytes_share_them(file: Path) -> None:
    value = np.ones(1000, np.float32)
    buffer = io.BytesIO()
    pickle.Pickler(buffer, 5).dump([value] * 1000)
    read = loaded(file, buffer.getvalue())
    assert len({id(array) for array in read}) == 1


def test_a_file_that_is_not_there_is_one_line(file: Path) -> None:
    with pytest.raises(FileError, match=r"a\.pkl: cannot be read \(No such file or directory\)"):
        load(file)
    with pytest.raises(FileError, match="cannot be read"):
        load(file.parent)
