from __future__ import annotations

from pathlib import Path

import pytest

import vision_answers
from tamis.core.results import read_runs
from tamis.vision import evaluation
from tamis.vision.loading import SHIPPED
from vision_answers import Part


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make parts of two pictures."""
    monkeypatch.setattr(vision_answers, "PREMISES", 2)
    parts = {
        "scenes": Part(("tamis", "random"), ("10%",), count=2, positions=("original", "contiguous"), headline=True),
        "inside": Part(("fastv",), ("10%",), count=2),
        "second": Part(("fastervlm",), ("10%",), count=2),
    }
    monkeypatch.setattr(vision_answers, "PARTS", parts)


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no examination begin."""

    def working(*_: object, **__: object) -> None:
        raise AssertionError("work was done")

    monkeypatch.setattr(evaluation, "examine", working)


def test_every_part_is_written_once(
    small: None, written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vision_answers.main(["--parts", "scenes,inside,attention", "--write"]) == 0
    made = read_runs(written)
    assert {(run.method, run.config["positions"]) for run in made if run.headline} == {
        ("all", "original"),
        ("text-only", "original"),
        ("tamis", "original"),
        ("random", "original"),
    }
    of_scenes = [run.method for run in made if run.config.get("part") == "scenes"]
    assert sorted(of_scenes) == ["all", "random", "random", "tamis", "tamis", "text-only"]
    assert {run.config["layer_chosen_on"] for run in made if run.task == "vision/attention"} == {"validation"}
    assert len({run.dataset for run in made if run.split == "test"}) == 1

    capsys.readouterr()
    for parts, says in (
        ("second,inside", "lines of vision/accuracy, part inside, already"),
        ("attention", "lines of vision/attention on scenes already"),
    ):
        second = ["--second", str(SHIPPED / "tiny")] if "second" in parts else []
        assert vision_answers.main(["--parts", parts, "--write", *second]) == 2
        assert says in capsys.readouterr().err
    assert read_runs(written) == made

    assert vision_answers.main(["--parts", "second", "--second", str(SHIPPED / "tiny"), "--write"]) == 0
    assert {run.config["model"] for run in read_runs(written)[len(made) :]} == {"tiny, second"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--parts", "second"], "--second is None; the part second needs the directory of a model"),
        (["--parts", "scenes,second", "--second", ""], "--second is ''; the part second needs"),
        (["--parts", "second", "--second", "nowhere"], "--second is 'nowhere'; the part second needs"),
        (["--parts", "scenes", "--second", "nowhere"], "--second is 'nowhere', but --parts has no second"),
        (["--parts", "scenes,nothing"], "--parts: 'nothing'; expected scenes"),
    ],
)
def test_options_that_do_not_fit_are_one_line_before_any_work(
    options: list[str], says: str, idle: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vision_answers.main(options) == 2
    told = capsys.readouterr().err
    assert told.startswith("vision_answers: error: ")
    assert says in told
    assert told.count("\n") == 1
