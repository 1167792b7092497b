"""Losses that CLSR is compared with, against loops over their definitions."""

import math
from dataclasses import replace

import pytest
import torch
from tests.audio.batches import pairs

from tamis.audio.baselines.infonce import InfoNCE
from tamis.audio.baselines.ntxent import NTXent
from tamis.audio.baselines.triplet import Triplet
from tamis.audio.objective import Objective, Pairs

TWINS = [3, 4, 3, 5, 4, 3]


def negatives(batch: Pairs, i: int) -> list[int]:
    return [j for j in range(len(batch)) if batch.clips[i] != batch.clips[j]]


def similarities(batch: Pairs) -> list[list[list[float]]]:
    scores = batch.audio @ batch.text.T
    return [scores.tolist(), scores.T.tolist()]


@pytest.mark.parametrize("mask", [True, False])
def test_nt_xent_is_its_definition_with_and_without_the_mask(mask: bool) -> None:
    batch = pairs(clips=TWINS)
    wanted = 0.0
    for scores in similarities(batch):
        for i in range(6):
            others = negatives(batch, i) if mask else [j for j in range(6) if j != i]
            below = sum(math.exp(scores[i][j] / 0.07) for j in [i, *others])
            wanted -= math.log(math.exp(scores[i][i] / 0.07) / below) / 12
    assert float(NTXent(mask_captions=mask)(batch)) == pytest.approx(wanted)


def test_infonce_starts_as_nt_xent_and_learns_its_temperature() -> None:
    batch, loss = pairs(clips=TWINS), InfoNCE().double()
    torch.testing.assert_close(loss(batch), NTXent()(batch))
    loss(batch).backward()
    assert loss.scale.grad is not None
    assert loss.scale.grad.abs() > 0


@pytest.mark.parametrize("mining", ["sum", "max", "weighted"])
def test_triplets_are_their_definition(mining: str) -> None:
    batch = pairs(20, clips=[i // 2 for i in range(20)])
    wanted = 0.0
    for scores in similarities(batch):
        for i in range(20):
            own = scores[i][i]
            missing = [max(0.0, 0.2 + scores[i][j] - own) for j in negatives(batch, i)]
            hardest = max(scores[i][j] for j in negatives(batch, i))
            if mining == "sum":
                wanted += sum(missing) / 20
            elif mining == "max":
                wanted += max(missing) / 20
            elif hardest + 0.2 > own:
                pull, push = 0.2 * own**2 - 0.7 * own + 0.5, 0.9 * hardest**2 - 0.4 * hardest + 0.03
                wanted += (max(0.0, pull) + max(0.0, push)) / 20
    assert float(Triplet(mining)(batch)) == pytest.approx(wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("mining", ["sum", "max", "weighted"])
def test_a_batch_of_captions_of_one_clip_costs_nothing_and_breaks_nothing(mining: str) -> None:
    batch = pairs(clips=[1] * 6)
    text = batch.text.clone().requires_grad_()
    loss = Triplet(mining)(Pairs(audio=batch.audio, text=text, clips=batch.clips))  # type: ignore[arg-type]
    loss.backward()
    assert loss == 0
    assert text.grad is not None
    assert torch.isfinite(text.grad).all()


@pytest.mark.parametrize("loss", [NTXent(), InfoNCE().double(), Triplet("sum"), Triplet("max"), Triplet("weighted")])
def test_what_is_no_number_has_no_finite_loss(loss: Objective) -> None:
    batch = pairs(clips=TWINS)
    broken = batch.audio.clone()
    broken[2] = math.nan
    assert not math.isfinite(float(loss(replace(batch, audio=broken)).detach()))
