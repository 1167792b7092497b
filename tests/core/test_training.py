"""What trainings share; how they use it is tested with each of them."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tamis.core.errors import ConfigError, FileError
from tamis.core.lightning import KeepEveryEpoch, Lesson, load_weights
from tamis.core.training import check_same, claim, quietly, read_checkpoint, trainer


def test_a_folder_is_claimed_once_and_then_gives_its_checkpoint(tmp_path: Path) -> None:
    told = {"seed": 0, "widths": (8, 4)}
    for _ in range(2):
        with claim(tmp_path / "new", told) as last:
            assert last is None
    kept = tmp_path / "new" / "last.ckpt"
    torch.save({"step": 3}, kept)
    with claim(tmp_path / "new", told) as last:
        assert last == kept
    assert read_checkpoint(kept) == {"step": 3}


def _claimed(folder: Path, told: dict[str, Any]) -> Path | None:
    with claim(folder, told) as last:
        return last


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    with claim(tmp_path, {"seed": 0}):
        with pytest.raises(ConfigError, match="a training is going on there"):
            _claimed(tmp_path, {"seed": 1})
        with pytest.raises(ConfigError, match="a training is going on there"):
            _claimed(tmp_path, {"seed": 0})
        assert '"seed": 0' in (tmp_path / "training.json").read_text(encoding="utf-8")
    assert _claimed(tmp_path, {"seed": 1}) is None


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_model_of_another_origin_is_not_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(ConfigError, match=f"holds {name}, which no training put there"):
        _claimed(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(10_000)}, tmp_path / "last.ckpt")
    content = bytearray((tmp_path / "last.ckpt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(FileError, match=r"last\.ckpt: not a checkpoint of a training"):
        read_checkpoint(tmp_path / "last.ckpt")


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({}, "state_dict"),
        ({"state_dict": {}}, "bias, weight"),
        ({"state_dict": [1]}, "state_dict"),
        ({"state_dict": {"own.weight": torch.zeros(2, 2), "own.bias": "x"}}, "bias, weight"),
        ({"state_dict": {"own.weight": torch.full((1, 2), torch.nan), "own.bias": torch.zeros(1)}}, "weight"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, kept: dict[str, Any], said: str) -> None:
    torch.save(kept, tmp_path / "best.ckpt")
    with pytest.raises(FileError, match=rf"best\.ckpt: does not fit this training \({said}\)"):
        load_weights(torch.nn.Linear(2, 1), tmp_path / "best.ckpt", "own.")


def test_weights_come_back(tmp_path: Path) -> None:
    one, other = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    torch.save({"state_dict": {f"own.{k}": v for k, v in one.state_dict().items()} | {"x": 1}}, tmp_path / "best.ckpt")
    load_weights(other, tmp_path / "best.ckpt", "own.")
    assert torch.equal(one.weight, other.weight)


def test_another_training_is_refused_once_there_is_a_checkpoint(tmp_path: Path) -> None:
    _claimed(tmp_path, {"seed": 0})
    assert _claimed(tmp_path, {"seed": 1}) is None  # nothing was kept of the first
    torch.save({"step": 3}, tmp_path / "last.ckpt")
    with pytest.raises(ConfigError, match="another training: seed is 1 there and 2 here"):
        _claimed(tmp_path, {"seed": 2})
    with pytest.raises(ConfigError, match="another training: rate is None there and 2 here"):
        _claimed(tmp_path, {"seed": 1, "rate": 2})
    with pytest.raises(ConfigError, match="another training: seed is 1 there and None here"):
        _claimed(tmp_path, {})
    check_same(tmp_path, {})  # nothing is known yet
    check_same(tmp_path, {"seed": 1})
    with pytest.raises(ConfigError, match="another training: seed is 1 there and 2 here"):
        check_same(tmp_path, {"seed": 2})


def test_a_checkpoint_of_nobody_knows_what_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"garbage")
    with pytest.raises(ConfigError, match=r"holds last\.ckpt, but no training\.json"):
        _claimed(tmp_path, {})
    (tmp_path / "training.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FileError, match=r"last\.ckpt: not a checkpoint of a training"):
        _claimed(tmp_path, {})


def test_a_device_is_cpu_or_a_gpu_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with quietly():
        assert trainer(epochs=1, device="cpu", callbacks=[]).max_epochs == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ConfigError, match="device is 'mps'; torch can compute on cpu or cuda here"):
        trainer(epochs=1, device="mps", callbacks=[])


def test_threads_random_numbers_and_the_log_are_as_before() -> None:
    logger, threads = logging.getLogger("pytorch_lightning"), torch.get_num_threads()
    before = torch.random.get_rng_state(), logger.level

    def work() -> None:
        with quietly(threads + 1):
            assert torch.get_num_threads() == threads + 1
            assert logger.level == logging.ERROR
            torch.rand(1)
            warnings.warn("The dataloader does not have many workers", stacklevel=1)
            raise SystemExit

    with pytest.raises(KeyboardInterrupt):
        work()
    with quietly():
        assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (torch.get_num_threads(), logger.level) == (threads, before[1])


def test_a_checkpoint_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "last.ckpt").write_bytes(b"whole")
    lesson = Lesson()
    trainer: Any = SimpleNamespace(save_checkpoint=broken, should_stop=False)
    with pytest.raises(FileError, match=r"last\.ckpt: cannot be written .*; make room"):
        KeepEveryEpoch(tmp_path, lambda _: None).on_validation_end(trainer, lesson)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("last.ckpt", b"whole")]
    trainer.save_checkpoint = lambda path: path.write_bytes(b"new")
    KeepEveryEpoch(tmp_path, lambda _: None).on_validation_end(trainer, lesson)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("last.ckpt", b"new")]
