"""Networks as ONNX files: float32, or int8 with ranges set by calibration frames; and a classifier that runs them.

The file takes frames of any scale, since the network scales them itself, and says in its metadata all that is needed
to use it. An int8 file holds 8-bit weights, one scale a channel, and 8-bit activations as pairs of quantise and
dequantise nodes. The scaling of frames, normalisations, softmax and the logits stay in float32.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import tamis
from tamis.core.errors import ConfigError, FileError, ShapeError, one_line
from tamis.core.files import write_whole
from tamis.radio.calibration import calibration_frames
from tamis.radio.network import Network, check_weights

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from tamis.radio.data import Frames

SNR_DEFINITION = "sample: mean signal power over mean noise power in the whole sampled band"
_OPSET = 17
_BATCH = 64
_WEIGHTED = ("Conv", "Gemm", "MatMul")
_BETWEEN = ("Clip", "MaxPool", "Relu")


def export_onnx(
    network: Network, path: str | Path, *, batch: int | None = None, calibration: Frames | None = None
) -> Path:
    """Write a network as ONNX: input "iq" of shape (batch, 2, samples), output "logits" of shape (batch, classes).

    Args:
        network: In any mode; it is written as it evaluates.
        path: Where to, usually ending in ".onnx"; the file appears whole or not at all.
        batch: Frames at a time; None leaves it to the caller of the file.
        calibration: Labelled frames to set the int8 ranges by, such as the training frames; None writes float32.

    Returns:
        The path.

    Raises:
        ConfigError: If the batch is below 1, or there are no calibration frames.
        FileError: If it cannot be written.
        InputError: If a weight is NaN or infinite.
        ShapeError: If the calibration frames are not as long as the network's.
    """
    if batch is not None and batch < 1:
        raise ConfigError(f"batch is {batch}; expected at least 1, or None for any")
    check_weights(network)
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "network.onnx"
        _trace(network, file, batch)
        if calibration is not None:
            _quantise(file, calibration_frames(calibration, network.config).iq, batch or _BATCH)
        model = onnx.load(file)
    _strip(model)
    onnx.helper.set_model_props(model, _metadata(network))
    return write_whole(path, model.SerializeToString())


def _trace(network: Network, file: Path, batch: int | None) -> None:
    training = network.training
    dynamic = None if batch else {"iq": {0: "batch"}, "logits": {0: "batch"}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer's deprecation, and shapes that it takes for constants
            torch.onnx.export(
                network.eval(),
                (torch.zeros(batch or 2, 2, network.config.samples),),
                file,
                input_names=["iq"],
                output_names=["logits"],
                opset_version=_OPSET,
                dynamic_axes=dynamic,
                dynamo=False,
            )
    finally:
        network.train(training)


def _quantise(file: Path, iq: Float[np.ndarray, "frames 2 samples"], batch: int) -> None:
    """Fold batch normalisations into convolutions, and quantise the file in place."""
    quant_pre_process(file, file, skip_symbolic_shape=True)
    nodes = onnx.load(file).graph.node
    first = next(i for i, node in enumerate(nodes) if node.op_type in _WEIGHTED)
    quantize_static(
        file,
        file,
        _Batches(iq, batch),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=[*_WEIGHTED, *_BETWEEN],
        nodes_to_exclude=[node.name for node in nodes[:first]],
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
    )


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, iq: Float[np.ndarray, "frames 2 samples"], batch: int) -> None:
        whole = np.resize(iq, (-(-len(iq) // batch) * batch, *iq.shape[1:]))
        self.batches: Iterator[Any] = iter(whole.reshape(-1, batch, *iq.shape[1:]))

    def get_next(self) -> dict[str, Any] | None:
        iq = next(self.batches, None)
        return None if iq is None else {"iq": iq}


def _strip(model: onnx.ModelProto) -> None:
    """Shorten the names inside, and drop what is only for readers: a fifth of a small int8 file."""
    short = {name: name for name in ("", "iq", "logits")}
    numbers = count()

    def rename(graph: onnx.GraphProto) -> None:
        for tensor in (*graph.initializer, *graph.output):
            tensor.name = short.setdefault(tensor.name, f"t{next(numbers)}")
        for node in graph.node:
            node.name = node.doc_string = ""
            for names in (node.input, node.output):
                names[:] = [short.setdefault(name, f"t{next(numbers)}") for name in names]
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    rename(attribute.g)
        del graph.value_info[:]

    rename(model.graph)


def _metadata(network: Network) -> dict[str, str]:
    config = network.config
    return {
        "classes": json.dumps(config.classes),
        "network": type(network).__name__,
        "normalisation": config.normalisation,
        "samples": str(config.samples),
        "samples_per_symbol": str(config.samples_per_symbol),
        "snr_definition": SNR_DEFINITION,
        "tamis_version": tamis.__version__,
    }


class OnnxClassifier:
    """A network read back from an ONNX file; called like the network, it runs in ONNX Runtime on the CPU.

    It takes as many threads as torch takes when it is made.
    """

    classes: tuple[str, ...]
    """Names of the classes, in the order of the logits."""
    samples: int
    """Length of a frame in complex samples."""
    metadata: dict[str, str]
    """All that the file says of itself."""

    def __init__(self, path: str | Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        if not Path(path).is_file():
            raise FileError(f"{path}: no such file; give an ONNX file that tamis exported")
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
            self.classes = tuple(json.loads(self.metadata["classes"]))
            self.samples = int(self.metadata["samples"])
            self._batch = self._session.get_inputs()[0].shape[0]
            if self._batch == 0 or not all(isinstance(name, str) for name in self.classes):
                raise ValueError("a batch of no frames, or classes without names")
            got = self(torch.zeros(1, 2, self.samples)).shape
            if got != (1, len(self.classes)):
                raise ValueError(f"it gives {tuple(got)} for a frame of {len(self.classes)} classes")
        except Exception as error:  # ONNX Runtime raises whatever a damaged file leads it to
            raise FileError(
                f"{path}: not a network that tamis exported ({one_line(error)}); export it again"
            ) from error

    def __call__(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch classes"]:
        """Classify frames of any scale, as many as one likes even if the file was made for a fixed number.

        Args:
            iq: I in row 0, Q in row 1.

        Raises:
            ShapeError: If the frames do not have two rows and as many samples as the network was made for.
        """
        if iq.ndim != 3 or tuple(iq.shape[1:]) != (2, self.samples):
            raise ShapeError(f"iq has shape {tuple(iq.shape)}; expected (batch, 2, {self.samples}): I and Q are rows")
        frames = iq.numpy()
        if not len(frames):
            return torch.empty(0, len(self.classes))
        size = self._batch if isinstance(self._batch, int) else len(frames)
        whole = np.zeros((-(-len(frames) // size) * size, *frames.shape[1:]), np.float32)
        whole[: len(frames)] = frames
        logits = [self._session.run(None, {"iq": part})[0] for part in np.split(whole, len(whole) // size)]
        return torch.from_numpy(np.concatenate(logits)[: len(frames)])
