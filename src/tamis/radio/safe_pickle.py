"""Read arrays out of a pickle without unpickling it.

A pickle is a program: whoever unpickles it runs what its author wrote. The data sets of this field are pickles that
are passed from hand to hand, so they are read here by an interpreter of our own, which knows only the opcodes that such
files consist of.

- What can come out: dict, tuple, list, str, bytes, int, float, bool, None and NumPy arrays of numbers or text.
- Nothing is imported or called by a name in the file. Six names of NumPy and `codecs` are recognised, and what they
  stand for is done here.
- Protocols 0 to 5 as Python 2 and Python 3 wrote them. The strings of Python 2 come out as bytes, as with
  `pickle.load(file, encoding="bytes")`.
- Arrays are views of the bytes read, so a file of 1 GB takes 1 GB. They cannot be written to.
"""

from __future__ import annotations

import codecs
import math
import os
import re
import struct
import warnings
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tamis.core.errors import FileError, LimitError, TamisError, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Limits:
    """What is accepted; more is refused with LimitError before memory is taken for it."""

    max_bytes: int = 8_000_000_000
    """Size of the file; RML2016.10b has 3.4 GB in the protocol in which it was published."""
    max_steps: int = 2_000_000
    """Opcodes, and so objects and memo entries; an array of frames takes some thirty."""
    max_depth: int = 16
    """Containers within containers."""


DEFAULT = Limits()


def load(path: str | Path, limits: Limits = DEFAULT) -> Any:
    """Read a pickle of plain containers and arrays.

    Args:
        path: The file.
        limits: What is accepted.

    Returns:
        What the pickle holds; strings of Python 2 are bytes, and arrays are read-only.

    Raises:
        FileError: If it cannot be read, is damaged, goes on after its end, or asks for anything else.
        LimitError: If it is too large, too long or too deep.
    """
    try:
        with open(path, "rb", buffering=2**20) as file:
            size = os.fstat(file.fileno()).st_size
            if size > limits.max_bytes:
                raise LimitError(f"{path}: {size} bytes, the limit is {limits.max_bytes}; split it, or allow more")
            return _Interpreter(path, file, size, limits).run()
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror}); check the path") from error


class _Known(Enum):
    """What the names that a file may mention stand for."""

    RECONSTRUCT = "an empty array, to be filled"
    FROM_BUFFER = "an array"
    SCALAR = "a number"
    NDARRAY = "the class of arrays"
    DTYPE = "a type of numbers"
    ENCODE = "bytes written as text"


_NAMES = {
    ("numpy", "ndarray"): _Known.NDARRAY,
    ("numpy", "dtype"): _Known.DTYPE,
    ("_codecs", "encode"): _Known.ENCODE,
    **{
        (f"numpy.{core}.{module}", name): known
        for core in ("core", "_core")
        for module, name, known in (
            ("multiarray", "_reconstruct", _Known.RECONSTRUCT),
            ("multiarray", "scalar", _Known.SCALAR),
            ("numeric", "_frombuffer", _Known.FROM_BUFFER),
        )
    },
}


@dataclass(eq=False)
class _Unfinished:
    """An array or a dtype between its making and the BUILD that says what it is."""

    code: str | None
    """Of a dtype; None is an array."""
    made: Any = None


_STOP = b"."
_CONSTANTS: dict[bytes, Any] = {b"N": None, b"\x88": True, b"\x89": False, b")": ()}
_NUMBERS = {b"J": "<i", b"K": "<B", b"M": "<H", b"G": ">d"}
_TEXTS = {b"X": "<I", b"\x8c": "<B", b"\x8d": "<Q"}
_BYTES = {b"T": "<i", b"U": "<B", b"B": "<I", b"C": "<B", b"\x8e": "<Q", b"\x96": "<Q"}
_INTEGERS = {b"\x8a": "<B", b"\x8b": "<i"}
_TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
_PUTS = {b"q": "<B", b"r": "<I"}
_GETS = {b"h": "<B", b"j": "<I"}
_LINE = 256
_LEAVES = (str, bytes, int, float, bool, type(None))
_DAMAGE = (IndexError, KeyError, OverflowError, TypeError, ValueError, struct.error)


