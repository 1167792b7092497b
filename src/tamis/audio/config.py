"""What a joint space of sounds and sentences is, and how it is trained: frozen, flat, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from tamis.core.errors import ConfigError, check_choice, check_range, check_rates

Separability = Literal["joint", "separate", "views", "none"]
"""How pairs of one modality are pushed apart; see `CLSRConfig.separability`."""
Temperature = Literal["fixed", "learned", "semantic", "semantic-row", "cosine"]
"""What sets the temperature of the contrast; see `CLSRConfig.temperature`."""
Distance = Literal["mse", "cosine"]
"""How far a rebuilt latent is from the true one; see `CLSRConfig.distance`."""


def check_tau(name: str, *taus: float) -> None:
    """Refuse temperatures at which a contrast is no number.

    Args:
        name: Of the setting.
        taus: Its values.

    Raises:
        ConfigError: If one is not from 0.001 to 1000.
    """
    for tau in taus:
        if not isinstance(tau, int | float) or not 0.001 <= tau <= 1000:
            raise ConfigError(f"{name} is {tau}; expected 0.001 to 1000")


@dataclass(frozen=True, kw_only=True)
class CLSRConfig:
    """The CLSR loss.

    Source:
        arXiv 2309.08839, of which the abstract is public and no formula: it names intra-modal separability, an adaptive
        temperature under semantic guidance, and latent reconstruction. Every definition here is our choice.
    """

    separability: Separability = "views"
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
    """How much the likeness of two sentences, from 0 to 1, raises their temperature: 1 doubles it at the most, and a
    negative number lowers it, so that what is nearly a positive is pushed harder."""
    sharpness: float = 4.0
    """Power of the likeness: above 1, only what is nearly the same is guided."""
    centred: bool = True
    """Whether likeness is measured from the mean of the batch, for encoders to which all sentences are alike."""
    tau_range: tuple[float, float] = (0.05, 0.15)
    """Least and greatest temperature of "semantic-row" and "cosine"."""
    neighbours: int = 8
    """Over how many of the most alike sentences "semantic-row" averages."""
    period: float = 10.0
    """Epochs of one turn of "cosine"."""
    reconstruction: float = 1.0
    """Weight of the latent reconstruction; 0 leaves it out. It grows linearly over the first epoch."""
    distance: Distance = "mse"
    """"mse" of latents standardised over the batch, or one minus the "cosine"."""
    self_reconstruction: float = 0.0
    """Weight, within the reconstruction, of rebuilding a latent from the embedding of its own modality."""

    def __post_init__(self) -> None:
        """Refuse what makes no loss."""
        for name, choices in (("separability", Separability), ("temperature", Temperature), ("distance", Distance)):
            check_choice(name, getattr(self, name), choices)
        for name in ("separability_weight", "reconstruction", "self_reconstruction"):
            if not 0 <= getattr(self, name) <= 1e6:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 to 1000000")
        if not -1 < self.guidance <= 1000 or not 0 < self.sharpness <= 1000:
            raise ConfigError(
                f"guidance is {self.guidance} and sharpness {self.sharpness}; expected more than -1, and more than 0, "
                "up to 1000"
            )
        object.__setattr__(self, "tau_range", tuple(self.tau_range))
        if len(self.tau_range) != 2 or self.tau_range[0] > self.tau_range[1]:
            raise ConfigError(f"tau_range is {self.tau_range}; expected (least, greatest)")
        check_tau("tau", self.tau)
        check_tau("tau_range", *self.tau_range)
        if not 0 < self.period < math.inf:
            raise ConfigError(f"period is {self.period}; expected more than 0")
        check_range(self, 1, 1_000_000, "neighbours")


@dataclass(frozen=True, kw_only=True)
class JointConfig:
    """A joint space: two heads on encoders of sounds and of sentences. All sizes are our choice."""

    sound: str = "aisfx-overlap"
    """Encoder of sounds; see `tamis.audio.encoders`. "mel-cnn" is tamis's own and saved with the space."""
    text: str = "minilm"
    """Encoder of sentences. "words" is tamis's own and saved with the space."""
    sound_width: int = 512
    """Numbers that the encoder gives for a window."""
    text_width: int = 384
    """Numbers that the encoder gives for a token."""
    sound_fingerprint: str = ""
    """Of the encoder that the heads were trained on; "" where it is saved with the space."""
    text_fingerprint: str = ""
    """The same for sentences."""
    vocabulary: tuple[int, int] = (0, 0)
    """Number and bytes of the word pieces of "words", which are saved with the space."""
    joint: int = 128
    """Dimensions of the joint space."""
    hidden: int = 128
    """Width of the heads."""
    layers: int = 1
    """Transformer layers over windows and over tokens, which see their order; 0 averages at once, as in Mei et al."""
    heads: int = 4
    """Attention heads of a layer."""
    dropout: float = 0.2
    """In the heads, while training."""
    stretch: int = 0
    """Windows that are embedded together; a longer sound is cut, and its embedding is the mean of its stretches. A new
    space takes the length of the longest sound that it is trained on."""

    def __post_init__(self) -> None:
        """Refuse what makes no space."""
        check_range(self, 1, 65_536, "sound_width", "text_width", "joint", "hidden", "heads")
        check_range(self, 0, 64, "layers")
        object.__setattr__(self, "vocabulary", tuple(self.vocabulary))
        check_range(self, 0, 1_000_000, "stretch")
        if len(self.vocabulary) != 2 or not 0 <= min(self.vocabulary) <= max(self.vocabulary) <= 100_000_000:
            raise ConfigError(f"vocabulary is {self.vocabulary}; expected two numbers from 0 to 100000000")
        if self.hidden % self.heads:
            raise ConfigError(f"hidden is {self.hidden} and heads {self.heads}; expected a multiple")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; expected 0 to less than 1")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a joint space is trained. All numbers are our choice."""

    epochs: int = 30
    """Times that every pair is seen; a sound with three captions is in three pairs."""
    batch: int = 128
    """Pairs in a batch."""
    learning_rate: float = 1e-3
    """The highest of the one-cycle schedule of AdamW."""
    weight_decay: float = 0.01
    """Of AdamW."""
    noise: float = 0.1
    """Deviation of the noise on standardised latents; on frozen encoders, it is all the augmentation there is."""
    patience: int | None = None
    """Epochs without a better validation after which it stops; by default it does not."""
    seed: int = 0
    """Of the heads, the order of the pairs, and the noise."""
    threads: int = 1
    """Of torch, on the processor."""

    def __post_init__(self) -> None:
        """Refuse what trains nothing."""
        check_range(self, 1, 1_000_000, "epochs")
        check_range(self, 2, 1_000_000, "batch")  # one pair has nothing to differ from
        check_range(self, 1, 1024, "threads")
        check_range(self, 0, 2**63 - 1, "seed")
        if self.patience is not None and self.patience < 1:
            raise ConfigError(f"patience is {self.patience}; expected at least 1")
        check_rates(self, "learning_rate")
        if not 0 <= self.weight_decay < math.inf or not 0 <= self.noise < math.inf:
            raise ConfigError(f"weight_decay is {self.weight_decay} and noise {self.noise}; expected 0 or more")
