"""What a selection can be told by without a language model: agreement, attention held, cover and trouble."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from tamis.core.seed import generator


def agreement(first: Bool[Tensor, "units patches"], second: Bool[Tensor, "units patches"]) -> Float[Tensor, " units"]:
    """Share of the patches kept by either selection that both keep (Jaccard index).

    >>> agreement(torch.tensor([[True, True, False]]), torch.tensor([[False, True, True]]))
    tensor([0.3333])
    """
    return (first & second).sum(-1) / (first | second).sum(-1).clamp(min=1)


def attention_held(
    row: Float[Tensor, "units heads patches"], mask: Bool[Tensor, "units patches"]
) -> Float[Tensor, " units"]:
    """Share of the [CLS] attention to patches that goes to kept patches, mean over heads."""
    mean = row.mean(dim=1)
    return (mean * mask).sum(-1) / mean.sum(-1)


def cover(
    patches: Float[Tensor, "units patches width"], mask: Bool[Tensor, "units patches"]
) -> Float[Tensor, " units"]:
    """How well the kept patches stand for all: mean over patches of the highest cosine to a kept one.

    Features are centred over the patches of a unit first. 1 when everything is kept; a selection that keeps duplicates
    falls below a random one.
    """
    directions = normalize(patches.float() - patches.float().mean(1, keepdim=True), dim=-1)
    return torch.stack([(unit @ unit[kept].T).amax(-1).mean() for unit, kept in zip(directions, mask, strict=True)])


def outliers(patches: Float[Tensor, "units patches width"]) -> Bool[Tensor, "units patches"]:
    """Patches whose feature norm is far above the others': more than 3 times the median of their unit.

    Such high-norm patches of large towers carry global information and draw [CLS] attention without showing anything.

    Source:
        "Vision Transformers Need Registers" (arXiv 2309.16588) describes them; the threshold is our choice.
    """
    norms = patches.float().norm(dim=-1)
    far: Tensor = norms > 3 * norms.median(dim=-1, keepdim=True).values
    return far


def bootstrap(
    values: Float[np.ndarray, " questions"],
    weights: Float[np.ndarray, " questions"],
    scene: Int[np.ndarray, " questions"],
    *,
    resamples: int = 2000,
) -> list[float]:
    """95 % interval of a weighted mean over questions, resampling pictures, since questions about one go together.

    Paired if the values are differences.

    Args:
        values: A number for each question.
        weights: How much each counts, often 0 or 1.
        scene: Which picture each is about.
        resamples: How many.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993); percentile interval.
    """
    pictures, place = np.unique(scene, return_inverse=True)
    sums = np.bincount(place, weights=values * weights)
    counts = np.bincount(place, weights=weights)
    rng = generator(0, "vision", "bootstrap")
    means = []
    for _ in range(0, resamples, 500):
        drawn = rng.multinomial(len(pictures), np.full(len(pictures), 1 / len(pictures)), size=min(500, resamples))
        means.append((drawn @ sums) / np.maximum(drawn @ counts, 1e-12))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return [float(low), float(high)]
