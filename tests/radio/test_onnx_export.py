from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from tests.radio.exported import lively, some_frames

import tamis
from tamis.core.errors import ConfigError, FileError, InputError, ShapeError
from tamis.radio.c_export import export_c
from tamis.radio.clst import ClST
from tamis.radio.config import ClSTConfig, KDCNNConfig, KDMobileNetConfig
from tamis.radio.evaluation import evaluate
from tamis.radio.kdcnn import KDCNN
from tamis.radio.kdmobilenet import KDMobileNet
from tamis.radio.network import Network
from tamis.radio.onnx_export import OnnxClassifier, export_onnx

SMALL = {
    "clst": lambda: ClST(ClSTConfig(dims=(8, 16), depths=(1, 1), heads=(1, 2), kernels=(7, 3), strides=(2, 2))),
    "kd-cnn": lambda: KDCNN(KDCNNConfig(widths=(8, 12), hidden=16)),
    "kd-mobilenet": lambda: KDMobileNet(KDMobileNetConfig(widths=(8, 8, 12))),
}


@pytest.fixture(params=SMALL)
def network(request: pytest.FixtureRequest) -> Network:
    return lively(SMALL[request.param]())


def logits(network: Network, iq: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network(iq)


def test_an_exported_network_says_the_same_for_any_number_of_frames(network: Network, tmp_path: Path) -> None:
    iq = torch.from_numpy(some_frames(network.config).iq)
    classifier = OnnxClassifier(export_onnx(network, tmp_path / "any.onnx"))
    for count in (1, 3, 256):
        torch.testing.assert_close(classifier(iq[:count]), logits(network, iq[:count]), rtol=1e-4, atol=1e-4)


def test_a_file_for_one_frame_serves_several(network: Network, tmp_path: Path) -> None:
    iq = torch.from_numpy(some_frames(network.config, count=5).iq)
    classifier = OnnxClassifier(path := export_onnx(network, tmp_path / "one.onnx", batch=1))
    shape = onnx.load(path).graph.input[0].type.tensor_type.shape
    assert [axis.dim_value for axis in shape.dim] == [1, 2, 128]
    torch.testing.assert_close(classifier(iq), logits(network, iq), rtol=1e-4, atol=1e-4)
    four = OnnxClassifier(export_onnx(network, tmp_path / "four.onnx", batch=4))
    torch.testing.assert_close(four(iq), logits(network, iq), rtol=1e-4, atol=1e-4)


def test_int8_changes_the_logits_little(network: Network, tmp_path: Path) -> None:
    frames = some_frames(network.config)
    iq = torch.from_numpy(some_frames(network.config, seed=5).iq)
    exact = logits(network, iq)
    classifier = OnnxClassifier(export_onnx(network, tmp_path / "int8.onnx", calibration=frames))
    assert (classifier(iq) - exact).square().mean().sqrt() < 0.15 * exact.std(0).mean()
    torch.testing.assert_close(classifier(iq[:1]), classifier(iq)[:1], rtol=1e-4, atol=1e-4)


def test_int8_weights_are_int8(network: Network, tmp_path: Path) -> None:
    path = export_onnx(network, tmp_path / "int8.onnx", calibration=some_frames(network.config))
    tensors = [numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer]
    parameters = sum(parameter.numel() for parameter in network.parameters() if parameter.ndim > 1)
    assert sum(tensor.size for tensor in tensors if tensor.dtype == np.int8) >= parameters
    assert not [tensor.shape for tensor in tensors if tensor.dtype == np.float32 and tensor.squeeze().ndim > 1]


def test_kd_cnn_takes_less_than_50_kb_in_int8(tmp_path: Path) -> None:
    network = KDCNN()
    path = export_onnx(network, tmp_path / "kd-cnn.onnx", calibration=some_frames(network.config, count=64))
    assert path.stat().st_size < 50_000


def test_the_same_frames_give_the_same_int8_file(tmp_path: Path) -> None:
    network = SMALL["kd-cnn"]()
    frames = some_frames(network.config, count=64)
    first, second = (export_onnx(network, tmp_path / f"{i}.onnx", calibration=frames) for i in range(2))
    assert first.read_bytes() == second.read_bytes()


def test_a_frame_of_zeros_is_classified(tmp_path: Path) -> None:
    network = SMALL["kd-cnn"]()
    zeros = torch.zeros(1, 2, 128)
    for calibration in (None, some_frames(network.config, count=64)):
        classifier = OnnxClassifier(export_onnx(network, tmp_path / "zeros.onnx", calibration=calibration))
        assert classifier(zeros).isfinite().all()
        assert classifier(zeros[:0]).shape == network(zeros[:0]).shape == (0, len(classifier.classes))


def test_a_file_says_all_that_is_needed_to_use_it(tmp_path: Path) -> None:
    config = KDCNNConfig(classes=("QPSK", 'Ф/"M'), samples=64, normalisation="l1", samples_per_symbol=4.5, widths=(8,))
    path = export_onnx(KDCNN(config), tmp_path / "new" / "kd-cnn.onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["iq", "logits"]
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "classes": json.dumps(["QPSK", 'Ф/"M']),
        "network": "KDCNN",
        "normalisation": "l1",
        "samples": "64",
        "samples_per_symbol": "4.5",
        "snr_definition": "sample: mean signal power over mean noise power in the whole sampled band",
        "tamis_version": tamis.__version__,
    }
    classifier = OnnxClassifier(path)
    assert (classifier.classes, classifier.samples) == (config.classes, 64)


def test_export_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    network = SMALL["kd-cnn"]().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export_onnx(network, tmp_path / "a.onnx", calibration=some_frames(network.config, count=64))
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_file_is_judged_like_a_network(tmp_path: Path) -> None:
    network = SMALL["kd-cnn"]()
    frames = some_frames(network.config)
    run = evaluate(OnnxClassifier(export_onnx(network, tmp_path / "a.onnx")), frames, method="kd-cnn")
    assert run.metrics["accuracy"] == evaluate(network.eval(), frames, method="kd-cnn").metrics["accuracy"]


def test_frames_that_a_file_was_not_made_for_are_refused(tmp_path: Path) -> None:
    network = SMALL["kd-cnn"]()
    classifier = OnnxClassifier(export_onnx(network, tmp_path / "a.onnx"))
    frames = some_frames(network.config)
    with pytest.raises(ConfigError, match=r"the classes are .*; the network was made for"):
        evaluate(classifier, frames.reorder(frames.classes[::-1]), method="kd-cnn")
    with pytest.raises(ConfigError, match="there are no frames"):
        evaluate(classifier, frames.take(np.zeros(len(frames), bool)), method="kd-cnn")


def test_weights_that_are_no_numbers_are_not_exported(tmp_path: Path) -> None:
    network = SMALL["kd-cnn"]()
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] = torch.nan
    with pytest.raises(InputError, match="holds NaN or infinity"):
        export_onnx(network, tmp_path / "a.onnx")
    with pytest.raises(InputError, match="holds NaN or infinity"):
        export_c(network, tmp_path, name="a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("told", [{"samples": "64"}, {"classes": "[1, 2, 3]"}, {"classes": '["a", "b"]'}])
def test_a_file_that_says_what_it_is_not_is_refused(told: dict[str, str], tmp_path: Path) -> None:
    model = onnx.load(export_onnx(SMALL["kd-cnn"](), tmp_path / "a.onnx"))
    known = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**known, **told})
    onnx.save(model, tmp_path / "lying.onnx")
    with pytest.raises(FileError, match=r"lying.onnx: not a network that tamis exported"):
        OnnxClassifier(tmp_path / "lying.onnx")


def test_a_batch_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch is 0; expected at least 1, or None for any"):
        export_onnx(SMALL["kd-cnn"](), tmp_path / "a.onnx", batch=0)


def test_frames_of_another_length_are_refused(tmp_path: Path) -> None:
    classifier = OnnxClassifier(export_onnx(SMALL["kd-cnn"](), tmp_path / "a.onnx"))
    with pytest.raises(ShapeError, match=r"iq has shape \(1, 2, 64\); expected \(batch, 2, 128\): I and Q are rows"):
        classifier(torch.zeros(1, 2, 64))


def test_a_file_that_is_no_exported_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none.onnx: no such file; give an ONNX file that tamis exported"):
        OnnxClassifier(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(FileError, match=r"text.onnx: not a network that tamis exported .*; export it again"):
        OnnxClassifier(tmp_path / "text.onnx")
    model = onnx.load(export_onnx(SMALL["kd-cnn"](), tmp_path / "a.onnx"))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(FileError, match=r"foreign.onnx: not a network that tamis exported \('classes'\)"):
        OnnxClassifier(tmp_path / "foreign.onnx")
