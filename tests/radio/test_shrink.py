"""A student for a budget: the widest that fits, and the next that does not."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.radio.small import CLASSES, SAMPLES, clst, cnn, same, splits, state, tones

from tamis.core.budget import Budget
from tamis.core.errors import BudgetError, ConfigError, ShapeError
from tamis.radio import shrink as module
from tamis.radio.config import KDCNNConfig, KDMobileNetConfig, SKDConfig, TrainConfig
from tamis.radio.data import Splits
from tamis.radio.evaluation_report import Judged
from tamis.radio.kdcnn import KDCNN
from tamis.radio.network import Network
from tamis.radio.onnx_export import OnnxClassifier, export_onnx
from tamis.radio.shrink import STUDENTS, receipt, shrink, spending, widest

pytestmark = pytest.mark.filterwarnings("ignore:.* the training collapsed")  # after three epochs it may well have
FRAMES = tones(48, 0)
TASK: dict[str, Any] = {"classes": CLASSES, "samples": SAMPLES}


def bytes_at(width: float, folder: Path) -> int:
    network = KDCNN(KDCNNConfig.scaled(width, **TASK))
    return export_onnx(network, folder / f"{width}.onnx", calibration=FRAMES).stat().st_size


def test_the_chosen_width_fits_and_the_next_does_not(tmp_path: Path) -> None:
    width, network = widest("kd-cnn", "20KB", FRAMES, seed=0)
    assert bytes_at(width, tmp_path) <= 20_000 < bytes_at(width + 1 / 8, tmp_path)
    assert network.config == KDCNNConfig.scaled(width, **TASK)


def test_a_file_of_exactly_the_budget_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WIDTHS", (0.125, 0.25, 0.375))
    exactly = bytes_at(0.25, tmp_path)
    assert widest("kd-cnn", f"{exactly}B", FRAMES, seed=0)[0] == 0.25
    assert widest("kd-cnn", f"{exactly - 1}B", FRAMES, seed=0)[0] == 0.125


@pytest.mark.parametrize("student", STUDENTS)
def test_the_search_finds_for_every_budget_what_trying_all_widths_finds(
    student: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spent(network: Network, *_: object) -> float:
        return float(sum(network.config.widths))  # type: ignore[attr-defined]

    monkeypatch.setattr(module, "_spent", spent)
    config = {"kd-cnn": KDCNNConfig, "kd-mobilenet": KDMobileNetConfig}[student]
    widths = [step / 8 for step in range(1, 33)]
    costs = {width: sum(config.scaled(width).widths) for width in widths}
    assert list(costs.values()) == sorted(set(costs.values()))
    for budget in (min(costs.values()), 77, 150, 151, 300, max(costs.values()) - 1, max(costs.values()), 10**6):
        fits = max(width for width in widths if costs[width] <= budget)
        assert widest(student, Budget("bytes", float(budget)), FRAMES, seed=0)[0] == fits


def faked(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let every network take so long."""

    def timed(classifiers: Mapping[Any, tuple[OnnxClassifier, int]], rounds: int) -> dict[Any, float]:
        assert torch.get_num_threads() == 1
        return {key: seconds * batch for key, (_, batch) in classifiers.items()}

    monkeypatch.setattr(module, "timed", timed)
    monkeypatch.setattr(module, "export_onnx", lambda network, path, calibration: export_onnx(cnn(), path))


def test_a_time_is_held_against_one_frame_in_int8_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    faked(monkeypatch, 0.002)
    assert widest("kd-cnn", "2ms", FRAMES, seed=0)[0] == 4.0
    with pytest.raises(BudgetError, match=r"budget is 0\.0019s; the narrowest kd-cnn takes 2 ms; give that much"):
        widest("kd-cnn", "1.9ms", FRAMES, seed=0)


def test_a_budget_below_the_narrowest_student_is_refused_with_what_that_takes(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match=rf"budget is 1B; .* takes {bytes_at(1 / 8, tmp_path)} bytes; give that much"):
        widest("kd-cnn", "1B", FRAMES, seed=0)


@pytest.mark.parametrize("budget", ["58", "10%", 58, 0.5])
def test_a_budget_of_neither_bytes_nor_time_is_refused(budget: str | int | float) -> None:
    with pytest.raises(BudgetError, match="expected bytes such as 50KB, or a time such as 2ms"):
        spending(budget)
    with pytest.raises(BudgetError, match="expected bytes"):
        widest("kd-cnn", budget, FRAMES, seed=0)


