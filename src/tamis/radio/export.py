"""Write a network in every form that it has, and measure what each form lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tamis.core.errors import ConfigError, one_line
from tamis.core.report import Cell, Table, size
from tamis.radio.c_export import export_c
from tamis.radio.c_run import FASTEST, run_cortex_m, run_host
from tamis.radio.data import Frames
from tamis.radio.evaluation import logits
from tamis.radio.kdcnn import KDCNN
from tamis.radio.kdmobilenet import KDMobileNet
from tamis.radio.network import Network, check_frames
from tamis.radio.onnx_export import OnnxClassifier, export_onnx

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CORTEX_FRAMES = 4
_SOURCE = "the size is that of the source"


@dataclass(frozen=True)
class Exported:
    """One form of a network."""

    form: str
    """Such as "ONNX int8"."""
    file: str
    """Where it lies."""
    bytes: int
    """Of the file; of C, in the flash of a Cortex-M4, or of the source where that cannot be compiled."""
    accuracy: float | None
    """On the test frames; None where it cannot be run here."""
    agreement: float | None
    """Share of the test frames on which it says what the network says."""
    note: str = ""
    """What else was measured."""


def export(network: Network, folder: str | Path, *, calibration: Frames, test: Frames) -> list[Exported]:
    """Write ONNX in float32 and int8, and C of students, and judge each on test frames.

    Args:
        network: Trained.
        folder: Where to; made if need be.
        calibration: Frames to set the int8 ranges by, such as the training frames.
        test: Frames to judge by.

    Returns:
        One entry a form; the first is the network itself.

    Raises:
        ConfigError: If there are no frames, or their classes are not those of the network.
        FileError: If the folder cannot be written.
        ShapeError: If the frames have another length.
    """
    out = Path(folder)
    check_frames(network, calibration)  # before anything is written
    expected = logits(network, test)
    forms = [_judged("PyTorch", "", sum(4 * p.numel() for p in network.parameters()), expected, expected, test)]
    for form, name, batch, frames in (
        ("ONNX float32", "model.onnx", None, None),
        ("ONNX float32, one frame", "model.static.onnx", 1, None),
        ("ONNX int8", "model.int8.onnx", None, calibration),
    ):
        file = export_onnx(network, out / name, batch=batch, calibration=frames)
        forms.append(_judged(form, str(file), file.stat().st_size, logits(OnnxClassifier(file), test), expected, test))
    if isinstance(network, KDCNN | KDMobileNet):
        forms += [_in_c(network, out / "c", frames, expected, test) for frames in (None, calibration)]
    return forms


def _in_c(
    network: Network, folder: Path, calibration: Frames | None, expected: NDArray[np.float32], test: Frames
) -> Exported:
    kind = "float32" if calibration is None else "int8"
    made = export_c(network, folder / kind, name=type(network).__name__.lower(), calibration=calibration)
    length = made.source.stat().st_size
    try:
        host = run_host(made, test.iq)
    except ConfigError as error:
        return Exported(f"C {kind}", str(made.source), length, None, None, f"not run: {one_line(error)}; {_SOURCE}")
    note = f"here {host.seconds * 1e6:.0f} µs a frame (gcc {' '.join(FASTEST)})"
    try:
        device = run_cortex_m(made, test.iq[:_CORTEX_FRAMES])
        length = device.flash_bytes
        note += f"; Cortex-M4: {device.instructions:,} instructions, {size(device.ram_bytes)} RAM"
    except ConfigError as error:
        note += f"; Cortex-M4 not run: {one_line(error)}; {_SOURCE}"
    return _judged(f"C {kind}", str(made.source), length, host.logits, expected, test, note)


def _judged(
    form: str,
    file: str,
    length: int,
    scores: NDArray[np.float32],
    expected: NDArray[np.float32],
    test: Frames,
    note: str = "",
) -> Exported:
    said = scores.argmax(axis=1)
    right, same = np.mean(said == test.labels), np.mean(said == expected.argmax(axis=1))
    return Exported(form, file, length, float(right), float(same), note)


def table(forms: Sequence[Exported]) -> Table:
    """Set the forms side by side."""
    first = forms[0].accuracy or 0.0
    rows: list[list[Cell]] = []
    for one in forms:
        lost = None if one.accuracy is None else f"{100 * (one.accuracy - first):+.2f}"
        rows.append([one.form, size(one.bytes), one.accuracy, lost, one.agreement, one.note])
    return Table(["form", "size", "accuracy", "change, points", "agreement", "measured"], rows)
