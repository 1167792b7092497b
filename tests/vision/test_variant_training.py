from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.vision.test_tiny import SMALL

from tamis.core.errors import ConfigError
from tamis.vision import tiny_training, variant_training
from tamis.vision.config import VariantTraining
from tamis.vision.tiny import build
from tamis.vision.tiny_variants import as_next, as_video, batch_of, units
from tamis.vision.variant_training import Variant, VariantPupil, train_variant

SHORT = VariantTraining(steps=4, batch=2, round_steps=2)
VARIANTS: tuple[Variant, ...] = ("tiles", "video")


@pytest.fixture(autouse=True)
def few_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variant_training, "EXAMINED", 2)


@pytest.mark.parametrize("variant", VARIANTS)
def test_projector_and_language_model_move_and_the_tower_stays(variant: Variant) -> None:
    tiny = build(SMALL)
    before: Any = as_next(tiny) if variant == "tiles" else as_video(tiny)
    model, curves = train_variant(variant, tiny, SHORT)
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before.state_dict()[name])}
    assert moved == {name for name in before.state_dict() if "_tower." not in name}
    assert list(curves["reading"]) == list(curves["color"]) == [2, 4]
    assert ("way" in curves) == (variant == "video")


def test_the_loss_is_that_of_the_stock_model() -> None:
    pupil = VariantPupil("tiles", build(SMALL), SHORT)
    data = next(iter(pupil.train_dataloader_of(0)))
    one = {name: tensor[:1] for name, tensor in data.items()}
    place = int((one["segments"][0] == 1).sum())  # the first question with its answer, by itself
    ids = torch.cat([torch.tensor([1, *[4] * len(pupil.order)]), one["ids"][0, :place]])[None]
    labels = torch.full_like(ids, -100)
    labels[0, -2:] = ids[0, -2:]
    family = "llava_next"
    batch = batch_of(units(one["images"], family), family)
    stock = pupil.model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels, **batch).loss
    one["labels"][0, place:] = -100
    torch.testing.assert_close(pupil.training_step(one), stock, atol=1e-5, rtol=1e-5)


def test_a_few_steps_on_one_batch_lower_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = dataclasses.replace(SHORT, rate=3e-3, steps=20, round_steps=5)
    monkeypatch.setattr(VariantPupil, "train_dataloader", lambda self: self.train_dataloader_of(0))
    _, curves = train_variant("video", build(SMALL), recipe)
    assert curves["reading"][20] < 0.8 * curves["reading"][5]


def test_a_training_that_was_cut_off_ends_where_it_would_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = build(SMALL)
    whole, curves = train_variant("tiles", tiny, SHORT)

    class Cut(Exception):
        pass

    keep = tiny_training._EveryRound.on_train_epoch_end

    def cut(self: Any, trainer: Any, pl_module: Any) -> None:
        keep(self, trainer, pl_module)
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(tiny_training._EveryRound, "on_train_epoch_end", cut)
        with pytest.raises(Cut):
            train_variant("tiles", tiny, SHORT, out=tmp_path)
    resumed, told = train_variant("tiles", tiny, SHORT, out=tmp_path)
    assert {name: list(curve) for name, curve in told.items()} == {name: list(curve) for name, curve in curves.items()}
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor)
    with pytest.raises(ConfigError, match="variant is 'tiles' there and 'video' here"):
        train_variant("video", tiny, SHORT, out=tmp_path)
    with pytest.raises(ConfigError, match="another training: model_sha256 is"):
        train_variant("tiles", build(SMALL, 1), SHORT, out=tmp_path)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"asked": 0}, "asked is 0"),
        ({"room": 3}, "room is 3; expected a whole number from 32 to 4096"),
        ({"rate": 0.0}, "rate is 0.0"),
        ({"rate": math.nan}, "rate is nan"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0"),
        ({"round_steps": 3}, "no whole number of rounds"),
    ],
)
def test_a_recipe_that_trains_nothing_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        dataclasses.replace(SHORT, **values)
