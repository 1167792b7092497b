"""What the shipped radio networks cost, and what they lose in int8: bytes, times and accuracy in ONNX Runtime.

    python benchmarks/radio_shipped.py --write

Each network is exported in float32 and in int8, calibrated on the training frames of the preset that it is named after
and judged on its test frames. Times are of one core, measured in turns; `--write` adds a line of task `radio/bench` for
each network, from a clean tree and once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import lines
from tamis.core.errors import TamisError, one_line
from tamis.core.results import Run
from tamis.radio.bench import cost_run, costs, table
from tamis.radio.data import Splits, load, split
from tamis.radio.evaluation import evaluate
from tamis.radio.methods import load_network
from tamis.radio.network import Network
from tamis.radio.onnx_export import OnnxClassifier, export_onnx

TASK, PART = "radio/bench", "shipped"
SHIPPED = ("clst-rml2016", "kd-mobilenet-rml2016", "kd-cnn-rml2016", "clst-default")


def measure(rounds: int) -> list[Run]:
    """Measure all shipped networks in turns, and print their costs.

    Args:
        rounds: How often each is timed.
    """
    start = time.perf_counter()
    networks = {name: load_network(name) for name in SHIPPED}
    data = {preset: split(load(preset)) for preset in dict.fromkeys(map(_preset, SHIPPED))}
    measured = costs(networks, data[_preset(SHIPPED[0])].train, rounds=rounds)
    table(measured).print()
    judged = {name: _in_both_forms(name, networks[name], data[_preset(name)]) for name in SHIPPED}
    seconds = time.perf_counter() - start
    runs = []
    for name, forms in judged.items():
        test = data[_preset(name)].test
        cost = cost_run(name, measured[name], test, seconds)
        reached = {f"{form}_accuracy": run.metrics["accuracy"] for form, run in forms.items()}
        print(name, *(f"{key} {value:.4f}" for key, value in reached.items()))
        runs.append(
            replace(
                cost,
                split="test",
                metrics={**cost.metrics, **reached},
                intervals={f"{form}_accuracy": run.intervals["accuracy"] for form, run in forms.items()},
                config={**cost.config, "part": PART, "preset": test.name},
            )
        )
    return runs


def _preset(name: str) -> str:
    return name.rpartition("-")[2]


def _in_both_forms(name: str, network: Network, data: Splits) -> dict[str, Run]:
    with TemporaryDirectory() as folder:
        forms = {
            "float32": export_onnx(network, Path(folder) / "float32.onnx"),
            "int8": export_onnx(network, Path(folder) / "int8.onnx", calibration=data.train),
        }
        return {form: evaluate(OnnxClassifier(file), data.test, method=name) for form, file in forms.items()}


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
        return lines.fail("radio_shipped", one_line(error), error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
