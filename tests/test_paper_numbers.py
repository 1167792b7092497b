"""The published numbers, recomputed from the published numbers."""

import json
import re
from itertools import groupby
from pathlib import Path
from statistics import fmean

import pytest

from tamis.core.results import Run, read_runs

PAPER = Path(__file__).parents[1] / "results" / "paper.jsonl"
RUNS = read_runs(PAPER)
TEN = ("vqav2", "gqa", "vizwiz", "sqa", "textvqa", "pope", "mme_score", "mmb", "mmb_cn", "mmvet")
VIDEO = ("tgif", "msvd", "msrvtt", "activitynet")


def source(run: Run) -> dict[str, str]:
    assert run.source is not None
    return run.source


def rows(dataset: str, table: str | None = None) -> list[Run]:
    return [run for run in RUNS if run.dataset == dataset and (table is None or source(run)["table"] == table)]


def relative(run: Run, base: Run, names: tuple[str, ...]) -> float:
    return fmean(run.metrics[name] / base.metrics[name] for name in names)


def unpruned(run: Run) -> Run:
    (base,) = (other for other in RUNS if other.method == "all" and table_of(other) == table_of(run))
    return base


def table_of(run: Run) -> tuple[str, str]:
    return source(run)["paper"], source(run)["table"]


def test_every_line_is_published_and_names_paper_table_and_row() -> None:
    assert all(run.published and set(source(run)) == {"paper", "table", "row"} for run in RUNS)
    assert {source(run)["paper"] for run in RUNS} == {"arXiv:2412.05819", "arXiv:2412.01818v1"}


def test_no_row_of_a_table_stands_there_twice() -> None:
    labels = [(*table_of(run), source(run)["row"]) for run in RUNS]
    assert len(labels) == len(set(labels))


def test_all_rows_of_the_figures_are_there() -> None:
    count = {name: len(list(group)) for name, group in groupby(RUNS, key=lambda run: source(run)["table"])}
    assert count == {
        "figure performance": 1 + 3 * 3,
        "figure latency": 3,
        "figure llava-1.5-7b": 1 + 4 + 4 + 4 + 4 + 3 + 1,
        "figure llava-1.5-13b": 1 + 3 + 3 + 3 + 3 + 2 + 1,
        "figure llava-1.6-7b": 1 + 3 + 3 + 3 + 3 + 2 + 1,
        "figure video-llava": 1 + 5 * 2 + 1,
        "figure efficiency": 1 + 5 * 3,
    }


@pytest.mark.parametrize("run", rows("ten-benchmarks"), ids=lambda run: f"{run.config['model']} {source(run)['row']}")
def test_the_relative_average_of_ten_benchmarks_follows_from_the_cells(run: Run) -> None:
    computed = relative(run, unpruned(run), TEN)
    note = run.config.get("note")
    if note is None:
        assert run.metrics["relative_average"] == pytest.approx(computed, abs=1.01e-4)
    else:
        assert run.method == "sparsevlm"
        assert float(re.findall(r"recomputed ([\d.]+) %", note)[0]) == pytest.approx(100 * computed, abs=0.005)
        assert abs(run.metrics["relative_average"] - computed) > 1e-3


def test_four_rows_print_an_average_that_their_cells_do_not_give() -> None:
    notes = {(run.config["model"], run.config["tokens"]) for run in RUNS if "note" in run.config}
    assert notes == {("llava-1.5-7b", 288), ("llava-1.5-7b", 144), ("llava-1.5-7b", 58), ("llava-next-7b", 720)}


@pytest.mark.parametrize("run", rows("eight-benchmarks"), ids=lambda run: source(run)["row"])
def test_the_average_of_eight_benchmarks_is_their_mean(run: Run) -> None:
    cells = [value for name, value in run.metrics.items() if name != "average"]
    assert len(cells) == 8
    assert run.metrics["average"] == pytest.approx(fmean(cells), abs=1.01e-3)


@pytest.mark.parametrize("run", rows("four-video-benchmarks"), ids=lambda run: source(run)["row"])
def test_the_video_averages_follow_from_the_cells(run: Run) -> None:
    base = unpruned(run)
    scores = tuple(f"{name}_score" for name in VIDEO)
    assert run.metrics["relative_average"] == pytest.approx(relative(run, base, VIDEO), abs=1e-4)
    assert run.metrics["relative_average_score"] == pytest.approx(relative(run, base, scores), abs=1e-3)


def test_the_kv_cache_of_the_efficiency_figure_is_half_a_megabyte_a_token() -> None:
    sdpa = [run for run in rows("pope") if run.method in ("all", "fastervlm") and "kv_mb" in run.metrics]
    assert len(sdpa) == 6
    assert all(run.metrics["kv_mb"] == run.config["tokens"] / 2 for run in sdpa)


def test_the_fraction_kept_is_the_tokens_kept_over_all_tokens() -> None:
    total = {"llava-1.5-7b": 576, "llava-1.5-13b": 576, "llava-next-7b": 2880, "video-llava": 2048}
    assert all(run.config["keep"] == run.config["tokens"] / total[run.config["model"]] for run in RUNS)


def test_fractions_are_fractions_and_scores_say_so_in_their_names() -> None:
    unit = re.compile(r"(_score|_ms|_mb|_gb|_seconds)$|^tflop$")
    for run in RUNS:
        for name, value in run.metrics.items():
            if not unit.search(name):
                assert 0 < value < 1.02, (run.source, name)


def test_the_rows_the_papers_are_known_for_are_as_printed() -> None:
    by_row = {(source(run)["table"], source(run)["row"]): run.metrics for run in RUNS}
    assert by_row["figure llava-1.5-7b", "FasterVLM @ 58 tokens"] == {
        "vqav2": 0.7192, "gqa": 0.5491, "vizwiz": 0.5301, "sqa": 0.6891, "textvqa": 0.5528, "pope": 0.7585,
        "mme_score": 1348.63, "mmb": 0.6057, "mmb_cn": 0.5490, "mmvet": 0.3010, "relative_average": 0.9424,
    }  # fmt: skip
    assert by_row["figure performance", "VTC-CLS @ 64 tokens"]["average"] == 0.584
    assert by_row["figure efficiency", "FasterVLM, flash attention @ 145 tokens"]["cuda_ms"] == 77.66


def test_the_file_is_canonical() -> None:
    for line in PAPER.read_text(encoding="utf-8").splitlines():
        assert line == json.dumps(json.loads(line), sort_keys=True, ensure_ascii=False)