def test_what_is_no_student_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'clst-t' is no student .* expected kd-cnn, kd-mobilenet"):
        widest("clst-t", "50KB", FRAMES, seed=0)


def test_initial_weights_follow_the_seed_and_leave_the_random_state_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_spent", lambda *_: 1.0)
    before = torch.random.get_rng_state()
    first, again, other = (widest("kd-cnn", "1KB", FRAMES, seed=seed)[1] for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert same(state(first), state(again))
    assert not same(state(first), state(other))


@pytest.fixture(scope="module")
def shrunk(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Judged], Path]:
    out = tmp_path_factory.mktemp("shrunk") / "out"
    recipe = TrainConfig(epochs=3, batch=32, learning_rate=1e-2, seed=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_WIDTHS", (0.125, 0.25))
        judged = shrink(clst(), "big", "kd-cnn", "10KB", splits(), recipe, SKDConfig(views=2), out=out)
    return judged, out


def test_teacher_student_its_int8_form_and_the_one_alone_are_judged_on_the_test_frames(
    shrunk: tuple[list[Judged], Path],
) -> None:
    judged, out = shrunk
    assert [one.run.method for one in judged] == ["big", "kd-cnn+skd", "kd-cnn+skd int8", "kd-cnn"]
    test = splits().test
    forms = (clst().eval(), KDCNN.from_pretrained(out / "skd"), OnnxClassifier(out / "skd" / "model.int8.onnx"))
    for one, classifier in zip(judged, (*forms, KDCNN.from_pretrained(out / "alone")), strict=True):
        with torch.inference_mode():
            right = classifier(torch.from_numpy(test.iq)).argmax(dim=1).numpy() == test.labels
        assert one.run.metrics["accuracy"] == np.mean(right)
        assert (one.run.split, one.run.dataset) == ("test", test.dataset)


def test_lines_of_students_say_how_they_were_made_and_that_of_the_teacher_does_not(
    shrunk: tuple[list[Judged], Path],
) -> None:
    judged, out = shrunk
    teacher, *students = (one.run for one in judged)
    assert (teacher.config, teacher.seeds) == ({}, [])
    for run in students:
        assert run.seeds == [5]
        told = {"width": 0.25, "budget": "10000B", "epochs": 3, "frames": 96, "preset": "tones"}
        assert told.items() <= run.config.items()
    assert students[0].config["views"] == 2
    assert "views" not in students[2].config
    assert (out / "skd" / "model.int8.onnx").stat().st_size <= 10_000
    assert json.loads((out / "alone" / "config.json").read_text())["config"]["widths"] == [8, 12, 16]


def test_a_width_that_was_chosen_by_time_is_not_chosen_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(seconds: float, budget: str = "2ms") -> float:
        faked(monkeypatch, seconds)
        return float(module._chosen("kd-cnn", budget, FRAMES, tmp_path, seed=0)[0])

    monkeypatch.setattr(module, "_WIDTHS", (0.125, 0.25))
    assert chosen(0.001) == 0.25
    assert chosen(9.0) == 0.25  # another day, a busy machine
    with pytest.raises(BudgetError):
        chosen(9.0, "3ms")
    (tmp_path / "width.json").write_text("[" * 10_000)
    assert chosen(0.001) == 0.25


def test_the_receipt_is_about_the_student(shrunk: tuple[list[Judged], Path]) -> None:
    page = receipt(shrunk[0], splits(), "10KB", limit=None, command="tamis radio distill")
    taught, alone = (shrunk[0][number].run.metrics["accuracy"] for number in (1, 3))
    assert page.title == "A student within 10KB"
    assert page.lead.startswith("kd-cnn fits with 0.25 of its usual width. ")
    assert f"{taught:.1%} of 48 frames with its teacher and on {alone:.1%} alone" in page.lead
    text = page.markdown()
    assert "## Where kd-cnn+skd errs" in text
    assert "tamis radio distill" in text


def test_frames_that_do_not_fit_the_teacher_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    def attempt(data: Splits) -> None:
        shrink(clst(), "big", "kd-cnn", "10KB", data, TrainConfig(), SKDConfig(), out=tmp_path / "out")

    with pytest.raises(ConfigError, match="the network was made for low, middle, high"):
        attempt(Splits(*(part.reorder(CLASSES[::-1]) for part in splits())))
    other = cnn(samples=64)
    with pytest.raises(ShapeError, match="32 samples a frame; the network was made for 64"):
        shrink(other, "big", "kd-cnn", "10KB", splits(), TrainConfig(), SKDConfig(), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
