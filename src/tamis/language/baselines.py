"""What a cover is compared with: taking names in some order until every cell is met.

- `alphabetical`: as a list box shows them, by the code points of the name without regard to case.
- `best-known`: what most languages of the corpus have a row of comes first, then the order of mid and name. It stands
  in for the most frequent names: neither CLSE nor the open corpus knows how frequent a name is.
- `random`: every order is as likely as any other.

Each may stop at the very name with which the last cell is met, which is kind to it: whoever chooses so does not know.

Source:
    No paper compares ways to choose such names; these are our choice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tamis.core.errors import ConfigError
from tamis.core.report import PALETTE, Picture, plot_style
from tamis.language.cells import Values, candidates
from tamis.language.corpus import Corpus, Entity
from tamis.language.covering import cover

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64

METHODS = ("cover", "random", "best-known", "alphabetical")
"""The names of the ways to choose."""

_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Effort:
    """How many names a way to choose takes, and how far it comes with as many as the cover has."""

    names: dict[str, float]
    """Names until every cell is met, for each language, summed over its types; of random choice the mean."""
    interval: tuple[float, float] | None
    """Of random choice, between which two totals 95 % of the draws lie."""
    met: float
    """The fraction of all cells that are met by as many names as the cover of each language and type has."""

    @property
    def total(self) -> float:
        """The sum over languages."""
        return sum(self.names.values())


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

    Returns:
        What each way takes, and how much there was to choose from.

    Raises:
        ConfigError: If `draws` is less than one, or other arguments mean nothing here.
        InputError: If the corpus has no such language or type.
        MissingExtraError: If langcodes is not installed.
    """
    if draws < 1:
        raise ConfigError(f"draws is {draws}; expected 1 or more")
    dice = np.random.default_rng(seed)
    known = Counter(mid for mid, _ in {(one.mid, one.language) for one in corpus if one.mid})
    fewest = Counter(
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
        count = fewest[its_language, its[0].semantic_type]
        groups, entities, cells = groups + 1, entities + len(its), cells + matrix.shape[1]
        needed = {"cover": np.array([count])}
        met["cover"] += matrix.shape[1]
        for method, places in _orders(its, known, draws, dice).items():
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


def effort_picture(panels: Mapping[str, Mapping[str, Mapping[str, float]]], alt: str, caption: str = "") -> Picture:
    """Draw how many names each way to choose takes in each language, on a logarithmic axis.

    Args:
        panels: For each title, the names of each method in each language; all have the same languages.
        alt: What is to be seen, for those who do not see it.
        caption: What is said below.
    """
    import matplotlib
    from matplotlib import pyplot

    its = list(panels.values())
    order = sorted(its[0]["cover"], key=lambda language: -its[0]["random"][language])
    counts = [names[language] for panel in its for names in panel.values() for language in order]
    ticks = [tick for tick in _TICKS if min(counts) * 0.8 <= tick <= max(counts) * 1.2]
    size = (4.6 * len(panels), 1.1 + 0.19 * len(order) * (1 if len(order) > 20 else 1.3))
    with matplotlib.rc_context({**plot_style(), "axes.grid.axis": "x", "font.size": 10.0}):
        figure, grid = pyplot.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
        for axes, (title, panel) in zip(grid[0], panels.items(), strict=True):
            for place, language in enumerate(order):
                ends = [names[language] for names in panel.values()]
                axes.plot([min(ends), max(ends)], [place, place], color=PALETTE[-1], marker="", linewidth=1, alpha=0.5)
            for (method, names), colour, marker in zip(panel.items(), PALETTE, "osD^", strict=False):
                xs = [names[language] for language in order]
                axes.plot(
                    xs, range(len(order)), linestyle="", color=colour, marker=marker, label=method, markersize=5.5
                )
            axes.set(title=title, xlabel="names", xscale="log", xticks=ticks)
            axes.xaxis.set_major_formatter("{x:.0f}")
            axes.xaxis.set_minor_formatter("")
            axes.set_yticks(range(len(order)), order)
            axes.tick_params(axis="y", length=0, labelsize=9 if len(order) > 20 else 10)
            axes.margins(y=0.6 / len(order))
        grid[0, 0].invert_yaxis()
        figure.legend(
            *grid[0, 0].get_legend_handles_labels(),
            loc="outside upper center",
            ncols=len(its[0]),
            columnspacing=1,
            handletextpad=0.2,
        )
        picture = Picture.of(figure, alt, caption)
        pyplot.close(figure)
    return picture


def _orders(
    entities: Sequence[Entity], known: Mapping[str, int], draws: int, dice: np.random.Generator
) -> dict[str, Int64[NDArray[np.int64], "draws entities"]]:
    """Draw or work out the place of each entity, for each way to choose."""
    count = len(entities)
    return {
        "random": dice.permuted(np.tile(np.arange(count), (draws, 1)), axis=1),
        "best-known": _places(sorted(range(count), key=lambda place: (-known.get(entities[place].mid, 0), place))),
        "alphabetical": _places(sorted(range(count), key=lambda place: _spelt(entities[place]))),
    }


def _matrix(cells: Sequence[frozenset[Values]]) -> Bool[NDArray[np.bool_], "entities cells"]:
    """Which entity (row) has which cell (column)."""
    numbers = {cell: number for number, cell in enumerate(sorted(frozenset[Values]().union(*cells)))}
    matrix = np.zeros((len(cells), len(numbers)), dtype=np.bool_)
    for row, its in enumerate(cells):
        matrix[row, [numbers[cell] for cell in its]] = True
    return matrix


def _places(order: Sequence[int]) -> Int64[NDArray[np.int64], "1 entities"]:
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
        (float(low), float(high)) if totals.size > 1 else None,
        float(met),
    )
