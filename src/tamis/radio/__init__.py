"""Tell what modulation a radio signal carries, on devices as small as a microcontroller.

ClST and SKD (arXiv 2312.17446): a convolutional transformer that recognises modulations, and a way to distil it into
KD-CNN and KD-MobileNet. With them come a signal generator that is held to theory, readers of the known data sets, the
physical limit, the usual baselines, and export to ONNX, int8 and C:

    from tamis import radio

    frames = radio.split(radio.generate("rml2016", seed=0))
    teacher = radio.ClST.from_pretrained("clst-rml2016")
    student, run = radio.distill(teacher, radio.KDCNN(), frames)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis.core.lazy import lazy

if TYPE_CHECKING:
    from tamis.radio.alrt import AlrtLimit, alrt_limit
    from tamis.radio.baselines.cumulants import Cumulants
    from tamis.radio.baselines.iqformer import IQFormer
    from tamis.radio.baselines.lstm2 import LSTM2
    from tamis.radio.baselines.mcldnn import MCLDNN
    from tamis.radio.baselines.petcgdnn import PETCGDNN
    from tamis.radio.baselines.resnet1d import ResNet1D
    from tamis.radio.baselines.vtcnn2 import VTCNN2
    from tamis.radio.clst import ClST
    from tamis.radio.config import (
        ClSTConfig,
        KDCNNConfig,
        KDMobileNetConfig,
        SignalConfig,
        SKDConfig,
        TrainConfig,
    )
    from tamis.radio.data import Frames, Splits, few, load, split
    from tamis.radio.defects import Finding, audit, audit_splits
    from tamis.radio.evaluation import evaluate
    from tamis.radio.kdcnn import KDCNN
    from tamis.radio.kdmobilenet import KDMobileNet
    from tamis.radio.methods import build, load_network
    from tamis.radio.onnx_export import OnnxClassifier, export_onnx
    from tamis.radio.signals import generate
    from tamis.radio.skd import distill
    from tamis.radio.training import train

_WHERE = {
    "AlrtLimit": "alrt",
    "ClST": "clst",
    "ClSTConfig": "config",
    "Cumulants": "baselines.cumulants",
    "Finding": "defects",
    "Frames": "data",
    "IQFormer": "baselines.iqformer",
    "KDCNN": "kdcnn",
    "KDCNNConfig": "config",
    "KDMobileNet": "kdmobilenet",
    "KDMobileNetConfig": "config",
    "LSTM2": "baselines.lstm2",
    "MCLDNN": "baselines.mcldnn",
    "OnnxClassifier": "onnx_export",
    "PETCGDNN": "baselines.petcgdnn",
    "ResNet1D": "baselines.resnet1d",
    "SKDConfig": "config",
    "SignalConfig": "config",
    "Splits": "data",
    "TrainConfig": "config",
    "VTCNN2": "baselines.vtcnn2",
    "alrt_limit": "alrt",
    "audit": "defects",
    "audit_splits": "defects",
    "build": "methods",
    "distill": "skd",
    "evaluate": "evaluation",
    "export_onnx": "onnx_export",
    "few": "data",
    "generate": "signals",
    "load": "data",
    "load_network": "methods",
    "split": "data",
    "train": "training",
}
__all__ = [
    "AlrtLimit",
    "ClST",
    "ClSTConfig",
    "Cumulants",
    "Finding",
    "Frames",
    "IQFormer",
    "KDCNN",
    "KDCNNConfig",
    "KDMobileNet",
    "KDMobileNetConfig",
    "LSTM2",
    "MCLDNN",
    "OnnxClassifier",
    "PETCGDNN",
    "ResNet1D",
    "SKDConfig",
    "SignalConfig",
    "Splits",
    "TrainConfig",
    "VTCNN2",
    "alrt_limit",
    "audit",
    "audit_splits",
    "build",
    "distill",
    "evaluate",
    "export_onnx",
    "few",
    "generate",
    "load",
    "load_network",
    "split",
    "train",
]


if not TYPE_CHECKING:  # so that a type checker still knows a misspelt name
    __getattr__, __dir__ = lazy(__name__, _WHERE)
