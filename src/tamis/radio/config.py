"""What a network is, what a signal goes through, and how a training was run: frozen, flat, without torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_type_hints

from tamis.core.errors import ConfigError, check_choice, check_range, check_rates

How = Literal["stratified", "group", "snr", "amr-benchmark"]
"""Ways to split: every cell of class and SNR alike, whole channels or recordings, whole SNRs, or as published."""
Normalisation = Literal["rms", "energy", "max", "l1", "none"]
"""How a frame is scaled: to mean power 1, to energy 1, to greatest magnitude 1, to sum of magnitudes 1, or not."""

RML2016_CLASSES = (
    "8PSK", "AM-DSB", "AM-SSB", "BPSK", "CPFSK", "GFSK", "PAM4", "QAM16", "QAM64", "QPSK", "WBFM",
)  # fmt: skip
"""The eleven classes of RML2016.10a, in their order."""
LINEAR_CLASSES = ("BPSK", "QPSK", "8PSK", "PAM4", "QAM16", "QAM64")
"""The six classes for which the limit of any classifier can be computed."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What every network says about itself; a network adds its own fields."""

    classes: tuple[str, ...] = RML2016_CLASSES
    """Names of the classes, in the order of the logits."""
    samples: int = 128
    """Length of a frame in complex samples."""
    normalisation: Normalisation = "rms"
    """How the network scales a frame before it looks at it."""
    samples_per_symbol: float = 8.0
    """Samples per symbol of the signals that it was trained on; a note, not a computation."""

    def __post_init__(self) -> None:
        """Turn lists back into tuples, and refuse what makes no network."""
        for field in dataclasses.fields(self):
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))
        listed = self.classes if isinstance(self.classes, tuple) else ()
        names = [name for name in listed if isinstance(name, str) and name.isprintable()]
        if not 2 <= len(set(names)) == len(self.classes) <= 1000:
            raise ConfigError(f"classes are {str(self.classes)[:200]}; expected 2 to 1000 different plain names")
        check_range(self, 16, 1_000_000, "samples")
        if not 0 < self.samples_per_symbol < math.inf:
            raise ConfigError(f"samples_per_symbol is {self.samples_per_symbol}; expected a number above 0")
        check_choice("normalisation", self.normalisation, Normalisation)


