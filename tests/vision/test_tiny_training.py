from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.vision.test_tiny import SMALL
from tests.vision.test_tiny_data import has_font

from tamis.cli import main
from tamis.core.errors import ConfigError, FileError, InputError
from tamis.vision import tiny_training
from tamis.vision.config import TinyConfig, TinyTraining
from tamis.vision.tiny import build
from tamis.vision.tiny_training import Pupil, train_tiny

SHORT = TinyTraining(see_steps=2, read_steps=4, batch=3, pool=4, round_steps=2, workers=0)
needs_font = pytest.mark.skipif(not has_font(), reason="needs the font Noto Color Emoji")


@pytest.fixture(autouse=True)
def few_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_training, "EXAMINED", 4)


@needs_font
def test_both_stages_run_and_every_weight_moves() -> None:
    before = Pupil(SMALL, SHORT).model.state_dict()
    model, curves = train_tiny(SMALL, SHORT)
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {name for name in before if not name.endswith("position_ids")} == moved
    assert list(curves["contrast"]) == [2, 4, 6]
    assert list(curves["reading"]) == [4, 6]
    assert set(curves["scenes/color"]) == {4, 6}


@needs_font
def test_a_training_that_was_cut_off_ends_where_it_would_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, curves = train_tiny(SMALL, SHORT)

    class Cut(Exception):
        pass

    keep = tiny_training._EveryRound.on_train_epoch_end

    def cut(self: Any, trainer: Any, pl_module: Any) -> None:
        keep(self, trainer, pl_module)
        if pl_module.global_step == 4:
            raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(tiny_training._EveryRound, "on_train_epoch_end", cut)
        with pytest.raises(Cut):
            train_tiny(SMALL, SHORT, out=tmp_path)
    resumed, told = train_tiny(SMALL, SHORT, out=tmp_path)
    assert told.keys() == curves.keys()
    assert list(told["contrast"]) == list(curves["contrast"])
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor)


def test_the_contrast_of_captions_that_cannot_be_told_apart_counts_only_between_different_ones() -> None:
    pupil = Pupil(SMALL, SHORT)
    facts = torch.zeros(3, pupil.caption["scenes"][0].in_features, dtype=torch.bool)
    facts[0, 0] = facts[1, 0] = facts[2, 1] = True
    cls = torch.randn(3, SMALL.tower_width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        z = torch.nn.functional.normalize(pupil.picture(cls), dim=1)
        t = torch.nn.functional.normalize(pupil.caption["scenes"](facts.float()), dim=1)
        s = pupil.scale.exp() * z @ t.T
        rows = [(0, (0, 2)), (1, (1, 2)), (2, (0, 1, 2))]
        wanted = [math.log(sum(math.exp(s[i, j]) for j in js)) - s[i, i] for i, js in rows]
        wanted += [math.log(sum(math.exp(s[j, i]) for j in js)) - s[i, i] for i, js in rows]
        torch.testing.assert_close(pupil.contrast(cls, facts, "scenes"), torch.tensor(wanted).mean())


def test_naming_is_the_mean_over_traits_of_the_cross_entropy_over_named_patches() -> None:
    pupil = Pupil(SMALL, SHORT)
    features = torch.randn(1, 144, SMALL.tower_width, generator=torch.Generator().manual_seed(0))
    names = torch.full((1, 7, 144), -100, dtype=torch.int16)
    names[0, 0, 5], names[0, 0, 6], names[0, 3, 9] = 2, 0, 7
    with torch.no_grad():
        logits = pupil.naming(features)[0]
        size = -(logits[5, :3].log_softmax(0)[2] + logits[6, :3].log_softmax(0)[0]) / 2
        shape = -logits[9, 15:23].log_softmax(0)[7]
        torch.testing.assert_close(pupil.name(features, names), (size + shape) / 2)


def test_each_stage_has_its_cycle_of_rates() -> None:
    recipe = dataclasses.replace(SHORT, see_steps=100, read_steps=200, round_steps=10)
    pupil = Pupil(SMALL, recipe)
    schedule = pupil.configure_optimizers()["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(300):
        rates.append([group["lr"] for group in schedule.optimizer.param_groups])
        schedule.optimizer.step()
        schedule.step()
    tower, rest = zip(*rates, strict=True)
    assert max(tower[:100]) == pytest.approx(recipe.see_rate)
    assert max(tower[100:]) == pytest.approx(recipe.tune_rate)
    assert max(rest[:100]) == 0
    assert max(rest) == pytest.approx(recipe.read_rate)
    assert tower[99] < 0.02 * recipe.see_rate
    assert rest[-1] < 0.02 * recipe.read_rate


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"batch": 1}, "batch is 1"),
        ({"see_steps": -1}, "see_steps is -1"),
        ({"round_steps": 4}, "no whole number of rounds"),
        ({"pool": 0}, "pool is 0"),
        ({"tune_rate": 0.0}, "tune_rate is 0.0"),
        ({"see_rate": math.nan}, "see_rate is nan"),
        ({"beside": -0.1}, "beside is -0.1"),
        ({"weight_decay": math.inf}, "weight_decay is inf"),
        ({"see_steps": 0, "read_steps": 0}, "at least one step"),
    ],
)
def test_a_recipe_that_trains_nothing_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        dataclasses.replace(SHORT, **values)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_training_that_diverges_makes_no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Pupil, "name", lambda self, *_: torch.tensor(math.nan, requires_grad=True))
    with pytest.raises(InputError, match="the training diverged: its loss is nan after 1 steps"):
        train_tiny(SMALL, SHORT, out=tmp_path)


