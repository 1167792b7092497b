from __future__ import annotations

from pathlib import Path

import pytest
from tests.vision.test_cost import SMALL

import vision_cost
from tamis.core.results import read_runs


def test_counts_are_printed_and_only_on_demand_written_and_that_once(
    written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vision_cost, "PUBLISHED", ("small",))
    monkeypatch.setattr(vision_cost, "SHAPES", {"small": SMALL})
    monkeypatch.setattr(vision_cost, "KEEPS", ("50%",))
    assert vision_cost.main([]) == 0
    assert "small: one image or video" in capsys.readouterr().out
    assert not written.exists()

    assert vision_cost.main(["--write"]) == 0
    lines = read_runs(written)
    assert [(line.method, line.config["keep"]) for line in lines] == [("all", 1), ("fastervlm", 0.5), ("text-only", 0)]
    assert {line.task for line in lines} == {"vision/cost"}

    capsys.readouterr()
    assert vision_cost.main(["--write"]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("vision_cost: error: --write: vision.jsonl has lines of vision/cost on small already")
    assert not told.out
    assert read_runs(written) == lines
