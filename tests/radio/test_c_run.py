from __future__ import annotations

import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from tests.radio.exported import lively, some_frames
from tests.radio.test_c_export import SMALL

from tamis.core.errors import ConfigError
from tamis.radio.c_export import CExport, export_c
from tamis.radio.c_run import Core, run_cortex_m, run_host
from tamis.radio.network import Network

with_arm = pytest.mark.skipif(
    not all(map(shutil.which, ("gcc", "arm-none-eabi-gcc", "qemu-system-arm"))),
    reason="gcc, arm-none-eabi-gcc or qemu-system-arm is not installed",
)


def int8(network: Network, folder: Path) -> CExport:
    return export_c(network, folder, name="network", calibration=some_frames(network.config))


@with_arm
@pytest.mark.parametrize(
    ("kind", "core"), [("kd-cnn", "cortex-m4"), *(("kd-mobilenet", core) for core in get_args(Core))]
)
def test_a_cortex_m_gives_the_bits_of_this_machine(kind: str, core: Core, tmp_path: Path) -> None:
    network = lively(SMALL[kind]())
    export = int8(network, tmp_path)
    iq = some_frames(network.config, count=3, seed=5).iq
    assert np.array_equal(run_cortex_m(export, iq, core=core).logits, run_host(export, iq).logits)


@with_arm
def test_a_cortex_m_gives_the_bits_of_this_machine_in_float_too(tmp_path: Path) -> None:
    network = lively(SMALL["kd-mobilenet"]())
    export = export_c(network, tmp_path, name="network")
    iq = some_frames(network.config, count=3, seed=5).iq
    assert np.array_equal(run_cortex_m(export, iq).logits, run_host(export, iq).logits)


@with_arm
def test_what_a_cortex_m_needs_is_measured(tmp_path: Path) -> None:
    network = lively(SMALL["kd-cnn"](widths=(16, 32), hidden=32))
    iq = some_frames(network.config, count=2).iq
    small = run_cortex_m(int8(network, tmp_path), iq)
    plain = run_cortex_m(int8(network, tmp_path), iq, core="cortex-m3")
    exact = run_cortex_m(export_c(network, tmp_path, name="network"), iq)
    weights = sum(parameter.numel() for parameter in network.parameters() if parameter.ndim > 1)
    products = 128 * 16 * 14 + 64 * 32 * 7 * 16 + 32 * 32 + 32 * 11
    assert weights < small.flash_bytes < weights + 6000
    assert 3 * weights < exact.flash_bytes - small.flash_bytes + 2000
    buffers = [2 * (128 + 6), 16 * (64 + 6), 32 * 32]
    assert buffers[1] + buffers[2] <= small.ram_bytes < sum(buffers) + 500
    assert 2 * products < small.instructions < 8 * products
    assert small.instructions < plain.instructions


@with_arm
def test_as_many_instructions_are_counted_for_a_frame_however_many_there_are(tmp_path: Path) -> None:
    export = int8(lively(SMALL["kd-cnn"]()), tmp_path)
    iq = np.repeat(some_frames(SMALL["kd-cnn"]().config, count=1).iq, 9, axis=0)
    one, nine = run_cortex_m(export, iq[:1]), run_cortex_m(export, iq)
    assert one.instructions == pytest.approx(nine.instructions, rel=1e-3)


def test_a_missing_compiler_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = export_c(SMALL["kd-cnn"](), tmp_path, name="network")
    monkeypatch.setenv("PATH", "")
    iq = np.zeros((1, 2, 128), np.float32)
    with pytest.raises(ConfigError, match=r"^gcc is not installed; on Debian: apt-get install gcc$"):
        run_host(export, iq)
    with pytest.raises(ConfigError, match=r"apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi$"):
        run_cortex_m(export, iq)


def test_a_core_that_is_not_there_is_refused(tmp_path: Path) -> None:
    export = export_c(SMALL["kd-cnn"](), tmp_path, name="network")
    with pytest.raises(ConfigError, match="core is 'cortex-m5'; did you mean"):
        run_cortex_m.__wrapped__(export, np.zeros((1, 2, 128), np.float32), core="cortex-m5")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_what_the_compiler_refuses_is_said_on_one_line(tmp_path: Path) -> None:
    export = export_c(SMALL["kd-cnn"](), tmp_path, name="network")
    export.source.write_text("no C")
    with pytest.raises(ConfigError, match=r"^gcc failed: [^\n]*error") as caught:
        run_host(export, np.zeros((1, 2, 128), np.float32))
    assert "\n" not in str(caught.value)
