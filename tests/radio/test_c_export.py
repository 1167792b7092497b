from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.radio.exported import lively, some_frames

from tamis.core.errors import ConfigError, FileError, ShapeError
from tamis.radio.c_export import CExport, export_c
from tamis.radio.c_run import run_host
from tamis.radio.clst import ClST
from tamis.radio.config import KDCNNConfig, KDMobileNetConfig, Normalisation
from tamis.radio.kdcnn import KDCNN
from tamis.radio.kdmobilenet import KDMobileNet
from tamis.radio.network import Network

with_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
SMALL = {
    "kd-cnn": lambda **changes: KDCNN(KDCNNConfig(**{"widths": (8, 12), "hidden": 16, **changes})),
    "kd-mobilenet": lambda **changes: KDMobileNet(KDMobileNetConfig(**{"widths": (8, 8, 12), **changes})),
}


@pytest.fixture(params=SMALL)
def network(request: pytest.FixtureRequest) -> Network:
    return lively(SMALL[request.param]())


def logits(network: Network, iq: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(torch.from_numpy(iq)).numpy()


def constants(source: str) -> dict[str, Any]:
    """Read the arrays and structures of generated C by their names."""
    values: dict[str, Any] = {}
    for kind, name, body in re.findall(r"static const (\w+) (\w+)\[\] = \{(.*?)\};", source, re.S):
        number = float if kind == "float" else int
        values[name] = [number(text.strip().rstrip("f")) for text in body.split(",")]
    for name, body in re.findall(r"static const struct \w+ (\w+) = \{(.*)\};", source):
        fields = re.findall(r"\.(\w+) = (\{[^}]*\}|[^,]+)", body)
        values[name] = {field: eval(text.replace("{", "[").replace("}", "]"), {}, values) for field, text in fields}
    values["calls"] = re.findall(r"^    (\w+)\((?:&(\w+), )?(\w+(?:, \w+)*)\);$", source, re.M)
    values["step"], values["zero"] = re.search(r": FLT_MIN\) \* (\S+)f;\n    pad\(out, .*, (-?\d+)\)", source).groups()
    return values


def nearest_ratio(total: int, multiplier: int, shift: int) -> int:
    """total * multiplier / 2^(31 - shift), rounded to nearest with halves up, in unbounded integers."""
    double = 2 ** (31 - shift)
    return (2 * total * multiplier + double) // (2 * double)


def classify_in_integers(source: str, frame: np.ndarray) -> list[np.float32]:
    """Run the constants of a generated int8 network by the definition, one number at a time, without its C."""
    c = constants(source)
    power = np.float32(0)
    for i, q in frame.T:
        power += np.float32(np.float32(i * i) + np.float32(q * q))
    scale = np.float32(np.sqrt(np.float32(power / np.float32(frame.shape[1])))) * np.float32(c["step"])
    cells = [[int(np.trunc(np.float32(x / scale) + np.copysign(np.float32(0.5), x))) for x in pair] for pair in frame.T]
    signal = [[min(127, max(-128, x + int(c["zero"]))) for x in pair] for pair in cells]
    zero = int(c["zero"])
    buffers: dict[str, tuple[list[list[int]], int]] = {}
    for kernel, name, operands in c["calls"]:
        read, *written = operands.split(", ")
        if kernel == "load":
            buffers[written[0]] = signal, zero
            continue
        if kernel == "pad":
            continue
        step = c[name]
        signal, zero = buffers[read]
        if kernel == "add":
            other, _ = buffers[written[0]]
            out = []
            for row, other_row in zip(signal, other, strict=True):
                out.append([])
                for pair in zip(row, other_row, strict=True):
                    sides = zip(pair, step["zeros"], step["multipliers"], step["shifts"], strict=False)
                    total = sum(nearest_ratio((x - z) * 2**20, m, s) for x, z, m, s in sides)
                    cell = nearest_ratio(total, step["multipliers"][2], step["shifts"][2]) + step["zero"]
                    out[-1].append(min(step["high"], max(step["low"], cell)))
            buffers[written[1]] = out, step["zero"]
            continue
        n, kernel_size, channels = step["out"], step["kernel"], step["in"]
        if kernel == "average":
            totals = [[sum(row[j] for row in signal) for j in range(n)]]
        else:
            edge = [[zero] * channels] * (kernel_size // 2)
            padded = edge + signal + edge
            weight = np.array(step["weight"])
            totals = []
            for start in range(0, len(signal), step["stride"]):
                window = np.array(padded[start : start + kernel_size])
                if kernel == "convolve_alone":
                    sums = (window * weight.reshape(kernel_size, n)).sum(0)
                else:
                    sums = weight.reshape(n, -1) @ window.ravel()
                totals.append([int(total) for total in sums])
        totals = [[t + b for t, b in zip(row, step["bias"], strict=True)] for row in totals]
        if kernel == "read_logits":
            return [np.float32(t) * np.float32(s) for t, s in zip(totals[0], step["scale"], strict=True)]
        pool = step.get("pool", 1)
        out = []
        for t in range(len(totals) // pool):
            out.append([])
            for j in range(n):
                most = max(row[j] for row in totals[t * pool : (t + 1) * pool])
                cell = nearest_ratio(most, step["multiplier"][j], step["shift"][j]) + step["zero"]
                out[-1].append(min(step["high"], max(step["low"], cell)))
        buffers[written[0]] = out, step["zero"]
    raise AssertionError("no logits")


@with_gcc
def test_float_c_reproduces_the_network(network: Network, tmp_path: Path) -> None:
    iq = some_frames(network.config).iq
    run = run_host(export_c(network, tmp_path, name="network"), iq)
    assert np.abs(run.logits - logits(network, iq)).max() < 1e-4
    assert run.seconds > 0


@with_gcc
@pytest.mark.parametrize("how", ["energy", "max", "l1", "none"])
def test_frames_are_scaled_as_the_network_scales_them(how: Normalisation, tmp_path: Path) -> None:
    network = lively(SMALL["kd-cnn"](normalisation=how))
    iq = some_frames(network.config, count=22).iq
    expected = logits(network, iq)
    run = run_host(export_c(network, tmp_path, name="network"), iq)
    np.testing.assert_allclose(run.logits, expected, rtol=1e-4, atol=1e-4)


@with_gcc
@pytest.mark.parametrize(("kind", "samples"), [("kd-cnn", 16), ("kd-cnn", 33), ("kd-mobilenet", 33)])
def test_any_length_of_a_frame_will_do(kind: str, samples: int, tmp_path: Path) -> None:
    network = lively(SMALL[kind](samples=samples))
    iq = some_frames(network.config, count=22).iq
    run = run_host(export_c(network, tmp_path, name="network"), iq)
    assert np.abs(run.logits - logits(network, iq)).max() < 1e-4


@with_gcc
def test_int8_c_is_bit_for_bit_what_integers_give(network: Network, tmp_path: Path) -> None:
    export = export_c(network, tmp_path, name="network", calibration=some_frames(network.config))
    iq = some_frames(network.config, count=3, seed=5).iq
    source = export.source.read_text()
    expected = [classify_in_integers(source, frame) for frame in iq]
    assert np.array_equal(run_host(export, iq).logits, np.array(expected, np.float32))


@with_gcc
def test_int8_changes_the_logits_little_and_the_class_seldom(network: Network, tmp_path: Path) -> None:
    export = export_c(network, tmp_path, name="network", calibration=some_frames(network.config))
    iq = some_frames(network.config, seed=5).iq
    exact, quantised = logits(network, iq), run_host(export, iq).logits
    assert np.sqrt(np.mean((quantised - exact) ** 2)) < 0.1 * exact.std(0).mean()
    assert (quantised.argmax(1) == exact.argmax(1)).mean() > 0.94


def test_int8_weights_stand_for_the_folded_ones(tmp_path: Path) -> None:
    network = lively(SMALL["kd-cnn"](widths=(4,)))
    convolution, norm = network.convolutions[:2]
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    folded = (convolution.weight * gain[:, None, None, None]).squeeze(2).transpose(1, 2).flatten(1).detach().numpy()
    export = export_c(network, tmp_path, name="network", calibration=some_frames(network.config))
    cells = np.array(constants(export.source.read_text())["weight_0"]).reshape(4, 14)
    steps = np.abs(folded).max(axis=1, keepdims=True) / 127
    assert np.abs(cells).max(axis=1).tolist() == [127] * 4
    assert (np.abs(cells * steps - folded) <= 0.5001 * steps).all()


@with_gcc
def test_a_channel_that_died_in_training_does_no_harm(tmp_path: Path) -> None:
    network = lively(SMALL["kd-cnn"]())
    with torch.no_grad():
        network.convolutions[1].weight[0] = 0
        network.convolutions[1].weight[1] = 1e-20
        network.convolutions[1].bias[:2] = torch.tensor([0.0, 3.0])
    iq = some_frames(network.config).iq
    export = export_c(network, tmp_path, name="network", calibration=some_frames(network.config))
    exact = logits(network, iq)
    assert np.sqrt(np.mean((run_host(export, iq).logits - exact) ** 2)) < 0.1 * exact.std(0).mean()


def compile_with(export: CExport, *flags: str) -> Path:
    program = export.source.with_name("program")
    sources = [export.source, export.program]
    subprocess.run(["gcc", *flags, "-o", program, *sources, "-lm"], check=True, capture_output=True, text=True)
    return program


@with_gcc
@pytest.mark.parametrize("int8", [True, False], ids=["int8", "float32"])
def test_strange_frames_break_no_rule_of_c(network: Network, int8: bool, tmp_path: Path) -> None:
    frames = some_frames(network.config)
    export = export_c(network, tmp_path, name="network", calibration=frames if int8 else None)
    strange = np.zeros((8, 2, 128), np.float32)
    strange[1:6] = np.array([np.nan, np.inf, -3e38, 1e-44, 1e20], np.float32)[:, None, None]
    strange[6, 0, 5] = 1e30
    strange[7, 1, 7] = np.inf
    np.concatenate([strange, frames.iq[:8]]).tofile(tmp_path / "frames.f32")
    sanitizers = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    program = compile_with(export, "-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", *sanitizers)
    run = subprocess.run([program, tmp_path / "frames.f32"], capture_output=True, text=True)
    assert (run.returncode, len(run.stdout.splitlines())) == (0, 16), run.stderr


@with_gcc
def test_a_network_in_c_needs_nothing_but_the_square_root(network: Network, tmp_path: Path) -> None:
    export = export_c(network, tmp_path, name="network", calibration=some_frames(network.config, count=32))
    flags = ("-std=c99", "-O2", "-fno-math-errno", "-c")
    subprocess.run(["gcc", *flags, "-o", tmp_path / "network.o", export.source], check=True)
    symbols = subprocess.run(["nm", tmp_path / "network.o"], capture_output=True, text=True, check=True).stdout
    kinds = {name: kind for kind, name in re.findall(r"([A-Z]) (\w+)$", symbols, re.M)}
    assert {name for name, kind in kinds.items() if kind == "U"} <= {"sqrtf", "memset", "memcpy"}
    assert {name for name, kind in kinds.items() if kind != "U"} == {"network_classify", "network_classes"}


@with_gcc
def test_the_program_prints_the_class_whatever_its_name(tmp_path: Path) -> None:
    classes = ('a"b\\', "*/ ??=", "Ф %s")
    network = lively(SMALL["kd-cnn"](classes=classes))
    frames = some_frames(network.config, count=32)
    frames.iq.tofile(tmp_path / "frames.f32")
    program = compile_with(export_c(network, tmp_path, name="network"), "-std=c99", "-Wall", "-Wextra", "-Werror")
    out = subprocess.run([program, tmp_path / "frames.f32"], capture_output=True, text=True, check=True).stdout
    lines = [line.split("\t")[0] for line in out.splitlines()]
    assert lines == [classes[label] for label in logits(network, frames.iq).argmax(1)]
    with (tmp_path / "frames.f32").open("ab") as file:
        file.write(b"half")
    cut = subprocess.run([program, tmp_path / "frames.f32"], capture_output=True, text=True)
    assert (cut.returncode, cut.stdout) == (2, out)
    assert "ends within frame 32" in cut.stderr
    for path in (tmp_path / "nothing", tmp_path):
        missing = subprocess.run([program, path], capture_output=True, text=True)
        assert (missing.returncode, missing.stderr) == (2, f"network: {path}: cannot be read\n")
    usage = subprocess.run([program], capture_output=True, text=True)
    assert (usage.returncode, usage.stderr[:19]) == (2, "usage: network FILE")


def test_a_teacher_has_no_c(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a ClST is not written as C; distil it to a KDCNN or a KDMobileNet"):
        export_c(ClST(), tmp_path, name="clst")


@pytest.mark.parametrize("name", ["", "kd-cnn", "2cnn", "Cnn", "../cnn"])
def test_a_name_that_c_does_not_allow_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected lower-case letters, digits and _, such as kd_cnn"):
        export_c(SMALL["kd-cnn"](), tmp_path, name=name)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="file"):
        export_c(SMALL["kd-cnn"](), tmp_path / "file", name="network")


def test_frames_of_another_length_are_refused(tmp_path: Path) -> None:
    export = export_c(SMALL["kd-cnn"](), tmp_path, name="network")
    with pytest.raises(ShapeError, match=r"iq has shape \(1, 2, 64\); expected \(frames, 2, 128\): I and Q are rows"):
        run_host(export, np.zeros((1, 2, 64), np.float32))
