"""The benchmarks are scripts, and a script finds what stands beside it; the tests find it the same way."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import pytest

import lines
from tamis.core import results


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `--write` writes what it measured of vision, from a tree that is taken for clean."""
    monkeypatch.setattr(lines, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(results, "source_state", lambda: ("ab12cd3", False))
    return lines.RESULTS / "vision.jsonl"