@dataclass(frozen=True, kw_only=True)
class ClSTConfig(NetworkConfig):
    """ClST; the paper gives no sizes, so every default here is our choice."""

    dims: tuple[int, ...] = (32, 64, 128)
    """Channels of each stage; a stage halves the tokens and has its own embedding."""
    depths: tuple[int, ...] = (1, 1, 2)
    """Blocks of each stage."""
    heads: tuple[int, ...] = (1, 2, 4)
    """Attention heads of each stage."""
    kernels: tuple[int, ...] = (15, 7, 5)
    """Kernel of each stage's convolutional embedding, odd."""
    strides: tuple[int, ...] = (2, 2, 2)
    """Stride of each stage's convolutional embedding."""
    activation: Literal["none", "relu"] = "relu"
    """What follows the normalisation of each embedding. Phase modulations differ in powers of the signal, which no
    linear map before the first attention can make."""
    projection: Literal["conv", "linear"] = "conv"
    """Projection to queries, keys and values: convolutional (CTP), or plain linear."""
    kv_stride: int = 2
    """Stride of the projection to keys and values; 2 squeezes them to half the tokens."""
    channel: Literal["se", "xca", "none"] = "se"
    """Channel branch of PSCA: squeeze and excite, cross-covariance attention, or none."""
    fusion: Literal["gate", "sum", "concat"] = "gate"
    """How PSCA joins its two branches."""
    pool: Literal["mean", "cls"] = "mean"
    """What the head reads: the mean token, or a class token of the last stage."""
    mlp_ratio: int = 4
    """Width of the hidden layer of a block, in widths of its tokens."""
    drop_path: float = 0.1
    """Greatest probability of skipping a branch in training; it grows linearly from the first block to the last."""
    norm: Literal["layer", "rms", "batch"] = "batch"
    """"layer" and "rms" normalise each token over its channels and so forget how strong it was; "batch" normalises
    each channel over the batch and keeps it."""
    layout: Literal["1d", "2d"] = "1d"
    """Read I and Q as two channels, or as the two rows of a picture."""

    def __post_init__(self) -> None:
        """Refuse stages that do not fit together."""
        super().__post_init__()
        _check_counts(self, "dims", "depths", "heads", "kernels", "strides", "kv_stride", "mlp_ratio")
        stages = {name: len(getattr(self, name)) for name in ("dims", "depths", "heads", "kernels", "strides")}
        if len(set(stages.values())) > 1:
            raise ConfigError(
                f"stages differ: {stages}; give dims, depths, heads, kernels and strides one value a stage"
            )
        for name in ("activation", "projection", "channel", "fusion", "pool", "norm", "layout"):
            check_choice(name, getattr(self, name), get_type_hints(ClSTConfig)[name])
        for dim, heads, kernel in zip(self.dims, self.heads, self.kernels, strict=True):
            if dim % heads:
                raise ConfigError(f"{dim} channels do not divide into {heads} heads; change dims or heads")
            if kernel % 2 == 0:
                raise ConfigError(f"kernel is {kernel}; expected an odd number")
        if not 0 <= self.drop_path < 1:
            raise ConfigError(f"drop_path is {self.drop_path}; expected at least 0 and below 1")
        if self.kv_stride != 1 and (self.channel == "xca" or self.projection == "linear"):
            raise ConfigError(
                f"kv_stride is {self.kv_stride}; channel='xca' and projection='linear' need as many keys as queries: "
                "give kv_stride=1"
            )

    @classmethod
    def tiny(cls, **changes: Any) -> ClSTConfig:
        """ClST-T: 533,595 parameters for eleven classes."""
        return cls(**changes)

    @classmethod
    def small(cls, **changes: Any) -> ClSTConfig:
        """ClST-S: 1,305,547 parameters for eleven classes."""
        return cls(**{"dims": (48, 96, 192), "depths": (1, 2, 2), **changes})

    @classmethod
    def base(cls, **changes: Any) -> ClSTConfig:
        """ClST-B: 3,931,123 parameters for eleven classes."""
        return cls(**{"dims": (64, 128, 256), "depths": (1, 2, 4), **changes})

    @classmethod
    def large(cls, **changes: Any) -> ClSTConfig:
        """ClST-L, in the shape of CvT-13: 19,609,379 parameters for eleven classes."""
        return cls(**{"dims": (64, 192, 384), "depths": (1, 2, 10), "heads": (1, 3, 6), **changes})


@dataclass(frozen=True, kw_only=True)
class KDCNNConfig(NetworkConfig):
    """KD-CNN; the paper gives its name only, so every default here is our choice."""

    widths: tuple[int, ...] = (32, 48, 64)
    """Channels of each convolution; each is followed by a pooling to half the length."""
    hidden: int = 64
    """Width of the layer before the logits."""
    dropout: float = 0.3
    """Dropout before the logits, in training."""

    def __post_init__(self) -> None:
        """Refuse a frame that is pooled away."""
        super().__post_init__()
        _check_counts(self, "widths", "hidden")
        if self.samples >> len(self.widths) < 1:
            raise ConfigError(f"{self.samples} samples cannot be halved {len(self.widths)} times; give fewer widths")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; expected at least 0 and below 1")

    @classmethod
    def scaled(cls, width: float, **changes: Any) -> KDCNNConfig:
        """Multiply the widths: 1 is KD-CNN (37,867 parameters), 0.5 is KD-CNN-XS (11,259).

        Args:
            width: Factor of the widths, which are rounded to multiples of 4; above 0.
            changes: Other fields.
        """
        return cls(**{"widths": _scaled(cls.widths, width), **changes})


@dataclass(frozen=True, kw_only=True)
class KDMobileNetConfig(NetworkConfig):
    """KD-MobileNet; the paper gives its name only, so every default here is our choice."""

    widths: tuple[int, ...] = (16, 24, 40, 64)
    """Channels of the stem, then of each pair of inverted residuals, of which the first halves the length."""
    expansion: int = 3
    """Channels inside an inverted residual, in channels of its input."""

    def __post_init__(self) -> None:
        """Refuse layers without channels."""
        super().__post_init__()
        _check_counts(self, "widths", "expansion")

    @classmethod
    def scaled(cls, width: float, **changes: Any) -> KDMobileNetConfig:
        """Multiply the widths: 1 is KD-MobileNet (63,739 parameters), 0.5 is KD-MobileNet-XS (17,715).

        Args:
            width: Factor of the widths, which are rounded to multiples of 4; above 0.
            changes: Other fields.
        """
        return cls(**{"widths": _scaled(cls.widths, width), **changes})


