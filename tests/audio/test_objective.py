"""Batches that do not belong together, captions of one clip, and a batch that is spread over processes."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.audio.batches import pairs
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from tamis.audio.clsr import CLSRLoss
from tamis.audio.config import CLSRConfig
from tamis.audio.objective import Pairs, gathered, same_clip
from tamis.core.errors import ShapeError

CLIPS = [3, 4, 3, 5, 4, 3]


def test_captions_of_one_clip_are_marked_and_a_pair_is_never_its_own() -> None:
    marked = same_clip(torch.tensor(CLIPS))
    assert {(i, j) for i, j in marked.nonzero().tolist()} == {
        (0, 2), (2, 0), (0, 5), (5, 0), (2, 5), (5, 2), (1, 4), (4, 1)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": torch.zeros(6, 9)}, r"expected \(pairs, joint\) for both"),
        ({"clips": [1, 2, 3, 4, 5]}, "clips has 5 rows; expected 6"),
        ({"text_latents": torch.zeros(7, 7)}, "text_latents has 7 rows; expected 6"),
        ({"clips": [0.5, 1, 2, 3, 4, 5]}, r"clips has shape \(6,\) of torch.float32"),
        ({"clips": [[0]] * 6}, r"clips has shape \(6, 1\)"),
        ({"text": torch.zeros(6, 8)}, "one kind of floating point"),
        ({"audio_views": torch.zeros(6, 3)}, r"audio_views has shape \(6, 3\)"),
    ],
)
def test_tensors_that_do_not_belong_together_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        pairs(**changes)


def test_one_process_gathers_what_it_has() -> None:
    batch = pairs()
    assert gathered(batch) is batch


class Tower(nn.Module):
    """Heads of both modalities, and the loss with its decoders."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.audio, self.text = nn.Linear(5, 8), nn.Linear(7, 8)
        self.loss = CLSRLoss(CLSRConfig(temperature="semantic", separability="joint", reconstruction=0.5))
        self.loss.prepare(joint=8, audio=5, text=7)
        self.loss.at(1.0)
        self.double()

    def forward(self, batch: Pairs) -> torch.Tensor:
        embedded = {
            "audio": nn.functional.normalize(self.audio(batch.audio_latents), dim=1),
            "text": nn.functional.normalize(self.text(batch.text_latents), dim=1),
        }
        total: torch.Tensor = self.loss(dataclasses.replace(batch, **embedded))
        return total


def part(batch: Pairs, rows: slice) -> Pairs:
    return Pairs(**{field.name: getattr(batch, field.name)[rows] for field in dataclasses.fields(batch)})


def one_process(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    try:
        tower = DistributedDataParallel(Tower())
        tower(part(pairs(clips=CLIPS), slice(3 * rank, 3 * rank + 3))).backward()
        torch.save([p.grad for p in tower.module.parameters()], f"{folder}/{rank}.pt")
    finally:
        distributed.destroy_process_group()


@pytest.mark.slow  # half a minute: two processes import torch
def test_two_processes_learn_what_one_learns_of_the_joint_batch(tmp_path: Path) -> None:
    multiprocessing.spawn(one_process, (str(tmp_path),), nprocs=2)
    tower = Tower()
    tower(pairs(clips=CLIPS)).backward()
    for rank in (0, 1):
        gradients = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for wanted, got in zip(tower.parameters(), gradients, strict=True):
            torch.testing.assert_close(got, wanted.grad)
