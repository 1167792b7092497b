"""Encoders of other people behind tamis's interface: CLAP, sentence-transformers, and any function.

    sounds, sentences = load_sound_encoder("clap:laion/clap-htsat-unfused"), load_text_encoder("clap:laion/...")
    ZeroShot(sounds, sentences).encode_text(["a dog barks"])

CLAP puts sounds and sentences into one space, so it can rank with no training of ours: `ZeroShot`. What heads on the
same frozen encoders are worth is the difference between them and that.
"""

from __future__ import annotations

import functools
import importlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from tamis.audio.data import check_sentences
from tamis.audio.encoders import SoundEncoder, TextEncoder, fingerprint
from tamis.audio.sound import Sound, hear
from tamis.core.errors import ConfigError, FileError, InputError, MissingExtraError, ShapeError, one_line
from tamis.core.pretrained import find, loading

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float32, Int
    from torch import Tensor

    from tamis.audio.latents import Encoded

_LEAST_S = 1.0  # of the last window of a long sound
_TOKENS = 77  # that CLAP was trained with
_FRONT_END = (
    "feature_size",
    "fft_window_size",
    "frequency_max",
    "frequency_min",
    "hop_length",
    "max_length_s",
    "padding",
    "sampling_rate",
    "top_db",
    "truncation",
)


