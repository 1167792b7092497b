from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tamis.cli import main
from tamis.core.report import Facts
from tamis.core.results import Run
from tamis.vision import loading
from tamis.vision.config import Layout
from tamis.vision.evaluation import Marks, Sheet, examine
from tamis.vision.evaluation_report import (
    answers_table,
    attention_table,
    behind_table,
    flips,
    inside_table,
    positions_table,
    report_on,
    table,
    warnings,
)
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.loading import Loaded, load


def marks(right: list[float], recall: float) -> Marks:
    answers = np.array(right)
    return Marks(answers, answers, 1 - answers, np.arange(len(right)), np.full(len(right), recall), 14.0)


def sheet(better: list[float], chance: list[float]) -> Sheet:
    count = len(better)
    return Sheet(
        "tiny",
        "scenes",
        "test",
        0,
        "scenes@sha256:0",
        np.arange(count),
        ["color"] * count,
        np.zeros(count, np.int64),
        {
            ("all", 1.0, "original"): marks([1.0] * count, 1.0),
            ("fastervlm", 0.1, "original"): marks(better, 0.25),
            ("random", 0.1, "original"): marks(chance, 0.1),
        },
        {},
    )


def test_a_method_that_is_not_better_than_chance_is_named_with_the_likely_reason() -> None:
    (line,) = warnings(sheet([0.0, 1.0] * 50, [1.0, 0.0] * 50))
    assert "`fastervlm` at 10.0% is not better than random selection (+0.000)" in line
    assert "keeps 25% of the patches that answers rest on" in line
    assert warnings(sheet([1.0] * 100, [1.0, 0.0] * 50)) == []


def test_what_no_object_answers_does_not_count_in_what_was_kept() -> None:
    of = sheet([0.0] * 4, [1.0] * 4)
    key = ("fastervlm", 0.1, "original")
    recall = np.array([0.5, 0.7, 1.0, np.nan])
    asked = ["color", "read", "background", "count"]
    of = dataclasses.replace(
        of, asked=asked, marks={**of.marks, key: dataclasses.replace(of.marks[key], recall=recall)}
    )
    assert "keeps 60% of the patches that answers rest on" in warnings(of)[0]


def test_a_method_is_held_against_chance_with_the_same_positions_only() -> None:
    of = sheet([0.0] * 4, [1.0] * 4)
    of = dataclasses.replace(of, marks={**of.marks, ("tamis", 0.1, "contiguous"): marks([0.0] * 4, 0.2)})
    first, last = warnings(of)
    assert first.startswith("`fastervlm` at 10.0% is not better")
    assert last == (
        "Not compared with random selection of the same budget and positions: `tamis` at 10.0% (contiguous)."
    )
    against = {row[0]: row[5] for row in table(of).rows}
    assert against["tamis"] == "not run"
    assert against["random"] is None


def test_the_report_names_the_best_method_at_every_budget() -> None:
    of = sheet([1.0] * 4, [0.0] * 4)
    budgets = [round(tokens / 144, 4) for tokens in (100, 72, 50, 36, 7, 4)]
    found = {("uniform", keep, "original"): marks([0.5] * 4, 0.2) for keep in budgets}
    (facts,) = [
        block
        for block in report_on(dataclasses.replace(of, marks={**of.marks, **found}), "").blocks
        if isinstance(block, Facts)
    ]
    assert [name for name in facts.facts if name.startswith("best")] == [
        f"best at {tokens} tokens" for tokens in (100, 72, 50, 36, 14, 7, 4)
    ]


def test_a_mean_of_tokens_has_its_decimal() -> None:
    of = sheet([1.0] * 4, [0.0] * 4)
    key = ("fastervlm", 0.1, "original")
    marked = {**of.marks, key: dataclasses.replace(of.marks[key], tokens=14.4)}
    assert [row[-1] for row in table(dataclasses.replace(of, marks=marked)).rows] == ["14", "14.4", "14"]


def test_the_table_holds_every_method_against_chance() -> None:
    rows = table(sheet([1.0] * 100, [1.0, 0.0] * 50)).rows
    assert [row[0] for row in rows] == ["all", "fastervlm", "random"]
    assert str(rows[1][5]).startswith("+0.500 [")
    assert rows[2][5] is None


def test_the_report_is_one_page_with_plots_and_flips(tmp_path: Path) -> None:
    loaded = load("tiny")
    selector = FasterVLM(4, layout=Layout(positions="contiguous"))
    made = examine(loaded, [selector], split="validation", count=8)
    panel = flips(loaded, made, selector)
    assert panel is not None
    assert "of the answers turn from right to wrong" in panel.caption
    html = report_on(made, "tamis vision eval", [panel]).html()
    assert html.count("<img") == 3
    assert "What each budget costs in answers" in html


def test_a_method_that_turns_no_answer_has_no_picture_of_it() -> None:
    loaded = load("tiny")
    selector = FasterVLM(1.0)
    made = examine(loaded, [selector], split="validation", count=2)
    assert flips(loaded, made, selector) is None


def test_the_command_writes_report_and_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "vision",
        "eval",
        "--count",
        "6",
        "--keep",
        "10%",
        "--method",
        "fastervlm,random",
        "--split",
        "validation",
    ]
    assert main([*command, "--out", str(tmp_path), "--json"]) == 0
    printed: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    written = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    assert printed == written
    assert {line["method"] for line in written} == {"all", "fastervlm", "random"}
    assert (tmp_path / "index.html").is_file()


