from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import radio_headlines
from radio_headlines import means
from tamis.core import results
from tamis.core.results import Run, dataset_hash


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "source_state", lambda: ("ab12cd3", False))


def training(seed: int, accuracy: float, *, frames: int = 1000, split: str = "test") -> Run:
    return Run.measured(
        "radio/accuracy",
        "kd-cnn",
        dataset=dataset_hash("rml2016", b"x"),
        split=split,
        n=100,
        metrics={"accuracy": accuracy, "parameters": 5},
        curves={"accuracy": {"0": accuracy, "10": accuracy + 0.2}},
        config={
            "cell": f"rml2016/kd-cnn-seed{seed}-{frames}",
            "preset": "rml2016",
            "frames": frames,
            "learning_rate": 0.004,
            "trained_at": ["ab12cd3"],
        },
        seeds=[seed],
        seconds=10,
    )


def three(**changes: int) -> Iterator[Run]:
    return (training(seed, accuracy, **changes) for seed, accuracy in enumerate((0.5, 0.6, 0.7)))


def test_three_seeds_make_one_mean_with_the_interval_of_student() -> None:
    (run,) = means(list(three()))
    assert (run.method, run.headline, list(run.seeds), run.seconds, run.n) == ("kd-cnn", True, [0, 1, 2], 30, 100)
    assert run.metrics == pytest.approx({"accuracy": 0.6, "accuracy_sd": 0.1, "parameters": 5})
    half = 0.24841  # by hand: t of 0.975 at two degrees of freedom is 4.30265, times 0.1 over the root of three
    assert run.intervals["accuracy"] == pytest.approx([0.6 - half, 0.6 + half], abs=1e-4)
    assert run.curves["accuracy"] == pytest.approx({"0": 0.6, "10": 0.8})
    assert run.curves["accuracy_by_seed"] == {"0": 0.5, "1": 0.6, "2": 0.7}


def test_means_that_are_there_are_not_made_again() -> None:
    runs = list(three())
    assert not list(means([*runs, *means(runs)]))


def test_two_seeds_make_no_mean() -> None:
    assert not list(means(list(three())[:2]))


def test_lines_of_validation_do_not_count() -> None:
    assert not list(means([replace(run, split="val") for run in three()]))


def test_fewer_frames_are_told_apart() -> None:
    assert [run.method for run in means([*three(), *three(frames=100)])] == ["kd-cnn", "kd-cnn (100 frames)"]


def test_a_training_from_a_tree_that_was_not_clean_makes_no_mean() -> None:
    first, *others = three()
    judged_later = replace(training(0, 0.5, split="val"), dirty=True)
    assert not list(means([first, *others, judged_later]))
    went_on_later = replace(first, config={**first.config, "trained_at": ["ab12cd3+", "ab12cd3"]})
    assert not list(means([went_on_later, *others]))


def test_what_is_missing_is_written_once(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written.with_name("radio.jsonl")
    for run in three():
        run.append(file)
    assert radio_headlines.main(["--write"]) == 0
    assert radio_headlines.main(["--write"]) == 0
    assert [run.headline for run in results.read_runs(file)] == [False, False, False, True]
    monkeypatch.setattr(results, "source_state", lambda: ("ab12cd3", True))
    assert radio_headlines.main(["--write"]) == 2
