"""How many labelled frames does a second of one core's time give, and how many does TorchSig give in it?

Every preset of the generator, at two lengths of frames, beside TorchSig 2.2.0 at the same length with the nearest
classes. `clean` stands beside its level 0 (no impairments), the others beside its level 2 (transmitter, receiver and
channel impaired). Both make frames in one process each, and take turns: a round asks each of them once, and a ratio is
one within a round. What is compared are CPU-seconds of all threads; TorchSig may warm up before. The two do not make
the same signals: TorchSig draws from more impairments, ours puts every frame through a fading channel.

TorchSig lives in a Python environment of its own, made on the first run in the cache folder of tamis: some 2 GB, and
pip must reach a package index. Prints a table; `--write` adds lines of task `radio/bench` to results/radio.jsonl, from
a clean tree and once for each preset and length.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap
from threadpoolctl import threadpool_limits

import lines
from tamis.core.errors import ConfigError, TamisError, one_line
from tamis.core.models import cache_dir
from tamis.core.report import Table
from tamis.core.results import Run, dataset_hash
from tamis.radio.config import PRESETS
from tamis.radio.signals import generate

TASK = "radio/bench"
TORCHSIG, TORCH = "2.2.0", "2.13.0"
SCRIPT = Path(__file__).with_name("torchsig_peer.py")
LEVELS = {"rml2016": 2, "rml22": 2, "default": 2, "clean": 0}
"""Which of TorchSig's levels of impairment a preset stands beside."""
SNR_DB = 0
PER_CLASS = 500


Peer = Callable[[int, int, int], float]
"""TorchSig: level, samples and frames in, CPU-seconds out."""


