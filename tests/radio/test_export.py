"""Every form of a network: what is written, how large it is, and what it lost."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.radio.exported import lively
from tests.radio.small import clst, cnn, mobile, tones

from tamis.core.errors import ConfigError, FileError, ShapeError
from tamis.radio.evaluation import evaluate
from tamis.radio.export import Exported, export, table
from tamis.radio.network import Network
from tamis.radio.onnx_export import OnnxClassifier

CALIBRATION, TEST = tones(48, 0), tones(60, 1)
ONNX = {
    "ONNX float32": "model.onnx",
    "ONNX float32, one frame": "model.static.onnx",
    "ONNX int8": "model.int8.onnx",
}


def without_tools(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", str(folder))


def test_every_form_is_judged_as_the_loaded_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_tools(monkeypatch, tmp_path)
    network = lively(cnn())
    forms = export(network, tmp_path / "out", calibration=CALIBRATION, test=TEST)
    assert [one.form for one in forms] == ["PyTorch", *ONNX, "C float32", "C int8"]
    itself = evaluate(network, TEST, method="itself").metrics["accuracy"]
    assert (forms[0].accuracy, forms[0].agreement) == (itself, 1.0)
    assert forms[0].bytes == 4 * sum(p.numel() for p in network.parameters())
    with torch.inference_mode():
        said = network(torch.from_numpy(TEST.iq)).argmax(dim=1).numpy()
    for one in forms[1:4]:
        file = tmp_path / "out" / ONNX[one.form]
        assert (one.file, one.bytes) == (str(file), file.stat().st_size)
        classifier = OnnxClassifier(file)
        assert one.accuracy == evaluate(classifier, TEST, method="form").metrics["accuracy"]
        assert one.agreement == np.mean(classifier(torch.from_numpy(TEST.iq)).argmax(dim=1).numpy() == said)


def test_c_that_cannot_be_compiled_is_written_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_tools(monkeypatch, tmp_path)
    for one in export(lively(mobile()), tmp_path / "out", calibration=CALIBRATION, test=TEST)[4:]:
        assert (one.accuracy, one.agreement) == (None, None)
        assert (
            "not run: gcc is not installed; on Debian: apt-get install gcc; the size is that of the source" in one.note
        )
        assert one.bytes == Path(one.file).stat().st_size
        assert Path(one.file).parent == tmp_path / "out" / "c" / one.form.split()[1]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
def test_c_without_a_cross_compiler_is_judged_here_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool.startswith("arm-") else which(tool))
    forms = export(lively(cnn()), tmp_path, calibration=CALIBRATION, test=TEST)
    for one in forms[4:]:
        assert one.agreement is not None
        assert one.agreement > 0.9
        assert one.note.startswith("here ")
        assert "Cortex-M4 not run: arm-none-eabi-gcc is not installed" in one.note
    assert forms[4].accuracy == forms[0].accuracy


def test_only_students_are_written_in_c(tmp_path: Path) -> None:
    forms = export(clst(), tmp_path, calibration=CALIBRATION, test=TEST)
    assert [one.form for one in forms] == ["PyTorch", *ONNX]
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("network", [cnn(samples=64), cnn(classes=("low", "high"))])
def test_frames_that_do_not_fit_are_refused_before_anything_is_written(network: Network, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, ShapeError), match="the network was made for"):
        export(network, tmp_path / "out", calibration=CALIBRATION, test=TEST)
    assert not (tmp_path / "out").exists()


def test_a_file_cannot_be_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileError, match="is a file, not a folder"):
        export(cnn(), tmp_path / "out", calibration=CALIBRATION, test=TEST)
    assert (tmp_path / "out").read_text() == "mine"


def rows(forms: Sequence[Exported]) -> list[list[object]]:
    return [list(row) for row in table(forms).rows]


def test_the_table_says_what_each_form_lost_in_points() -> None:
    forms = [
        Exported("PyTorch", "", 151_468, 0.6, 1.0),
        Exported("ONNX int8", "model.int8.onnx", 46_210, 0.5925, 0.985),
        Exported("C int8", "kdcnn.c", 150_000, None, None, "not run: gcc is not installed"),
    ]
    assert rows(forms) == [
        ["PyTorch", "151 KB", 0.6, "+0.00", 1.0, ""],
        ["ONNX int8", "46.2 KB", 0.5925, "-0.75", 0.985, ""],
        ["C int8", "150 KB", None, None, None, "not run: gcc is not installed"],
    ]
