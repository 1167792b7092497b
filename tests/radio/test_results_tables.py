"""Tables of the documentation, from lines made up here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tamis.core.results import Run
from tamis.radio.results_tables import (
    few_table,
    limit_table,
    networks_table,
    parts_table,
    presets_table,
    shipped_table,
    sizes_table,
)


def line(
    method: str, accuracy: float, *, headline: bool = True, snr: dict[str, float] | None = None, **told: Any
) -> Run:
    """Make a tested line: the mean of three seeds, or a single training."""
    snr = snr or {"-20": 0.1, "18": 0.8}
    by_seed = {"0": accuracy - 0.01, "1": accuracy, "2": accuracy + 0.01}
    task = told.pop("task", "radio/accuracy")
    config = {"headline": headline, "preset": "rml2016", "frames": 26400, "epochs": 12, "learning_rate": 0.004, **told}
    return Run(
        task=task,
        method=method,
        dataset="rml2016@sha256:0",
        split="test",
        n=8800,
        metrics={
            "accuracy": accuracy,
            "accuracy_from_0_db": 0.8,
            "accuracy_sd": 0.0 if "logistic" in method else 0.01,
            "macro_f1": 0.5,
            "parameters": 1234,
            "macs": 5678,
        },
        intervals={"accuracy": [accuracy - 0.02, accuracy + 0.02]},
        curves={"accuracy": snr, "accuracy_by_seed": by_seed} if headline else {"accuracy": snr},
        config=config,
        seeds=[0, 1, 2] if headline else [0],
        seconds=1.0,
        commit="ab12cd3",
        dirty=False,
        env={},
        time="2026-11-28T00:00:00Z",
    )


def test_networks_stand_by_accuracy_without_variants_of_them() -> None:
    table = networks_table(
        [
            line("kd-cnn", 0.56),
            line("clst-t", 0.61),
            line("clst-t flat", 0.6),
            line("kd-cnn+skd", 0.57),
            line("clst-t (2640 frames)", 0.4),
            line("cumulants boosting", 0.5, learning_rate=0.0),
            line("cumulants logistic", 0.4, learning_rate=0.0),
            line("resnet-1d", 0.99, headline=False),
        ]
    )
    assert table is not None
    assert [row[0] for row in table.rows] == ["clst-t", "kd-cnn", "cumulants boosting", "cumulants logistic"]
    assert [row[4] for row in table.rows[2:]] == ["0.4800 to 0.5200", None]  # the last does not depend on the seed
    assert table.rows[0][1:6] == ["1,234", "5,678", "0.6100", "0.5900 to 0.6300", "0.8000"]
    assert [row[-1] for row in table.rows] == ["0.004", "0.004", None, None]
    assert table.caption.startswith("Preset rml2016, 26,400 frames to train on, 8,800 to test, -20 to 18 dB:")


def test_a_part_is_what_is_lost_without_it() -> None:
    table = parts_table([line("clst-t", 0.61), line("clst-t flat", 0.6), line("clst-t spatial-only", 0.62)])
    assert table is not None
    assert [row[2:] for row in table.rows] == [
        ["0.6100", None],
        ["0.6000", "-1.00 (-1.00, -1.00, -1.00)"],
        ["0.6200", "+1.00 (+1.00, +1.00, +1.00)"],
    ]


def test_what_is_shipped_stands_with_what_int8_costs() -> None:
    shipped = line("kd-cnn-rml2016", 0.5, headline=False, task="radio/bench", part="shipped")
    costs = {"int8_bytes": 45_163, "float32_accuracy": 0.57, "int8_accuracy": 0.572, "int8_frames_per_second": 76_543.2}
    table = shipped_table([line("kd-cnn", 0.5), replace(shipped, metrics=costs)])
    assert table is not None
    assert table.rows == [["kd-cnn-rml2016", "45.2 KB", "0.5700", "+0.20", "76,543"]]
    assert shipped_table([line("kd-cnn", 0.5)]) is None


def test_few_frames_stand_beside_all() -> None:
    less = line("clst-t (2640 frames)", 0.4, frames=2640, epochs=38)
    table = few_table([line("clst-t", 0.61), line("kd-cnn", 0.56), less])
    assert table is not None
    assert table.caption.endswith("after 38 or 12 epochs.")
    assert (table.headers[1:], table.rows) == (["2,640 frames", "26,400 frames"], [["clst-t", "0.4000", "0.6100"]])


def test_single_trainings_have_their_own_tables() -> None:
    def single(method: str, accuracy: float, **told: Any) -> Run:
        return line(method, accuracy, headline=False, **told)

    presets = presets_table(
        [
            single("clst-t", 0.7, stage="presets", preset="clean"),
            single("clst-t", 0.3, stage="presets", preset="default"),
            single("kd-cnn", 0.6, stage="presets", preset="clean"),
        ]
    )
    assert presets is not None
    assert presets.rows == [["clst-t", "0.7000", "0.3000"], ["kd-cnn", "0.6000", None]]
    sizes = sizes_table([single("clst-t", 0.61, stage="rates"), single("clst-s", 0.62, stage="sizes")])
    assert sizes is not None
    assert [(row[0], row[3]) for row in sizes.rows] == [("clst-t", "0.6100"), ("clst-s", "0.6200")]


def test_networks_stand_under_the_limit_from_0_db() -> None:
    network = line("clst-t", 0.6, headline=False, stage="limit", snr={"-2": 0.1, "0": 0.7, "10": 0.9})
    limit = line("alrt, phase known", 0.6, headline=False, task="radio/limit", snr={"-2": 0.2, "0": 0.71, "10": 1.0})
    table = limit_table([network, limit])
    assert table is not None
    assert table.headers[1:] == ["0 dB", "10 dB", "mean"]
    assert table.rows == [["alrt, phase known", "71.0", "100.0", "85.5"], ["clst-t", "70.0", "90.0", "80.0"]]


@pytest.mark.parametrize(
    "make", [networks_table, parts_table, few_table, presets_table, sizes_table, limit_table], ids=lambda f: f.__name__
)
def test_no_line_makes_no_table(make: Any) -> None:
    assert make([]) is None
