"""How a joint space of sounds and sentences is trained: frozen, flat, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from tamis.core.errors import ConfigError, check_choice

Separability = Literal["joint", "separate", "views", "none"]
"""How pairs of one modality are pushed apart; see `CLSRConfig.separability`."""
Temperature = Literal["fixed", "learned", "semantic", "semantic-row", "cosine"]
"""What sets the temperature of the contrast; see `CLSRConfig.temperature`."""
Distance = Literal["mse", "cosine"]
"""How far a rebuilt latent is from the true one; see `CLSRConfig.distance`."""


@dataclass(frozen=True, kw_only=True)
class CLSRConfig:
    """The CLSR loss.

    Source:
        arXiv 2309.08839, of which the abstract is public and no formula: it names intra-modal separability, an adaptive
        temperature under semantic guidance, and latent reconstruction. Every definition here is our choice.
    """

    separability: Separability = "joint"
    """"joint" puts the pairs of the anchor's own modality among its negatives; "separate" adds the uniformity of each
    modality as a term; "views" contrasts two views of each sound and of each sentence; "none" leaves it out."""
    separability_weight: float = 1.0
    """Weight of those negatives, or of that term."""
    temperature: Temperature = "semantic"
    """"fixed"; "learned", as in CLIP; "semantic", a temperature for each pair that grows with the likeness of the two
    sentences; "semantic-row", one for each anchor; "cosine", a schedule over the epochs."""
    tau: float = 0.07
    """Temperature of the positives; where it is learned, at the start."""
    guidance: float = 1.0
    """How much the likeness of two sentences, from 0 to 1, raises their temperature: 1 doubles it at the most."""
    centred: bool = False
    """Whether likeness is measured from the mean of the batch, for encoders to which all sentences are alike."""
    tau_range: tuple[float, float] = (0.05, 0.15)
    """Least and greatest temperature of "semantic-row" and "cosine"."""
    neighbours: int = 8
    """Over how many of the most alike sentences "semantic-row" averages."""
    period: float = 10.0
    """Epochs of one turn of "cosine"."""
    reconstruction: float = 0.03
    """Weight of the latent reconstruction; 0 leaves it out. It grows linearly over the first epoch."""
    distance: Distance = "mse"
    """"mse" of latents standardised over the batch, or one minus the "cosine"."""
    self_reconstruction: float = 0.0
    """Weight, within the reconstruction, of rebuilding a latent from the embedding of its own modality."""

    def __post_init__(self) -> None:
        """Refuse what makes no loss."""
        for name, choices in (("separability", Separability), ("temperature", Temperature), ("distance", Distance)):
            check_choice(name, getattr(self, name), choices)
        for name in ("separability_weight", "guidance", "reconstruction", "self_reconstruction"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 or more")
        object.__setattr__(self, "tau_range", tuple(self.tau_range))
        for name, value in (("tau", self.tau), ("period", self.period), ("tau_range", min(self.tau_range))):
            if not 0 < value < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected more than 0")
        if len(self.tau_range) != 2 or self.tau_range[0] > self.tau_range[1]:
            raise ConfigError(f"tau_range is {self.tau_range}; expected (least, greatest)")
        if self.neighbours < 1:
            raise ConfigError(f"neighbours is {self.neighbours}; expected at least 1")
