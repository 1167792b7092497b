"""A result line against loops over the frames."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from tests.radio.small import CLASSES, clst, cnn, same, state, tones

from tamis.core.errors import ConfigError, InputError, ShapeError
from tamis.core.results import Run
from tamis.core.statistics import wilson
from tamis.radio.evaluation import by_snr, evaluate, logits, report


def test_a_line_holds_what_loops_over_the_frames_count() -> None:
    frames, network = tones(90, 0), clst()
    run = evaluate(network, frames, method="clst", split="val", config={"preset": "tones"}, seeds=[3])
    with torch.inference_mode():
        scores = torch.cat([network(torch.from_numpy(frame[None])) for frame in frames.iq]).double()
    predicted = scores.argmax(dim=1).tolist()
    right = [guess == label for guess, label in zip(predicted, frames.labels.tolist(), strict=True)]
    loud = [hit for hit, snr in zip(right, frames.snr_db, strict=True) if snr >= 0]
    assert (run.task, run.method, run.split, run.n) == ("radio/accuracy", "clst", "val", 90)
    assert (run.dataset, run.config, run.seeds) == (frames.dataset, {"preset": "tones"}, [3])
    assert run.metrics["accuracy"] == pytest.approx(sum(right) / 90)
    assert run.metrics["accuracy_from_0_db"] == pytest.approx(sum(loud) / 60)
    assert run.metrics["macro_f1"] == pytest.approx(f1_score(frames.labels, predicted, average="macro"))
    assert run.intervals["accuracy"] == list(wilson(sum(right), 90))
    assert run.intervals["accuracy_from_0_db"] == list(wilson(sum(loud), 60))
    for snr in ("-10", "0", "10"):
        here = [hit for hit, one in zip(right, frames.snr_db, strict=True) if one == float(snr)]
        low, high = wilson(sum(here), len(here))
        curves = [run.curves[name][snr] for name in ("accuracy", "accuracy_low", "accuracy_high")]
        assert curves == pytest.approx([sum(here) / 30, low, high], abs=1e-6)
    assert list(run.curves["accuracy"]) == ["-10", "0", "10"]
    probabilities = scores.softmax(dim=1).numpy()
    gap = 0.0
    for number in range(15):
        inside = [i for i, p in enumerate(probabilities.max(axis=1)) if min(14, math.floor(p * 15)) == number]
        gap += abs(sum(right[i] - probabilities[i].max() for i in inside)) / 90
    assert run.metrics["calibration_error"] == pytest.approx(gap, abs=1e-6)
    assert run.seconds is not None
    assert run.seconds > 0
    assert Run.from_json(run.to_json()) == run


def test_without_frames_from_0_db_there_is_no_number_for_them() -> None:
    frames = tones(30, 0)
    run = evaluate(cnn(), frames.take(frames.snr_db < 0), method="cnn")
    assert "accuracy_from_0_db" not in run.metrics | run.intervals
    assert run.n == 10


def test_curves_and_seconds_of_the_caller_are_on_the_line() -> None:
    run = evaluate(cnn(), tones(6, 0), method="cnn", curves={"train_loss": {1: 0.5}}, seconds=12.0, task="radio/x")
    assert (run.curves["train_loss"], run.seconds, run.task) == ({"1": 0.5}, 12.0, "radio/x")


def test_accuracy_over_the_ratio_is_counted_ratio_by_ratio() -> None:
    right = np.array([True, False, True, True])
    curves = by_snr(right, np.float32([2, -4, 2, -4.5]))
    assert curves["accuracy"] == {"-4.5": 1.0, "-4": 0.0, "2": 1.0}
    assert curves["accuracy_low"]["2"] == pytest.approx(wilson(2, 2)[0], abs=1e-6)


def test_batches_change_nothing() -> None:
    frames = tones(20, 0)
    whole = logits(cnn(), frames)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(logits(cnn(), frames, batch=7), whole, atol=1e-6)


def test_a_network_in_training_mode_is_judged_as_it_will_be_used_and_stays_as_it_was() -> None:
    network = cnn(dropout=0.5)
    before = state(network)
    first, second = (logits(network.train(), tones(40, 0)) for _ in range(2))
    assert np.array_equal(first, second)
    assert same(before, state(network))


def test_any_function_can_be_judged() -> None:
    def loudest(iq: torch.Tensor) -> torch.Tensor:
        return torch.stack(
            [torch.zeros(len(iq)), iq.square().sum(dim=(1, 2)), torch.full((len(iq),), -torch.inf)], dim=1
        )

    frames = tones(30, 0)
    run = evaluate(loudest, frames, method="loudest")
    assert run.metrics["accuracy"] == pytest.approx(float((frames.labels == 1).mean()))


def test_a_network_for_other_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"use frames\.reorder"):
        evaluate(cnn(), tones(6, 0).reorder(CLASSES[::-1]), method="cnn")


def test_what_cannot_be_judged_is_refused_in_one_line() -> None:
    frames = tones(6, 0)
    given = {"method": "m", "split": "test", "task": "t", "config": None, "curves": None, "seeds": [], "seconds": 1.0}
    with pytest.raises(ShapeError, match=r"scores of shape \(6, 2\); expected \(6, 3\)"):
        report(np.zeros((6, 2), np.float32), frames, **given)
    broken = np.zeros((6, 3), np.float32)
    broken[1, 0], broken[4, 2] = np.nan, np.inf
    with pytest.raises(InputError, match="m: 2 frames have scores that are NaN or infinite"):
        report(broken, frames, **given)
    nothing = frames.take(np.zeros(6, dtype=bool))
    for classifier in (cnn(), lambda iq: iq[:, 0, :3]):
        with pytest.raises(ConfigError, match=r"^tones: there are no frames"):
            evaluate(classifier, nothing, method="m")
