"""The token selectors by the names that people type, and what one look at a picture must read for several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

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
    return _made(SELECTORS, names, keep, seed)


def pruners_at(names: str, keep: str, seed: int = 0) -> list[Selector | InLLMPruner]:
    """Make selectors as `selectors_at` does, and pruners inside the language model too; see there."""
    return _made({**SELECTORS, **IN_LLM}, names, keep, seed)


def with_positions(
    pruners: Sequence[Selector | InLLMPruner], positions: Literal["original", "contiguous"]
) -> list[Selector | InLLMPruner]:
    """Give every token selector that keeps some tokens the same position ids.

    Args:
        pruners: Methods at their budgets.
        positions: Those of the full prompt, or contiguous ones.
    """
    return [
        replace(one, layout=replace(one.layout, positions=positions))
        if isinstance(one, Selector) and not isinstance(one, All | TextOnly)
        else one
        for one in pruners
    ]


def _made(kinds: Mapping[str, type[Any]], names: str, keep: str, seed: int) -> list[Any]:
    budgets = dict.fromkeys(Budget.parse_list(keep))
    made: list[Any] = []
    for name in dict.fromkeys(part.strip() for part in names.split(",")):
        if name not in kinds:
            raise ConfigError(f"no method {name!r}; {nearest(name, kinds)}")
        kind = kinds[name]
        if kind in (All, TextOnly):
            made.append(kind())
        else:
            made += [Random(budget, seed=seed) if kind is Random else kind(budget) for budget in budgets]
    return made


def reads_of(selectors: Sequence[Selector], depth: int, run: int) -> Reads:
    """Join what several selectors read, so that one pass over the tower serves them all."""
    asked = [selector.reads(depth, run) for selector in selectors]
    return Reads(
        rows=tuple(sorted({block for reads in asked for block in reads.rows})),
        keys=tuple(sorted({block for reads in asked for block in reads.keys})),
        question=any(reads.question for reads in asked),
    )
