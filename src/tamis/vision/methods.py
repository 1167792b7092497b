"""The token selectors by the names that people type, and what one look at a picture must read for several of them."""

from __future__ import annotations

from collections.abc import Sequence

from tamis.core.budget import Budget
from tamis.core.errors import ConfigError, nearest
from tamis.vision.baselines.cdpruner import CDPruner
from tamis.vision.baselines.divprune import DivPrune
from tamis.vision.baselines.fastv import FastV
from tamis.vision.baselines.prumerge import PruMergePlus
from tamis.vision.baselines.simple import All, Random, TextOnly, Uniform
from tamis.vision.baselines.sparsevlm import SparseVLM
from tamis.vision.baselines.visionzip import VisionZip
from tamis.vision.baselines.vispruner import VisPruner
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.in_llm import InLLMPruner
from tamis.vision.selector import Selector
from tamis.vision.tamis import Tamis
from tamis.vision.view import Reads
from tamis.vision.vtccls import VTCCLS

SELECTORS: dict[str, type[Selector]] = {
    kind.name: kind
    for kind in (
        All,
        TextOnly,
        FasterVLM,
        VTCCLS,
        Tamis,
        Random,
        Uniform,
        PruMergePlus,
        VisionZip,
        DivPrune,
        VisPruner,
        CDPruner,
    )
}
"""Every token selector."""

IN_LLM: dict[str, type[InLLMPruner]] = {kind.name: kind for kind in (FastV, SparseVLM)}
"""Every pruner inside the language model: a picture alone is not enough for them, it takes a question."""


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
            raise ConfigError(f"no method {name!r}; {nearest(name, SELECTORS)}")
    return {name: SELECTORS[name] for name in wanted}


def selectors_at(names: str, keep: str, seed: int = 0) -> list[Selector]:
    """Make a selector of each method at each budget; `all` and `text-only`, whose budget is fixed, come once.

    Args:
        names: Names separated by commas.
        keep: Budgets separated by commas.
        seed: Of random selection.

    Raises:
        BudgetError: If a budget cannot be read.
        ConfigError: If a name is unknown.
    """
    budgets = dict.fromkeys(Budget.parse_list(keep))
    made: list[Selector] = []
    for kind in selectors_named(names).values():
        if kind in (All, TextOnly):
            made.append(kind())
        elif kind is Random:
            made += [Random(budget, seed=seed) for budget in budgets]
        else:
            made += [kind(budget) for budget in budgets]
    return made


def pruners_at(names: str, keep: str, seed: int = 0) -> list[Selector | InLLMPruner]:
    """Make selectors as `selectors_at` does, and pruners inside the language model, in the order of their names.

    Args:
        names: Names separated by commas.
        keep: Budgets separated by commas.
        seed: Of random selection.

    Raises:
        BudgetError: If a budget cannot be read.
        ConfigError: If a name is unknown.
    """
    made: list[Selector | InLLMPruner] = []
    for name in (part.strip() for part in names.split(",")):
        if name in IN_LLM:
            made += [IN_LLM[name](budget) for budget in Budget.parse_list(keep)]
        elif name in SELECTORS:
            made += selectors_at(name, keep, seed)
        else:
            raise ConfigError(f"no method {name!r}; {nearest(name, [*SELECTORS, *IN_LLM])}")
    return made


def reads_of(selectors: Sequence[Selector], depth: int, run: int) -> Reads:
    """Join what several selectors read, so that one pass over the tower serves them all."""
    asked = [selector.reads(depth, run) for selector in selectors]
    return Reads(
        rows=tuple(sorted({block for reads in asked for block in reads.rows})),
        keys=tuple(sorted({block for reads in asked for block in reads.keys})),
        question=any(reads.question for reads in asked),
    )
