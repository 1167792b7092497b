"""What a network costs where it runs: bytes, milliseconds and frames a second."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from tamis.core.progress import progress
from tamis.core.report import Cell, Table, size
from tamis.core.results import Run
from tamis.radio.cost import macs, parameters
from tamis.radio.data import Frames
from tamis.radio.network import Network
from tamis.radio.onnx_export import OnnxClassifier, export_onnx

_BATCH = 256


@dataclass(frozen=True)
class Cost:
    """What one network costs on one core of this machine, in ONNX Runtime."""

    parameters: int
    """Trainable numbers."""
    macs: int
    """Multiply-accumulates of one frame, as `cost.macs` counts them."""
    float32_bytes: int
    """Size of the float32 ONNX file."""
    int8_bytes: int
    """Size of the int8 ONNX file."""
    float32_ms: float
    """Milliseconds for one frame alone, in float32; a median."""
    int8_ms: float
    """Milliseconds for one frame alone, in int8; a median."""
    float32_frames_per_second: float
    """Frames a second in batches of 256, in float32; a median."""
    int8_frames_per_second: float
    """Frames a second in batches of 256, in int8; a median."""


def costs(networks: Mapping[str, Network], calibration: Frames, *, rounds: int = 9) -> dict[str, Cost]:
    """Export networks to ONNX, in float32 and in int8, and time them in turns on one core.

    Times are of the processor, not of the clock on the wall, so that other work on the machine matters less.

    Args:
        networks: By name.
        calibration: Frames to set the int8 ranges by.
        rounds: How often each is timed.

    Raises:
        ConfigError: If there are no calibration frames.
        ShapeError: If they are not as long as a network's.
    """
    with TemporaryDirectory() as folder:
        sessions: dict[tuple[str, str], OnnxClassifier] = {}
        sizes: dict[tuple[str, str], int] = {}
        with progress("exporting", total=len(networks)) as advance:  # not while timing: a bar takes processor time too
            for done, (name, network) in enumerate(networks.items(), start=1):
                for kind, frames in (("float32", None), ("int8", calibration)):
                    file = export_onnx(network, Path(folder) / f"{len(sizes)}.onnx", calibration=frames)
                    sizes[name, kind] = file.stat().st_size
                    with one_thread():
                        sessions[name, kind] = OnnxClassifier(file)
                advance(done)
        alone, together = (
            timed({key: (session, batch) for key, session in sessions.items()}, rounds) for batch in (1, _BATCH)
        )
    return {
        name: Cost(
            parameters=parameters(network),
            macs=macs(network),
            float32_bytes=sizes[name, "float32"],
            int8_bytes=sizes[name, "int8"],
            float32_ms=alone[name, "float32"] * 1000,
            int8_ms=alone[name, "int8"] * 1000,
            float32_frames_per_second=_BATCH / together[name, "float32"],
            int8_frames_per_second=_BATCH / together[name, "int8"],
        )
        for name, network in networks.items()
    }


def timed(classifiers: Mapping[Any, tuple[OnnxClassifier, int]], rounds: int) -> dict[Any, float]:
    """Time classifiers in turns.

    Args:
        classifiers: Each with the number of frames that it is given at a time.
        rounds: How often.

    Returns:
        Median processor seconds of one call of each.
    """
    seconds: dict[Any, list[float]] = {key: [] for key in classifiers}
    for round_ in range(rounds + 1):
        for key, (classifier, batch) in classifiers.items():
            frames = torch.randn(batch, 2, classifier.samples, generator=torch.Generator().manual_seed(round_))
            calls = max(1, 64 // batch)
            start = time.process_time()
            for _ in range(calls):
                classifier(frames)
            if round_:  # the first round warms up
                seconds[key].append((time.process_time() - start) / calls)
    return {key: statistics.median(values) for key, values in seconds.items()}


def cost_run(name: str, cost: Cost, calibration: Frames, seconds: float) -> Run:
    """Make the result line of a cost."""
    return Run.measured(
        "radio/bench",
        name,
        dataset=calibration.dataset,
        split="none",
        n=len(calibration),
        metrics=dataclasses.asdict(cost),
        seconds=seconds,
        config={"runtime": "onnxruntime", "threads": 1, "batch": _BATCH},
    )


def table(measured: Mapping[str, Cost]) -> Table:
    """Set costs side by side."""
    rows: list[list[Cell]] = [
        [
            name,
            f"{cost.parameters:,}",
            f"{cost.macs / 1e6:.2f} M",
            size(cost.float32_bytes),
            size(cost.int8_bytes),
            round(cost.float32_ms, 3),
            round(cost.int8_ms, 3),
            f"{cost.int8_frames_per_second:,.0f}",
        ]
        for name, cost in measured.items()
    ]
    return Table(
        ["model", "parameters", "MACs", "float32", "int8", "float32 ms", "int8 ms", "int8 frames/s"],
        rows,
        notes=[
            "Sizes are of the ONNX files. Times are of one core of this machine: ms for one frame alone, frames/s in "
            f"batches of {_BATCH}."
        ],
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch, and what asks torch, use one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
