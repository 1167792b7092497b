"""Students as a list of steps for a microcontroller: batch normalisation folded in, and quantised.

Weights have one scale a channel and signals one scale each, set by calibration frames. Totals are brought back to 8
bits by an integer multiplication and a shift, as TensorFlow Lite defines it; the logits are float.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tamis.radio.kdcnn import KDCNN
from tamis.radio.kdmobilenet import KDMobileNet

if TYPE_CHECKING:
    from jaxtyping import Float32
    from numpy.typing import NDArray
    from torch import Tensor

_LOW, _HIGH = -128, 127
_ADD_SHIFT = 20
_BATCH = 256


@dataclass(frozen=True)
class Convolution:
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
class Average:
    """The mean over time."""


@dataclass(frozen=True)
class Sum:
    """Adds an earlier signal to the last one."""

    first: int
    """Index of the earlier signal: signal 0 is the input, signal i + 1 comes out of step i."""


Step = Convolution | Average | Sum


def read_steps(network: KDCNN | KDMobileNet) -> list[Step]:
    """List what a network does to a scaled frame; the last step gives the logits."""
    steps: list[Step] = []

    def read(modules: Iterable[nn.Module]) -> None:
        for module in modules:
            if isinstance(module, nn.Sequential):
                read(module)
            elif isinstance(module, nn.Dropout):
                continue
            elif isinstance(module, nn.Conv2d):
                weight = _array(module.weight).squeeze(2)
                alone = module.groups > 1
                steps.append(Convolution(weight, np.zeros(len(weight)), alone=alone, stride=module.stride[1]))
            elif isinstance(module, nn.Linear):
                steps.append(Convolution(_array(module.weight)[:, :, None], _array(module.bias)))
            elif isinstance(module, nn.BatchNorm2d | nn.ReLU | nn.ReLU6 | nn.MaxPool2d):
                steps[-1] = _extend(steps[-1], module)
            else:  # an inverted residual
                assert isinstance(module.layers, nn.Sequential)
                first = len(steps)
                read(module.layers)
                if module.residual:
                    steps.append(Sum(first))

    read(network.convolutions)
    steps.append(Average())
    read([network.head])
    return steps


def _extend(step: Step, module: nn.Module) -> Convolution:
    """Take what follows a convolution into it."""
    assert isinstance(step, Convolution)
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
class Signal:
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


def follow(steps: Sequence[Step], iq: Float32[Tensor, "frames 2 samples"]) -> list[Signal]:
    """Run scaled frames through the steps, and note the shapes and the ranges of all signals."""
    signals: list[Signal] = []
    for batch in torch.split(iq, _BATCH):
        values = [batch]
        for step in steps:
            values.append(_run(step, values))
        for i, value in enumerate(values):
            reader = steps[i] if i < len(steps) else None
            margin = reader.weight.shape[2] // 2 if isinstance(reader, Convolution) else 0
            low, high = float(value.amin()), float(value.amax())
            if i == len(signals):
                signals.append(Signal(value.shape[1], value.shape[2], margin, low, high))
            else:
                signals[i] = replace(signals[i], low=min(low, signals[i].low), high=max(high, signals[i].high))
    return signals


def _run(step: Step, values: Sequence[Tensor]) -> Tensor:
    last = values[-1]
    if isinstance(step, Sum):
        return values[step.first] + last
    if isinstance(step, Average):
        return last.mean(dim=2, keepdim=True)
    weight, bias = torch.from_numpy(step.weight).float().unsqueeze(2), torch.from_numpy(step.bias).float()
    groups = len(bias) if step.alone else 1
    padding = (0, weight.shape[3] // 2)
    totals = functional.conv2d(last.unsqueeze(2), weight, bias, (1, step.stride), padding, groups=groups)
    return functional.max_pool2d(totals, (1, step.pool)).squeeze(2).clamp(step.low, step.high)


def with_scale(signal: Signal) -> Signal:
    """Set the int8 scale of a signal, so that 0 is a cell."""
    low, high = min(signal.low, 0.0), max(signal.high, 0.0)
    scale = float(np.float32((high - low) / (_HIGH - _LOW))) or 1.0
    return replace(signal, scale=scale, zero=round(_LOW - low / scale))


def float32_constants(steps: Sequence[Step], signals: Sequence[Signal], i: int) -> dict[str, Any]:
    """Make what the C structure of step i holds, beside shapes."""
    step, before = steps[i], signals[i]
    if isinstance(step, Sum):
        return {}
    if isinstance(step, Average):
        layer = {"bias": np.zeros(before.channels, np.float32), "scale": np.float32(1 / before.length)}
    else:
        layer = {
            "weight": _in_memory(step).astype(np.float32),
            "bias": step.bias.astype(np.float32),
            "scale": np.float32(1),
        }
    low, high = (step.low, step.high) if isinstance(step, Convolution) else (-math.inf, math.inf)
    largest = float(np.finfo(np.float32).max)
    return {**layer, "low": np.float32(max(low, -largest)), "high": np.float32(min(high, largest))}


def int8_constants(steps: Sequence[Step], signals: Sequence[Signal], i: int) -> dict[str, Any]:
    """Make what the C structure of step i holds, beside shapes.

    Source:
        Scales and zeros as TensorFlow Lite's 8-bit specification has them; its addition, too.
    """
    step, before, after = steps[i], signals[i], signals[i + 1]
    anything = {"zero": after.zero, "low": _LOW, "high": _HIGH}
    if isinstance(step, Sum):
        pair = (signals[step.first], before)
        largest = 2 * max(signal.scale for signal in pair)
        ratios = np.array([*(signal.scale / largest for signal in pair), largest / after.scale / 2**_ADD_SHIFT])
        multipliers, shifts = _fixed_point(ratios)
        zeros = np.array([signal.zero for signal in pair], np.int8)
        return {**anything, "zeros": zeros, "multipliers": multipliers, "shifts": shifts}
    if isinstance(step, Average):
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
    if i == len(steps) - 1:
        return {**layer, "scale": (scale * before.scale).astype(np.float32)}
    multiplier, shift = _fixed_point(scale * before.scale / after.scale)
    low, high = (after.zero + np.clip(bound / after.scale, -512, 512) for bound in (step.low, step.high))
    bounds = {"zero": after.zero, "low": max(_LOW, round(low)), "high": min(_HIGH, round(high))}
    return {**bounds, **layer, "multiplier": multiplier, "shift": shift}


def _in_memory(step: Convolution) -> NDArray[np.float64]:
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
