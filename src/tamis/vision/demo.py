"""The vision part of `tamis demo`: real photographs through a real vision transformer, offline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from tamis.vision.loading import load
from tamis.vision.methods import selectors_at
from tamis.vision.prune import Source, prune
from tamis.vision.receipt import write

SAYS = "What four methods keep of six photographs at four budgets, through a real vision transformer."
"""What the front page of the demo says of this part."""
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
        FileError: If the folder cannot be written.
    """
    selectors = selectors_at("fastervlm,vtc-cls,tamis,random", "50%,25%,10%,5%")
    return write(prune(load("vit-s14-focus"), photographs(), selectors), out, "tamis demo")
