"""Make vision-language models fast by keeping only the image tokens that matter, with no training.

FasterVLM (arXiv 2412.01818v1) and VTC-CLS (arXiv 2412.05819) score the patches of a picture by how much the vision
tower's [CLS] token attends to them. This package applies them, their peers and our own extension to stock models of
transformers:

    from tamis import vision

    pruner = vision.FasterVLM(keep=0.10)
    inputs = pruner.prepare(model, **processor(images=image, text=prompt, return_tensors="pt"))
    model.generate(**inputs)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis.core.lazy import lazy

if TYPE_CHECKING:
    from tamis.vision.baselines.cdpruner import CDPruner
    from tamis.vision.baselines.divprune import DivPrune
    from tamis.vision.baselines.fastv import FastV
    from tamis.vision.baselines.prumerge import PruMergePlus
    from tamis.vision.baselines.simple import All, Random, TextOnly, Uniform
    from tamis.vision.baselines.sparsevlm import SparseVLM
    from tamis.vision.baselines.visionzip import VisionZip
    from tamis.vision.baselines.vispruner import VisPruner
    from tamis.vision.config import Layout
    from tamis.vision.context import pruned
    from tamis.vision.fastervlm import FasterVLM
    from tamis.vision.prepare import Prepared
    from tamis.vision.selector import Selection, Selector
    from tamis.vision.tamis import Tamis
    from tamis.vision.tower import look
    from tamis.vision.view import View
    from tamis.vision.vtccls import VTCCLS

_WHERE = {
    "All": "baselines.simple",
    "CDPruner": "baselines.cdpruner",
    "DivPrune": "baselines.divprune",
    "FastV": "baselines.fastv",
    "FasterVLM": "fastervlm",
    "Layout": "config",
    "Prepared": "prepare",
    "PruMergePlus": "baselines.prumerge",
    "Random": "baselines.simple",
    "Selection": "selector",
    "Selector": "selector",
    "SparseVLM": "baselines.sparsevlm",
    "Tamis": "tamis",
    "TextOnly": "baselines.simple",
    "Uniform": "baselines.simple",
    "VTCCLS": "vtccls",
    "View": "view",
    "VisPruner": "baselines.vispruner",
    "VisionZip": "baselines.visionzip",
    "look": "tower",
    "pruned": "context",
}
__all__ = [
    "All",
    "CDPruner",
    "DivPrune",
    "FastV",
    "FasterVLM",
    "Layout",
    "Prepared",
    "PruMergePlus",
    "Random",
    "Selection",
    "Selector",
    "SparseVLM",
    "Tamis",
    "TextOnly",
    "Uniform",
    "VTCCLS",
    "View",
    "VisPruner",
    "VisionZip",
    "look",
    "pruned",
]


if not TYPE_CHECKING:  # so that a type checker still knows a misspelt name
    __getattr__, __dir__ = lazy(__name__, _WHERE)
