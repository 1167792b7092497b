"""What all networks of this package share: frames in, logits out, saved as a directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import nn

from tamis.core.checkpoint import Checkpoint
from tamis.core.errors import ConfigError, InputError, ShapeError
from tamis.radio.config import NetworkConfig, Normalisation

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from tamis.radio.data import Frames


@runtime_checkable
class MadeFor(Protocol):
    """What says which frames it was made for."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""

    @property
    def samples(self) -> int:
        """Length of a frame in complex samples."""


def normalise(iq: Float[Tensor, "batch 2 samples"], how: Normalisation) -> Float[Tensor, "batch 2 samples"]:
    """Scale each frame; a frame of zeros stays one.

    Args:
        iq: I in row 0, Q in row 1; magnitudes from 1e-17 to 1e17, so that their squares are numbers in float32.
        how: To mean power 1 ("rms"), energy 1, greatest magnitude 1 ("max"), sum of magnitudes 1 ("l1"), or not.
    """
    if how == "none":
        return iq
    power = iq.square().sum(1, keepdim=True)
    if how == "rms":
        scale = power.mean(2, keepdim=True).sqrt()
    elif how == "energy":
        scale = power.sum(2, keepdim=True).sqrt()
    elif how == "max":
        scale = power.amax(2, keepdim=True).sqrt()
    else:
        scale = power.sqrt().sum(2, keepdim=True)
    return iq / scale.clamp_min(torch.finfo(iq.dtype).tiny)


class Network(nn.Module, Checkpoint, license="apache-2.0", tags=["automatic-modulation-recognition"]):
    """A classifier of frames: scale the frame, embed it, read the logits off the embedding.

    A network gives `embed` and `head`. Convolutions run over pictures of height one with the channels last in memory,
    which is several times faster on a CPU than convolutions over sequences.
    """

    shipped = Path(__file__).parent / "weights"
    config: NetworkConfig
    head: nn.Module

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.config.classes

    @property
    def samples(self) -> int:
        """Length of a frame in complex samples."""
        return self.config.samples

    def embed(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch features"]:
        """Turn scaled frames into the vectors that the head reads."""
        raise NotImplementedError

    def forward(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch classes"]:
        """Classify frames of any scale, from 1e-17 to 1e17.

        Args:
            iq: I in row 0, Q in row 1.

        Raises:
            ShapeError: If the frames do not have two rows and as many samples as the network was made for.
        """
        if iq.ndim != 3 or tuple(iq.shape[1:]) != (2, self.config.samples):
            raise ShapeError(
                f"iq has shape {tuple(iq.shape)}; expected (batch, 2, {self.config.samples}): I and Q are rows"
            )
        logits: Tensor = self.head(self.embed(normalise(iq, self.config.normalisation)))
        return logits


def check_weights(network: Network) -> None:
    """Refuse a network whose weights cannot be written for others to use.

    Args:
        network: Any.

    Raises:
        InputError: If a weight is NaN or infinite.
    """
    for name, weight in network.state_dict().items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise InputError(f"{name} of the network holds NaN or infinity; train anew")


def check_frames(network: MadeFor, frames: Frames) -> None:
    """Refuse frames that a network was not made for.

    Args:
        network: A network, or what was exported of one.
        frames: What it shall classify.

    Raises:
        ConfigError: If there are none, or the classes or their order differ.
        ShapeError: If the length differs.
    """
    if not len(frames):
        raise ConfigError(f"{frames.name}: there are no frames; give more of them, or another split")
    if frames.classes != network.classes:
        raise ConfigError(
            f"{frames.name}: the classes are {', '.join(frames.classes)}; the network was made for "
            f"{', '.join(network.classes)}; use frames.reorder(network.classes)"
        )
    if frames.samples != network.samples:
        raise ShapeError(f"{frames.name}: {frames.samples} samples a frame; the network was made for {network.samples}")
