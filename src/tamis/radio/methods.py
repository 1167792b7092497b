"""The networks by the names that people type and that result lines carry."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamis.core.errors import ConfigError, FileError, nearest, one_line
from tamis.radio.baselines import config as baselines
from tamis.radio.config import ClSTConfig, KDCNNConfig, KDMobileNetConfig, NetworkConfig

if TYPE_CHECKING:
    from tamis.radio.network import Network

_CLASSES = {
    "ClST": "clst",
    "KDCNN": "kdcnn",
    "KDMobileNet": "kdmobilenet",
    "VTCNN2": "baselines.vtcnn2",
    "ResNet1D": "baselines.resnet1d",
    "MCLDNN": "baselines.mcldnn",
    "PETCGDNN": "baselines.petcgdnn",
    "LSTM2": "baselines.lstm2",
    "IQFormer": "baselines.iqformer",
}
NETWORKS: dict[str, tuple[str, Callable[..., NetworkConfig]]] = {
    "clst-t": ("ClST", ClSTConfig.tiny),
    "clst-s": ("ClST", ClSTConfig.small),
    "clst-b": ("ClST", ClSTConfig.base),
    "clst-l": ("ClST", ClSTConfig.large),
    "kd-cnn": ("KDCNN", KDCNNConfig),
    "kd-cnn-xs": ("KDCNN", lambda **changes: KDCNNConfig.scaled(0.5, **changes)),
    "kd-mobilenet": ("KDMobileNet", KDMobileNetConfig),
    "kd-mobilenet-xs": ("KDMobileNet", lambda **changes: KDMobileNetConfig.scaled(0.5, **changes)),
    "vt-cnn2": ("VTCNN2", baselines.VTCNN2Config),
    "resnet-1d": ("ResNet1D", baselines.ResNet1DConfig),
    "mcldnn": ("MCLDNN", baselines.MCLDNNConfig),
    "pet-cgdnn": ("PETCGDNN", baselines.PETCGDNNConfig),
    "iqformer": ("IQFormer", baselines.IQFormerConfig),
    "lstm2": ("LSTM2", baselines.LSTM2Config),
}
"""Class and configuration of each network, by name."""


def build(name: str, *, seed: int, **changes: Any) -> Network:
    """Make a network with initial weights of a seed.

    Args:
        name: Such as "clst-t" or "kd-cnn".
        seed: Of the initial weights.
        changes: Fields of its configuration.

    Raises:
        ConfigError: If there is no such network, or a value does not make one.
    """
    import torch

    from tamis.core.seed import derive

    if name not in NETWORKS:
        raise ConfigError(f"{name!r} is no network; {nearest(name, NETWORKS)}")
    kind, configure = NETWORKS[name]
    try:
        config = configure(**changes)
    except TypeError as error:
        raise ConfigError(f"{name}: {one_line(error)}") from error
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, "weights"))
        network: Network = _class(kind)(config)
    return network


def load_network(name: str | Path) -> Network:
    """Load a trained network, whichever class it is of.

    Args:
        name: A shipped name, a directory, or the id of a model on the Hugging Face Hub, as `from_pretrained` takes it.

    Raises:
        ConfigError: If there is no such model, or it is none of the networks of this package.
        FileError: If the directory or a file in it is missing or damaged.
    """
    from tamis.core.checkpoint import read_config
    from tamis.core.files import CONFIG
    from tamis.radio.network import Network

    if str(name).endswith(".onnx"):
        raise ConfigError(f"{name}: an exported network; give the directory of the model that it was exported from")
    folder = Network._find(name, None)
    kind = read_config(folder / CONFIG).get("class")
    if kind is None:
        raise FileError(f"{folder / CONFIG}: not the configuration of a tamis model (it names no class)")
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise ConfigError(f"{folder / CONFIG}: a {kind}; expected one of {', '.join(_CLASSES)}")
    network: Network = _class(kind).from_pretrained(folder)
    return network


def _class(kind: str) -> Any:
    return getattr(importlib.import_module(f"tamis.radio.{_CLASSES[kind]}"), kind)
