from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from tests.vision.test_cost import FAMILIES, SMALL

from tamis.core.errors import ConfigError, LimitError
from tamis.vision import bench
from tamis.vision.bench import alternate, measure, median, needed_bytes, peak_bytes, random_batch, table
from tamis.vision.config import SHAPES
from tamis.vision.cost import build, count

KILO = 250
"""Floats in a thousand bytes."""


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_peak_is_the_most_that_lives_at_one_time(device: str) -> None:
    given = torch.ones(7 * KILO, device=device)

    def call() -> None:
        first = given + 1  # 7
        second = first[: 2 * KILO] * 2  # 9
        del first  # 2
        third = torch.cat([second, second, second])  # 8
        third.add_(1)
        _ = third.view(3, -1).T  # a view holds nothing more

    assert peak_bytes(call) == 9_000


def test_a_view_keeps_the_whole_storage_alive() -> None:
    def call() -> None:
        view = torch.zeros(5 * KILO)[:KILO]  # 5
        _ = view + torch.zeros(KILO)  # 5 + 1 + 1

    assert peak_bytes(call) == 7_000


def test_what_was_there_before_does_not_count() -> None:
    weight, given = torch.ones(KILO, KILO), torch.ones(4, KILO)
    assert peak_bytes(lambda: given @ weight.T) == 4_000


def test_attention_maps_count_although_nobody_keeps_them() -> None:
    query = torch.randn(1, 1, KILO, 4)
    product = query @ query.transpose(-1, -2)
    assert peak_bytes(lambda: (query @ query.transpose(-1, -2)).softmax(-1)) >= 2 * product.nbytes


def test_rounds_begin_with_another_route_each_time() -> None:
    order: list[str] = []
    rounds: list[int] = []
    seconds = alternate({name: (lambda name=name: order.append(name)) for name in "abc"}, 4, rounds.append)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab" + "abc"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 4, "b": 4, "c": 4}
    assert rounds == [1, 2, 3, 4]


def test_times_are_wall_seconds() -> None:
    seconds = alternate({"slow": lambda: time.sleep(0.02), "quick": lambda: None}, 2)
    assert all(0.02 <= one < 1 for one in seconds["slow"])
    assert all(one < 0.02 for one in seconds["quick"])


def test_no_repetition_is_refused() -> None:
    with pytest.raises(ConfigError, match="repetitions is 0; expected at least 1"):
        alternate({"a": lambda: None}, 0)


def test_the_interval_of_a_median_covers_it_and_repeats_itself() -> None:
    values = np.random.default_rng(3).normal(1.0, 0.1, 25).tolist()
    middle, (low, high) = median(values)
    assert middle == sorted(values)[12]
    # The order statistics that bracket a median of 25 with 95 %: the 8th and the 18th (binomial, n = 25, p = 1/2).
    assert sorted(values)[6] <= low <= sorted(values)[9]
    assert sorted(values)[15] <= high <= sorted(values)[18]
    assert median(values) == (middle, [low, high])
    assert median([2.0]) == (2.0, [2.0, 2.0])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_of_noise_is_what_the_stock_model_takes(family: str) -> None:
    shape = FAMILIES[family]
    model = build(shape, device="cpu", dtype=torch.float32)
    batch = random_batch(shape)
    logits = model(**batch).logits
    assert logits.shape[:2] == batch["input_ids"].shape
    assert all(torch.equal(value, random_batch(shape)[name]) for name, value in batch.items())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_small_shape_is_measured_for_real(dtype: Any) -> None:
    runs = measure(SMALL, ["50%", 4, 8], dtype=dtype, repetitions=3, seed=1)
    assert [(run.method, run.config["keep"]) for run in runs] == [
        ("all", 1.0),
        ("fastervlm", 0.5),
        ("fastervlm", 0.25),
    ]
    for run in runs:
        assert run.task == "vision/bench"
        assert run.n == 3
        assert 0 < run.metrics["seconds_median"] < 1
        assert 0 < run.metrics["peak_bytes"] < 1e6
        for metric, (low, high) in run.intervals.items():
            assert low <= run.metrics[metric] <= high
    assert "time_ratio" not in runs[0].metrics
    assert runs[1].metrics["peak_bytes"] < runs[0].metrics["peak_bytes"]


def test_measuring_leaves_the_global_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    measure(SMALL, [4], repetitions=1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_needed_memory_is_weights_and_peak_of_the_real_run() -> None:
    model = build(SMALL, device="cpu", dtype=torch.float32)
    weights = sum(weight.nbytes for weight in model.parameters())
    batch = random_batch(SMALL)
    real = weights + peak_bytes(lambda: model(**batch, use_cache=True, logits_to_keep=1))
    assert needed_bytes(SMALL, torch.float32) == pytest.approx(real, rel=0.1)


def test_what_does_not_fit_is_refused_before_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_available_bytes", lambda: 8 * 10**9)
    monkeypatch.setattr(bench, "alternate", None)
    with pytest.raises(LimitError, match=r"llava-1.5-7b in bfloat16 takes about 14\.\d GB, 8\.0 GB are free"):
        measure(SHAPES["llava-1.5-7b"], [0.5], dtype="bfloat16")


def test_counted_and_measured_stand_in_one_row() -> None:
    counted, measured = count(SMALL, [8]), measure(SMALL, [8], repetitions=1)
    shown = table(counted + measured)
    assert [row[0] for row in shown.rows] == ["all", "fastervlm", "text-only"]
    assert "time × stock" in shown.headers
    assert "time × stock" not in table(counted).headers
    pruned = dict(zip(shown.headers, shown.rows[1], strict=True))
    assert pruned["image tokens"] == 8
    assert pruned["cache, MB"] == counted[1].metrics["kv_bytes"] / 1e6
    assert str(pruned["time × stock"]).endswith("]")
