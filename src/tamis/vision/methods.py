"""Every token selector by the name that people type, and what one look at a picture must read for several of them."""

from __future__ import annotations

from collections.abc import Sequence

from tamis.core.errors import ConfigError
from tamis.vision.baselines.cdpruner import CDPruner
from tamis.vision.baselines.divprune import DivPrune
from tamis.vision.baselines.prumerge import PruMergePlus
from tamis.vision.baselines.simple import All, Random, TextOnly, Uniform
from tamis.vision.baselines.visionzip import VisionZip
from tamis.vision.baselines.vispruner import VisPruner
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.selector import Selector
from tamis.vision.tamis import Tamis
from tamis.vision.view import Reads
from tamis.vision.vtccls import VTCCLS

SELECTORS: dict[str, type[Selector]] = {
    "all": All,
    "text-only": TextOnly,
    "fastervlm": FasterVLM,
    "vtc-cls": VTCCLS,
    "tamis": Tamis,
    "random": Random,
    "uniform": Uniform,
    "prumerge+": PruMergePlus,
    "visionzip": VisionZip,
    "divprune": DivPrune,
    "vispruner": VisPruner,
    "cdpruner": CDPruner,
}


def selectors_named(names: str) -> dict[str, type[Selector]]:
    """Look up selectors by a list such as "fastervlm,vtc-cls".

    Args:
        names: Names separated by commas.

    Raises:
        ConfigError: If a name is unknown.
    """
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in SELECTORS:
            raise ConfigError(f"no method {name!r}; expected some of {', '.join(SELECTORS)}")
    return {name: SELECTORS[name] for name in wanted}


def reads_of(selectors: Sequence[Selector], depth: int, run: int) -> Reads:
    """Join what several selectors read, so that one pass over the tower serves them all."""
    asked = [selector.reads(depth, run) for selector in selectors]
    return Reads(
        rows=tuple(sorted({block for reads in asked for block in reads.rows})),
        keys=tuple(sorted({block for reads in asked for block in reads.keys})),
        question=any(reads.question for reads in asked),
    )
