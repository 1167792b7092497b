"""The vision part of `tamis demo`: real photographs through a real vision transformer, offline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from tamis.core.budget import Budget
from tamis.vision.loading import load
from tamis.vision.methods import selectors_named
from tamis.vision.prune import Source, prune, write

PHOTOGRAPHS = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "motorcycle": "motorcycle_left.png",
    "a page": "page.png",
}
"""Photographs that scikit-image carries in its wheel."""


def photographs() -> Iterator[Source]:
    """Read the embedded photographs."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    for name, file in PHOTOGRAPHS.items():
        yield Source(name, Image.open(folder / file).convert("RGB"))


def run(out: Path) -> Path:
    """Write the demo's report into a folder and return the page's path.

    Raises:
        ConfigError: If the vision transformer was not pulled yet.
    """
    methods = selectors_named("fastervlm,vtc-cls,tamis,random")
    result = prune(load("vit-s14-focus"), photographs(), methods, Budget.parse_list("50%,25%,10%,5%"))
    command = "tamis vision prune photo.jpg --keep 50%,25%,10%,5% --method fastervlm,vtc-cls,tamis,random --out kept"
    return write(result, out, command)
