"""The joint space: two heads that put sounds and sentences where those that belong together are near.

    space = JointSpace.from_pretrained("effects")
    space.similarity(space.encode_audio(["door.wav"]), space.encode_text(["a door slams"]))

A head sees the latents of a sound's windows, or of a sentence's tokens, in their order. Heads are what is trained; the
encoders below them are frozen and fetched by name, or tamis's own and then part of the space.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tamis.audio.config import JointConfig
from tamis.audio.encoders import SoundEncoder, TextEncoder, load_sound_encoder, load_text_encoder, positions
from tamis.audio.latents import Encoded, Rows
from tamis.audio.sound import SILENCE, Member, Sound, hear
from tamis.core.checkpoint import Checkpoint
from tamis.core.errors import ConfigError, InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float32, Shaped
    from torch import Tensor

OWN_SOUND, OWN_TEXT = "mel-cnn", "words"
_BATCH = 256
_QUIET_DB = 20.0  # below the loudest window; chosen on validation mixtures


class Moment(NamedTuple):
    """Where in a sound something is heard."""

    start_s: float
    """Where the window begins, in seconds."""
    end_s: float
    """Where it ends; not after the sound."""
    score: float
    """Cosine of the window and the sentence."""


def apart(moments: Sequence[Moment]) -> list[Moment]:
    """Leave out moments that overlap or touch a better one, since they show the same place.

    Args:
        moments: The best first, as `JointSpace.locate` gives them.
    """
    kept: list[Moment] = []
    for moment in moments:
        if all(moment.end_s < other.start_s or moment.start_s > other.end_s for other in kept):
            kept.append(moment)
    return kept


class JointSpace(nn.Module, Checkpoint, license="apache-2.0", tags=["audio-text-retrieval"]):
    """Encoders of sounds and sentences with a head each, and unit vectors as their outcome."""

    shipped = Path(__file__).parent / "weights"

    def __init__(self, config: JointConfig) -> None:
        super().__init__()
        self.config = config
        self.sound_head = Head(config.sound_width, config)
        self.text_head = Head(config.text_width, config)
        if config.sound == OWN_SOUND:
            from tamis.audio.melcnn import MelCNN

            self.own_sound = MelCNN()
        if config.text == OWN_TEXT:
            from tamis.audio.words import Words

            self.own_text = Words(*config.vocabulary)
        self._fetched: dict[str, SoundEncoder | TextEncoder] = {}

    @property
    def sound_encoder(self) -> SoundEncoder:
        """The encoder below the head of sounds, fetched when it is first needed.

        Raises:
            ConfigError: If it is not the one that the head was trained on.
        """
        encoder = self._encoder("sound", load_sound_encoder)
        assert isinstance(encoder, SoundEncoder)
        return encoder

    @property
    def text_encoder(self) -> TextEncoder:
        """The encoder below the head of sentences, as `sound_encoder`."""
        encoder = self._encoder("text", load_text_encoder)
        assert isinstance(encoder, TextEncoder)
        return encoder

    def _encoder(
        self, side: str, load: Callable[[str], SoundEncoder | TextEncoder]
    ) -> SoundEncoder | TextEncoder | nn.Module:
        if hasattr(self, f"own_{side}"):
            own: nn.Module = getattr(self, f"own_{side}")
            return own
        if side not in self._fetched:
            self.use(load(getattr(self.config, side)))
        return self._fetched[side]

    def use(self, encoder: SoundEncoder | TextEncoder) -> JointSpace:
        """Give the space an encoder that is loaded already, such as a function of yours.

        Args:
            encoder: The one that the head was trained on.

        Raises:
            ConfigError: If its fingerprint is another one.
        """
        side = "sound" if isinstance(encoder, SoundEncoder) else "text"
        wanted = getattr(self.config, f"{side}_fingerprint")
        if encoder.fingerprint != wanted:
            raise ConfigError(
                f"the {side} encoder {encoder.name} has fingerprint {encoder.fingerprint}; the head was trained on "
                f"{getattr(self.config, side)} with {wanted or 'one that is saved with the space'}; load that one"
            )
        self._fetched[side] = encoder
        return self

    def encode_audio(self, sounds: Iterable[str | Path | Member | Sound]) -> Float32[np.ndarray, "sounds joint"]:
        """Embed sounds, each by itself, so that the same one always gets the same vector.

        Args:
            sounds: Files, or sounds in memory.

        Returns:
            Vectors of length 1. A sound of more windows than `config.stretch` is cut, and its vector is the mean.

        Raises:
            FileError: If a file is missing, damaged or no sound.
            InputError: If one was given in place of several, or one in memory is none.
            LimitError: If one is too long.
        """
        encoder = self.sound_encoder
        embedded = [self._embed_sound(encoder.encode(sound.samples)) for sound in hear(sounds, encoder.rate)]
        return np.stack(embedded) if embedded else np.zeros((0, self.config.joint), np.float32)

    def encode_text(self, sentences: Sequence[str]) -> Float32[np.ndarray, "sentences joint"]:
        """Embed sentences.

        Args:
            sentences: English, unless the encoder knows other languages.

        Returns:
            Vectors of length 1.

        Raises:
            InputError: If a sentence is empty.
        """
        if isinstance(sentences, str):
            raise InputError(f"sentences is one text, {sentences[:40]!r}; give a list of them")
        if not len(sentences):
            return np.zeros((0, self.config.joint), np.float32)
        return self._embed_rows(self.text_head, Rows.of(self.text_encoder.encode(list(sentences))))

    @staticmethod
    def similarity(
        audio: Float32[np.ndarray, "sounds joint"], text: Float32[np.ndarray, "sentences joint"]
    ) -> Float32[np.ndarray, "sounds sentences"]:
        """Give the cosine of every sound and every sentence."""
        return np.asarray(audio @ text.T)

    def locate(self, sound: str | Path | Member | Sound, sentence: str) -> list[Moment]:
        """Say where in a sound a sentence holds, the best window first and those in which little sounds last.

        Args:
            sound: A file, or a sound in memory.
            sentence: What is to be heard there; of one thing, since windows are short.

        Returns:
            A moment for each window, those 20 dB below the loudest behind all others; none for silence.

        Raises:
            FileError: If the file is missing, damaged or no sound.
            InputError: If the sentence is empty, or a sound in memory is none.
            LimitError: If it is too long.
        """
        encoder = self.sound_encoder
        (heard,) = hear([sound], encoder.rate)
        windows = self.embed_windows(encoder.encode(heard.samples))
        scores = windows @ self.encode_text([sentence])[0]
        quiet = ~audible(heard.samples, encoder, len(windows))
        if quiet.all():
            return []
        starts = encoder.starts_s(len(windows), heard.seconds)
        ends = np.minimum(starts + encoder.window_s, max(heard.seconds, float(starts[-1])))
        return [Moment(float(starts[i]), float(ends[i]), float(scores[i])) for i in np.lexsort((-scores, quiet))]

    def embed(
        self, encoded: Encoded
    ) -> tuple[Float32[np.ndarray, "sounds joint"], Float32[np.ndarray, "sentences joint"]]:
        """Embed a set that was encoded before.

        Args:
            encoded: By the encoders of this space.

        Raises:
            ConfigError: If other encoders encoded it.
        """
        self.check(encoded)
        stretches = [self._stretches(encoded.sounds.item(i)) for i in range(len(encoded))]
        vectors = self._embed_rows(self.sound_head, Rows.of([one for sound in stretches for one in sound]))
        ends = np.cumsum([len(sound) for sound in stretches])
        sounds = np.stack([_unit_mean(vectors[end - len(s) : end]) for end, s in zip(ends, stretches, strict=True)])
        return sounds, self._embed_rows(self.text_head, encoded.sentences)

    def embed_windows(self, rows: Float32[np.ndarray, "windows width"]) -> Float32[np.ndarray, "windows joint"]:
        """Embed windows, each by itself.

        Args:
            rows: Latents of the windows, as the encoder gives them.
        """
        return self._embed_rows(self.sound_head, Rows(rows, np.arange(len(rows) + 1)))

    def check(self, encoded: Encoded) -> None:
        """Refuse what other encoders encoded.

        Raises:
            ConfigError: If the fingerprints differ.
        """
        for side in ("sound", "text"):
            own = getattr(self, f"own_{side}", None)
            known = own.fingerprint if own is not None else getattr(self.config, f"{side}_fingerprint")
            found = encoded.encoders[f"{side}_fingerprint"]
            if known != found:
                raise ConfigError(
                    f"{encoded.dataset.split('@')[0]} was encoded by {encoded.encoders[side]} ({found}); this space is "
                    f"built on {getattr(self.config, side)} ({known}); encode it again"
                )

    def train(self, mode: bool = True) -> JointSpace:
        """Switch the heads; the encoders below them always stay as they are."""
        super().train(mode)
        for name in ("own_sound", "own_text"):
            if hasattr(self, name):
                getattr(self, name).eval()
        return self

    def _embed_sound(self, rows: Float32[np.ndarray, "windows width"]) -> Float32[np.ndarray, " joint"]:
        return _unit_mean(self._embed_rows(self.sound_head, Rows.of(self._stretches(rows))))

    def _stretches(self, rows: Float32[np.ndarray, "windows width"]) -> list[Float32[np.ndarray, "some width"]]:
        """Cut the windows of a long sound into stretches, the last of which ends with the sound."""
        most = self.config.stretch or len(rows)
        count = max(1, -(-len(rows) // most))
        starts = (min(i * most, max(0, len(rows) - most)) for i in range(count))
        return [rows[start : start + most] for start in starts]

    def _embed_rows(self, head: Head, rows: Rows) -> Float32[np.ndarray, "items joint"]:
        training, out = self.training, np.zeros((rows.size, self.config.joint), np.float32)
        head.eval()
        by_length: dict[int, list[int]] = {}
        for i, length in enumerate(np.diff(rows.starts)):
            by_length.setdefault(int(length), []).append(i)
        device = head.mean.device
        with torch.inference_mode():
            for alike in by_length.values():
                for start in range(0, len(alike), _BATCH):
                    some = alike[start : start + _BATCH]
                    values, mask = rows.padded(some)
                    seen = torch.from_numpy(values).float().to(device)
                    out[some] = head(seen, torch.from_numpy(mask).to(device)).cpu().numpy()
        head.train(training)
        return out


class Head(nn.Module):
    """Latents in their order to one unit vector."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, config: JointConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.enter = nn.Linear(width, hidden)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                hidden, config.heads, 2 * hidden, config.dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(hidden) if config.layers else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.leave = nn.Linear(hidden, config.joint)

    def forward(
        self, latents: Float[Tensor, "items length width"], mask: Bool[Tensor, "items length"], noise: float = 0.0
    ) -> Float[Tensor, "items joint"]:
        """Embed sequences.

        Args:
            latents: As the encoder gave them, filled up to one length.
            mask: True where they are not filled up.
            noise: Deviation of the noise on standardised latents.
        """
        seen = self.standardised(latents)
        if noise:
            seen = seen + noise * torch.randn_like(seen)
        if not self.layers:
            hidden = self.dropout(self.enter(averaged(seen, mask)).relu())
        else:
            states = self.enter(seen)
            states = states + positions(states.shape[1], states.shape[2]).to(states)
            for layer in self.layers:
                states = layer(states, src_key_padding_mask=~mask)
            hidden = self.dropout(self.norm(averaged(states, mask)))
        return functional.normalize(self.leave(hidden), dim=1)

    def standardised(self, latents: Float[Tensor, "items length width"]) -> Float[Tensor, "items length width"]:
        """Move and scale latents by the mean and deviation of the training."""
        return (latents - self.mean) / self.deviation

    def measure(self, values: Shaped[np.ndarray, "rows width"]) -> None:
        """Take mean and deviation from the rows of a training set."""
        self.mean.copy_(torch.from_numpy(values.mean(axis=0, dtype=np.float64)).float())
        self.deviation.copy_(torch.from_numpy(values.std(axis=0, dtype=np.float64)).float().clamp_min(1e-4))