@contextmanager
def torchsig(python: Path) -> Iterator[Peer]:
    """Run TorchSig in a process of its own.

    Args:
        python: Of the environment that it lives in.

    Yields:
        What makes frames; raises a ConfigError if TorchSig fails.
    """
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    with (
        TemporaryFile("w+") as said,
        subprocess.Popen([python, SCRIPT], stdin=PIPE, stdout=PIPE, stderr=said, text=True, env=one_thread) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None

        def seconds(level: int, samples: int, frames: int) -> float:
            try:
                print(level, samples, frames, file=process.stdin, flush=True)
                return float(process.stdout.readline())
            except (OSError, ValueError) as error:
                with suppress(OSError):
                    process.stdin.close()
                process.wait()
                said.seek(0)
                last = (said.read().strip() or "it said nothing").splitlines()[-1]
                raise ConfigError(f"TorchSig made no frames: {last}") from error

        yield seconds


def environment(folder: Path) -> Path:
    """Make the Python environment that TorchSig lives in, unless it is there.

    Args:
        folder: Where.

    Returns:
        Its Python.

    Raises:
        ConfigError: If pip fails.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    finished = folder / "finished"
    if finished.exists():
        return python
    print(f"installing TorchSig {TORCHSIG} into {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    command = [python, "-m", "pip", "install", "--quiet", f"torchsig=={TORCHSIG}", f"torch=={TORCH}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise ConfigError(f"pip cannot install TorchSig {TORCHSIG}: {said[-1]}")
    finished.touch()
    return python


def compare(peer: Peer, samples: int, presets: Sequence[str], repetitions: int, frames: int) -> list[Run]:
    """Measure every preset and TorchSig in rounds.

    Args:
        peer: TorchSig.
        samples: Length of a frame.
        presets: Names of presets.
        repetitions: Rounds.
        frames: Frames of TorchSig in a round; ours are faster and make PER_CLASS of each class.

    Raises:
        ConfigError: If there is no round, or TorchSig failed.
    """
    if repetitions < 1 or frames < 1:
        raise ConfigError(f"repetitions is {repetitions} and frames is {frames}; expected at least 1 of each")
    begun = time.perf_counter()
    ours: dict[str, list[float]] = {preset: [] for preset in presets}
    theirs: dict[int, list[float]] = {LEVELS[preset]: [] for preset in presets}
    hashes = {}
    for preset in presets:
        made = generate(preset, per_cell=PER_CLASS, seed=0, snrs_db=(SNR_DB,), samples=samples)
        hashes[preset] = len(made), dataset_hash(name_of(preset, samples), made.iq.tobytes())
    for level in theirs:
        peer(level, samples, frames)
    with threadpool_limits(1):
        for _ in range(repetitions):
            for preset in presets:
                start = time.process_time()
                generate(preset, per_cell=PER_CLASS, seed=0, snrs_db=(SNR_DB,), samples=samples)
                ours[preset].append(hashes[preset][0] / (time.process_time() - start))
            for level, rates in theirs.items():
                rates.append(frames / peer(level, samples, frames))
    total = time.perf_counter() - begun
    runs = []
    for preset in presets:
        level = LEVELS[preset]
        our, their = np.array(ours[preset]), np.array(theirs[level])
        measured = {"frames_per_cpu_second": our, "peer_frames_per_cpu_second": their, "ratio": our / their}
        runs.append(
            Run.measured(
                TASK,
                "generate",
                dataset=hashes[preset][1],
                split="test",
                n=repetitions,
                metrics={name: float(np.median(values)) for name, values in measured.items()},
                intervals={name: interval(values) for name, values in measured.items()},
                seconds=total,
                config={
                    "preset": preset,
                    "samples": samples,
                    "snr_db": SNR_DB,
                    "frames": hashes[preset][0],
                    "peer": f"torchsig {TORCHSIG}",
                    "peer_level": level,
                    "peer_frames": frames,
                    "workers": 1,
                    "headline": True,
                },
                seeds=[0],
            )
        )
    return runs


def name_of(preset: str, samples: int) -> str:
    """Name the frames of a preset."""
    return f"{preset}-{samples}"


def interval(values: NDArray[np.float64]) -> list[float]:
    """Bound the median, at 95 %, by the bootstrap."""
    if len(values) < 2 or np.ptp(values) == 0:
        return [float(values.min()), float(values.max())]
    bounds = bootstrap((values,), np.median, method="percentile", rng=0).confidence_interval
    return [float(bounds.low), float(bounds.high)]


def table(runs: Sequence[Run]) -> Table:
    """Show lines, one a row."""
    headers = ["preset", "samples", "frames per CPU-second", "TorchSig level", "TorchSig frames", "ratio", "95 %"]
    rows = []
    for run in runs:
        low, high = run.intervals["ratio"]
        ours, theirs = run.metrics["frames_per_cpu_second"], run.metrics["peer_frames_per_cpu_second"]
        config = run.config
        rows.append(
            [
                config["preset"],
                config["samples"],
                round(ours),
                config["peer_level"],
                round(theirs),
                round(run.metrics["ratio"], 1),
                f"{low:.1f} to {high:.1f}",
            ]
        )
    return Table(headers, rows, "Labelled frames for a second of one core's time")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and, if asked to, write; return the exit code.

    Args:
        arguments: What follows the script's name; by default that of this process.
    """
    parser = lines.parser(__doc__)
    parser.add_argument("--samples", type=int, nargs="+", default=[128, 1024], help="lengths (default: 128 1024)")
    parser.add_argument("--repetitions", type=int, default=9, help="rounds (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=300, help="frames of TorchSig in a round (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        if options.write:
            lines.check(TASK, [name_of(preset, samples) for preset in PRESETS for samples in options.samples])
        python = environment(cache_dir() / "benchmarks" / f"torchsig-{TORCHSIG}")
        runs = []
        with torchsig(python) as peer:
            for samples in options.samples:
                runs += compare(peer, samples, list(PRESETS), options.repetitions, options.frames)
        table(runs).print()
        if options.write:
            for run in runs:
                lines.append(run)
    except TamisError as error:
        return lines.fail("radio_generate", one_line(error), error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
