from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm
from tests.vision.small import build as build_foreign

from tamis.core.errors import ConfigError, FileError
from tamis.vision import evaluation
from tamis.vision.analysis import premises
from tamis.vision.baselines.fastv import FastV
from tamis.vision.baselines.simple import All, Random, TextOnly, Uniform
from tamis.vision.config import Layout
from tamis.vision.evaluation import CONTROLS, Sheet, difference, examine, key_of, lines
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.loading import Loaded, load
from tamis.vision.metrics import bootstrap
from tamis.vision.questions import CHOICES
from tamis.vision.selector import Selector
from tamis.vision.tamis import Tamis
from tamis.vision.vtccls import VTCCLS


@pytest.fixture(scope="module")
def tiny() -> Loaded:
    return load("tiny")


@pytest.fixture(scope="module")
def sheet(tiny: Loaded) -> Sheet:
    original = Layout(positions="original")
    pruners = [
        TextOnly(),
        FasterVLM(14, layout=original),
        Tamis(14),
        Random(14, layout=original, seed=0),
        Random(14, layout=original, seed=1),
        Uniform(14, layout=original),
    ]
    return examine(tiny, pruners, split="validation", count=100)


def test_the_shipped_model_really_reads(sheet: Sheet) -> None:
    everything = ("all", 1.0, "original")
    for kind in CHOICES:
        assert sheet.accuracy(everything, kind) >= (0.93 if kind == "compare" else 0.96), kind


def test_what_needs_the_picture_cannot_be_answered_without_it(sheet: Sheet) -> None:
    blind = next(key for key in sheet.marks if key[0] == "text-only")
    for kind, answers in CHOICES.items():
        asked = sheet.about(kind).sum()
        error = 3 * np.sqrt(1 / len(answers) / asked)
        if kind == "prior":
            assert sheet.accuracy(blind, kind) > 0.98
        else:
            assert sheet.accuracy(blind, kind) < 1 / len(answers) + 0.05 + error, kind


def test_a_tenth_of_the_tokens_is_hard_for_a_blind_choice_and_not_for_ours(sheet: Sheet) -> None:
    keep = round(14 / 144, 4)
    full = sheet.accuracy(("all", 1.0, "original"))
    assert sheet.accuracy(("uniform", keep, "original")) < full - 0.1
    assert sheet.accuracy(("tamis", keep, "original")) > 0.96 * full
    gain, (low, _) = difference(sheet, ("tamis", keep, "original"), ("fastervlm", keep, "original"))
    assert gain > 0.05
    assert low > 0


def test_seeds_of_chance_are_averaged(sheet: Sheet, tiny: Loaded) -> None:
    key = ("random", round(14 / 144, 4), "original")
    assert sheet.marks[key].seeds == (0, 1)
    assert set(np.unique(sheet.marks[key].right)) == {0.0, 0.5, 1.0}


def test_lines_say_what_was_measured(sheet: Sheet) -> None:
    made = {(run.method, run.config["keep"]): run for run in lines(sheet)}
    ours = made["tamis", round(14 / 144, 4)]
    about = [kind not in CONTROLS for kind in sheet.asked]
    right = sheet.marks["tamis", round(14 / 144, 4), "original"].right
    assert ours.n == sum(about)
    assert ours.metrics["accuracy"] == pytest.approx(right[about].mean())
    assert ours.metrics["accuracy_lost"] == pytest.approx(
        made["all", 1.0].metrics["accuracy"] - ours.metrics["accuracy"]
    )
    assert ours.intervals["accuracy"][0] < ours.metrics["accuracy"] < ours.intervals["accuracy"][1]
    assert made["all", 1.0].metrics["agreement"] == 1
    assert made["all", 1.0].metrics["divergence_nats"] == 0
    assert made["text-only", 0.0].metrics["image_tokens"] == 0
    assert ours.metrics["image_tokens"] == 14
    theirs = made["fastervlm", round(14 / 144, 4)]
    assert theirs.metrics["behind_tamis"] == pytest.approx(ours.metrics["accuracy"] - theirs.metrics["accuracy"])
    assert "behind_tamis" not in ours.metrics
    assert ours.dataset.startswith("scenes@sha256:")


