"""Students as C for microcontrollers: one source file and its header, C99, static buffers, no dependency.

The kernels are the same for int8 and float32; only the arithmetic of a cell differs. They stand in `c/` as they are
written out, and are bit for bit the same on every machine that keeps to IEEE 754 and fuses no multiplications.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import tamis
from tamis.core.errors import ConfigError
from tamis.core.files import write_whole
from tamis.radio.c_steps import (
    Average,
    Convolution,
    Signal,
    Step,
    Sum,
    float32_constants,
    follow,
    int8_constants,
    read_steps,
    with_scale,
)
from tamis.radio.calibration import calibration_frames
from tamis.radio.kdcnn import KDCNN
from tamis.radio.kdmobilenet import KDMobileNet
from tamis.radio.network import Network, check_weights, normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis.radio.config import Normalisation
    from tamis.radio.data import Frames

TEMPLATES = Path(__file__).parent / "c"
"""What the C files are made of."""
_COLUMNS = 24
_PLAIN = string.ascii_letters + string.digits + " +-./_"
_SCALES = {
    "rms": ("scale += power;", "sqrtf(scale / SAMPLES)"),
    "energy": ("scale += power;", "sqrtf(scale)"),
    "max": ("scale = power > scale ? power : scale;", "sqrtf(scale)"),
    "l1": ("scale += sqrtf(power);", "scale"),
}
"""How the powers of samples are gathered in C, and what the scale of the frame is then."""


@dataclass(frozen=True)
class CExport:
    """A network in C."""

    source: Path
    """The network: for any C99 compiler, to be linked with the mathematical library."""
    header: Path
    """What a program includes."""
    program: Path
    """A program that classifies the frames of a file."""
    samples: int
    """Length of a frame in complex samples."""
    classes: tuple[str, ...]
    """Names of the classes, in the order of the logits."""


def export_c(network: Network, folder: str | Path, *, name: str, calibration: Frames | None = None) -> CExport:
    """Write a student as C: `<name>.c`, `<name>.h`, and `<name>_main.c`, a program that uses them.

    Args:
        network: A KDCNN or a KDMobileNet.
        folder: Where to; made if need be, older files of these names are replaced.
        name: Of the files and of what they define, such as "kd_cnn".
        calibration: Labelled frames to set the int8 ranges by, such as the training frames; None writes float32.

    Raises:
        ConfigError: If the network is of another class, the name is none for C, or there are no calibration frames.
        FileError: If the files cannot be written.
        InputError: If a weight is NaN or infinite.
        ShapeError: If the calibration frames are not as long as the network's.
    """
    if not isinstance(network, KDCNN | KDMobileNet):
        raise ConfigError(f"a {type(network).__name__} is not written as C; distil it to a KDCNN or a KDMobileNet")
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise ConfigError(f"name is {name!r}; expected lower-case letters, digits and _, such as kd_cnn")
    check_weights(network)
    config = network.config
    steps = read_steps(network)
    if calibration is None:
        precision = "float32"
        signals = follow(steps, torch.zeros(1, 2, config.samples))
    else:
        precision = "int8"
        iq = torch.from_numpy(calibration_frames(calibration, config).iq)
        signals = [with_scale(signal) for signal in follow(steps, normalise(iq, config.normalisation))]
    convert = float32_constants if calibration is None else int8_constants
    data = [_declare(i, steps[i], signals, convert(steps, signals, i)) for i in range(len(steps))]
    buffers, calls = _program(steps, signals)
    words = {
        "name": name,
        "NAME": name.upper(),
        "network": type(network).__name__,
        "precision": precision,
        "version": tamis.__version__,
        "samples": str(config.samples),
        "count": str(len(config.classes)),
        "classes": ", ".join(map(_string, config.classes)),
        "types": _file(f"{precision}.c"),
        "kernels": _file("kernels.c"),
        "data": "\n".join(data),
        "buffers": buffers,
        "normalisation": config.normalisation,
        "gather": _gather(config.normalisation),
        "step": _number(signals[0].scale),
        "zero": str(signals[0].zero),
        "margin": str(signals[0].margin),
        "calls": calls,
    }
    target = Path(folder)
    return CExport(
        source=write_whole(target / f"{name}.c", Template(_file("network.c")).substitute(words)),
        header=write_whole(target / f"{name}.h", Template(_file("network.h")).substitute(words)),
        program=write_whole(target / f"{name}_main.c", Template(_file("main.c")).substitute(words)),
        samples=config.samples,
        classes=config.classes,
    )


def _program(steps: Sequence[Step], signals: Sequence[Signal]) -> tuple[str, str]:
    """Give every signal a buffer that nobody needs any more; return the buffers, and the calls of the steps."""
    until = list(range(len(steps)))
    for i, step in enumerate(steps):
        if isinstance(step, Sum):
            until[step.first] = i
    sizes: list[int] = []
    held: dict[int, int] = {}
    calls = []
    for i, signal in enumerate(signals[:-1]):
        taken = {held[j] for j in held if until[j] >= i - 1}
        held[i] = next(buffer for buffer in range(len(sizes) + 1) if buffer not in taken)
        sizes += [0] * (held[i] == len(sizes))
        size = (signal.length + 2 * signal.margin) * signal.channels
        sizes[held[i]] = max(size, sizes[held[i]])
        if i == 0:
            calls.append(f"load(iq, buffer_{held[0]});")
            continue
        step = steps[i - 1]
        read = [step.first, i - 1] if isinstance(step, Sum) else [i - 1]
        kernel = _kernel(step)
        operands = ", ".join(f"buffer_{held[j]}" for j in (*read, i))
        calls.append(f"{kernel}(&step_{i - 1}, {operands});")
    calls.append(f"read_logits(&step_{len(steps) - 1}, buffer_{held[len(steps) - 1]}, logits);")
    buffers = "static cell " + ", ".join(f"buffer_{i}[{size}]" for i, size in enumerate(sizes)) + ";"
    return buffers, "\n".join(f"    {call}" for call in calls)


def _kernel(step: Step) -> str:
    if isinstance(step, Convolution):
        return "convolve_alone" if step.alone else "convolve"
    return "average" if isinstance(step, Average) else "add"


def _declare(i: int, step: Step, signals: Sequence[Signal], constants: dict[str, Any]) -> str:
    """Write the C structure of step i, and the arrays that it points to."""
    before, after = signals[i], signals[i + 1]
    fields: dict[str, Any] = {"in": before.channels, "out": after.channels, "length": after.length}
    if isinstance(step, Convolution):
        fields |= {"kernel": step.weight.shape[2], "stride": step.stride, "pool": step.pool, "margin": after.margin}
    elif isinstance(step, Average):
        fields["kernel"] = before.length
    else:
        fields = {"cells": after.channels * after.length}
    lines = []
    for name, value in constants.items():
        if isinstance(value, np.ndarray) and not isinstance(step, Sum):
            kind = {"int8": "int8_t", "int32": "int32_t", "float32": "float"}[value.dtype.name]
            lines.append(f"static const {kind} {name}_{i}[] = {{\n{_numbers(value)}\n}};")
            fields[name] = f"{name}_{i}"
        elif isinstance(value, np.ndarray):
            fields[name] = "{" + ", ".join(map(_number, value.tolist())) + "}"
        else:
            fields[name] = _number(value)
    kind = "sum" if isinstance(step, Sum) else "layer"
    members = ", ".join(f".{name} = {value}" for name, value in fields.items())
    lines.append(f"static const struct {kind} step_{i} = {{{members}}};\n")
    return "\n".join(lines)


def _numbers(values: NDArray[Any]) -> str:
    texts = [_number(value) for value in values.ravel()]
    rows = (texts[i : i + _COLUMNS] for i in range(0, len(texts), _COLUMNS))
    return ",\n".join("    " + ", ".join(row) for row in rows)


def _number(value: Any) -> str:
    """Write a number in C, float32 exactly."""
    if isinstance(value, np.floating | float):
        text = f"{np.float32(value):.9g}"
        return text + ("f" if "." in text or "e" in text else ".0f")
    return str(int(value))


def _string(text: str) -> str:
    """Write a string in C; every byte that might mean something to a compiler in octal."""
    return '"' + "".join(chr(b) if chr(b) in _PLAIN else f"\\{b:03o}" for b in text.encode()) + '"'


def _gather(normalisation: Normalisation) -> str:
    """Write the C lines that find the scale of a frame."""
    if normalisation == "none":
        return "    float scale = 1;\n"
    gather, scale = _SCALES[normalisation]
    return f"""    float scale = 0;

    for (int i = 0; i < SAMPLES; i++) {{
        const float power = iq[i] * iq[i] + iq[SAMPLES + i] * iq[SAMPLES + i];

        {gather}
    }}
    scale = {scale};"""


def _file(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
