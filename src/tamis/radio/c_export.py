"""Students as C for microcontrollers: one source file and its header, C99, static buffers, no dependency.

A network is read as a list of steps with batch normalisation folded in. In int8, weights have one scale a channel and
signals one scale each, set by calibration frames; totals are brought back to 8 bits by an integer multiplication and a
shift, as TensorFlow Lite defines it; the logits are float. The same kernels serve float32.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import tamis
from tamis.core.errors import ConfigError
from tamis.core.files import write_whole
from tamis.radio.calibration import calibration_frames
from tamis.radio.kdcnn import KDCNN
from tamis.radio.kdmobilenet import KDMobileNet
from tamis.radio.network import Network, normalise

if TYPE_CHECKING:
    from jaxtyping import Float32
    from numpy.typing import NDArray
    from torch import Tensor

    from tamis.radio.config import Normalisation
    from tamis.radio.data import Frames

TEMPLATES = Path(__file__).parent / "c"
"""What the C files are made of."""
_LOW, _HIGH = -128, 127
_ADD_SHIFT = 20
_BATCH = 256
_COLUMNS = 24
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
        ShapeError: If the calibration frames are not as long as the network's.
    """
    if not isinstance(network, KDCNN | KDMobileNet):
        raise ConfigError(f"a {type(network).__name__} is not written as C; distil it to a KDCNN or a KDMobileNet")
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise ConfigError(f"name is {name!r}; expected lower-case letters, digits and _, such as kd_cnn")
    config = network.config
    steps = _steps(network)
    if calibration is None:
        precision = "float32"
        signals = _signals(steps, torch.zeros(1, 2, config.samples))
    else:
        precision = "int8"
        iq = torch.from_numpy(calibration_frames(calibration, config).iq)
        signals = [_ranged(signal) for signal in _signals(steps, normalise(iq, config.normalisation))]
    convert = _float32 if calibration is None else _int8
    data = [_declare(i, step, signals, convert(i, step, signals)) for i, step in enumerate(steps)]
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


@dataclass(frozen=True)
class _Convolution:
    """A convolution or a linear layer, and what follows it up to the next one."""

    weight: NDArray[np.float64]
    """Of shape (out, in, kernel), or (channels, 1, kernel) if each channel is convolved alone."""
    bias: NDArray[np.float64]
    alone: bool = False
    stride: int = 1
    pool: int = 1
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class _Average:
    """The mean over time."""


@dataclass(frozen=True)
class _Sum:
    """Adds an earlier signal to the last one."""

    first: int
    """Index of the earlier signal: signal 0 is the input, signal i + 1 comes out of step i."""


_Step = _Convolution | _Average | _Sum


def _steps(network: KDCNN | KDMobileNet) -> list[_Step]:
    steps: list[_Step] = []

    def read(modules: Iterable[nn.Module]) -> None:
        for module in modules:
            if isinstance(module, nn.Sequential):
                read(module)
            elif isinstance(module, nn.Dropout):
                continue
            elif isinstance(module, nn.Conv2d):
                weight = _array(module.weight).squeeze(2)
                alone = module.groups > 1
                steps.append(_Convolution(weight, np.zeros(len(weight)), alone=alone, stride=module.stride[1]))
            elif isinstance(module, nn.Linear):
                steps.append(_Convolution(_array(module.weight)[:, :, None], _array(module.bias)))
            elif isinstance(module, nn.BatchNorm2d | nn.ReLU | nn.ReLU6 | nn.MaxPool2d):
                steps[-1] = _extend(steps[-1], module)
            else:  # an inverted residual
                assert isinstance(module.layers, nn.Sequential)
                first = len(steps)
                read(module.layers)
                if module.residual:
                    steps.append(_Sum(first))

    read(network.convolutions)
    steps.append(_Average())
    read([network.head])
    return steps


def _extend(step: _Step, module: nn.Module) -> _Convolution:
    """Take what follows a convolution into it."""
    assert isinstance(step, _Convolution)
    if isinstance(module, nn.BatchNorm2d):
        assert module.running_mean is not None
        assert module.running_var is not None
        gain = _array(module.weight) / np.sqrt(_array(module.running_var) + module.eps)
        bias = _array(module.bias) - _array(module.running_mean) * gain
        return replace(step, weight=step.weight * gain[:, None, None], bias=bias)
    if isinstance(module, nn.MaxPool2d):
        return replace(step, pool=2)
    return replace(step, low=0.0, high=6.0 if isinstance(module, nn.ReLU6) else math.inf)


