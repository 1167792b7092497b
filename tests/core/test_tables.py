from dataclasses import replace

import pytest

from tamis.core.errors import InputError
from tamis.core.results import Run
from tamis.core.tables import paper_table, results_tables


def measured(method: str, accuracy: float, *, keep: float = 0.25, dirty: bool = False, **config: object) -> Run:
    return Run(
        task="vision/accuracy", method=method, dataset="scenes@sha256:0123456789abcdef", split="test", n=512,
        metrics={"accuracy": accuracy}, config={"keep": keep, "model": "tiny", **config}, seeds=[0, 1, 2], seconds=1.5,
        commit="abcdef0123", dirty=dirty, env={"python": "3.11"}, time="2026-11-22T00:00:00Z",
    )  # fmt: skip


def published(method: str, accuracy: float, keep: float) -> Run:
    return Run(
        task="vision/accuracy", method=method, dataset="scenes", split="as published", n=None,
        metrics={"accuracy": accuracy}, config={"keep": keep, "model": "tiny", "tokens": round(576 * keep)},
        source={"paper": "arXiv:0000.00000", "table": "figure one", "row": method},
    )  # fmt: skip


def test_settings_that_differ_get_a_column_and_the_others_do_not() -> None:
    (table,) = results_tables([measured("vtc-cls", 0.5, start_layer=12), measured("vtc-cls", 0.6, start_layer=16)])
    assert table.headers == ["method", "keep", "start_layer", "accuracy", "n", "seeds", "commit"]
    assert table.rows[0] == ["vtc-cls", "25.0%", 12, 0.5, 512, 3, "`abcdef0`"]
    assert table.caption == "vision/accuracy: scenes (01234567), test"


def test_measured_tables_leave_out_published_and_dirty_lines() -> None:
    runs = [published("fastervlm", 0.9, 0.25), measured("fastervlm", 0.8, dirty=True), measured("fastervlm", 0.7)]
    (table,) = results_tables(runs)
    assert [row[2] for row in table.rows] == [0.7]


def test_a_metric_with_an_interval_shows_it_in_the_same_decimals() -> None:
    run = replace(measured("random", 0.5), intervals={"accuracy": [0.45, 0.5512]})
    (table,) = results_tables([run])
    assert table.rows[0][2] == "0.500 (0.450 to 0.551)"


def test_published_and_measured_numbers_stand_in_columns_of_their_own() -> None:
    table = paper_table(
        [published("fastervlm", 0.9, 58 / 576), published("random", 0.4, 0.25)],
        [measured("fastervlm", 0.8, keep=0.1), measured("random", 0.3, keep=0.25, dirty=True)],
        metrics=["accuracy"],
        command="tamis vision eval",
    )
    assert table.headers[3:5] == ["accuracy, published", "accuracy, measured here"]
    assert [row[3:5] for row in table.rows] == [[0.9, 0.8], [0.4, "not run"]]
    assert table.notes == ["not run: see `tamis vision eval`."]


def test_each_metric_is_answered_by_the_first_line_that_measured_it() -> None:
    asked = replace(published("fastervlm", 0.9, 0.1), metrics={"accuracy": 0.9, "pope": 0.8, "gqa": 0.7})
    ours = [
        replace(measured("fastervlm", 0.0, keep=0.1, dirty=True), metrics={"accuracy": 0.1, "pope": 0.1, "gqa": 0.1}),
        replace(measured("fastervlm", 0.0, keep=0.1), metrics={"pope": 0.75}),
        replace(measured("fastervlm", 0.0, keep=0.1), metrics={"accuracy": 0.85, "pope": 0.5}),
    ]
    table = paper_table([asked], ours, metrics=["accuracy", "pope", "gqa", "never"], command="x")
    assert table.rows[0][3:-1] == [0.9, 0.85, 0.8, 0.75, 0.7, "not run", None, None]
    assert table.notes == ["not run: see `x`."]


def test_a_measurement_of_another_model_answers_no_published_line() -> None:
    other = measured("fastervlm", 0.8, keep=0.1, model="other")
    table = paper_table([published("fastervlm", 0.9, 0.1)], [other], metrics=["accuracy"], command="x")
    assert table.rows[0][4] == "not run"


def test_published_and_measured_lines_cannot_be_swapped() -> None:
    with pytest.raises(InputError, match="has no source"):
        paper_table([measured("random", 0.3)], [], metrics=["accuracy"], command="x")
    with pytest.raises(InputError, match="has a source"):
        paper_table([], [published("random", 0.3, 0.1)], metrics=["accuracy"], command="x")
