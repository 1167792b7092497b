"""Free sounds that Debian packages carry: the samples of Sonic Pi and the sound effects of Tux Paint's stamps.

Unpack `sonic-pi-samples` (CC0) or `tuxpaint-stamps-default` (GPL-2) with `dpkg-deb -x`; the folder that it was
unpacked into is the root.
"""

from __future__ import annotations

from pathlib import Path

from tamis.audio.data import Collection, Item
from tamis.core.errors import FileError

_SONIC_PI = {
    "ambi": ("ambient", ("an ambient sound", "an atmospheric sound")),
    "bass": ("bass", ("a bass note", "a synthesizer plays a bass note")),
    "bd": ("bass drum", ("a bass drum", "a kick drum is hit")),
    "drum_bass": ("bass drum", ("a bass drum", "a kick drum is hit")),
    "drum_cowbell": ("cowbell", ("a cowbell", "somebody hits a cowbell")),
    "drum_cymbal": ("cymbal", ("a cymbal", "a cymbal is hit")),
    "drum_snare": ("snare drum", ("a snare drum", "a snare drum is hit")),
    "drum_splash": ("cymbal", ("a cymbal", "a cymbal is hit")),
    "drum_tom": ("tom", ("a tom drum", "a tom drum is hit")),
    "elec": ("electronic blip", ("an electronic blip", "a short electronic sound")),
    "glitch": ("glitch", ("a digital glitch", "a glitch sound")),
    "guit": ("guitar", ("a guitar", "a guitar is played")),
    "loop": ("drum loop", ("a drum loop", "a rhythm plays")),
    "perc": ("percussion", ("percussion", "a percussion instrument is hit")),
    "sn": ("snare drum", ("a snare drum", "a snare drum is hit")),
    "tabla": ("tabla", ("a tabla", "a tabla drum is played")),
    "vinyl": ("vinyl", ("a vinyl record crackles", "a record is scratched")),
}
"""Label and phrases for the beginnings of file names; ours."""


def sonic_pi(root: Path) -> Collection:
    """Read the samples of Sonic Pi; every file is a recording of its own.

    Args:
        root: Where the package was unpacked, or the folder of its .flac files.

    Raises:
        FileError: If none are there.
    """
    items = []
    for path in sorted(root.rglob("*.flac")):
        keys = [key for key in _SONIC_PI if path.stem.startswith(key + "_")]
        if keys:
            label, phrases = _SONIC_PI[max(keys, key=len)]
            items.append(Item(path.name, path, phrases, (label,), (path.stem,)))
    if not items:
        raise FileError(f"{root}: holds none of Sonic Pi's samples; unpack Debian's sonic-pi-samples there")
    return Collection("sonic-pi", tuple(items), root)


def tuxpaint(root: Path) -> Collection:
    """Read the sound effects of Tux Paint's stamps, named after what is on the stamp; what is spoken is left out.

    Args:
        root: Where the package was unpacked, or its folder of stamps.

    Raises:
        FileError: If none are there.
    """
    items = []
    for path in sorted(root.rglob("*.ogg")):
        text = path.with_suffix(".txt")
        if "_desc" in path.stem or "symbols" in path.parts or not text.is_file():
            continue
        first = text.read_text(encoding="utf-8", errors="replace").splitlines()[:1]
        said = first[0].strip().rstrip(".!") if first else ""
        if said.lower().startswith(("a ", "an ", "the ")) and len(said.split()) <= 4:  # not signs and mottos
            words = said[0].lower() + said[1:]
            label = words.split(" ", 1)[1]
            items.append(Item(path.name, path, (words,), (label,), (path.stem,)))
    if not items:
        raise FileError(f"{root}: holds none of Tux Paint's sounds; unpack Debian's tuxpaint-stamps-default there")
    return Collection("tuxpaint", tuple(items), root)
