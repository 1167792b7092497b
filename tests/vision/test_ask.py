from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tamis.vision.ask import Answer, table


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
