from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import lines
from tamis.core import results
from tamis.core.errors import ConfigError, FileError
from tamis.core.results import Run, dataset_hash, read_runs


def line(task: str, dataset: str) -> Run:
    return Run.measured(
        task, "all", dataset=dataset_hash(dataset, b""), split="test", n=1, metrics={"flops": 1}, seconds=0
    )


def test_a_tree_that_is_not_clean_is_refused(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines.check("vision/cost", ["a"])
    monkeypatch.setattr(results, "source_state", lambda: ("ab12cd3", True))
    with pytest.raises(ConfigError, match="the tree is not clean"):
        lines.check("vision/cost")


def test_lines_of_the_same_task_and_data_are_refused_and_others_are_not(written: Path) -> None:
    line("vision/cost", "a").append(written)
    lines.check("vision/cost", ["b"])
    lines.check("vision/prefill", ["a"])
    lines.check("vision/cost")
    with pytest.raises(ConfigError, match=r"vision\.jsonl has lines of vision/cost on a already; remove those first"):
        lines.check("vision/cost", ["b", "a"])


def test_lines_of_the_same_part_are_refused_and_other_parts_are_not(written: Path) -> None:
    one = line("vision/accuracy", "a")
    replace(one, config={"part": "first"}).append(written)
    lines.check("vision/accuracy", parts=["second"])
    lines.check("vision/cost", parts=["first"])
    with pytest.raises(ConfigError, match=r"has lines of vision/accuracy, part first, already; remove those first"):
        lines.check("vision/accuracy", parts=["second", "first"])


def test_a_line_goes_to_the_file_of_its_domain(written: Path) -> None:
    lines.append(line("vision/cost", "a"))
    lines.append(line("radio/bench", "a"))
    assert [run.task for run in read_runs(written)] == ["vision/cost"]
    assert [run.task for run in read_runs(written.with_name("radio.jsonl"))] == ["radio/bench"]
    with pytest.raises(ConfigError, match=r"radio\.jsonl has lines of radio/bench on a already"):
        lines.check("radio/bench", ["a"])


def test_a_file_that_holds_no_results_is_refused(written: Path) -> None:
    written.parent.mkdir()
    written.write_text("{}\n", encoding="utf-8")
    with pytest.raises(FileError, match=r"vision\.jsonl:1: "):
        lines.check("vision/cost")


def test_an_error_is_one_line_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines.fail("script", "what is wrong", 3) == 3
    assert capsys.readouterr().err == "script: error: what is wrong\n"
