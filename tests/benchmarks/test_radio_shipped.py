from __future__ import annotations

from pathlib import Path

import pytest

import radio_shipped
from tamis.core.results import read_runs
from tamis.radio.data import load


def test_every_shipped_network_has_a_line_and_loses_little_in_int8(
    written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(radio_shipped, "load", lambda preset: load(preset, per_cell=10))
    assert radio_shipped.main(["--rounds", "1", "--write"]) == 0
    runs = read_runs(written.with_name("radio.jsonl"))
    assert [run.method for run in runs] == list(radio_shipped.SHIPPED)
    for run in runs:
        assert run.metrics["int8_bytes"] < run.metrics["float32_bytes"] / 2
        assert run.metrics["int8_accuracy"] == pytest.approx(run.metrics["float32_accuracy"], abs=0.02)
    assert radio_shipped.main(["--write"]) == 2
    assert "has lines of radio/bench, part shipped, already" in capsys.readouterr().err