def test_a_checkpoint_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    train_tiny(SMALL, SHORT, out=tmp_path)
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    del kept["state_dict"]["naming.bias"]
    torch.save(kept, tmp_path / "last.ckpt")
    with pytest.raises(FileError, match=r"does not fit this training \(naming\.bias\)"):
        train_tiny(SMALL, SHORT, out=tmp_path)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="torch can compute on cpu here"):
        train_tiny(TinyConfig(), SHORT, device="cuda")


@needs_font
def test_the_folder_of_another_training_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    train_tiny(SMALL, SHORT, out=tmp_path)
    with pytest.raises(ConfigError, match="seed is 0 there and 7 here"):
        train_tiny(SMALL, dataclasses.replace(SHORT, seed=7), out=tmp_path)
    (tmp_path / "last.ckpt").write_bytes(b"garbage")
    with pytest.raises(FileError, match="not a checkpoint of a training"):
        train_tiny(SMALL, SHORT, out=tmp_path)


def test_every_size_and_setting_is_a_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def noting(config: TinyConfig, training: TinyTraining, **others: Any) -> tuple[Any, dict[str, dict[int, float]]]:
        told.append((config, training, others))
        return build(SMALL), {"contrast": {2: 0.5}}

    monkeypatch.setattr(tiny_training, "train_tiny", noting)
    sizes = dataclasses.replace(SMALL, language_hidden=50)
    recipe = dataclasses.replace(SHORT, tune_rate=2e-4, compiled=True, seed=3)
    flags = [part for name, value in vars(sizes).items() for part in (f"--{name.replace('_', '-')}", str(value))]
    for name, value in vars(recipe).items():
        flag = f"--{name.replace('_', '-')}"
        flags += [flag] if value is True else [flag, str(value)]
    assert main(["vision", "train-tiny", "--out", str(tmp_path), *flags]) == 0
    assert told == [(sizes, recipe, {"out": tmp_path / "checkpoints", "device": "cpu"})]
    assert (tmp_path / "model.safetensors").is_file()
    assert json.loads((tmp_path / "curves.json").read_text(encoding="utf-8")) == {"contrast": {"2": 0.5}}