def audible(
    samples: Float32[np.ndarray, " samples"], encoder: SoundEncoder, windows: int
) -> Bool[np.ndarray, " windows"]:
    """Say in which windows something sounds: not 20 dB below the loudest, nor below what 16 bits hold.

    Encoders hear something in silence too.

    Args:
        samples: Mono, at the encoder's rate.
        encoder: Whose windows they are.
        windows: How many there are.
    """
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    starts_s = encoder.starts_s(windows, len(samples) / encoder.rate)
    starts = np.round(starts_s * encoder.rate).astype(int).clip(max=len(samples))
    ends = np.minimum(starts + round(encoder.window_s * encoder.rate), len(samples))
    levels = energy[ends] - energy[starts]
    least = np.maximum(ends - starts, 1) * SILENCE**2
    return np.asarray(levels >= np.maximum(levels.max() * 10 ** (-_QUIET_DB / 10), least))


def _unit_mean(vectors: Float32[np.ndarray, "some joint"]) -> Float32[np.ndarray, " joint"]:
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def averaged(
    states: Float[Tensor, "items length width"], mask: Bool[Tensor, "items length"]
) -> Float[Tensor, "items width"]:
    """Average each sequence where it is not filled up."""
    kept = mask[..., None].to(states)
    return (states * kept).sum(dim=1) / kept.sum(dim=1).clamp_min(1)


