from __future__ import annotations

from pathlib import Path

import pytest

import language_cover
from tamis.core.results import read_runs
from tamis.language.data import load, synthetic


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = load("open").filter(language="mr")
    rows = synthetic(400, types=("A", "B", "C"), seed=0)
    monkeypatch.setattr(language_cover, "load", lambda source: corpus if source == "open" else load(source))
    monkeypatch.setattr(language_cover, "synthetic", lambda seed: rows)
    monkeypatch.setattr(language_cover, "DRAWS", 5)


@pytest.mark.usefixtures("small")
def test_lines_are_printed_and_only_on_demand_written_and_that_once(
    written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = written.with_name("language.jsonl")
    assert language_cover.main([]) == 0
    assert "times the cover" in capsys.readouterr().out
    assert not path.exists()

    assert language_cover.main(["--write"]) == 0
    runs = read_runs(path)
    compared = [run for run in runs if run.task == "language/cover"]
    assert [(run.config["level"], run.method) for run in compared] == [
        (level, method) for level in ("value", "pair") for method in ("cover", "random", "best-known", "alphabetical")
    ]
    for run in compared:
        assert sum(run.curves["names"].values()) == pytest.approx(run.metrics["names"])
        assert run.metrics["names_ratio"] >= 1 >= run.metrics["cells_met"] > 0
        assert run.headline
    assert [run.config["level"] for run in runs if run.task == "language/bench"] == ["value", "pair"]

    capsys.readouterr()
    assert language_cover.main(["--write"]) == 2
    told = "language_cover: error: --write: language.jsonl has lines of language/cover on open already"
    assert capsys.readouterr().err.startswith(told)

    monkeypatch.setattr(language_cover, "PLOT", tmp_path / "plot.png")
    assert language_cover.main(["--plot"]) == 0
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_of_nothing_is_refused(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written.parent.mkdir()
    written.with_name("language.jsonl").touch()
    assert language_cover.main(["--plot"]) == 2
    assert "there is no line of language/cover to draw" in capsys.readouterr().err
