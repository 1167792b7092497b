from __future__ import annotations

from tamis.core.report import Paragraph
from tamis.vision.prune import Figures, Result
from tamis.vision.receipt import report_on, table


def result(ours: Figures | None = None) -> Result:
    figures = {
        ("ours", "5%"): ours or Figures(29.0, 0.5, 0.4, 1.0),
        ("ours", "50%"): Figures(288.0, 0.9, 0.97, 1.0),
        ("text-only", "0"): Figures(0.0, 0.0, None, 0.0),
        ("random", "5%"): Figures(29.0, 0.1, 0.8, 0.1),
        ("random", "50%"): Figures(288.0, 0.5, 0.95, 0.3),
    }
    return Result(
        "tower",
        bytes_per_token=1000,
        memory="tower features",
        threads=2,
        grid=(24, 24),
        pictures=[{"file": "a", "note": "", "kept": {}}],
        figures=figures,
        seconds={"stock": 0.2, "ours": 0.1},
    )


def words(of: Result) -> str:
    return " ".join(block.text for block in report_on(of, "command").blocks if isinstance(block, Paragraph))


def test_the_lead_names_the_smallest_budget_whatever_the_order() -> None:
    report = report_on(result(), "command")
    assert report.lead.endswith("576 image tokens each, down to 29.")


def test_a_method_that_covers_less_than_chance_is_told_with_its_numbers() -> None:
    assert "Random selection covers more of these pictures: at 5%, 0.80 against ours 0.40." in words(result())


def test_a_method_that_covers_more_is_not_warned_about() -> None:
    assert "covers more" not in words(result(Figures(29.0, 0.5, 0.9, 1.0)))


def test_a_method_that_holds_no_more_attention_than_chance_is_told() -> None:
    told = words(result(Figures(29.0, 0.1, 0.9, 1.0)))
    assert "No more [CLS] attention than random selection holds: ours at 5%." in told


def test_nothing_is_said_of_controls_and_nothing_kept_covers_nothing() -> None:
    assert "text-only" not in words(result())
    row = next(row for row in table(result()).rows if row[0] == "text-only")
    assert row[4] is None


def test_outlying_norms_are_told_with_their_share() -> None:
    of = result()
    of.outliers = 0.031
    assert "3.1% of the tokens have norms above three times the median" in words(of)