def _array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().double().numpy()


@dataclass(frozen=True)
class _Signal:
    """What goes from step to step."""

    channels: int
    length: int
    margin: int
    """Steps of zero that the next convolution needs on either side."""
    low: float
    high: float
    """Least and greatest value seen."""
    scale: float = 1.0
    zero: int = 0
    """In int8: value = scale * (cell - zero)."""


def _signals(steps: Sequence[_Step], iq: Float32[Tensor, "frames 2 samples"]) -> list[_Signal]:
    """Run scaled frames through the steps, and note the shapes and the ranges of all signals."""
    signals: list[_Signal] = []
    for batch in torch.split(iq, _BATCH):
        values = [batch]
        for step in steps:
            values.append(_run(step, values))
        for i, value in enumerate(values):
            reader = steps[i] if i < len(steps) else None
            margin = reader.weight.shape[2] // 2 if isinstance(reader, _Convolution) else 0
            low, high = float(value.amin()), float(value.amax())
            if i == len(signals):
                signals.append(_Signal(value.shape[1], value.shape[2], margin, low, high))
            else:
                signals[i] = replace(signals[i], low=min(low, signals[i].low), high=max(high, signals[i].high))
    return signals


def _run(step: _Step, values: Sequence[Tensor]) -> Tensor:
    last = values[-1]
    if isinstance(step, _Sum):
        return values[step.first] + last
    if isinstance(step, _Average):
        return last.mean(dim=2, keepdim=True)
    weight, bias = torch.from_numpy(step.weight).float().unsqueeze(2), torch.from_numpy(step.bias).float()
    groups = len(bias) if step.alone else 1
    padding = (0, weight.shape[3] // 2)
    totals = functional.conv2d(last.unsqueeze(2), weight, bias, (1, step.stride), padding, groups=groups)
    return functional.max_pool2d(totals, (1, step.pool)).squeeze(2).clamp(step.low, step.high)


def _ranged(signal: _Signal) -> _Signal:
    """Set the int8 scale of a signal, so that 0 is a cell."""
    low, high = min(signal.low, 0.0), max(signal.high, 0.0)
    scale = float(np.float32((high - low) / (_HIGH - _LOW))) or 1.0
    return replace(signal, scale=scale, zero=round(_LOW - low / scale))


def _float32(i: int, step: _Step, signals: Sequence[_Signal]) -> dict[str, Any]:
    """Make what the C structure of step i holds, beside shapes."""
    before = signals[i]
    if isinstance(step, _Sum):
        return {}
    if isinstance(step, _Average):
        layer = {"bias": np.zeros(before.channels, np.float32), "scale": np.float32(1 / before.length)}
    else:
        layer = {
            "weight": _in_memory(step).astype(np.float32),
            "bias": step.bias.astype(np.float32),
            "scale": np.float32(1),
        }
    low, high = (step.low, step.high) if isinstance(step, _Convolution) else (-math.inf, math.inf)
    largest = float(np.finfo(np.float32).max)
    return {**layer, "low": np.float32(max(low, -largest)), "high": np.float32(min(high, largest))}


def _int8(i: int, step: _Step, signals: Sequence[_Signal]) -> dict[str, Any]:
    """Make what the C structure of step i holds, beside shapes.

    Source:
        Scales and zeros as TensorFlow Lite's 8-bit specification has them; its addition, too.
    """
    before, after = signals[i], signals[i + 1]
    anything = {"zero": after.zero, "low": _LOW, "high": _HIGH}
    if isinstance(step, _Sum):
        pair = (signals[step.first], before)
        largest = 2 * max(signal.scale for signal in pair)
        ratios = np.array([*(signal.scale / largest for signal in pair), largest / after.scale / 2**_ADD_SHIFT])
        multipliers, shifts = _fixed_point(ratios)
        zeros = np.array([signal.zero for signal in pair], np.int8)
        return {**anything, "zeros": zeros, "multipliers": multipliers, "shifts": shifts}
    if isinstance(step, _Average):
        offset = np.full(before.channels, -before.length * before.zero, np.int32)
        multiplier, shift = _fixed_point(np.full(before.channels, before.scale / after.scale / before.length))
        return {**anything, "bias": offset, "multiplier": multiplier, "shift": shift}
    weight, bias = _in_memory(step), step.bias
    axes = (0,) if step.alone else (1, 2)
    # a channel whose weights are next to nothing beside its bias must not push the bias out of 32 bits
    scale = np.maximum(np.abs(weight).max(axis=axes) / _HIGH, np.abs(bias) / before.scale / 2**30)
    scale = np.where(scale > 0, scale, 1.0)
    cells = np.rint(weight / (scale if step.alone else scale[:, None, None]))
    totals = np.rint(bias / (scale * before.scale)) - before.zero * cells.sum(axis=axes)
    layer = {"weight": cells.astype(np.int8), "bias": totals.astype(np.int32)}
    if i == len(signals) - 2:
        return {**layer, "scale": (scale * before.scale).astype(np.float32)}
    multiplier, shift = _fixed_point(scale * before.scale / after.scale)
    low, high = (after.zero + np.clip(bound / after.scale, -512, 512) for bound in (step.low, step.high))
    bounds = {"zero": after.zero, "low": max(_LOW, round(low)), "high": min(_HIGH, round(high))}
    return {**bounds, **layer, "multiplier": multiplier, "shift": shift}


def _in_memory(step: _Convolution) -> NDArray[np.float64]:
    """Order weights as the kernels read them: (out, kernel, in), or (kernel, channels)."""
    return step.weight[:, 0].T if step.alone else step.weight.transpose(0, 2, 1)


def _fixed_point(ratios: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Write positive numbers as multiplier * 2^(shift - 31), the multiplier in [2^30, 2^31), or 0 for next to nothing.

    >>> [array.tolist() for array in _fixed_point(np.array([0.75, 0.375, 1e-12]))]
    [[1610612736, 1610612736, 0], [0, -1, 0]]
    """
    mantissa, exponent = np.frexp(ratios)
    multiplier = np.rint(mantissa * 2**31)
    exponent = exponent + (multiplier == 2**31)
    multiplier = np.where(multiplier == 2**31, 2**30, multiplier)
    small = exponent < -31
    return np.where(small, 0, multiplier).astype(np.int32), np.where(small, 0, exponent).astype(np.int8)


def _program(steps: Sequence[_Step], signals: Sequence[_Signal]) -> tuple[str, str]:
    """Give every signal a buffer that nobody needs any more; return the buffers, and the calls of the steps."""
    until = list(range(len(steps)))
    for i, step in enumerate(steps):
        if isinstance(step, _Sum):
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
        read = [step.first, i - 1] if isinstance(step, _Sum) else [i - 1]
        kernel = _kernel(step)
        operands = ", ".join(f"buffer_{held[j]}" for j in (*read, i))
        calls.append(f"{kernel}(&step_{i - 1}, {operands});")
    calls.append(f"read_logits(&step_{len(steps) - 1}, buffer_{held[len(steps) - 1]}, logits);")
    buffers = "static cell " + ", ".join(f"buffer_{i}[{size}]" for i, size in enumerate(sizes)) + ";"
    return buffers, "\n".join(f"    {call}" for call in calls)


def _kernel(step: _Step) -> str:
    if isinstance(step, _Convolution):
        return "convolve_alone" if step.alone else "convolve"
    return "average" if isinstance(step, _Average) else "add"


def _declare(i: int, step: _Step, signals: Sequence[_Signal], constants: dict[str, Any]) -> str:
    """Write the C structure of step i, and the arrays that it points to."""
    before, after = signals[i], signals[i + 1]
    fields: dict[str, Any] = {"in": before.channels, "out": after.channels, "length": after.length}
    if isinstance(step, _Convolution):
        fields |= {"kernel": step.weight.shape[2], "stride": step.stride, "pool": step.pool, "margin": after.margin}
    elif isinstance(step, _Average):
        fields["kernel"] = before.length
    else:
        fields = {"cells": after.channels * after.length}
    lines = []
    for name, value in constants.items():
        if isinstance(value, np.ndarray) and not isinstance(step, _Sum):
            kind = {"int8": "int8_t", "int32": "int32_t", "float32": "float"}[value.dtype.name]
            lines.append(f"static const {kind} {name}_{i}[] = {{\n{_numbers(value)}\n}};")
            fields[name] = f"{name}_{i}"
        elif isinstance(value, np.ndarray):
            fields[name] = "{" + ", ".join(map(_number, value.tolist())) + "}"
        else:
            fields[name] = _number(value)
    kind = "sum" if isinstance(step, _Sum) else "layer"
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
    return '"' + "".join(chr(b) if chr(b).isalnum() and b < 128 else f"\\{b:03o}" for b in text.encode()) + '"'


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