@pytest.mark.parametrize(
    "selector",
    [FasterVLM(9), FasterVLM(20, layout=Layout(positions="original")), All(), TextOnly()],
    ids=lambda one: f"{one.name} {one.layout.positions}",
)
def test_the_packed_route_and_the_stock_one_agree(
    tiny: Loaded, selector: Selector, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = examine(tiny, [selector], split="validation", count=6)
    answers = evaluation._Sight.answers
    monkeypatch.setattr(
        evaluation._Sight,
        "answers",
        lambda self, pruner: (self._one_by_one(pruner), answers(self, pruner)[1]),
    )
    stock = examine(tiny, [selector], split="validation", count=6)
    for key, marks in packed.marks.items():
        np.testing.assert_array_equal(marks.said, stock.marks[key].said)
        np.testing.assert_allclose(marks.divergence, stock.marks[key].divergence, atol=1e-3)


def test_pruners_inside_the_language_model_are_examined_question_by_question(tiny: Loaded) -> None:
    marks = examine(tiny, [FastV(0.1)], split="validation", count=4).marks
    (key,) = [key for key in marks if key[0] == "fastv"]
    assert 14 < marks[key].tokens < 144
    assert np.isnan(marks[key].recall).all()
    assert marks[key].right.mean() > 0.7


def test_recall_is_the_mean_over_questions_that_need_an_object_or_a_label(sheet: Sheet) -> None:
    key = ("tamis", round(14 / 144, 4), "original")
    known = [
        recall
        for kind, recall in zip(sheet.asked, sheet.marks[key].recall.tolist(), strict=True)
        if kind not in ("prior", "background") and recall == recall
    ]
    assert sheet.recall(key) == pytest.approx(sum(known) / len(known))
    assert sheet.recall(key) != pytest.approx(np.nanmean(sheet.marks[key].recall), abs=1e-3)
    (line,) = [run for run in lines(sheet) if (run.method, run.config["keep"]) == key[:2]]
    assert line.metrics["answer_token_recall"] == sheet.recall(key)


def test_the_data_set_is_the_same_whatever_is_drawn_at_a_time(tiny: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    known = examine(tiny, [], split="validation", count=5).dataset
    monkeypatch.setattr(evaluation, "_CHUNK", 2)
    assert examine(tiny, [], split="validation", count=5).dataset == known
    assert premises(tiny, split="validation", count=5).dataset == known
    assert examine(tiny, [], split="validation", count=4).dataset != known


def test_one_method_twice_with_one_number_of_tokens_is_refused(tiny: Loaded) -> None:
    for twice in ([FasterVLM(14), FasterVLM("10%")], [Random(14, seed=1), Random(14, seed=1)]):
        with pytest.raises(ConfigError, match="is there twice with 14 of 144 tokens"):
            examine(tiny, twice, count=1)
    assert key_of(Tamis(14, question=True)) == ("tamis by question", round(14 / 144, 4), "original")
    assert len(examine(tiny, [Tamis(14), Tamis(14, question=True)], split="validation", count=1).marks) == 3


@pytest.mark.parametrize("count", [0, -1, 10**12])
def test_no_pictures_and_too_many_are_refused(tiny: Loaded, count: int) -> None:
    with pytest.raises(ConfigError, match=r"expected 1 to 1000000 pictures"):
        examine(tiny, [], count=count)


def test_a_model_that_answers_with_nan_is_said_to_be_damaged() -> None:
    broken = load("tiny")
    with torch.no_grad():
        broken.model.lm_head.weight.fill_(math.nan)  # type: ignore[union-attr]
    with pytest.raises(FileError, match="tiny: answers with NaN or infinity; its weights are damaged"):
        examine(broken, [], count=1)


def test_a_start_layer_is_part_of_the_name() -> None:
    assert key_of(VTCCLS(14, start_layer=2))[0] == "vtc-cls from block 2"
    assert key_of(VTCCLS(14))[0] == "vtc-cls"
    assert key_of(TextOnly())[1:] == (0.0, "original")  # no image token that could stand elsewhere
    assert key_of(All())[1:] == (1.0, "original")
    assert key_of(FasterVLM(14))[2] == "contiguous"


def test_a_model_of_another_language_is_refused(tiny: Loaded) -> None:
    foreign = replace(tiny, name="theirs", model=build_foreign("llava"), tokenizer=None)
    with pytest.raises(ConfigError, match="theirs does not speak the vocabulary"):
        examine(foreign, [], count=1)
    with pytest.raises(ConfigError, match="tower"):
        examine(replace(tiny, name="a tower", family="dinov2", model=None), [], count=1)


def test_the_bootstrap_over_pictures_is_the_normal_interval_of_their_means() -> None:
    rng = np.random.default_rng(0)
    of_picture = rng.normal(size=400)
    scene = np.repeat(np.arange(400), 5)
    low, high = bootstrap(of_picture[scene], np.ones(2000), scene, resamples=4000)
    half = norm.ppf(0.975) * of_picture.std() / 20
    assert low == pytest.approx(of_picture.mean() - half, abs=0.01)
    assert high == pytest.approx(of_picture.mean() + half, abs=0.01)


def test_questions_of_weight_zero_do_not_count() -> None:
    values, weights = np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])
    assert bootstrap(values, weights, np.array([0, 0, 1, 2])) == [1, 1]