def new_space(
    encoded: Encoded,
    sizes: JointConfig | None = None,
    *,
    seed: int = 0,
    own: Sequence[SoundEncoder | TextEncoder] = (),
) -> JointSpace:
    """Make an untrained space for a set of encoded sounds: widths, fingerprints, mean and deviation are its own.

    Args:
        encoded: By frozen encoders.
        sizes: Of the heads; what concerns the encoders is replaced.
        seed: Of the weights.
        own: Encoders of tamis that encoded the set; by default those of the shipped space.
    """
    given = {encoder.name: encoder for encoder in own}
    parts: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    for side, name in (("sound", OWN_SOUND), ("text", OWN_TEXT)):
        changes[side], changes[f"{side}_fingerprint"] = encoded.encoders[side], encoded.encoders[f"{side}_fingerprint"]
        if changes[side] == name:
            load = load_sound_encoder if side == "sound" else load_text_encoder
            parts[side] = given[name] if name in given else load(name)
            changes[f"{side}_fingerprint"] = ""
    if "text" in parts:
        changes["vocabulary"] = (len(parts["text"].table), len(parts["text"].vocabulary))
    if not (sizes and sizes.stretch):
        changes["stretch"] = int(np.diff(encoded.sounds.starts).max())
    widths = {"sound_width": encoded.sounds.values.shape[1], "text_width": encoded.sentences.values.shape[1]}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        space = JointSpace(dataclasses.replace(sizes or JointConfig(), **changes, **widths))
    for side, encoder in parts.items():
        getattr(space, f"own_{side}").load_state_dict(encoder.state_dict())
        getattr(space, f"own_{side}").requires_grad_(False).eval()
    space.sound_head.measure(encoded.sounds.values)
    space.text_head.measure(encoded.sentences.values)
    return space
