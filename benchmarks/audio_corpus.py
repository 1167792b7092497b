"""The sounds and mixtures on which losses of the joint space are compared: what is for training, validation and test.

Clips come from ESC-10 (folds 1 and 2 to train, 3 to validate, 4 to test) and from two Debian packages: the samples of
Sonic Pi (CC0; of each kind a half to train, a quarter each to validate and to test) and Tux Paint's effects (GPL-2;
one recording of each kind, so for training only). Mixtures are composed of clips of their own split, so no recording
is in two of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from debian_sounds import sonic_pi, tuxpaint
from tamis.audio.data import Collection, load
from tamis.audio.encoders import SoundEncoder, TextEncoder
from tamis.audio.latents import Encoded, encode, of_collection, of_mixtures
from tamis.audio.mixtures import PHRASES, Clip, ComposeConfig, clips_of, compose

FOLDS = {"train": (1, 2), "val": (3,), "test": (4,)}
MIXTURES = {"train": 3000, "val": 600, "test": 1200}
SEEDS = {"train": 1, "val": 2, "test": 3}
COMPOSE = ComposeConfig()


@dataclass(frozen=True)
class Roots:
    """Where the recordings lie."""

    esc10: Path
    """ESC-10's folder."""
    sonic_pi: Path | None = None
    """Where Debian's sonic-pi-samples was unpacked."""
    tuxpaint: Path | None = None
    """Where Debian's tuxpaint-stamps-default was unpacked."""


def esc10(roots: Roots, split: str) -> Collection:
    """Read ESC-10's folds of a split; captions are a phrase for the label, and phrase and title."""
    whole = load("esc10", roots.esc10)
    items = []
    for item in whole.items:
        if item.fold in FOLDS[split]:
            phrase = PHRASES[item.labels[0]][0]
            titles = tuple(f"{phrase}, {title}" for title in map(_plain, item.captions) if title)
            items.append(replace(item, captions=(*titles, phrase)))
    return Collection(f"esc10-{split}", tuple(items), whole.root)


def _plain(title: str) -> str:
    """Take a title as words: no suffix, digits or underscores."""
    stem = (
        title.rsplit(".", 1)[0] if title.lower().endswith((".wav", ".mp3", ".aif", ".aiff", ".flac", ".ogg")) else title
    )
    words = "".join(c if c.isalpha() or c in "'" else " " for c in stem).split()
    return " ".join(words).lower()


def others(roots: Roots, split: str) -> list[Collection]:
    """Read the packages' recordings of a split."""
    found = []
    if roots.sonic_pi:
        whole = sonic_pi(roots.sonic_pi)
        seen: dict[str, int] = {}
        items = []
        for item in whole.items:
            turn = seen[item.labels[0]] = seen.get(item.labels[0], -1) + 1
            if ("train", "val", "train", "test")[turn % 4] == split:
                items.append(item)
        found.append(Collection(f"sonic-pi-{split}", tuple(items), whole.root))
    if roots.tuxpaint and split == "train":
        found.append(tuxpaint(roots.tuxpaint))
    return found


def clips(roots: Roots, split: str) -> list[Clip]:
    """Read the clips that mixtures of a split are composed of."""
    return [clip for part in (esc10(roots, split), *others(roots, split)) for clip in clips_of(part, COMPOSE.rate)]


def parts(
    roots: Roots, split: str, sound: SoundEncoder, text: TextEncoder, cache: Path
) -> Iterator[tuple[str, Encoded]]:
    """Encode a split, or read what was encoded before: "mixtures", "esc10" and, but to test, "packages"."""
    wanted = ["mixtures", "esc10"] + (["packages"] if split != "test" and others(roots, split) else [])
    heard = [collection.dataset for collection in (esc10(roots, split), *others(roots, split))]
    told = [heard, asdict(COMPOSE), MIXTURES[split], SEEDS[split], sound.fingerprint, text.fingerprint]
    key = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    for part in wanted:
        file = cache / f"{part}-{split}-latents-{key}.safetensors"
        if not file.exists():
            if part == "mixtures":
                mixtures = compose(clips(roots, split), MIXTURES[split], COMPOSE, seed=SEEDS[split])
                described = of_mixtures(mixtures, COMPOSE.rate)
                made = encode(described, f"mixtures-{split}", sound, text, total=MIXTURES[split])
            elif part == "esc10":
                made = encode(of_collection(esc10(roots, split)), f"esc10-{split}", sound, text)
            else:
                each = (one for collection in others(roots, split) for one in of_collection(collection))
                made = encode(each, f"packages-{split}", sound, text)
            made.save(file)
        yield part, Encoded.load(file)
