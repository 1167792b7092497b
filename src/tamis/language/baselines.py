"""What a cover is compared with: taking names in some order until every cell is met.

- `alphabetical`: as a list box shows them, by the code points of the name without regard to case.
- `best-known`: what most languages of the corpus have a row of comes first, then the order of mid and name. It stands
  in for the most frequent names: neither CLSE nor the open corpus knows how frequent a name is.
- `random`: every order is as likely as any other.

Each may stop at the very name with which the last cell is met, which is kind to it: whoever chooses so does not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamis.core.errors import ConfigError
from tamis.language.corpus import Corpus, Entity
from tamis.language.covering import Values, candidates, cover

METHODS = ("cover", "random", "best-known", "alphabetical")
"""The names of the ways to choose."""


@dataclass(frozen=True)
class Effort:
    """How many names a way to choose takes, and how far it comes with as many as the cover has."""

    names: dict[str, float]
    """Names until every cell is met, for each language, summed over its types; of random choice the mean."""
    total: float
    """The sum over languages."""
    interval: tuple[float, float] | None
    """Of random choice, between which two totals 95 % of the draws lie."""
    met: float
    """The fraction of all cells that are met by as many names as the cover of each language and type has."""


@dataclass(frozen=True)
class Comparison:
    """Ways to choose names, side by side."""

    efforts: dict[str, Effort]
    """By method, in the order of METHODS."""
    groups: int
    """Languages and types."""
    entities: int
    """Names to choose from."""
    cells: int
    """Cells to be met."""


def compare(
    corpus: Corpus,
    language: str | None = None,
    type: str | None = None,
    *,
    level: str | int = "pair",
    relevant: str | Collection[str] | None = None,
    draws: int = 200,
    seed: int = 0,
) -> Comparison:
    """Count the names that each way to choose takes to meet every cell that occurs.

    Args:
        corpus: Where names come from.
        language: A language tag; None takes each language.
        type: A semantic type; None takes each type by itself.
        level: What a cell is, as for `cover`.
        relevant: Kinds or attributes that count, as for `cover`.
        draws: How many random orders of each language and type.
        seed: Of the random orders.

    Raises:
        ConfigError: If `draws` is less than one, or other arguments mean nothing here.
        InputError: If the corpus has no such language or type.
    """
    if draws < 1:
        raise ConfigError(f"draws is {draws}; expected 1 or more")
    dice = np.random.default_rng(seed)
    known = Counter(mid for mid, _ in {(one.mid, one.language) for one in corpus if one.mid})
    best = Counter(
        (one.language, one.semantic_type)
        for one in cover(corpus, language, type, level=level, relevant=relevant).entities
    )
    names: dict[str, dict[str, NDArray[np.int64]]] = {method: {} for method in METHODS}
    met: Counter[str] = Counter()
    groups = entities = cells = 0
    for group in candidates(corpus, language, type, level=level, relevant=relevant):
        its = [entity for entity, _ in group]
        its_language = its[0].language
        matrix = _matrix([one for _, one in group])
        count = best[its_language, its[0].semantic_type]
        groups, entities, cells = groups + 1, entities + len(its), cells + matrix.shape[1]
        orders = {
            "random": dice.permuted(np.tile(np.arange(len(its)), (draws, 1)), axis=1),
            "best-known": _places(sorted(range(len(its)), key=lambda place: (-known[its[place].mid], place))),
            "alphabetical": _places(sorted(range(len(its)), key=lambda place: _spelt(its[place]))),
        }
        needed = {"cover": np.array([count])}
        met["cover"] += matrix.shape[1]
        for method, places in orders.items():
            first = np.array([np.where(matrix, row[:, None], len(its)).min(axis=0) for row in places])
            needed[method] = first.max(axis=1, initial=-1) + 1
            met[method] += (first < count).sum() / len(places)
        for method, numbers in needed.items():
            names[method][its_language] = names[method].get(its_language, np.zeros(1, dtype=np.int64)) + numbers
    return Comparison(
        {method: _effort(names[method], met[method] / cells if cells else 1.0) for method in METHODS},
        groups,
        entities,
        cells,
    )


def _matrix(cells: Sequence[frozenset[Values]]) -> NDArray[np.bool_]:
    """Which entity (row) has which cell (column)."""
    numbers = {cell: number for number, cell in enumerate(sorted(frozenset[Values]().union(*cells)))}
    matrix = np.zeros((len(cells), len(numbers)), dtype=np.bool_)
    for row, its in enumerate(cells):
        matrix[row, [numbers[cell] for cell in its]] = True
    return matrix


def _places(order: Sequence[int]) -> NDArray[np.int64]:
    """Turn an order into the place of each entity, as one draw."""
    places = np.empty((1, len(order)), dtype=np.int64)
    places[0, list(order)] = np.arange(len(order))
    return places


def _spelt(one: Entity) -> tuple[str, str, str]:
    return one.name.casefold(), one.name, one.mid


def _effort(names: dict[str, NDArray[np.int64]], met: float) -> Effort:
    totals = np.sum(list(names.values()), axis=0)
    low, high = np.quantile(totals, [0.025, 0.975])
    return Effort(
        {language: float(numbers.mean()) for language, numbers in names.items()},
        float(totals.mean()),
        (float(low), float(high)) if totals.size > 1 else None,
        float(met),
    )
