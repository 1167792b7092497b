"""The vision part of `tamis demo`: what each budget costs in answers, and what is kept of photographs; offline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from tamis.core.models import installed
from tamis.core.report import Links, Section
from tamis.vision.evaluation import examine
from tamis.vision.evaluation_report import flips, report_on
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.loading import load
from tamis.vision.methods import selectors_at, with_positions
from tamis.vision.models import MODELS
from tamis.vision.prune import Source, prune
from tamis.vision.receipt import write
from tamis.vision.tamis import Tamis

SAYS = "What a tenth of the image tokens costs in answers, method by method, on a small model that comes with tamis."
"""What the front page of the demo says of this part."""
METHODS = "fastervlm,vtc-cls,tamis,divprune,random,text-only"
PICTURES = 100
"""Scenes that the small model is asked about."""
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
    """Write the demo's reports into a folder and return the first page's path.

    Photographs are shown if the vision transformer for them was pulled.

    Raises:
        FileError: If the folder cannot be written.
    """
    loaded = load("tiny")
    pruners = with_positions(selectors_at(METHODS, "25%,10%,5%"), "original")
    sheet = examine(loaded, pruners, count=PICTURES)
    shown = [one for one in pruners if isinstance(one, FasterVLM | Tamis) and str(one.keep) == "5%"]
    panels = [panel for one in shown if (panel := flips(loaded, sheet, one)) is not None]
    command = f"tamis vision eval --count {PICTURES} --keep 25%,10%,5% --method {METHODS} --positions original"
    report = report_on(sheet, command, panels)
    if installed(MODELS["vit-s14-focus"]) is not None:
        selectors = selectors_at("fastervlm,vtc-cls,tamis,random", "50%,25%,10%,5%")
        write(prune(load("vit-s14-focus"), photographs(), selectors), out / "photographs", "tamis demo")
        says = "What four methods keep of six photographs at four budgets, through a real vision transformer."
        report.add(Section("On photographs"), Links({"Photographs": ("photographs/index.html", says)}))
    return report.write(out / "index.html")
