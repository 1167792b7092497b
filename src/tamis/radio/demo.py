"""The radio part of `tamis demo`: the shipped networks on signals that they never saw, beside the physical limit."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tamis.core.report import PALETTE, Picture, plot_style
from tamis.radio.alrt import limit_of
from tamis.radio.bench import costs
from tamis.radio.clst import ClST
from tamis.radio.data import Frames
from tamis.radio.evaluation_report import judge, report_on, table
from tamis.radio.kdcnn import KDCNN
from tamis.radio.kdmobilenet import KDMobileNet
from tamis.radio.onnx_export import OnnxClassifier, export_onnx
from tamis.radio.signals import generate

SAYS = "A transformer and its two small students tell eleven modulations apart, from -20 to 18 dB, beside the limit."
"""What the front page of the demo says of this part."""
SEED, PER_CELL = 7, 20
"""Of the signals; the networks were trained on those of seed 0."""


def run(out: Path) -> Path:
    """Write the demo's report into a folder and return the page's path.

    Raises:
        FileError: If the folder cannot be written.
    """
    frames = generate("rml2016", per_cell=PER_CELL, seed=SEED)
    networks = {
        "clst-rml2016": ClST.from_pretrained("clst-rml2016"),
        "kd-mobilenet-rml2016": KDMobileNet.from_pretrained("kd-mobilenet-rml2016"),
        "kd-cnn-rml2016": KDCNN.from_pretrained("kd-cnn-rml2016"),
    }
    calibration = generate("rml2016", per_cell=10, seed=0)
    cost = costs(networks, calibration, rounds=3)
    judged = [judge(network, frames, method=name, cost=cost[name]) for name, network in networks.items()]
    with TemporaryDirectory() as folder:
        file = export_onnx(networks["kd-cnn-rml2016"], Path(folder) / "int8.onnx", calibration=calibration)
        judged.append(judge(OnnxClassifier(file), frames, method="kd-cnn-rml2016, int8"))
    command = (
        f"tamis radio eval {' '.join(networks)} --data rml2016 --per-cell {PER_CELL} --data-seed {SEED} --all-frames "
        "--cost"
    )
    page = report_on(judged, frames, limit=limit_of(frames), command=command)
    page.blocks.insert(1, signals_picture(frames))
    table(judged).print()
    return page.write(out / "index.html")


def signals_picture(frames: Frames) -> Picture:
    """Draw one loud frame of each class: its samples in the plane, joined in time."""
    import matplotlib
    from matplotlib import pyplot

    columns = 6
    rows = -(-len(frames.classes) // columns)
    with matplotlib.rc_context({**plot_style(), "axes.grid": False, "font.size": 9.0}):
        figure, grid = pyplot.subplots(rows, columns, figsize=(9.4, 1.75 * rows))
        for axes in grid.flat[len(frames.classes) :]:
            axes.axis("off")
        for label, (axes, name) in enumerate(zip(grid.flat, frames.classes, strict=False)):
            loud = np.flatnonzero((frames.labels == label) & (frames.snr_db == frames.snr_db.max()))[0]
            axes.plot(*frames.iq[loud], marker=".", markersize=3, linewidth=0.7, color=PALETTE[0])
            axes.set(title=name, xticks=[], yticks=[], aspect="equal", xlim=(-1.9, 1.9), ylim=(-1.9, 1.9))
            axes.spines[:].set_visible(False)
        picture = Picture.of(
            figure,
            "One frame of each modulation in the plane of I and Q",
            f"One frame of each modulation at {frames.snr_db.max():g} dB behind its channel: I to the right, Q upward.",
        )
        pyplot.close(figure)
    return picture
