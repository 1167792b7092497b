from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tamis.cli import main
from tamis.core.errors import ConfigError, FileError, InputError
from tamis.core.statistics import wilson
from tamis.vision.advice import Advice, Item, Loss, advise, matches, read_items, said, share_of
from tamis.vision.baselines.simple import Random, TextOnly
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.loading import load
from tamis.vision.tamis import Tamis
from tamis.vision.tiny_data import write_scenes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("drawn"), kind="scenes", split="validation", count=3).parent


def test_the_advice_is_the_smallest_budget_whose_interval_lies_within_the_loss(folder: Path) -> None:
    items = read_items(folder, None)
    pruners = [FasterVLM(7), Tamis(7), FasterVLM(72), Tamis(72), Tamis(36)]
    advice = advise(load("tiny"), items, pruners, 0.15, max_new_tokens=2)
    by_name = {(loss.method, loss.keep): loss for loss in advice.tried}
    assert [loss.fraction for loss in advice.tried] == sorted((loss.fraction for loss in advice.tried), reverse=True)
    assert advice.right is not None
    assert advice.right > 0.9 * len(items)
    for loss in advice.tried:
        assert loss.high == pytest.approx(wilson(loss.lost, advice.right)[1])
    within = [loss for loss in advice.tried if loss.high <= 0.15]
    assert advice.best == min(within, key=lambda loss: (loss.fraction, loss.lost))
    assert advice.best.method == "tamis"
    if by_name["fastervlm", "72"].share > 0.15:
        assert ("fastervlm", "7") not in by_name
    assert advice.chance is not None
    assert advice.chance.keep == advice.best.keep


def test_without_truth_the_unpruned_answer_is_taken_for_it(folder: Path) -> None:
    items = read_items(folder, "what color is the background ?")
    assert len(items) == 3
    advice = advise(load("tiny"), items, [Tamis(1.0)], 1.0, max_new_tokens=2)
    assert advice.right is None
    assert advice.tried[0].lost == 0


def test_chance_is_never_the_advice(folder: Path) -> None:
    items = read_items(folder, None)[:3]
    assert advise(load("tiny"), items, [Random(144)], 1.0, max_new_tokens=2).best is None


@pytest.mark.parametrize(
    ("spoken", "truth", "right"),
    [
        ("Two dogs.", "two", True),
        ("top-left", "Top left", True),
        ("twofold", "two", False),
        ("no, two", "two", False),
        ("", "two", False),
        ("?", "?", True),
        ("?", "!", False),
    ],
)
def test_an_answer_is_right_if_it_begins_with_the_true_words(spoken: str, truth: str, right: bool) -> None:
    assert matches(spoken, truth) is right


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{}", "line 1: expected an object with image and question"),
        ("[1]", "line 1: expected an object"),
        ("{", "line 1: expected an object"),
        ('{"image": "a.png", "question": 3}', "line 1: question and answer must be text"),
        ('{"image": "a.png", "question": "?", "answer": 3}', "line 1: question and answer must be text"),
        ('{"image": "../a.png", "question": "?"}', "lies outside of the folder"),
        ('{"image": "a\\u0000.png", "question": "?"}', "line 1: expected an object"),
        ('{"image": "a.png", "question": "\\ud800"}', "line 1: expected an object"),
    ],
)
def test_a_line_that_is_no_question_is_named(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "questions.jsonl").write_text(f"\n{line}\n".lstrip(), encoding="utf-8")
    with pytest.raises(FileError, match=says):
        read_items(tmp_path, None)


def test_a_folder_without_questions_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no questions.jsonl; write one, or give --question"):
        read_items(tmp_path, None)
    (tmp_path / "questions.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(InputError, match="nothing to ask about"):
        read_items(tmp_path, None)


def test_a_loss_is_a_share() -> None:
    assert share_of("2%") == pytest.approx(0.02)
    assert share_of(0.02) == pytest.approx(0.02)
    for wrong in ("10", "abc", "0", "200%", "5ms"):
        with pytest.raises(ConfigError, match="expected a share"):
            share_of(wrong)


def test_what_is_said() -> None:
    loss = Loss("tamis", "10%", 0.1, 3, 0, 400, 0.019)
    assert said(Advice(0.02, [loss], loss, None, 390)) == (
        "Keep 10% with tamis: 3 of 400 right answers lost, at most 1.9%."
    )
    chance = Loss("random", "10%", 0.1, 3, 0, 400, 0.019)
    assert "Random selection loses no more at 10% (3)" in said(Advice(0.02, [loss], loss, chance, 390))
    few = Loss("tamis", "10%", 0.1, 0, 0, 20, 0.16)
    assert "20 right answers are too few to tell" in said(Advice(0.02, [few], None, None, None))
    many = Loss("tamis", "10%", 0.1, 90, 0, 400, 0.27)
    assert said(Advice(0.02, [many], None, None, None)) == "No budget stays within 2.0% with 95 % confidence."


def test_the_command_exits_with_one_if_no_budget_will_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["vision", "advise", str(folder), "--limit", "3", "--keep", "5%", "--method", "tamis", "--json"]
    assert main([*command, "--loss", "1%"]) == 1
    assert json.loads(capsys.readouterr().out)["best"] is None
    assert main([*command, "--loss", "99%"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["method"] == "tamis"


def test_items_are_read_as_they_are_written(folder: Path) -> None:
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    told = json.loads(lines[4])
    assert read_items(folder, None)[4] == Item(folder / told["image"], told["question"], told["answer"])


def test_a_model_that_answers_nothing_rightly_has_nothing_to_lose(folder: Path) -> None:
    items = [dataclasses.replace(item, answer="zzz") for item in read_items(folder, None)[:3]]
    with pytest.raises(InputError, match="answers none of 3 questions rightly"):
        advise(load("tiny"), items, [Tamis(7)], 0.5, max_new_tokens=2)


def test_no_token_at_all_can_be_the_advice(folder: Path) -> None:
    items = [dataclasses.replace(read_items(folder, None)[0], question="is red a color ?", answer="yes")] * 3
    advice = advise(load("tiny"), items, [TextOnly(), Tamis(7)], 0.9, max_new_tokens=2)
    assert advice.best is not None
    assert (advice.best.method, advice.best.fraction, advice.chance) == ("text-only", 0.0, None)


def test_other_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    told = json.dumps({"image": "a.png", "question": "one\u2028two"}, ensure_ascii=False)
    (tmp_path / "questions.jsonl").write_text(f"\ufeff{told}\r\n", encoding="utf-8")
    assert read_items(tmp_path, None)[0].question == "one\u2028two"
