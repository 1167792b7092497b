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
from tamis.core.lightning import KeepEveryEpoch, Lesson
from tamis.core.training import check_same, claim, quietly, read_checkpoint, trainer


def test_a_folder_is_claimed_once_and_then_gives_its_checkpoint(tmp_path: Path) -> None:
    told = {"seed": 0, "widths": (8, 4)}
    assert claim(tmp_path / "new", told) is None
    assert claim(tmp_path / "new", told) is None
    last = tmp_path / "new" / "last.ckpt"
    torch.save({"step": 3}, last)
    assert claim(tmp_path / "new", told) == last
    assert read_checkpoint(last) == {"step": 3}


def test_another_training_is_refused_once_there_is_a_checkpoint(tmp_path: Path) -> None:
    claim(tmp_path, {"seed": 0})
    assert claim(tmp_path, {"seed": 1}) is None  # nothing was kept of the first
    torch.save({"step": 3}, tmp_path / "last.ckpt")
    with pytest.raises(ConfigError, match="another training: seed is 1 there and 2 here"):
        claim(tmp_path, {"seed": 2})
    with pytest.raises(ConfigError, match="another training: rate is None there and 2 here"):
        claim(tmp_path, {"seed": 1, "rate": 2})
    with pytest.raises(ConfigError, match="another training: seed is 1 there and None here"):
        claim(tmp_path, {})
    check_same(tmp_path, {})  # nothing is known yet
    check_same(tmp_path, {"seed": 1})
    with pytest.raises(ConfigError, match="another training: seed is 1 there and 2 here"):
        check_same(tmp_path, {"seed": 2})


def test_a_checkpoint_of_nobody_knows_what_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"garbage")
    with pytest.raises(ConfigError, match=r"holds last\.ckpt, but no training\.json"):
        claim(tmp_path, {})
    (tmp_path / "training.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FileError, match=r"last\.ckpt: not a checkpoint of a training"):
        claim(tmp_path, {})


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