@pytest.mark.parametrize("positions", ["own", "original", "contiguous"])
def test_every_method_is_compared_with_chance_whatever_its_positions(
    positions: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["vision", "eval", "--count", "2", "--keep", "10%", "--method", "tamis,fastervlm,random"]
    assert main([*command, "--positions", positions, "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "tamis" in told
    assert "not run" not in told
    assert "Not compared" not in told


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def working(name: str, device: str = "cpu") -> Loaded:
        raise AssertionError("work was done")

    monkeypatch.setattr(loading, "load", working)
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "folder" / "index.html").mkdir(parents=True)
    for out, says in (("taken", "taken is a file, not a folder"), ("folder", "index.html: cannot be written")):
        for command in (["eval"], ["analyze", "no.png", "what?"], ["prune", "no.png"]):
            assert main(["vision", *command, "--out", str(tmp_path / out)]) == 2
            assert says in capsys.readouterr().err
    assert (tmp_path / "taken").read_text() == "mine"


def test_scenes_are_drawn_by_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vision", "scenes", str(tmp_path), "--count", "2"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "questions.jsonl")
    assert len(list(tmp_path.glob("*.png"))) == 2


def line(method: str, keep: float, accuracy: float, **config: Any) -> Run:
    return Run.measured(
        "vision/accuracy",
        method,
        dataset="scenes@sha256:0",
        split="test",
        n=10,
        metrics={"accuracy": accuracy, "accuracy_where": accuracy / 2, "accuracy_background": 0.5},
        intervals={"accuracy": [accuracy - 0.01, accuracy + 0.01]},
        config={"keep": keep, "positions": "original", "part": "scenes", **config},
        seconds=1,
    )


def clean(*runs: Run) -> list[Run]:
    return [dataclasses.replace(run, dirty=False) for run in runs]


def test_answers_are_laid_out_by_method_and_budget() -> None:
    runs = clean(
        line("all", 1.0, 0.99),
        line("random", 0.0972, 0.6),
        line("tamis", 0.0972, 0.97),
        line("tamis", 0.25, 0.98),
        line("tamis", 0.0972, 0.9, positions="contiguous"),
        line("tamis", 0.0972, 0.1, part="sprites"),
        line("text-only", 0.0, 0.2),
    )
    made = answers_table(runs, "scenes")
    assert made is not None
    assert made.headers == ["method", "36 tokens", "14 tokens", "background, 14 tokens"]
    assert made.rows == [
        ["all", "0.990 (0.980 to 1.000)", "0.990 (0.980 to 1.000)", 0.5],
        ["tamis", "0.980 (0.970 to 0.990)", "0.970 (0.960 to 0.980)", 0.5],
        ["random", None, "0.600 (0.590 to 0.610)", 0.5],
        ["text-only", "0.200 (0.190 to 0.210)", "0.200 (0.190 to 0.210)", 0.5],
    ]
    chosen = answers_table(runs, "scenes", ["random"])
    assert chosen is not None
    assert [row[0] for row in chosen.rows] == ["all", "random", "text-only"]
    assert answers_table(runs, "ood") is None
    placed = positions_table(runs)
    assert placed is not None
    assert placed.rows == [["tamis", 0.97, 0.9, 0.485, 0.45]]
    assert positions_table([]) is None


def test_pruners_inside_the_language_model_are_ordered_by_what_it_really_reads() -> None:
    inside = [
        dataclasses.replace(run, metrics={**run.metrics, "image_tokens": tokens})
        for run, tokens in (
            (line("tamis", 0.0972, 0.97, part="inside"), 14.0),
            (line("fastv", 0.0972, 0.96, part="inside"), 66.0),
            (line("fastv", 0.0486, 0.95, part="inside"), 61.8),
            (line("all", 1.0, 0.99, part="inside"), 144.0),
            (line("tamis", 0.5, 0.98), 72.0),
        )
    ]
    made = inside_table(clean(*inside))
    assert made is not None
    assert [row[:3] for row in made.rows] == [
        ["all", "100.0%", "144"],
        ["fastv", "9.7%", "66"],
        ["fastv", "4.9%", "61.8"],
        ["tamis", "9.7%", "14"],
    ]
    assert made.rows[1][3] == "0.960 (0.950 to 0.970)"
    assert inside_table([]) is None


def test_the_nearest_methods_are_paired_with_ours() -> None:
    near = line("cdpruner", 0.0972, 0.9, part="scenes")
    near = dataclasses.replace(near, metrics={**near.metrics, "behind_tamis": 0.01})
    near = dataclasses.replace(near, intervals={**near.intervals, "behind_tamis": [0.002, 0.018]})
    made = behind_table(clean(near, line("tamis", 0.0972, 0.91, part="scenes")))
    assert made is not None
    assert made.headers == ["behind tamis", "14 tokens"]
    assert made.rows == [["cdpruner", "+0.0100 (+0.0020 to +0.0180)"]]
    assert behind_table([]) is None


def test_what_was_measured_with_changes_is_not_shown() -> None:
    assert answers_table([dataclasses.replace(line("all", 1.0, 0.9), dirty=True)], "scenes") is None


def test_attention_is_told_at_its_best_layer() -> None:
    run = Run.measured(
        "vision/attention",
        "prompt",
        dataset="scenes@sha256:0",
        split="test",
        n=10,
        metrics={"auc": 0.7, "auc_last_layer": 0.5, "best_layer": 1},
        intervals={"auc": [0.6, 0.8]},
        curves={"spread_tokens": {0: 140.0, 1: 101.6}, "raster_place": {0: 0.5, 1: 0.44}},
        config={},
        seconds=1,
    )
    made = attention_table(clean(run))
    assert made is not None
    assert made.rows == [["prompt", "0.700 (0.600 to 0.800)", 1, 0.5, "101.6", 0.44]]
    assert attention_table([]) is None
