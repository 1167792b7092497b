from __future__ import annotations

import io
from dataclasses import replace

import pytest
import torch
from PIL import Image
from rich.console import Console

from tamis.core.errors import FileError, LimitError
from tamis.vision.ask import Answer, batch_for, table
from tamis.vision.loading import Loaded, load


def answer(method: str, keep: str, *, same: bool) -> Answer:
    return Answer(method, keep, "a dog", 14.0, 22.0, 0.01, 1000, same)


def test_a_long_answer_is_whole_and_makes_no_wide_table() -> None:
    words = [f"word{number}" for number in range(60)]
    long = replace(answer("all", "100%", same=True), answer=" ".join(words) + " " + "x" * 100)
    written = io.StringIO()
    table([long]).print(Console(file=written, width=10_000))
    shown = written.getvalue()
    assert max(map(len, shown.splitlines())) < 140
    assert [word for word in shown.split() if word.startswith("word")] == words
    assert shown.count("x") == 100


@pytest.fixture
def tiny() -> Loaded:
    return load("tiny")


def test_a_prompt_that_the_model_cannot_hold_is_refused(tiny: Loaded) -> None:
    with pytest.raises(LimitError, match=r"the prompt has \d+ tokens, and tiny reads \d+; ask a shorter question"):
        batch_for(tiny, Image.new("RGB", (96, 96)), "what " * 5000)


@pytest.mark.parametrize("template", ["{{ nope.nope }}", "{% if"])
def test_a_chat_template_that_fails_is_one_line(tiny: Loaded, template: str) -> None:
    tiny.tokenizer.chat_template = template  # type: ignore[union-attr]
    with pytest.raises(FileError, match="tiny: its chat template fails"):
        batch_for(tiny, Image.new("RGB", (96, 96)), "what")


def test_parts_that_do_not_fit_each_other_are_one_line(tiny: Loaded) -> None:
    picture = Image.new("RGB", (96, 96))
    tiny.processor.crop_size = {"height": 32, "width": 32}
    with pytest.raises(FileError, match=r"tiny: its parts do not fit each other \(Input image size"):
        batch_for(tiny, picture, "what")
    broken = load("tiny")
    with torch.no_grad():
        broken.tower.pre_layrnorm.weight.fill_(float("nan"))
    with pytest.raises(FileError, match="tiny: sees NaN or infinity"):
        batch_for(broken, picture, "what")


def test_means_over_layers_have_their_decimal() -> None:
    (row,) = table([replace(answer("fastv", "10%", same=True), image_tokens=66.4, prompt_tokens=74.4)]).rows
    assert row[3:5] == ["66.4", "74.4"]


@pytest.mark.parametrize(
    ("chance", "method", "says"),
    [
        (True, False, "At 10% random selection gives the unpruned answer where fastervlm does not"),
        (True, True, "At 10% random selection gives the unpruned answer too"),
        (False, True, None),
        (False, False, None),
    ],
)
def test_a_method_is_held_against_chance(chance: bool, method: bool, says: str | None) -> None:
    answers = [
        answer("all", "100%", same=True),
        answer("fastervlm", "10%", same=method),
        answer("uniform", "10%", same=False),
        answer("random", "10%", same=chance),
        answer("tamis", "5%", same=False),
    ]
    first, *others = table(answers).notes
    assert first.startswith(f"{4 - method - chance} of 4 pruned answers differ")
    assert (says is None) == (not others)
    assert all(says is not None and note.startswith(says) for note in others)