class ClapSounds(SoundEncoder):
    """The audio side of a `ClapModel` of transformers: a vector of length 1 for each window of 10 s.

    A window is never longer than the model takes, so nothing is cropped at random, and none is marked as the excerpt of
    a longer sound, which transformers does with a random one. The last window is as long as what is left of the sound,
    one second at the least, and is repeated to full length as in the training of the model.

    Source:
        Large-scale contrastive language-audio pretraining (arXiv 2211.06687); transformers 5.23, models/clap.
    """

    def __init__(self, model: Any, extractor: Any, *, name: str = "clap", hop_s: float | None = None) -> None:
        super().__init__()
        self.network, self.projection = model.audio_model.eval(), model.audio_projection.eval()
        self.extractor = extractor
        self.name, self.rate, self.width = name, int(extractor.sampling_rate), int(model.config.projection_dim)
        self.window_s = float(extractor.max_length_s)
        self.hop_s = self.window_s if hop_s is None else hop_s
        if not 0 < self.hop_s <= self.window_s:
            raise ConfigError(f"hop_s is {hop_s}; expected seconds above 0, up to the window's {self.window_s:g}")

    @classmethod
    def load(cls, source: str, *, hop_s: float | None = None) -> ClapSounds:
        """Load the audio side of a model.

        Args:
            source: Its folder, with weights and processor, or a Hub id such as laion/clap-htsat-unfused.
            hop_s: Seconds from window to window, at most the window; by default that, which is 10.

        Raises:
            ConfigError: If there is no such model, it is no CLAP, or the hop does not fit.
            FileError: If the folder is incomplete or damaged.
            MissingExtraError: If transformers is not installed.
        """
        model, processor = _load_clap(source)
        return cls(model, processor.feature_extractor, name=f"clap:{source}", hop_s=hop_s)

    def prepare(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "windows channels frames bands"]:
        """Cut a sound into windows, and compute their log-mel spectrograms.

        Raises:
            InputError: If it holds no sample.
        """
        if not len(samples):
            raise InputError("the sound holds no sample; give one that does")
        window, hop, least = (round(seconds * self.rate) for seconds in (self.window_s, self.hop_s, _LEAST_S))
        count = 1 + max(0, -(-(len(samples) - window) // hop))
        starts = [max(0, min(i * hop, len(samples) - least)) for i in range(count)]
        cut = [samples[start : start + window] for start in starts]
        mels = self.extractor(cut, sampling_rate=self.rate)["input_features"]
        return np.asarray(mels, np.float32)

    def starts_s(self, windows: int, seconds: float) -> Float[np.ndarray, " windows"]:
        """Say when each window starts, in seconds; the last one leaves at least a second."""
        return np.asarray(np.minimum(super().starts_s(windows, seconds), max(0.0, seconds - _LEAST_S)))

    def forward(self, windows: Float[Tensor, "windows channels frames bands"]) -> Float[Tensor, "windows width"]:
        """Encode prepared windows."""
        excerpts = torch.zeros(len(windows), 1, dtype=torch.bool)
        pooled = self.network(input_features=windows, is_longer=excerpts).pooler_output
        return functional.normalize(self.projection(pooled), dim=-1)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of weights, windows and front end; not of the name, since a folder may be moved."""
        told = {key: getattr(self.extractor, key, None) for key in _FRONT_END}
        return fingerprint(self, "clap", self.hop_s, told)


class ClapSentences(TextEncoder):
    """The text side of a `ClapModel` of transformers: one vector of length 1 for each sentence.

    Source:
        As `ClapSounds`. A sentence is cut at 77 tokens, as in laion_clap's own `hook.py`.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str = "clap") -> None:
        super().__init__()
        self.network, self.projection = model.text_model.eval(), model.text_projection.eval()
        self.tokenizer = tokenizer
        self.name, self.width = name, int(model.config.projection_dim)

    @classmethod
    def load(cls, source: str) -> ClapSentences:
        """Load the text side of a model.

        Args:
            source: Its folder, with weights and processor, or a Hub id such as laion/clap-htsat-unfused.

        Raises:
            ConfigError: If there is no such model, or it is no CLAP.
            FileError: If the folder is incomplete or damaged.
            MissingExtraError: If transformers is not installed.
        """
        model, processor = _load_clap(source)
        return cls(model, processor.tokenizer, name=f"clap:{source}")

    def prepare(self, sentence: str) -> Int[np.ndarray, " tokens"]:
        """Give the numbers of a sentence's word pieces."""
        return np.array(self.tokenizer(sentence, truncation=True, max_length=_TOKENS)["input_ids"])

    def forward(
        self, tokens: Int[Tensor, "sentences tokens"], mask: Bool[Tensor, "sentences tokens"]
    ) -> Float[Tensor, "sentences 1 width"]:
        """Encode word pieces: all those of a sentence give one row."""
        pooled = self.network(input_ids=tokens, attention_mask=mask.long()).pooler_output
        return functional.normalize(self.projection(pooled), dim=-1)[:, None]

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of weights and tokenizer; not of the name, since a folder may be moved."""
        return fingerprint(self, "clap", _spelt(self.tokenizer))


class SentenceTransformerSentences(TextEncoder):
    """A model of sentence-transformers: one row for each sentence, as long as the model makes it."""

    def __init__(self, model: Any, *, name: str = "st") -> None:
        super().__init__()
        self.model, self.name = model.eval(), name
        self.width = len(self._row("width"))

    @classmethod
    def load(cls, source: str) -> SentenceTransformerSentences:
        """Load a model.

        Args:
            source: Its folder, or a Hub id such as sentence-transformers/all-mpnet-base-v2.

        Raises:
            ConfigError: If there is no such model.
            FileError: If the folder is incomplete or damaged.
            MissingExtraError: If sentence-transformers is not installed.
        """
        try:
            package = importlib.import_module("sentence_transformers")
        except ModuleNotFoundError as error:
            raise MissingExtraError("encoding with sentence-transformers", package="sentence-transformers") from error

        place = str(Path(source).expanduser())
        _refuse_code(source, Path(place))
        with loading(source, place):
            model = package.SentenceTransformer(
                place, device="cpu", trust_remote_code=False, model_kwargs={"use_safetensors": True}
            )
        return cls(model, name=f"st:{source}")

    def encode(self, sentences: Sequence[str]) -> list[Float32[np.ndarray, "1 width"]]:
        """Encode sentences, each by itself, so that its numbers do not depend on the others.

        Raises:
            InputError: If a sentence is empty.
        """
        check_sentences(sentences)
        return [self._row(sentence)[None] for sentence in sentences]

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of weights, modules, prompts and tokenizer; not of the name, since a folder may be moved."""
        told = (getattr(self.model, name, None) for name in ("max_seq_length", "prompts", "default_prompt_name"))
        return fingerprint(self, "st", str(self.model), *told, _spelt(getattr(self.model, "tokenizer", None)))

    def _row(self, sentence: str) -> Float32[np.ndarray, " width"]:
        return np.asarray(self.model.encode([sentence], show_progress_bar=False)[0], np.float32)


class CallableSounds(SoundEncoder):
    """Any function from the samples of a sound to a row of numbers for each window."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        name: str,
        rate: int,
        width: int,
        window_s: float,
        hop_s: float,
        version: str,
    ) -> None:
        """Take a function.

        Args:
            function: From float32 samples, mono, at `rate`, to an array (windows, width).
            name: What result lines call it.
            rate: Samples a second that it expects.
            width: Numbers for a window.
            window_s: Length of a window in seconds.
            hop_s: Seconds from window to window.
            version: Another one whenever the function gives other numbers: what it gave is kept under it.

        Raises:
            ConfigError: If the version is empty, or a window has no length.
        """
        super().__init__()
        self.function, self.version = function, _checked_version(version)
        for told, value in (("rate", rate), ("width", width), ("window_s", window_s), ("hop_s", hop_s)):
            if not 0 < value < math.inf:
                raise ConfigError(f"{told} is {value}; expected more than 0")
        self.name, self.rate, self.width, self.window_s, self.hop_s = name, rate, width, window_s, hop_s

    def encode(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "windows width"]:
        """Encode a sound.

        Raises:
            InputError: If the function gives NaN, infinity or no numbers.
            ShapeError: If it gives another shape.
        """
        return _checked(self.function(samples), self.name, ("windows", self.width))

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of name, version, rate and windows; of the weights too if the function is a torch module."""
        return fingerprint(self, self.name, self.version, self.rate, self.window_s, self.hop_s)


class CallableSentences(TextEncoder):
    """Any function from a list of sentences to a row of numbers for each."""

    def __init__(self, function: Callable[[list[str]], Any], *, name: str, width: int, version: str) -> None:
        """Take a function.

        Args:
            function: From sentences to an array (sentences, width).
            name: What result lines call it.
            width: Numbers for a sentence.
            version: Another one whenever the function gives other numbers: what it gave is kept under it.

        Raises:
            ConfigError: If the version is empty.
        """
        super().__init__()
        self.function, self.version = function, _checked_version(version)
        self.name, self.width = name, width

    def encode(self, sentences: Sequence[str]) -> list[Float32[np.ndarray, "1 width"]]:
        """Encode sentences.

        Raises:
            InputError: If a sentence is empty, or the function gives NaN, infinity or no numbers.
            ShapeError: If it gives another shape.
        """
        check_sentences(sentences)
        return list(_checked(self.function(list(sentences)), self.name, (len(sentences), self.width))[:, None])

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of name and version; of the weights too if the function is a torch module."""
        return fingerprint(self, self.name, self.version)


class ZeroShot:
    """Two encoders that share a space as they are, such as both sides of a CLAP, with the calls of a `JointSpace`.

    The vector of a sound is the mean of its windows, that of a sentence the mean of its rows, both of length 1. CLAP
    scales its cosines before a softmax; that changes no ranking and is left out.
    """

    def __init__(self, sounds: SoundEncoder, sentences: TextEncoder) -> None:
        """Take the encoders.

        Raises:
            ConfigError: If their widths differ, so that they share no space.
        """
        if sounds.width != sentences.width:
            raise ConfigError(
                f"{sounds.name} gives {sounds.width} numbers and {sentences.name} gives {sentences.width}, so they "
                f"share no space; give both sides of one model"
            )
        self.sound_encoder, self.text_encoder = sounds, sentences

    def encode_audio(self, sounds: Iterable[str | Path | Sound]) -> Float32[np.ndarray, "sounds joint"]:
        """Embed sounds, each by itself.

        Args:
            sounds: Files, or sounds in memory.

        Raises:
            FileError: If a file is missing, damaged or no sound.
            InputError: If one was given in place of several, or one in memory is none.
            LimitError: If one is too long.
        """
        heard = hear(sounds, self.sound_encoder.rate)
        return self._means([self.sound_encoder.encode(sound.samples) for sound in heard])

    def encode_text(self, sentences: Sequence[str]) -> Float32[np.ndarray, "sentences joint"]:
        """Embed sentences.

        Raises:
            InputError: If one is empty.
        """
        if isinstance(sentences, str):
            raise InputError(f"sentences is one text, {sentences[:40]!r}; give a list of them")
        return self._means(self.text_encoder.encode(list(sentences)) if len(sentences) else [])

    @staticmethod
    def similarity(
        audio: Float32[np.ndarray, "sounds joint"], text: Float32[np.ndarray, "sentences joint"]
    ) -> Float32[np.ndarray, "sounds sentences"]:
        """Give the cosine of every sound and every sentence."""
        return np.asarray(audio @ text.T)

    def embed(
        self, encoded: Encoded
    ) -> tuple[Float32[np.ndarray, "sounds joint"], Float32[np.ndarray, "sentences joint"]]:
        """Embed a set that was encoded before.

        Args:
            encoded: By these encoders.

        Raises:
            ConfigError: If other encoders encoded it.
        """
        for side, encoder in (("sound", self.sound_encoder), ("text", self.text_encoder)):
            found = encoded.encoders[f"{side}_fingerprint"]
            if found != encoder.fingerprint:
                raise ConfigError(
                    f"{encoded.dataset.split('@')[0]} was encoded by {encoded.encoders[side]} ({found}); expected "
                    f"{encoder.name} ({encoder.fingerprint}); encode it again"
                )
        sounds, sentences = (
            self._means([rows.item(i) for i in range(rows.size)]) for rows in (encoded.sounds, encoded.sentences)
        )
        return sounds, sentences

    def _means(self, items: Sequence[Float32[np.ndarray, "rows joint"]]) -> Float32[np.ndarray, "items joint"]:
        means = np.array([rows.mean(axis=0) for rows in items], np.float32).reshape(-1, self.sound_encoder.width)
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        return np.asarray(means / np.maximum(lengths, np.float32(1e-12)))


def _load_clap(source: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoConfig, ClapModel, ClapProcessor
    except ModuleNotFoundError as error:
        raise MissingExtraError("encoding with CLAP", "audio") from error

    place = find(source)
    with loading(source, place):
        kind = AutoConfig.from_pretrained(place, trust_remote_code=False).model_type
        if kind != "clap":
            raise ConfigError(f"{source} is a {kind!r} model; expected a CLAP, such as laion/clap-htsat-unfused")
        loaded: Any = ClapModel.from_pretrained(
            place, trust_remote_code=False, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
        model, report = loaded
        state = model.state_dict()
        missing = sorted(key for key in report["missing_keys"] if state[key].is_floating_point())
        if missing := missing or sorted(map(str, report["mismatched_keys"])):
            raise FileError(f"{source}: {len(missing)} weights are missing or misshapen, the first {missing[0]}")
        processor = ClapProcessor.from_pretrained(place, trust_remote_code=False)
    return model, processor


def _refuse_code(source: str, folder: Path) -> None:
    """Refuse a folder whose parts are classes of its own: sentence-transformers would run them, asked or not."""
    file = folder / "modules.json"
    if not file.is_file():
        return
    try:
        kinds = [str(part["type"]) for part in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise FileError(f"{file}: not the parts of a model ({one_line(error)}); get the model again") from error
    if own := [kind for kind in kinds if not kind.startswith("sentence_transformers.")]:
        raise ConfigError(f"{source} wants to run code of its own ({own[0]} in modules.json), which is refused")


def _spelt(tokenizer: Any) -> str:
    """Write down all that a tokenizer does."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return str(backend.to_str()) if backend is not None else repr(tokenizer)


def _checked_version(version: str) -> str:
    if not version:
        raise ConfigError("version is ''; name the version of the function, since its numbers are kept under it")
    return version


def _checked(rows: Any, name: str, expected: tuple[int | str, int]) -> Float32[np.ndarray, "rows width"]:
    try:
        array = np.asarray(rows, np.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} gave no array of numbers ({one_line(error)}); expected {expected}") from error
    count, width = expected
    if array.ndim != 2 or array.shape[1] != width or not len(array) or (count != "windows" and len(array) != count):
        raise ShapeError(f"{name} gave an array of shape {array.shape}; expected ({count}, {width})")
    if not np.isfinite(array).all():
        raise InputError(f"{name} gave NaN or infinity in row {int((~np.isfinite(array)).any(axis=1).argmax())}")
    return array
