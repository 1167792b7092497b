from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from tamis.cli import main
from tamis.core.errors import ConfigError
from tamis.vision import analysis, questions, scenes
from tamis.vision.analysis import analyze, auc, lines, place, premises, report_on, spread
from tamis.vision.ask import batch_for
from tamis.vision.loading import Loaded, load
from tamis.vision.tiny_data import write_scenes


@pytest.fixture(scope="module")
def tiny() -> Loaded:
    return load("tiny")


def scene(index: int) -> tuple[Image.Image, str]:
    drawn = scenes.draw(0, "validation", index, index + 1)
    return Image.fromarray(drawn.images[0].transpose(1, 2, 0)), questions.ask(drawn).text[0]


def test_looks_are_the_attention_of_the_stock_model_computed_in_the_open(tiny: Loaded) -> None:
    picture, question = scene(3)
    looks = analyze(tiny, picture, question, max_new_tokens=3)
    model: Any = tiny.model
    batch = batch_for(tiny, picture, question)
    output = model.generate(**batch, do_sample=False, max_new_tokens=3)
    ids = output[:, :-1]
    model.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            told = model(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                pixel_values=batch["pixel_values"],
                output_attentions=True,
            )
            tower = model.model.vision_tower(batch["pixel_values"], output_attentions=True)
    finally:
        model.set_attn_implementation("sdpa")
    start, length = 1, batch["input_ids"].shape[1]
    for layer, attention in enumerate(told.attentions):
        mean = attention[0].mean(0)[:, start : start + 144]
        for name, rows in (("prompt", slice(start + 144, length - 1)), ("response", slice(length - 1, None))):
            wanted = mean[rows].mean(0)
            torch.testing.assert_close(looks.maps[name][layer], wanted / wanted.sum(), atol=1e-6, rtol=1e-4)
    for block in range(7):
        wanted = tower.attentions[block][0].mean(0)[0, 1:]
        torch.testing.assert_close(looks.maps["cls"][block], wanted / wanted.sum(), atol=1e-6, rtol=1e-4)
    assert looks.maps["response"].shape == (5, 144)


def test_a_start_token_that_the_template_wrote_is_not_written_again(tiny: Loaded) -> None:
    ids = batch_for(tiny, *scene(0))["input_ids"][0].tolist()
    assert ids[:2] == [1, 4]
    assert ids.count(1) == 1


def test_a_question_of_one_word_is_looked_at_too(tiny: Loaded) -> None:
    picture, _ = scene(3)
    looks = analyze(tiny, picture, "what")
    for one in looks.maps.values():
        torch.testing.assert_close(one.sum(-1), torch.ones(len(one)))


def test_the_model_is_left_as_it_was(tiny: Loaded) -> None:
    model: Any = tiny.model
    before = model.config.get_text_config()._attn_implementation
    analyze(tiny, *scene(0))
    assert model.config.get_text_config()._attn_implementation == before == "sdpa"


def test_auc_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 5, 60)  # with ties
    wanted = rng.random(60) < 0.3
    assert auc(torch.tensor(scores).float(), torch.tensor(wanted)) == pytest.approx(roc_auc_score(wanted, scores))


def test_spread_and_place_of_hand_worked_maps() -> None:
    maps = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1], [0.25] * 4, [0, 0.5, 0.5, 0]])
    assert spread(maps).tolist() == pytest.approx([1, 1, 4, 2])
    assert place(maps).tolist() == pytest.approx([0, 1, 0.5, 0.5])


def test_cls_and_the_response_know_what_the_prompt_misses(tiny: Loaded) -> None:
    """The premise of VTC-CLS on a model that really reads."""
    tested = premises(tiny, split="validation", count=12)
    means = {name: of_layers.mean(axis=1) for name, of_layers in tested.auc.items()}
    assert means["cls"].max() > 0.85
    assert means["response"].max() > 0.9
    assert means["prompt"].max() < 0.8
    best = {name: int(of_layers.argmax()) for name, of_layers in means.items()}
    other = {name: of_layers[::-1] for name, of_layers in tested.auc.items()}  # whose best layers are others
    chosen = replace(tested, split="train", dataset="scenes@sha256:0", auc=other)
    made = {run.method: run for run in lines(tested, chosen, 1.0)}
    for name, run in made.items():
        layer = len(means[name]) - 1 - best[name]
        assert run.metrics["best_layer"] == layer
        assert run.metrics["auc"] == pytest.approx(means[name][layer])
        low, high = run.intervals["auc"]
        assert low < means[name][layer] < high
        assert run.config["layer_chosen_on"] == "train"
    assert len(made["prompt"].curves["spread_tokens"]) == 5


def test_layers_are_not_chosen_on_what_is_reported(tiny: Loaded) -> None:
    tested = premises(tiny, split="validation", count=1)
    with pytest.raises(ConfigError, match="expected the same model on other pictures"):
        lines(tested, tested, 1.0)
    with pytest.raises(ConfigError, match="chosen with other on validation"):
        lines(tested, replace(tested, model="other", dataset="scenes@sha256:0"), 1.0)


def test_questions_are_looked_at_in_any_batch_alike(tiny: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = premises(tiny, split="validation", count=4)
    monkeypatch.setattr(analysis, "_CHUNK", 3)
    for name, of_layers in premises(tiny, split="validation", count=4).auc.items():
        np.testing.assert_allclose(of_layers, whole.auc[name], atol=0.02)


def test_the_report_shows_three_lines_of_maps(tiny: Loaded) -> None:
    picture, question = scene(1)
    looks = analyze(tiny, picture, question)
    html = report_on(looks, picture, question, "tamis vision analyze").html()
    assert html.count("<img") == 1
    assert "Who looks where" in html


def test_the_command_prints_the_answer_and_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scenes(tmp_path, kind="scenes", split="validation", count=1)
    picture = str(tmp_path / "scenes-validation-0000.png")
    assert main(["vision", "analyze", picture, "what color is the background?", "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.split()[0] in questions.HUES
    assert (tmp_path / "out" / "index.html").is_file()
