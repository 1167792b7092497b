from __future__ import annotations

import dataclasses
import json
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from tests.vision.small import build, save

from tamis.cli import main
from tamis.core.errors import ConfigError, FileError, InputError
from tamis.core.readers import read_image
from tamis.core.statistics import wilson
from tamis.vision import advice
from tamis.vision.advice import Advice, Item, Loss, advise, matches, read_items, said, share_of
from tamis.vision.ask import batch_for
from tamis.vision.baselines.fastv import FastV
from tamis.vision.baselines.simple import Random, TextOnly
from tamis.vision.config import Layout
from tamis.vision.context import pruned
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.loading import Loaded, load
from tamis.vision.tamis import Tamis
from tamis.vision.tiny_data import write_scenes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("drawn"), kind="scenes", split="validation", count=3).parent


def test_the_advice_is_the_smallest_budget_whose_interval_lies_within_the_loss(folder: Path) -> None:
    items = read_items(folder, None)
    pruners = [FasterVLM(7), Tamis(7), Random(36), FasterVLM(72), Tamis(72), Tamis(36)]
    found = advise(load("tiny"), items, pruners, 0.2, max_new_tokens=2)
    assert [loss.fraction for loss in found.tried] == sorted((loss.fraction for loss in found.tried), reverse=True)
    assert found.right is not None
    assert found.right > 0.9 * len(items)
    assert found.confidence == pytest.approx(0.975)  # two methods share the 5 %
    for loss in found.tried:
        assert loss.high == pytest.approx(wilson(loss.lost, found.right, 0.975)[1])
    within = [loss for loss in found.tried if loss.high <= 0.2 and loss.method != "random"]
    assert found.best == min(within, key=lambda loss: (loss.fraction, loss.lost))
    assert found.best.method == "tamis"
    assert found.chance is not None
    assert found.chance.keep == found.best.keep


def plan(monkeypatch: pytest.MonkeyPatch, lost: dict[tuple[str, str], int]) -> tuple[Loaded, list[tuple[str, str]]]:
    """Make a model that says "yes" but as often as a method at a budget is to lose; and a list of who was asked."""
    asked: list[tuple[str, str]] = []
    current: list[tuple[str, str]] = []

    class Model:
        """Says how many answers it has given since the method changed."""

        def __init__(self) -> None:
            self.given = 0

        def generate(self, **_: Any) -> torch.Tensor:
            self.given += 1
            return torch.tensor([[int(bool(current) and self.given <= lost.get(current[-1], 0))]])

    @contextmanager
    def pruned(model: Model, pruner: Any) -> Iterator[None]:
        current.append((pruner.name, str(pruner.keep)))
        asked.append(current[-1])
        model.given = 0
        yield
        current.clear()

    tokens = SimpleNamespace(pad_token_id=0, decode=lambda ids, **_: ["yes", "no"][int(ids[-1])])
    loaded = dataclasses.replace(load("tiny"), name="planned", model=Model(), tokenizer=tokens)
    monkeypatch.setattr(advice, "read_image", lambda path: None)
    monkeypatch.setattr(advice, "batch_for", lambda *_: {"input_ids": torch.zeros(1, 0)})
    monkeypatch.setattr(
        advice, "image_tokens", lambda model, pruner, _: 100.0 if pruner is None else float(pruner.keep.of(100))
    )
    monkeypatch.setattr(advice, "pruned", pruned)
    return loaded, asked


def test_a_method_is_tested_from_above_and_no_further_than_its_first_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, asked = plan(monkeypatch, {("tamis", "25%"): 9, ("fastervlm", "10%"): 9})
    items = [Item(Path("a.png"), "?", "yes")] * 200
    pruners = [made(keep) for made in (Tamis, FasterVLM, Random) for keep in ("10%", "50%", "5%", "25%")]
    found = advise(loaded, items, pruners, 0.03)
    assert asked == [
        ("tamis", "50%"),
        ("fastervlm", "50%"),
        ("random", "50%"),
        ("tamis", "25%"),
        ("fastervlm", "25%"),
        ("random", "25%"),
        ("fastervlm", "10%"),
        ("random", "10%"),
        ("random", "5%"),
        ("random", "25%"),  # beside the advice
    ]
    assert found.best is not None
    assert (found.best.method, found.best.keep) == ("fastervlm", "25%")  # though tamis would lose nothing at 5 %


