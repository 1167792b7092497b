from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import vision_prefill
from tamis.core.results import read_runs


def test_the_published_way_and_ours_agree_and_ours_costs_less() -> None:
    runs = vision_prefill.compare(vision_prefill.SMALL, 2, 1, headline=False)
    assert [run.method for run in runs] == ["fastervlm", "vtc-cls"]
    for run in runs:
        metrics = run.metrics
        assert metrics["feature_error"] < 1e-5
        assert metrics["flops_ratio"] < 1
        assert metrics["extra_of_published"] <= 0.01
        assert metrics["extra_of_published"] * metrics["published_extra_bytes"] == pytest.approx(metrics["extra_bytes"])
        maps = 6 * 4 * 37**2 * 4 * 2  # blocks, heads, tokens², bytes, images
        assert metrics["published_extra_bytes"] > maps / 2
        assert not run.headline
    assert vision_prefill.table(runs).rows[0][1] == 2


def test_small_lines_are_no_headlines_and_are_written_once(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--size", "small", "--images", "1", "--repetitions", "1", "--write"]
    assert vision_prefill.main(command) == 0
    assert [(run.task, run.config["images"], run.headline) for run in read_runs(written)] == [
        ("vision/prefill", 1, False),
        ("vision/prefill", 1, False),
    ]
    assert vision_prefill.main(command) == 2
    assert "has lines of vision/prefill on noise-1 already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mask", "scale", "told"),
    [
        ([[False, True]], 1.0, "fastervlm: 1 of 1 kept tokens differ"),
        ([[True, False]], 1.1, "fastervlm: features differ by 0.1 of the largest; expected at most 1e-05"),
    ],
)
def test_ways_that_do_not_agree_are_an_error_in_one_line(
    mask: list[list[bool]], scale: float, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def kept(mask: list[list[bool]], scale: float) -> tuple[Tensor, Tensor]:
        return torch.tensor(mask), scale * torch.ones(1, 3)

    monkeypatch.setattr(vision_prefill, "published_fastervlm", lambda setting, keep: kept([[True, False]], 1.0))
    monkeypatch.setattr(vision_prefill, "ours", lambda setting, selector: kept(mask, scale))
    assert vision_prefill.main(["--size", "small", "--images", "1", "--repetitions", "1"]) == 2
    assert told in capsys.readouterr().err
