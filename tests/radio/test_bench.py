"""What networks cost: sizes against the files themselves, times against a clock that the test winds."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.radio.small import cnn, mobile, tones

from tamis.core.results import Run
from tamis.radio import bench
from tamis.radio.bench import Cost, cost_run, costs, one_thread, table, timed
from tamis.radio.cost import macs
from tamis.radio.onnx_export import OnnxClassifier, export_onnx

NETWORKS = {"a": cnn(), "b": mobile()}
CALIBRATION = tones(48, 0)


@pytest.fixture(scope="module")
def measured() -> Mapping[str, Cost]:
    return costs(NETWORKS, CALIBRATION, rounds=1)


def test_bytes_are_those_of_the_exported_files(measured: Mapping[str, Cost], tmp_path: Path) -> None:
    for name, network in NETWORKS.items():
        plain = export_onnx(network, tmp_path / f"{name}.onnx")
        small = export_onnx(network, tmp_path / f"{name}.int8.onnx", calibration=CALIBRATION)
        assert measured[name].float32_bytes == plain.stat().st_size
        assert measured[name].int8_bytes == small.stat().st_size


def test_counts_are_those_of_the_network_and_times_are_positive(measured: Mapping[str, Cost]) -> None:
    assert list(measured) == ["a", "b"]
    for name, network in NETWORKS.items():
        cost = measured[name]
        assert cost.parameters == sum(p.numel() for p in network.parameters() if p.requires_grad)
        assert cost.macs == macs(network)
        assert min(cost.float32_ms, cost.int8_ms, cost.float32_frames_per_second, cost.int8_frames_per_second) > 0


def test_a_result_line_carries_every_figure(measured: Mapping[str, Cost]) -> None:
    run = cost_run("a", measured["a"], CALIBRATION, 1.5)
    assert (run.task, run.method, run.n, run.dataset) == ("radio/bench", "a", 48, CALIBRATION.dataset)
    assert run.metrics == vars(measured["a"])
    assert Run.from_json(run.to_json()) == run


class Timed(OnnxClassifier):
    """Takes as long as it is told, of a clock that only it moves, and writes down when it was called."""

    def __init__(self, name: str, clock: list[float], calls: list[str], seconds: list[float]) -> None:
        self.name, self.clock, self.calls, self.seconds = name, clock, calls, seconds
        self.samples = 16

    def __call__(self, iq: torch.Tensor) -> torch.Tensor:
        self.calls.append(self.name)
        self.clock[0] += self.seconds[0] if len(self.seconds) == 1 else self.seconds.pop(0)
        return iq


def test_classifiers_are_timed_in_turns_and_the_first_round_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = [0.0], list[str]()
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    slow_at_first = Timed("a", clock, calls, [100.0, 1.0, 2.0, 9.0])
    steady = Timed("b", clock, calls, [5.0])
    assert timed({"a": (slow_at_first, 64), "b": (steady, 64)}, rounds=3) == {"a": 2.0, "b": 5.0}
    assert calls == ["a", "b"] * 4


def test_the_time_of_a_short_call_is_a_mean_over_many(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = [0.0], list[str]()
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    assert timed({0: (Timed("a", clock, calls, [0.25]), 1)}, rounds=2) == {0: 0.25}
    assert len(calls) == 3 * 64


def test_milliseconds_and_frames_a_second_are_worked_out_of_seconds_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(classifiers: Mapping[Any, tuple[OnnxClassifier, int]], rounds: int) -> dict[Any, float]:
        return {key: {"float32": 0.004, "int8": 0.002}[key[1]] * batch for key, (_, batch) in classifiers.items()}

    monkeypatch.setattr(bench, "timed", fake)
    cost = costs({"a": NETWORKS["a"]}, CALIBRATION)["a"]
    assert (cost.float32_ms, cost.int8_ms) == (4.0, 2.0)
    assert (cost.float32_frames_per_second, cost.int8_frames_per_second) == pytest.approx((250, 500))


def test_one_thread_is_one_thread_and_then_as_many_as_before() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError

    torch.set_num_threads(3)
    try:
        with pytest.raises(KeyError):
            fail()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_table_has_a_row_for_each_network(measured: Mapping[str, Cost]) -> None:
    cost = Cost(37_867, 1_440_000, 153_000, 46_210, 0.1234, 0.0567, 20_000.0, 41_234.5)
    (row,) = table({"kd-cnn": cost}).rows
    assert row == ["kd-cnn", "37,867", "1.44 M", "153 KB", "46.2 KB", 0.123, 0.057, "41,234"]
    assert [row[0] for row in table(measured).rows] == ["a", "b"]