def _scaled(widths: tuple[int, ...], factor: float) -> tuple[int, ...]:
    if not 0 < factor < math.inf:
        raise ConfigError(f"width is {factor}; expected a factor above 0")
    return tuple(max(4, 4 * round(width * factor / 4)) for width in widths)


_MOST, _STAGES, _BLOCKS = 1024, 16, 64  # of what a file may ask for; ClST-L has 384, 3 and 13


def _check_counts(config: object, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        counts = value if isinstance(value, tuple) else (value,)
        if not counts or not all(type(count) is int and 1 <= count <= _MOST for count in counts):
            raise ConfigError(f"{name} is {value}; expected whole numbers from 1 to {_MOST}")
        if len(counts) > _STAGES or (name == "depths" and sum(counts) > _BLOCKS):
            raise ConfigError(f"{name} is {value}; expected at most {_STAGES} stages and {_BLOCKS} blocks")


Defect = Literal["snr", "l1", "ssb", "transients", "silence"]
"""What is known to be wrong with RML2016.10a; see `SignalConfig.defects`."""


@dataclass(frozen=True, kw_only=True)
class SignalConfig:
    """What the transmitter sends, what the channel does to it, and what the receiver cuts out of it.

    Source:
        Presets after radioML/dataset `generate_RML2016.10a.py` and venkateshsathya/RML22 `Datasetgeneration.py`, with
        the known defects mended; what those leave open, and `default` and `clean`, are our choice.
    """

    name: str = "default"
    """What the frames are called."""
    modulations: tuple[str, ...] = RML2016_CLASSES
    """Names of modulations, in the order of the labels."""
    snrs_db: tuple[int, ...] = tuple(range(-20, 20, 2))
    """Signal-to-noise ratios in dB, over the whole sampled band."""
    samples: int = 128
    """Length of a frame in complex samples."""
    sample_rate: float = 200e3
    """Samples per second."""
    samples_per_symbol: tuple[float, float] = (8.0, 8.0)
    """Least and greatest samples per symbol, drawn for each frame, evenly on a logarithmic scale."""
    rolloff: tuple[float, float] = (0.35, 0.35)
    """Least and greatest roll-off of the root-raised-cosine pulse, drawn for each frame."""
    cpfsk_index: float = 0.5
    """Modulation index of CPFSK."""
    gfsk_index: float = 0.5
    """Modulation index of GFSK."""
    gfsk_bt: float = 0.35
    """Bandwidth of GFSK's Gaussian filter times the symbol period."""
    fm_deviation: float = 75e3
    """Frequency deviation of WBFM in Hz; may exceed the sampled band, and wraps round as in RML2016."""
    am_depth: float = 0.8
    """Modulation depth of AM-DSB."""
    cfo_max: float = 500.0
    """Greatest carrier frequency offset in Hz, drawn evenly for each frame."""
    sro_max: float = 50.0
    """Greatest sample rate offset in parts per million, drawn evenly for each frame of a digital modulation; analog
    ones have no clock that it could be seen against."""
    sro_linked: bool = False
    """Whether one oscillator makes both offsets, so that they are proportional."""
    delays: tuple[float, ...] = (0.0, 0.9, 1.7)
    """Delay of each path in samples; () is no fading at all."""
    magnitudes: tuple[float, ...] = (1.0, 0.8, 0.3)
    """Magnitude of each path."""
    random_magnitudes: bool = True
    """Whether each frame scales the magnitude of every path but the first by a number drawn from 0 to 1."""
    rician_k: float = 4.0
    """Power of the line of sight over the scattered power, on the first path; 0 is Rayleigh."""
    doppler: tuple[float, float] = (0.0, 100.0)
    """Least and greatest Doppler frequency in Hz, drawn for each frame."""
    random_timing: bool = True
    """Whether a frame may begin anywhere in a symbol."""
    defects: tuple[Defect, ...] = ()
    """Known defects of RML2016.10a to bring back: "snr" (the label's noise amplitude taken for its power), "l1" (frames
    scaled to a sum of magnitudes of 1), "ssb" (AM-SSB without signal), "transients" (a twentieth of the frames begin
    before the signal), "silence" (a fifth of the analog frames carry no speech)."""

    def __post_init__(self) -> None:
        """Turn lists back into tuples, and refuse what makes no signal."""
        for field in dataclasses.fields(self):
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))
        if not self.modulations or len(set(self.modulations)) != len(self.modulations):
            raise ConfigError(f"modulations are {self.modulations}; expected different names, at least one")
        for name in ("samples_per_symbol", "rolloff", "doppler"):
            ends = getattr(self, name)
            if not isinstance(ends, tuple) or len(ends) != 2 or not all(map(math.isfinite, ends)):
                raise ConfigError(f"{name} is {ends}; expected two numbers: least and greatest")
        if not all(math.isfinite(snr) and snr == int(snr) for snr in self.snrs_db):
            raise ConfigError(f"snrs_db are {self.snrs_db}; expected whole numbers")
        object.__setattr__(self, "snrs_db", tuple(int(snr) for snr in self.snrs_db))
        if not self.snrs_db or len(set(self.snrs_db)) != len(self.snrs_db) or max(map(abs, self.snrs_db)) > 100:
            raise ConfigError(f"snrs_db are {self.snrs_db}; expected different whole numbers from -100 to 100")
        if not 16 <= self.samples <= 1_000_000:
            raise ConfigError(f"samples is {self.samples}; expected 16 to 1000000")
        if len(self.delays) != len(self.magnitudes):
            raise ConfigError(f"{len(self.delays)} delays and {len(self.magnitudes)} magnitudes; give one each a path")
        least, greatest = self.samples_per_symbol
        if not 1.5 <= least <= greatest <= 1000:
            raise ConfigError(
                f"samples_per_symbol is {self.samples_per_symbol}; expected (least, greatest), 1.5 to 1000"
            )
        if not 0 <= self.rolloff[0] <= self.rolloff[1] <= 1:
            raise ConfigError(f"rolloff is {self.rolloff}; expected (least, greatest), from 0 to 1")
        if not 0 <= self.doppler[0] <= self.doppler[1]:
            raise ConfigError(f"doppler is {self.doppler}; expected (least, greatest) in Hz, at least 0")
        if not all(0 <= delay <= 1000 for delay in self.delays):
            raise ConfigError(f"delays are {self.delays}; expected 0 to 1000 samples")
        if not all(0 <= magnitude < math.inf for magnitude in self.magnitudes):
            raise ConfigError(f"magnitudes are {self.magnitudes}; expected at least 0")
        if not 0.15 <= self.gfsk_bt <= 100:
            raise ConfigError(f"gfsk_bt is {self.gfsk_bt}; expected 0.15 to 100")
        for name in ("cpfsk_index", "gfsk_index", "sample_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected more than 0")
        for name in ("fm_deviation", "am_depth", "cfo_max", "sro_max", "rician_k"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 0")
        for defect in self.defects:
            check_choice("defects", defect, Defect)

    @classmethod
    def rml2016(cls, **changes: Any) -> SignalConfig:
        """Signals as RML2016.10a meant them: static Rician fading, next to no frequency offset."""
        # Offsets there are random walks from 0 in steps of 0.01 Hz, some 3 Hz after 80,000 samples; the sample rate's
        # is the same in relative terms. GFSK's sensitivity of 0.1 rad a sample is an index of 0.1 × 8 / pi.
        preset = {
            "name": "rml2016",
            "gfsk_index": 0.255,
            "cfo_max": 3.0,
            "sro_max": 15.0,
            "random_magnitudes": False,
            "doppler": (1.0, 1.0),
        }
        return cls(**{**preset, **changes})

    @classmethod
    def rml22(cls, **changes: Any) -> SignalConfig:
        """Signals of RML22: two samples a symbol, ETU70 Rayleigh fading, one oscillator's offsets, no AM-SSB."""
        rate = 2 / 71.3e-6
        decibels = (-1, -1, -1, 0, 0, 0, -3, -5, -7)
        preset = {
            "name": "rml22",
            "modulations": tuple(name for name in RML2016_CLASSES if name != "AM-SSB"),
            "snrs_db": tuple(range(-20, 22, 2)),
            "sample_rate": rate,
            "samples_per_symbol": (2.0, 2.0),
            "gfsk_index": 1.0,
            "gfsk_bt": 0.3,
            "sro_max": 5.0,
            "sro_linked": True,
            "delays": tuple(ns * 1e-9 * rate for ns in (0, 50, 120, 200, 230, 500, 1600, 2300, 5000)),
            "magnitudes": tuple(10 ** (power / 20) for power in decibels),
            "random_magnitudes": False,
            "rician_k": 0.0,
            "doppler": (70.0, 70.0),
        }
        return cls(**{**preset, **changes})

    @classmethod
    def clean(cls, **changes: Any) -> SignalConfig:
        """White noise and an unknown phase, nothing else: where the limit of any classifier is known."""
        preset = {
            "name": "clean",
            "cfo_max": 0.0,
            "sro_max": 0.0,
            "delays": (),
            "magnitudes": (),
            "rician_k": 0.0,
            "doppler": (0.0, 0.0),
            "random_timing": False,
        }
        return cls(**{**preset, **changes})


PRESETS: dict[str, Callable[..., SignalConfig]] = {
    "rml2016": SignalConfig.rml2016,
    "rml22": SignalConfig.rml22,
    "default": SignalConfig,
    "clean": SignalConfig.clean,
}
"""The presets of the signal generator, by name."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a network is trained; the paper gives no recipe, so every default is our choice."""

    epochs: int = 30
    """Times that every training frame is seen."""
    batch: int = 64
    """Frames in a step."""
    learning_rate: float = 1.5e-3
    """Greatest learning rate of a one-cycle schedule."""
    weight_decay: float = 1e-3
    """Of AdamW."""
    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes."""
    rotate: bool = True
    """Whether a training frame is turned by a random phase, anew each time it is seen."""
    patience: int | None = None
    """Stop after so many epochs without a better validation accuracy; None runs all epochs."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the training's arithmetic; "bfloat16" is up to three times faster for recurrent networks on a CPU that has it,
    and slower for small convolutions. What is trained is judged in float32."""
    seed: int = 0
    """Of initial weights, order of frames, dropout and rotation."""
    threads: int = 1
    """Threads of the training; more help only on cores that have nothing else to do."""

    def __post_init__(self) -> None:
        """Refuse what trains nothing."""
        check_range(self, 1, 1_000_000, "epochs")
        check_range(self, 2, 1_000_000, "batch")  # batch normalisation knows no variance of one
        check_range(self, 1, 1024, "threads")
        check_range(self, 0, 2**63 - 1, "seed")
        check_choice("precision", self.precision, get_type_hints(TrainConfig)["precision"])
        if self.patience is not None and self.patience < 1:
            raise ConfigError(f"patience is {self.patience}; expected at least 1 epoch, or None")
        check_rates(self, "learning_rate")
        if not (0 <= self.weight_decay <= 10 and 0 <= self.label_smoothing < 1):
            raise ConfigError(
                f"weight_decay is {self.weight_decay} and label_smoothing {self.label_smoothing}; "
                "expected at least 0, decay up to 10 and smoothing below 1"
            )


@dataclass(frozen=True, kw_only=True)
class SKDConfig:
    """How a teacher's knowledge enters the loss of a student.

    Source:
        arXiv 2312.17446 says "soft targets" and a "hybrid loss" that also preserves the teacher's knowledge; weights,
        temperature and everything else are not public: our choice. Weight and temperature are those of twelve that were
        best for KD-CNN on validation frames.
    """

    weight: float = 0.9
    """Share of the soft targets; the labels have the rest."""
    temperature: float = 1.0
    """Divides the logits of both before the softmax."""
    views: int = 8
    """Phases under which the teacher looks at each frame; its logits are averaged, as the label does not depend on the
    carrier's phase. 1 is plain distillation."""
    feature_weight: float = 0.0
    """Weight of the distance between the directions of the two embeddings; a reading not attributed to the paper."""
    gate: Literal["none", "correct", "prob"] = "none"
    """Trust in the teacher, frame by frame: always, only where it is right, or as much as it believes the label."""

    def __post_init__(self) -> None:
        """Refuse weights that are none."""
        if not (0 <= self.weight <= 1 and 0 < self.temperature <= 1000 and 0 <= self.feature_weight <= 1000):
            raise ConfigError(
                f"weight {self.weight}, temperature {self.temperature}, feature_weight {self.feature_weight}; "
                "expected a weight from 0 to 1, a temperature above 0 and up to 1000, and from 0 to 1000"
            )
        check_range(self, 1, 1024, "views")
        check_choice("gate", self.gate, get_type_hints(SKDConfig)["gate"])