def test_several_methods_share_the_chance_of_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [Item(Path("a.png"), "?", "yes")] * 200
    limit = (wilson(2, 200)[1] + wilson(2, 200, 0.975)[1]) / 2
    loaded, _ = plan(monkeypatch, {("tamis", "10%"): 2})
    assert advise(loaded, items, [Tamis("10%")], limit).best is not None
    others = [Tamis("10%"), Random("10%"), FasterVLM("10%")]
    found = advise(loaded, items, others, limit).best
    assert found is not None
    assert found.method == "fastervlm"


def test_budgets_are_ordered_by_the_tokens_that_the_language_model_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count holds for each tile, so 4 of 16 patches is more than 20 % of them, whatever the number of tiles."""
    model = build("llava_next")
    save(model, tmp_path)
    Image.new("RGB", (90, 33)).save(tmp_path / "wide.png")
    loaded = load(str(tmp_path))
    batch = batch_for(loaded, Image.new("RGB", (90, 33)), "What is this ?")
    full = int((batch["input_ids"] == 100).sum())
    pruners: list[Any] = [FasterVLM("20%"), FasterVLM(4), FastV("10%", layer=1), TextOnly(), FasterVLM("50%")]
    found = advise(loaded, [Item(tmp_path / "wide.png", "What is this ?", None)], pruners, 1.0, max_new_tokens=1)
    fractions = {(loss.method, loss.keep): loss.fraction for loss in found.tried}
    for pruner in pruners:
        if isinstance(pruner, FastV):
            kept = (full + 2 * round(0.1 * full)) / 3  # the first of three layers reads all
        else:
            kept = int((pruner.prepare(model, **batch)["input_ids"] == 100).sum())
        assert fractions[pruner.name, str(pruner.keep)] == pytest.approx(kept / full)
    order = [(loss.method, loss.keep) for loss in found.tried if loss.method == "fastervlm"]
    assert order == [("fastervlm", "50%"), ("fastervlm", "4"), ("fastervlm", "20%")]
    assert fractions["text-only", "0"] == 0


def test_one_picture_and_one_prompt_are_held_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[weakref.ref[Any]] = []
    most: list[int] = []

    def reading(path: Path) -> Image.Image:
        picture = read_image(path)
        held.append(weakref.ref(picture))
        return picture

    def writing(loaded: Loaded, picture: Image.Image, question: str) -> dict[str, Any]:
        most.append(sum(one() is not None for one in held))
        batch = batch_for(loaded, picture, question)
        held.append(weakref.ref(batch["pixel_values"]))
        return batch

    monkeypatch.setattr(advice, "read_image", reading)
    monkeypatch.setattr(advice, "batch_for", writing)
    items = read_items(folder, None)[8:18]
    assert len({item.path for item in items}) == 2
    advise(load("tiny"), items, [Tamis(72)], 1.0, max_new_tokens=1)
    assert len(most) > 2 * len(items)
    assert max(most) <= 3  # the example, the picture that is asked about, and the prompt before


def test_chance_has_the_positions_of_the_advice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Any] = []

    @contextmanager
    def noting(model: Any, pruner: Any) -> Iterator[Any]:
        used.append(pruner)
        with pruned(model, pruner):
            yield model

    monkeypatch.setattr(advice, "pruned", noting)
    items = read_items(folder, None)[:2]
    for pruner in (Tamis(72), FasterVLM(72)):
        assert advise(load("tiny"), items, [pruner], 0.99, max_new_tokens=1).best is not None
        assert used[-1] == Random(72, layout=Layout(positions=pruner.layout.positions))


def test_without_truth_the_unpruned_answer_is_taken_for_it(folder: Path) -> None:
    items = read_items(folder, "what color is the background ?")
    assert len(items) == 3
    found = advise(load("tiny"), items, [Tamis(1.0)], 1.0, max_new_tokens=2)
    assert found.right is None
    assert found.tried[0].lost == 0


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
    some = Loss("tamis", "10%", 0.1, 0, 0, 200, 0.021)
    assert "too few" not in said(Advice(0.02, [some], None, None, None))
    assert "still allows 2.5%" in said(Advice(0.02, [some], None, None, None, confidence=0.975))
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
    found = advise(load("tiny"), items, [TextOnly(), Tamis(7)], 0.9, max_new_tokens=2)
    assert found.best is not None
    assert (found.best.method, found.best.fraction, found.chance) == ("text-only", 0.0, None)


def test_other_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    told = json.dumps({"image": "a.png", "question": "one\u2028two"}, ensure_ascii=False)
    (tmp_path / "questions.jsonl").write_text(f"\ufeff{told}\r\n", encoding="utf-8")
    assert read_items(tmp_path, None)[0].question == "one\u2028two"
