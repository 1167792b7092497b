"""Configurations of networks, recipes and distillation: what they refuse, and that they survive JSON."""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from tamis.core.errors import ConfigError
from tamis.radio.config import ClSTConfig, KDCNNConfig, KDMobileNetConfig, NetworkConfig, SKDConfig, TrainConfig


@pytest.mark.parametrize(
    ("make", "values", "says"),
    [
        (NetworkConfig, {"classes": ("BPSK",)}, "expected 2 to 1000 different plain names"),
        (NetworkConfig, {"classes": ("BPSK", "BPSK")}, "expected 2 to 1000 different plain names"),
        (NetworkConfig, {"samples": 15}, "samples is 15; expected a whole number from 16 to 1000000"),
        (NetworkConfig, {"samples_per_symbol": 0.0}, "samples_per_symbol is 0.0"),
        (ClSTConfig, {"dims": (32, 64)}, "give dims, depths, heads, kernels and strides one value a stage"),
        (ClSTConfig, {"dims": (), "depths": (), "heads": (), "kernels": (), "strides": ()}, "dims is ()"),
        (ClSTConfig, {"heads": (1, 2, 3)}, "128 channels do not divide into 3 heads"),
        (ClSTConfig, {"heads": (1, 2, 0)}, "heads is (1, 2, 0); expected whole numbers from 1 to 1024"),
        (ClSTConfig, {"depths": (1, 0, 2)}, "depths is (1, 0, 2)"),
        (ClSTConfig, {"strides": (2, 2, -1)}, "strides is"),
        (ClSTConfig, {"kv_stride": 0}, "kv_stride is 0; expected whole numbers from 1"),
        (ClSTConfig, {"mlp_ratio": 0}, "mlp_ratio is 0"),
        (ClSTConfig, {"kernels": (7, 4, 3)}, "kernel is 4; expected an odd number"),
        (ClSTConfig, {"drop_path": 1.0}, "drop_path is 1.0; expected at least 0 and below 1"),
        (ClSTConfig, {"drop_path": math.nan}, "drop_path is nan"),
        (ClSTConfig, {"channel": "xca"}, "give kv_stride=1"),
        (ClSTConfig, {"projection": "linear"}, "give kv_stride=1"),
        (KDCNNConfig, {"widths": ()}, "widths is ()"),
        (KDCNNConfig, {"widths": (8, 0)}, "widths is (8, 0); expected whole numbers from 1"),
        (KDCNNConfig, {"samples": 16, "widths": (4,) * 5}, "16 samples cannot be halved 5 times"),
        (KDCNNConfig, {"hidden": 0}, "hidden is 0"),
        (KDCNNConfig, {"dropout": 1.0}, "dropout is 1.0"),
        (KDMobileNetConfig, {"widths": ()}, "widths is ()"),
        (KDMobileNetConfig, {"expansion": 0}, "expansion is 0"),
        (KDCNNConfig.scaled, {"width": 0.0}, "width is 0.0; expected a factor above 0"),
        (KDMobileNetConfig.scaled, {"width": math.nan}, "width is nan"),
        (KDMobileNetConfig.scaled, {"width": math.inf}, "width is inf"),
        (TrainConfig, {"epochs": 0}, "epochs is 0; expected a whole number from 1 to 1000000"),
        (TrainConfig, {"batch": 0}, "batch is 0"),
        (TrainConfig, {"threads": 0}, "threads is 0"),
        (TrainConfig, {"patience": 0}, "patience is 0"),
        (TrainConfig, {"learning_rate": 0.0}, "learning_rate is 0.0"),
        (TrainConfig, {"weight_decay": -1.0}, "weight_decay is -1.0"),
        (TrainConfig, {"label_smoothing": 1.0}, "smoothing below 1"),
        (SKDConfig, {"weight": 1.1}, "weight 1.1"),
        (SKDConfig, {"weight": math.nan}, "weight nan"),
        (SKDConfig, {"temperature": 0.0}, "temperature 0.0"),
        (SKDConfig, {"temperature": math.inf}, "temperature inf"),
        (SKDConfig, {"feature_weight": -0.1}, "feature_weight -0.1"),
        (SKDConfig, {"views": 0}, "views is 0; expected a whole number from 1 to 1024"),
        (ClSTConfig, {"depths": (30, 30, 30)}, "expected at most 16 stages and 64 blocks"),
        (KDCNNConfig, {"widths": (30_000, 30_000)}, "expected whole numbers from 1 to 1024"),
    ],
)
def test_what_makes_no_network_or_training_is_refused_in_one_line(
    make: Callable[..., Any], values: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        make(**values)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "values", "says"),
    [
        (NetworkConfig, {"normalisation": "rsm"}, "did you mean 'rms'"),
        (ClSTConfig, {"activation": "gelu"}, "activation is 'gelu'"),
        (ClSTConfig, {"projection": "convolution"}, "projection is 'convolution'"),
        (ClSTConfig, {"channel": "spatial"}, "expected one of se, xca, none"),
        (ClSTConfig, {"fusion": "add"}, "fusion is 'add'"),
        (ClSTConfig, {"pool": "max"}, "pool is 'max'"),
        (ClSTConfig, {"norm": "group"}, "norm is 'group'"),
        (ClSTConfig, {"layout": "3d"}, "layout is '3d'"),
        (TrainConfig, {"precision": "float16"}, "did you mean 'bfloat16'"),
        (SKDConfig, {"gate": "right"}, "gate is 'right'"),
    ],
)
def test_a_choice_that_is_none_is_refused_in_one_line(kind: type[Any], values: dict[str, Any], says: str) -> None:
    config = kind()
    for name, value in values.items():
        object.__setattr__(config, name, value)  # past the type checker of the tests, as the value of a file comes
    with pytest.raises(ConfigError) as raised:
        config.__post_init__()
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("make", [ClSTConfig.large, KDCNNConfig, KDMobileNetConfig, TrainConfig, SKDConfig])
def test_a_configuration_survives_json(make: Callable[..., Any]) -> None:
    config = make()
    values = json.loads(json.dumps(dataclasses.asdict(config)))
    if isinstance(config, NetworkConfig):  # which are what files hold
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    assert type(config)(**values) == config


def test_a_preset_takes_changes_over_its_own_values() -> None:
    config = ClSTConfig.small(classes=("a", "b"), depths=(1, 1, 1))
    assert (config.dims, config.depths, config.classes) == ((48, 96, 192), (1, 1, 1), ("a", "b"))


@pytest.mark.parametrize(
    ("factor", "cnn", "mobile"),
    [
        (1.0, (32, 48, 64), (16, 24, 40, 64)),
        (0.5, (16, 24, 32), (8, 12, 20, 32)),
        (1.5, (48, 72, 96), (24, 36, 60, 96)),
        (0.01, (4, 4, 4), (4, 4, 4, 4)),
    ],
)
def test_widths_are_scaled_to_multiples_of_four(factor: float, cnn: tuple[int, ...], mobile: tuple[int, ...]) -> None:
    assert KDCNNConfig.scaled(factor).widths == cnn
    assert KDMobileNetConfig.scaled(factor).widths == mobile
