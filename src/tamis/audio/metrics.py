"""How well a ranking finds what it should: scores and relevance in, numbers out.

Scores are a matrix of queries and items, the higher the better; relevance marks the items that a query should find.
Items of equal score keep their order, so that a model that gives all items one score gains nothing by it. Protocols:

- text to audio: every caption is a query, its clip is relevant;
- audio to text: every clip is a query, all its captions are relevant, and its rank is that of the best of them;
- of classes or of judgements: whatever the matrix says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tamis.core.errors import InputError, ShapeError
from tamis.core.seed import generator

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Shaped


_QUERIES = 1024  # that are ranked at a time, so that orders of all items take little memory


class Ranking(NamedTuple):
    """What each query found."""

    rank: Int[np.ndarray, " queries"]
    """Place of the best relevant item, 1 is first."""
    recall: dict[int, Float[np.ndarray, " queries"]]
    """By cut-off: 1 if a relevant item is among the first so many, else 0."""
    average_precision: Float[np.ndarray, " queries"]
    """Of the first `depth` items."""
    depth: int
    """Of the average precision."""

    def summary(self) -> dict[str, float]:
        """Average over the queries: `recall_at_…`, `map_at_…` and `median_rank`."""
        numbers = {f"recall_at_{k}": float(found.mean()) for k, found in self.recall.items()}
        return {
            **numbers,
            f"map_at_{self.depth}": float(self.average_precision.mean()),
            "median_rank": float(np.floor(np.median(self.rank))),
        }


def joined(rankings: Sequence[Ranking]) -> Ranking:
    """Set the queries of several rankings of one depth and the same cut-offs one after the other."""
    first = rankings[0]
    return Ranking(
        np.concatenate([one.rank for one in rankings]),
        {k: np.concatenate([one.recall[k] for one in rankings]) for k in first.recall},
        np.concatenate([one.average_precision for one in rankings]),
        first.depth,
    )


def rank(
    scores: Float[np.ndarray, "queries items"],
    relevant: Bool[np.ndarray, "queries items"],
    *,
    cutoffs: Sequence[int] = (1, 5, 10),
    depth: int = 10,
) -> Ranking:
    """Rank the items for every query and find the relevant ones.

    Args:
        scores: The higher the better.
        relevant: At least one item a query.
        cutoffs: Of recall.
        depth: Of average precision, which sums the precision at each relevant item of the first `depth` and divides by
            the number of relevant items, at most `depth`.

    Raises:
        InputError: If a score is NaN, a query has no relevant item, relevance is not bool, or a depth is below 1.
        ShapeError: If the two matrices differ in shape, or there is no query.

    Source:
        Recall, median rank and mAP@10 as XinhaoMei/audio-text_retrieval counts them with five captions a clip; mAP@16
        over several relevant clips as in DCASE 2025, task 6, is `depth=16`.
    """
    if scores.shape != relevant.shape or scores.ndim != 2 or not len(scores):
        raise ShapeError(f"scores have shape {scores.shape} and relevant {relevant.shape}; expected (queries, items)")
    if min(depth, *cutoffs) < 1:
        raise InputError(f"depth is {depth} and cutoffs {tuple(cutoffs)}; expected at least 1")
    if relevant.dtype != bool:
        raise InputError(f"relevant is of {relevant.dtype}; expected bool")
    if scores.dtype.kind != "f":
        scores = scores.astype(np.float64)  # the negative of an unsigned number is none
    if np.isnan(scores).any():
        raise InputError(f"{int(np.isnan(scores).any(axis=1).sum())} queries have scores that are NaN")
    if not relevant.any(axis=1).all():
        raise InputError(
            f"query {int(relevant.any(axis=1).argmin())} has no relevant item; leave such queries out, and say so"
        )
    first, precise = np.empty(len(scores), np.int64), np.empty(len(scores))
    for start in range(0, len(scores), _QUERIES):
        some = slice(start, start + _QUERIES)
        order = np.argsort(-scores[some], axis=1, kind="stable")
        found = np.take_along_axis(relevant[some], order, axis=1)
        near = found[:, :depth]
        precision = np.cumsum(near, axis=1) / np.arange(1, near.shape[1] + 1)
        first[some] = found.argmax(axis=1) + 1
        precise[some] = (precision * near).sum(axis=1) / np.minimum(relevant[some].sum(axis=1), depth)
    return Ranking(first, {k: (first <= k).astype(np.float64) for k in cutoffs}, precise, depth)


def caption_relevance(
    owners: Int[np.ndarray, " captions"], clips: int
) -> tuple[Bool[np.ndarray, "captions clips"], Bool[np.ndarray, "clips captions"]]:
    """Say what is relevant in retrieval between captions and clips, in both directions.

    Args:
        owners: Number of each caption's clip.
        clips: How many clips there are.

    Returns:
        For text to audio and for audio to text.

    >>> text_to_audio, audio_to_text = caption_relevance(np.array([0, 0, 1]), 2)
    >>> text_to_audio.astype(int)
    array([[1, 0],
           [1, 0],
           [0, 1]])
    """
    relevant = owners[:, None] == np.arange(clips)
    return relevant, relevant.T


class Difference(NamedTuple):
    """How much better one method is than another."""

    mean: float
    """Of the differences."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""
    probability: float
    """Share of the resamples in which the first is not better; small means that it is."""


def paired_bootstrap(
    better: Float[np.ndarray, "seeds queries"],
    worse: Float[np.ndarray, "seeds queries"],
    *,
    groups: Sequence[Any] | Shaped[np.ndarray, " queries"] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Compare two methods on the same queries and seeds, resampling both queries and seeds.

    Args:
        better: A number for each seed and query, such as 0 or 1 for recall, or the average precision.
        worse: The same of the other method, on the same queries in the same order.
        groups: What each query is of, such as its sound or its class; queries of one group are drawn together, since
            they are not independent. By default each query is a group of its own.
        resamples: How many.
        seed: Of the resampling.

    Raises:
        InputError: If a number is NaN, or there are no resamples.
        ShapeError: If the two differ in shape, or from the groups in length, or are empty.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993); percentile interval, groups as its clusters.
    """
    if better.shape != worse.shape or better.ndim != 2 or not better.size:
        raise ShapeError(f"shapes {better.shape} and {worse.shape}; expected (seeds, queries) for both")
    if resamples < 1:
        raise InputError(f"resamples is {resamples}; expected at least 1")
    difference = np.asarray(better, np.float64) - worse
    if np.isnan(difference).any():
        raise InputError("a number of a query is NaN")
    seeds, queries = difference.shape
    if groups is not None and len(groups) != queries:
        raise ShapeError(f"{len(groups)} groups of {queries} queries; expected one for each query")
    numbers: dict[Any, int] = {}
    of_each = range(queries) if groups is None else groups
    member = np.array([numbers.setdefault(one, len(numbers)) for one in of_each])
    sizes = np.bincount(member).astype(np.float64)
    sums = np.stack([np.bincount(member, of_seed) for of_seed in difference])
    rng = generator(seed, "audio", "bootstrap")
    means = np.empty(resamples)
    step = max(1, 4_000_000 // len(sizes))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        chosen = rng.integers(len(sizes), size=(count, len(sizes)))
        times = np.zeros((count, len(sizes)))
        np.add.at(times, (np.arange(count)[:, None], chosen), 1)
        of_seeds = (times @ sums.T) / (times @ sizes)[:, None]
        which = rng.integers(seeds, size=(count, seeds))
        means[start : start + count] = np.take_along_axis(of_seeds, which, axis=1).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Difference(float(difference.mean()), float(low), float(high), float((means <= 0).mean()))