class _Interpreter:
    """The stack machine of a pickle, cut down."""

    def __init__(self, path: str | Path, file: BinaryIO, size: int, limits: Limits) -> None:
        self.path, self.file, self.size, self.limits = path, file, size, limits
        self.at = 0
        self.encoded = 0
        self.memo: dict[int, Any] = {}
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []

    def run(self) -> Any:
        try:
            for _ in range(self.limits.max_steps):
                self.at = self.file.tell()
                if (opcode := self.read(1)) == _STOP:
                    return self.result()
                self.step(opcode)
        except TamisError:
            raise
        except _DAMAGE as error:
            raise self.error(f"damaged ({one_line(error)}); get the file again") from error
        raise LimitError(f"{self.path}: byte {self.at}: more than {self.limits.max_steps} steps, which is the limit")

    def step(self, opcode: bytes) -> None:
        push = self.stack.append
        if opcode in _CONSTANTS:
            push(_CONSTANTS[opcode])
        elif opcode in _NUMBERS:
            push(self.number(_NUMBERS[opcode]))
        elif opcode in _TEXTS:
            push(self.read(self.number(_TEXTS[opcode])).decode("utf-8", "surrogatepass"))
        elif opcode in _BYTES:
            push(self.read(self.number(_BYTES[opcode])))
        elif opcode in _INTEGERS:
            push(self.integer(self.number(_INTEGERS[opcode])))
        elif opcode in _TUPLES:
            items = self.stack[-_TUPLES[opcode] :]
            if len(items) < _TUPLES[opcode]:
                raise IndexError("a tuple of more than there is")
            self.stack[-_TUPLES[opcode] :] = [tuple(items)]
        elif opcode in _PUTS:
            self.memo[self.number(_PUTS[opcode])] = self.stack[-1]
        elif opcode in _GETS:
            self.get(self.number(_GETS[opcode]))
        else:
            self.rare_step(opcode)

    def rare_step(self, opcode: bytes) -> None:
        match opcode:
            case b"(":
                if len(self.below) >= self.limits.max_depth:
                    raise self.too_deep()
                self.below.append(self.stack)
                self.stack = []
            case b"t":
                items = self.marked()
                self.stack.append(tuple(items))
            case b"]":
                self.stack.append([])
            case b"l":
                items = self.marked()
                self.stack.append(items)
            case b"a":
                item = self.stack.pop()
                self.top(list).append(item)
            case b"e":
                items = self.marked()
                self.top(list).extend(items)
            case b"}":
                self.stack.append({})
            case b"d":
                items = self.marked()
                self.stack.append({})
                self.set_items(items)
            case b"s":
                items = [self.stack.pop(), self.stack.pop()]
                self.set_items(items[::-1])
            case b"u":
                self.set_items(self.marked())
            case b"I":
                line = self.line()
                self.stack.append({b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line))
            case b"L":
                self.stack.append(int(self.line().removesuffix(b"L")))
            case b"F":
                self.stack.append(float(self.line()))
            case b"V":
                self.stack.append(self.line(self.size).decode("raw-unicode-escape"))
            case b"S":
                self.stack.append(self.quoted())
            case b"p":
                self.memo[int(self.line())] = self.stack[-1]
            case b"g":
                self.get(int(self.line()))
            case b"\x94":
                self.memo[len(self.memo)] = self.stack[-1]
            case b"c":
                module, name = self.line().decode(), self.line().decode()
                self.stack.append(self.known(module, name))
            case b"\x93":
                name, module = self.stack.pop(), self.stack.pop()
                self.stack.append(self.known(module, name))
            case b"R":
                arguments, function = self.stack.pop(), self.stack.pop()
                self.stack.append(self.call(function, arguments))
            case b"b":
                state = self.stack.pop()
                self.stack[-1] = self.build(self.top(_Unfinished), state)
            case b"\x80":
                if (protocol := self.number("<B")) > 5:
                    raise self.error(f"pickle of protocol {protocol}; expected 0 to 5; save it again with protocol 5")
            case b"\x95":
                if self.number("<Q") > self.size - self.file.tell():
                    raise self.truncated()
            case _:
                raise self.foreign(f"opcode {_name(opcode)}")

    def result(self) -> Any:
        if self.file.tell() != self.size:
            raise self.error(f"the pickle ends here, {self.size - self.file.tell()} bytes follow; get the file again")
        if self.below or len(self.stack) != 1:
            raise self.error("the pickle ends here with more or less than one object; get the file again")
        self.check(self.stack[0])
        return self.stack[0]

    def check(self, result: Any) -> None:
        """Refuse what is nested too deeply or within itself, and what was never finished."""
        level = {id(result): result}
        for _ in range(self.limits.max_depth):
            below: dict[int, Any] = {}
            for item in level.values():
                if type(item) in (tuple, list):
                    below |= {id(part): part for part in item}
                elif type(item) is dict:  # its keys are plain
                    below |= {id(part): part for part in item.values()}
                elif type(item) not in _LEAVES and not isinstance(item, np.ndarray):
                    raise self.error("holds an array or a type that is not complete; get the file again")
            if not below:
                return
            level = below
        raise self.too_deep()

    def error(self, what: str) -> FileError:
        return FileError(f"{self.path}: byte {self.at}: {what}")

    def foreign(self, what: str) -> FileError:
        return self.error(f"{what} that no pickle of plain arrays needs; do not unpickle this file")

    def truncated(self) -> FileError:
        return self.error(f"more is announced than the {self.size} bytes that there are; get the whole file")

    def too_deep(self) -> LimitError:
        return LimitError(
            f"{self.path}: byte {self.at}: nested within itself, or deeper than {self.limits.max_depth}, the limit"
        )

    def read(self, count: int) -> bytes:
        if not 0 <= count <= self.size - self.file.tell():
            raise self.truncated()
        return self.file.read(count)

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.read(struct.calcsize(form)))[0]

    def integer(self, length: int) -> int:
        if length > 8:
            raise self.error(f"an integer of {length} bytes; expected at most 8")
        return int.from_bytes(self.read(length), "little", signed=True)

    def line(self, limit: int = _LINE) -> bytes:
        line = self.file.readline(limit)
        if not line.endswith(b"\n"):
            raise (
                self.truncated() if self.file.tell() == self.size else self.error(f"a line of more than {limit} bytes")
            )
        return line[:-1]

    def quoted(self) -> bytes:
        line = self.line(self.size)
        if len(line) < 2 or line[:1] not in (b"'", b'"') or line[:1] != line[-1:]:
            raise self.error("a string without quotes; a pickle of protocol 0 must never be opened as text")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # unknown escapes stay as they are
            unescaped: Any = codecs.escape_decode(memoryview(line)[1:-1])[0]
        return bytes(unescaped)

    def top(self, kind: type[Any]) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise TypeError(f"a {type(self.stack[-1]).__name__} where a {kind.__name__.strip('_').lower()} belongs")
        return self.stack[-1]

    def marked(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def get(self, number: int) -> None:
        if number not in self.memo:
            raise self.error(f"refers to object {number}, which is not there; get the file again")
        item = self.memo[number]
        done = isinstance(item, _Unfinished) and item.made is not None
        self.stack.append(item.made if done else item)

    def set_items(self, items: list[Any]) -> None:
        target = self.top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            parts = key if type(key) is tuple and len(key) <= self.limits.max_depth else (key,)
            if not all(type(part) in _LEAVES for part in parts):
                raise TypeError("a key of a dict that is no plain value or tuple of such")
            target[key] = value

    def known(self, module: Any, name: Any) -> _Known:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a global name that is no text")
        if (module, name) not in _NAMES:
            asked = one_line(Exception(f"{module}.{name}"))[:80]
            raise self.foreign(f"asks for {asked}")
        return _NAMES[module, name]

    def call(self, function: Any, arguments: Any) -> Any:
        match function, arguments:
            case _Known.RECONSTRUCT, (_Known.NDARRAY, (0,), b"b" | "b"):
                return _Unfinished(None)
            case _Known.DTYPE, (str() | bytes() as code, 0 | 1, 0 | 1):
                return _Unfinished(self.type_code(_text(code)))
            case _Known.SCALAR, (np.dtype() as dtype, bytes() as data):
                return self.array(data, dtype, (), "C").item()
            case _Known.FROM_BUFFER, (bytes() as data, np.dtype() as dtype, tuple() as shape, "C" | "F" as order):
                return self.array(data, dtype, shape, order)
            case _Known.FROM_BUFFER, (bytes() as data, np.dtype() as dtype, tuple() as shape, "C" | "F" as order, None):
                return self.array(data, dtype, shape, order)
            case _Known.ENCODE, (str() as text, "latin1"):
                self.encoded += len(text)
                if self.encoded > self.size:
                    raise LimitError(f"{self.path}: byte {self.at}: more bytes than the file has are made out of text")
                return text.encode("latin1")
        raise self.foreign("calls something in a way")

    def type_code(self, code: str) -> str:
        if not re.fullmatch(r"[biuf][1-8]|[SU][0-9]{1,4}", code):
            raise self.error(f"an array of type {one_line(Exception(code))[:20]!r}; expected numbers")
        return code

    def build(self, unfinished: _Unfinished, state: Any) -> Any:
        match unfinished.code, state:
            case None, (1, tuple() as shape, np.dtype() as dtype, 0 | 1 as fortran, bytes() as data):
                unfinished.made = self.array(data, dtype, shape, "F" if fortran else "C")
            case str() as code, (3, str() | bytes() as order, None, None, None, int(), int(), int()):
                unfinished.made = np.dtype(code).newbyteorder(_byte_order(_text(order)))
            case _:
                raise self.error("an array or a type that is not plain; expected numbers in a rectangle")
        return unfinished.made

    def array(self, data: bytes, dtype: np.dtype[Any], shape: tuple[Any, ...], order: Any) -> NDArray[Any]:
        plain = len(shape) <= self.limits.max_depth and all(type(side) is int and side >= 0 for side in shape)
        if not plain or math.prod(shape) * dtype.itemsize != len(data):
            wanted = "×".join(str(side)[:20] for side in shape[:8] if isinstance(side, int))
            raise self.error(f"{len(data)} bytes for an array of {wanted} values of type {dtype}; get the file again")
        return np.ndarray(shape, dtype, data, order=order)


def _text(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("latin1")


def _byte_order(order: str) -> Any:
    if order not in ("<", ">", "|", "="):
        raise ValueError("a type of unknown byte order")
    return order


def _name(opcode: bytes) -> str:
    import pickletools

    names = {known.code: known.name for known in pickletools.opcodes}
    return names.get(opcode.decode("latin1"), f"{opcode!r}")
