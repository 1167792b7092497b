"""What the shipped radio networks cost, and what they lose in int8: bytes, times and accuracy in ONNX Runtime.

    python benchmarks/radio_shipped.py --write

Each network is exported in float32 and in int8, calibrated on the training frames of preset rml2016 and judged on its
test frames. Times are of one core; `--write` adds a line of task `radio/bench` for each network, from a clean tree and
once.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import lines
from tamis.core.errors import TamisError
from tamis.core.results import Run
from tamis.radio.bench import costs, table
from tamis.radio.data import load, split
from tamis.radio.evaluation import evaluate
from tamis.radio.methods import load_network
from tamis.radio.onnx_export import OnnxClassifier, export_onnx

TASK, PART = "radio/bench", "shipped"
SHIPPED = ("clst-rml2016", "kd-mobilenet-rml2016", "kd-cnn-rml2016")


def measure(rounds: int) -> list[Run]:
    """Measure all shipped networks in turns, and print their costs.

    Args:
        rounds: How often each is timed.
    """
    start = time.perf_counter()
    networks = {name: load_network(name) for name in SHIPPED}
    data = split(load("rml2016"))
    measured = costs(networks, data.train, rounds=rounds)
    table(measured).print()
    runs = []
    for name, network in networks.items():
        with TemporaryDirectory() as folder:
            forms = {
                "float32": OnnxClassifier(export_onnx(network, Path(folder) / "float32.onnx")),
                "int8": OnnxClassifier(export_onnx(network, Path(folder) / "int8.onnx", calibration=data.train)),
            }
            judged = {form: evaluate(classifier, data.test, method=name) for form, classifier in forms.items()}
        reached = {f"{form}_accuracy": run.metrics["accuracy"] for form, run in judged.items()}
        print(name, *(f"{key} {value:.4f}" for key, value in reached.items()))
        runs.append(
            Run.measured(
                TASK,
                name,
                dataset=data.test.dataset,
                split="test",
                n=len(data.test),
                metrics={**dataclasses.asdict(measured[name]), **reached},
                intervals={f"{form}_accuracy": run.intervals["accuracy"] for form, run in judged.items()},
                seconds=time.perf_counter() - start,
                config={"part": PART, "preset": data.test.name, "runtime": "onnxruntime", "threads": 1},
                seeds=[0],
            )
        )
    return runs


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and, if asked to, write; return the exit code.

    Args:
        arguments: What follows the script's name; by default that of this process.
    """
    parser = lines.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="times that each is timed (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        if options.write:
            lines.check(TASK, parts=[PART])
        for run in measure(options.rounds):
            if options.write:
                lines.append(run)
    except TamisError as error:
        return lines.fail("radio_shipped", str(error), error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
