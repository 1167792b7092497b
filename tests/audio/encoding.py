"""Small encoders and sets for tests: tones that sentences name."""

from __future__ import annotations

import numpy as np

from tamis.audio.adapters import CallableSentences, CallableSounds
from tamis.audio.latents import Described, Encoded, encode
from tamis.audio.mixtures import Event
from tamis.audio.sound import Sound

RATE = 8000
HERTZ = {"low": 200.0, "middle": 700.0, "high": 2500.0, "shrill": 3500.0}
WINDOW = 800


def spectrum(samples: np.ndarray) -> np.ndarray:
    """Give the level near each tone's frequency, for windows of 0.1 s."""
    count = max(1, len(samples) // WINDOW)
    padded = np.zeros(count * WINDOW, np.float32)
    padded[: len(samples)] = samples[: len(padded)]
    waves = np.exp(-2j * np.pi * np.outer(np.arange(WINDOW) / RATE, list(HERTZ.values())))
    return np.abs(padded.reshape(count, WINDOW) @ waves).astype(np.float32) / WINDOW


def words(sentences: list[str]) -> np.ndarray:
    """Say which tones a sentence names, and which one first."""
    rows = []
    for sentence in sentences:
        places = [sentence.find(name) for name in HERTZ]
        rows.append([float(place >= 0) + float(0 <= place < 8) for place in places])
    return np.array(rows, np.float32)


SOUNDS = CallableSounds(spectrum, name="tones", rate=RATE, width=4, window_s=0.1, hop_s=0.1, version="1")
SENTENCES = CallableSentences(words, name="tone-words", width=4, version="1")


def tone(name: str, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Make a tone of random phase and level."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (rng.uniform(0.3, 1) * np.sin(2 * np.pi * HERTZ[name] * time + rng.uniform(0, 6))).astype(np.float32)


def described(count: int, seed: int = 0) -> list[Described]:
    """Make sounds of two different tones, one after the other, with two captions each."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        first, second = (list(HERTZ)[i] for i in rng.permutation(4)[:2])
        samples = np.concatenate([tone(first, 0.4, rng), tone(second, 0.4, rng)])
        events = (Event(first, "a", 0.0, 0.4), Event(second, "b", 0.4, 0.8))
        captions = (f"{first} then {second}", f"{first} before {second}")
        made.append(Described(f"{first}-{number}", Sound(samples, RATE), captions, (first, second), events, "then"))
    return made


def encoded(count: int, seed: int = 0, name: str = "tones") -> Encoded:
    """Encode such sounds."""
    return encode(described(count, seed), name, SOUNDS, SENTENCES)
