"""What the baselines are: each has the sizes of its authors, so a configuration says only what every network says."""

from __future__ import annotations

from dataclasses import dataclass

from tamis.radio.config import NetworkConfig


@dataclass(frozen=True, kw_only=True)
class VTCNN2Config(NetworkConfig):
    """VT-CNN2: 2,830,427 parameters for eleven classes and 128 samples."""


@dataclass(frozen=True, kw_only=True)
class ResNet1DConfig(NetworkConfig):
    """The one-dimensional residual network: 100,843 parameters for eleven classes and 128 samples."""


@dataclass(frozen=True, kw_only=True)
class MCLDNNConfig(NetworkConfig):
    """MCLDNN: 406,199 parameters for eleven classes."""


@dataclass(frozen=True, kw_only=True)
class PETCGDNNConfig(NetworkConfig):
    """PET-CGDNN: 71,871 parameters for eleven classes and 128 samples."""


@dataclass(frozen=True, kw_only=True)
class LSTM2Config(NetworkConfig):
    """LSTM2: 201,099 parameters for eleven classes."""


@dataclass(frozen=True, kw_only=True)
class IQFormerConfig(NetworkConfig):
    """IQFormer: 355,049 parameters for eleven classes."""
