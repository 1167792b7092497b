"""Run a network in C: compiled for this machine, or for a Cortex-M that QEMU plays.

QEMU runs the instructions of a Cortex-M, not its pipeline: it counts instructions, and a cycle count of a real one
depends on its memory as well.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from tamis.core.errors import ConfigError, ShapeError, check_choice, one_line
from tamis.radio.c_export import TEMPLATES, CExport

if TYPE_CHECKING:
    from jaxtyping import Float32

Core = Literal["cortex-m3", "cortex-m4", "cortex-m7"]
"""A Cortex-M that can be played; the Cortex-M3 has no floating-point unit, and no two products an instruction."""


class _Board(NamedTuple):
    name: str
    floats: tuple[str, ...]


_BOARDS = {
    "cortex-m3": _Board("mps2-an385", ()),
    "cortex-m4": _Board("mps2-an386", ("-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")),
    "cortex-m7": _Board("mps2-an500", ("-mfpu=fpv5-sp-d16", "-mfloat-abi=hard")),
}
_TICK_INSTRUCTIONS = 40
"""The boards' SysTick counts at 25 MHz, and QEMU lets an instruction take 1 ns."""
_FLAGS = ("-std=c99", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra", "-Werror")
FASTEST = ("-O3", "-march=native")
"""What gcc is told on this machine, beside the dialect; with -O2 int8 takes several times as long."""
_PACKAGES = {
    "gcc": "gcc",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "arm-none-eabi-size": "binutils-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
}


@dataclass(frozen=True)
class HostRun:
    """What a network in C said on this machine."""

    logits: Float32[np.ndarray, "frames classes"]
    """Of every frame."""
    seconds: float
    """Processor time for a frame, on one core."""


@dataclass(frozen=True)
class CortexMRun:
    """What a network in C said on a Cortex-M, and what it takes there."""

    logits: Float32[np.ndarray, "frames classes"]
    """Of every frame."""
    instructions: int
    """Executed for a frame, on average."""
    flash_bytes: int
    """Code and constants of the network, without the program around it and the mathematical library."""
    ram_bytes: int
    """Static buffers of the network, and at most its stack: the sum over all its functions."""


def run_host(export: CExport, iq: Float32[np.ndarray, "frames 2 samples"]) -> HostRun:
    """Compile a network in C for this machine, and classify frames one by one.

    Args:
        export: What `export_c` wrote.
        iq: I in row 0, Q in row 1; of any scale.

    Raises:
        ConfigError: If there is no gcc, or it refuses the source.
        ShapeError: If the frames do not fit the network.
    """
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_frames(export, iq, folder)
        _run(["gcc", *_FLAGS, *FASTEST, "-o", "network", *_sources(export), "-lm"], folder)
        logits, ticks = _parse(_run([str(folder / "network"), "frames.f32"], folder), export)
    return HostRun(logits, ticks / 1e6)


def run_cortex_m(
    export: CExport, iq: Float32[np.ndarray, "frames 2 samples"], *, core: Core = "cortex-m4"
) -> CortexMRun:
    """Cross-compile a network in C for a Cortex-M, and classify frames on one that QEMU plays.

    Args:
        export: What `export_c` wrote.
        iq: I in row 0, Q in row 1; of any scale. A few are enough: the work is the same for every frame.
        core: Which Cortex-M.

    Raises:
        ConfigError: If there is no such core, or no cross-compiler or QEMU for it.
        ShapeError: If the frames do not fit the network.
    """
    check_choice("core", core, Core)
    board = _BOARDS[core]
    flags = [*_FLAGS, f"-mcpu={core}", "-mthumb", *board.floats, "-O2"]
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_frames(export, iq, folder)
        network, program = _sources(export)
        _run(["arm-none-eabi-gcc", *flags, "-fstack-usage", "-c", "-o", "network.o", network], folder)
        start = [str(TEMPLATES / "cortex_m.c"), "-T", str(TEMPLATES / "cortex_m.ld"), "--specs=rdimon.specs"]
        _run(["arm-none-eabi-gcc", *flags, "-o", "network.elf", "network.o", program, *start, "-lm"], folder)
        sizes = _run(["arm-none-eabi-size", "network.o"], folder).stdout.splitlines()[1].split()
        text, data, bss = (int(size) for size in sizes[:3])
        stack = sum(int(line.split("\t")[1]) for line in (folder / "network.su").read_text().splitlines())
        semihosting = "enable=on,target=native,arg=network,arg=frames.f32"
        qemu = ["qemu-system-arm", "-M", board.name, "-display", "none", "-monitor", "none", "-serial", "none"]
        qemu += ["-icount", "shift=0", "-semihosting-config", semihosting, "-kernel", "network.elf"]
        logits, ticks = _parse(_run(qemu, folder, timeout=60 + len(iq)), export)
    return CortexMRun(logits, round(ticks * _TICK_INSTRUCTIONS), text + data, data + bss + stack)


def _sources(export: CExport) -> tuple[str, str]:
    return str(export.source.resolve()), str(export.program.resolve())


def _write_frames(export: CExport, iq: Float32[np.ndarray, "frames 2 samples"], folder: Path) -> None:
    if iq.ndim != 3 or iq.shape[1:] != (2, export.samples):
        raise ShapeError(f"iq has shape {iq.shape}; expected (frames, 2, {export.samples}): I and Q are rows")
    iq.astype("<f4").tofile(folder / "frames.f32")


def _run(command: Sequence[str], folder: Path, timeout: int | None = None) -> subprocess.CompletedProcess[str]:
    tool = command[0]
    if shutil.which(tool) is None:
        raise ConfigError(f"{tool} is not installed; on Debian: apt-get install {_PACKAGES[tool]}")
    try:
        return subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=timeout
        )
    except subprocess.CalledProcessError as error:
        raise ConfigError(f"{tool} failed: {one_line(RuntimeError(error.stderr))[:500]}") from error
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{tool} did not end within {timeout} s; give fewer frames") from error


def _parse(
    run: subprocess.CompletedProcess[str], export: CExport
) -> tuple[Float32[np.ndarray, "frames classes"], float]:
    """Read what the program prints: a class and logits for each frame, and ticks for a frame."""
    logits = [line.split("\t")[1:] for line in run.stdout.splitlines()]
    ticks = re.search(r"frames, ([0-9.]+) ticks", run.stderr)
    assert ticks is not None
    return np.array(logits, np.float32).reshape(-1, len(export.classes)), float(ticks[1])
