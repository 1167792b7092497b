"""The receipt of an evaluation: its figures against a case worked by hand, its pictures by what can be measured."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from PIL import Image
from tests.radio.small import cnn, tones

from tamis.core.report import Details, Facts, Picture, Report, Section, Table
from tamis.core.results import Run
from tamis.radio import evaluation_report
from tamis.radio.alrt import alrt_limit, limit_of
from tamis.radio.bench import Cost
from tamis.radio.data import Frames
from tamis.radio.defects import Finding
from tamis.radio.evaluation_report import (
    Judged,
    confusion_pictures,
    few_picture,
    front_pictures,
    judge,
    report_on,
    snr_picture,
    table,
)
from tamis.radio.metrics import mcnemar
from tamis.radio.results_tables import skd_table
from tamis.radio.signals import generate

CLASSES = ("BPSK", "QPSK", "GFSK")
# Twelve frames: four of each class, two at -10 dB and then two at 10 dB.
LABELS = np.repeat(np.arange(3), 4)
SNR_DB = np.tile(np.float32([-10, -10, 10, 10]), 3)
FRAMES = Frames(np.ones((12, 2, 16), np.float32), LABELS, SNR_DB, CLASSES, "twelve")
GOOD = [0, 1, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]  # wrong of 1, 4 and 8, which are at -10 dB
POOR = [2, 1, 0, 0, 0, 2, 1, 0, 1, 0, 2, 2]  # wrong of 0, 1, 4, 5, 8 and 9, and of 7, which is at 10 dB


def said(method: str, classes: list[int], cost: Cost | None = None) -> Judged:
    """Make a classifier that says these classes."""
    scores = iter([np.eye(3, dtype=np.float32)[classes]])
    judged = judge(lambda iq: torch.from_numpy(next(scores)), FRAMES, method=method, seeds=[3])
    return Judged(judged.run, judged.scores, cost)


def cost(int8_bytes: int = 46_000, int8_ms: float = 0.5) -> Cost:
    return Cost(37_867, 1_440_000, 153_000, int8_bytes, 0.4, int8_ms, 2500.0, 5000.0)


def blocks(report: Report, kind: type[Any]) -> list[Any]:
    return [block for block in report.blocks if isinstance(block, kind)]


def page(*more: Judged, **changes: Any) -> Report:
    judged = [said("poor", POOR), said("good", GOOD, cost()), *more]
    return report_on(judged, FRAMES, **{"limit": None, "command": "tamis radio eval poor good", **changes})


@pytest.fixture(scope="module")
def plain() -> Report:
    return page()


@pytest.fixture(scope="module")
def full() -> Report:
    findings = [Finding("error", "frames are equal", 1200), Finding("note", "frames are scaled", 12)]
    small = said("small", POOR, cost(20_000, 0.2))
    return page(small, about="poor", limit={"-10": 0.8, "10": 1.0}, findings=findings, lines=several())


def test_accuracy_over_the_ratio_is_the_hand_worked_one() -> None:
    run = said("good", GOOD).run
    assert run.curves["accuracy"] == {"-10": 0.5, "10": 1.0}
    assert run.metrics["accuracy"] == 0.75
    assert run.metrics["accuracy_from_0_db"] == 1.0
    assert (run.split, run.task, run.seeds, run.n) == ("test", "radio/accuracy", [3], 12)


def test_the_page_leads_with_the_most_accurate_whatever_the_order(plain: Report) -> None:
    low, high = said("good", GOOD).run.intervals["accuracy"]
    assert plain.lead == (
        f"good is right on 75.0% of 12 frames of twelve, averaged over -10 to 10 dB (95 % interval {low:.1%} to "
        f"{high:.1%})."
    )
    (facts,) = blocks(plain, Facts)
    assert facts.facts == {
        "accuracy, -10 to 10 dB": "75.0%",
        "accuracy, from 0 dB": "100.0%",
        "chance": "33.3%",
        "int8 file": "46 KB",
    }
    assert (low, high) == pytest.approx((0.468, 0.911), abs=0.001)  # of 9 in 12, after Wilson


def test_the_page_can_be_about_another(full: Report) -> None:
    assert full.lead.startswith("poor is right on 41.7%")
    assert "Where poor errs" in [section.title for section in blocks(full, Section)]
    assert "int8 file" not in blocks(full, Facts)[0].facts


def test_the_table_ranks_by_accuracy_and_shows_a_dash_for_what_is_not_known() -> None:
    quiet = FRAMES.take(SNR_DB < 0)
    run = judge(lambda iq: torch.eye(3)[quiet.labels], quiet, method="quiet").run
    rows = table([said("poor", POOR), said("good", GOOD), Judged(run, np.zeros((6, 3), np.float32))]).rows
    assert [row[0] for row in rows] == ["quiet", "good", "poor"]
    assert rows[1][:4] == ["good", 0.75, "0.468 to 0.911", 1.0]
    assert (rows[0][3], rows[2][3]) == (None, 0.8333)


def test_neighbours_are_compared_frame_by_frame(plain: Report) -> None:
    (pairs,) = (block for block in blocks(plain, Table) if block.caption.startswith("Neighbours"))
    right = [(np.array(one) == LABELS).astype(int) for one in (GOOD, POOR)]
    assert [list(row) for row in pairs.rows] == [["good over poor", "+33.33", f"{mcnemar(*right):.2g}"]]


def test_a_single_classifier_has_no_neighbours_and_no_costs() -> None:
    report = report_on([said("good", GOOD)], FRAMES, limit=None, command="x")
    titles = [section.title for section in blocks(report, Section)]
    assert titles == ["Over the signal-to-noise ratio", "Side by side", "Where good errs", "How to read this"]
    assert "Neighbours" not in report.markdown()


def test_what_the_audit_found_is_told_but_for_notes(full: Report) -> None:
    text = full.markdown()
    assert "Error, of the data: frames are equal (1,200)." in text
    assert "frames are scaled" not in text


def test_a_classifier_above_the_limit_is_told_of(full: Report) -> None:
    assert "above the limit" not in full.markdown()
    text = page(limit={"-10": 0.01, "10": 1.0}).markdown()
    assert "Warning: good is above the limit at -10 dB, which no classifier is" in text


def test_the_limit_is_explained_only_where_it_is_drawn(plain: Report, full: Report) -> None:
    assert "likelihood ratio test" not in plain.markdown()
    assert "likelihood ratio test" in full.markdown()


def test_the_command_is_there_to_be_copied(plain: Report) -> None:
    (details,) = blocks(plain, Details)
    assert details.content == "tamis radio eval poor good"


def test_wide_pictures_stand_alone_and_only_costs_side_by_side(full: Report) -> None:
    shown = [isinstance(block, Picture) for block in full.blocks]
    (second,) = (i for i in range(1, len(shown)) if shown[i] and shown[i - 1])
    pair = [block for block in full.blocks[second - 1 : second + 1] if isinstance(block, Picture)]
    assert [one.alt.partition(" against ")[0] for one in pair] == ["Accuracy", "Accuracy"]
    assert all((one.width or 0) <= 832 / 2 - 12 for one in pair)  # half of what the page is wide, less half the gap
    assert all((one.width or 0) <= 832 for one in blocks(full, Picture))


def pixels(picture: Picture) -> Image.Image:
    assert picture.alt
    return Image.open(io.BytesIO(picture.data))


@pytest.mark.parametrize("count", [1, 7])
def test_pictures_are_png_of_a_size_to_be_read(count: int) -> None:
    judged = [said(f"number-{i}", GOOD if i % 2 else POOR, cost(10_000 * 2**i, 0.1 * i + 0.1)) for i in range(count)]
    drawn = [snr_picture([one.run for one in judged], {"-10": 0.8, "10": 1.0}), *front_pictures(judged)]
    for picture in [*drawn, *confusion_pictures(judged[0], FRAMES).values()]:
        image = pixels(picture)
        assert image.format == "PNG"
        assert image.width == 2 * (picture.width or 0)
        assert 300 <= (picture.width or 0) <= 832
        assert image.height > 400
        assert np.asarray(image.convert("RGBA"))[..., 3].any()


def test_more_classifiers_than_colours_are_told_of() -> None:
    many = [said(f"number-{i}", GOOD) for i in range(7)]
    assert "The 6 most accurate of 7 are drawn." in report_on(many, FRAMES, limit=None, command="x").markdown()


def test_fewer_than_two_costs_are_not_drawn() -> None:
    assert front_pictures([said("good", GOOD, cost()), said("poor", POOR)]) == []


def test_names_overlap_neither_each_other_nor_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    near = {"clst-rml2016": (660_000, GOOD), "kd-mobilenet-rml2016": (100_000, POOR), "kd-cnn-rml2016": (46_000, POOR)}
    near |= {"pet-cgdnn": (96_000, POOR), "resnet-1d": (160_000, GOOD), "vt-cnn2": (2_836_000, POOR)}
    original, pictures = evaluation_report._name, 0

    def check(axes: Axes, points: Any, line: Any) -> None:
        nonlocal pictures
        original(axes, points, line)
        pictures += 1
        assert [text.get_text() for text in axes.texts] == list(near)
        boxes = [text.get_window_extent() for text in axes.texts]
        for box in boxes:
            assert box.count_overlaps(boxes) == 1  # itself
            assert axes.bbox.x0 <= box.x0 < box.x1 <= axes.bbox.x1
            assert not any(box.contains(*axes.transData.transform(point)) for point in points.values())

    monkeypatch.setattr(evaluation_report, "_name", check)
    front_pictures([said(name, what, cost(size, size / 1e6)) for name, (size, what) in near.items()])
    assert pictures == 2


def test_the_steps_join_what_nothing_smaller_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[list[tuple[float, float]]] = []
    monkeypatch.setattr(evaluation_report, "_name", lambda axes, points, line: lines.append(list(line)))
    sizes = {"small and poor": (10_000, POOR), "large and good": (90_000, GOOD), "larger, no better": (95_000, GOOD)}
    sizes |= {"larger and poor": (50_000, POOR)}
    front_pictures([said(name, what, cost(size)) for name, (size, what) in sizes.items()])
    poor, good = 5 / 12, 9 / 12
    assert lines[0] == [(10_000, poor), (10_000, poor), (90_000, poor), (90_000, good)]


def test_the_limit_is_that_of_the_linear_classes_among_all() -> None:
    frames = generate("clean", per_cell=1, seed=0, modulations=("BPSK", "GFSK", "QPSK"), snrs_db=(-6, 4), samples=64)
    limit = limit_of(frames)
    assert limit is not None
    assert list(limit) == ["-6", "4"]
    for snr, accuracy in limit.items():
        alone = alrt_limit(("BPSK", "QPSK"), float(snr), samples=64, samples_per_symbol=8.0, seed=0).accuracy
        assert accuracy == pytest.approx((2 * alone + 1) / 3)


def test_there_is_no_limit_of_fewer_than_two_linear_classes() -> None:
    assert limit_of(tones(4, 0)) is None
    assert limit_of(generate("clean", per_cell=1, seed=0, modulations=("BPSK", "GFSK"), snrs_db=(0,))) is None


def line(method: str, accuracy: float, *, seed: int = 0, frames: int = 1000, **changes: Any) -> Run:
    told: dict[str, Any] = {"dataset": "rml2016@sha256:0", "split": "test", "n": 100, "metrics": {"accuracy": accuracy}}
    told |= {"config": {"frames": frames}, "seeds": [seed], "seconds": 1.0}
    return Run.measured("radio/accuracy", method, **{**told, **changes})


def several() -> list[Run]:
    """Lines of a student with and without a teacher, three seeds, and of two training sizes."""
    alone, taught = (0.50, 0.52, 0.51), (0.53, 0.53, 0.54)
    lines = [line("kd-cnn", accuracy, seed=seed) for seed, accuracy in enumerate(alone)]
    lines += [line("kd-cnn+skd", accuracy, seed=seed) for seed, accuracy in enumerate(taught)]
    return lines + [line("kd-cnn", 0.4 + seed / 100, seed=seed, frames=100) for seed in range(3)]


def test_gains_of_distillation_are_taken_seed_by_seed() -> None:
    gains = skd_table(several())
    assert gains is not None
    (row,) = gains.rows
    assert row[0] == "kd-cnn+skd"
    assert row[1:3] == [pytest.approx(1.60 / 3), pytest.approx(1.53 / 3)]
    assert row[3:] == ["+2.33", "+3.00, +1.00, +3.00"]


def test_gains_count_only_seeds_and_sizes_that_both_have() -> None:
    gains = skd_table([*several(), line("kd-cnn+skd", 0.99, seed=7), line("kd-cnn+skd", 0.99, seed=1, frames=100)])
    assert gains is not None
    assert gains.rows[0][4] == "+3.00, +1.00, +3.00"


@pytest.mark.parametrize(
    "strange",
    [
        line("kd-cnn+skd", 0.9, split="val"),
        line("kd-cnn+skd", 0.9, dataset="clean@sha256:1"),
        line("kd-cnn+skd", 0.9, seeds=[0, 1, 2]),
        line("kd-cnn+skd", 0.9, config={}),
    ],
)
def test_lines_of_other_parts_other_data_and_means_are_left_out(strange: Run) -> None:
    assert skd_table([*several(), strange]) == skd_table(several())


def test_no_line_of_a_distillation_no_table() -> None:
    assert skd_table([]) is None
    assert skd_table([one for one in several() if "+" not in one.method]) is None


def test_accuracy_over_training_frames_needs_two_sizes() -> None:
    assert few_picture([]) is None
    assert few_picture([one for one in several() if one.config["frames"] == 1000]) is None
    picture = few_picture(several())
    assert picture is not None
    assert pixels(picture).format == "PNG"


def test_lines_of_a_file_add_their_sections(full: Report) -> None:
    titles = [section.title for section in blocks(full, Section)]
    assert {"With fewer training frames", "What distillation brought", "What it costs"} <= set(titles)


def test_a_single_ratio_below_0_db_makes_a_page() -> None:
    quiet = FRAMES.take(SNR_DB < 0)
    judged = judge(cnn(classes=CLASSES, samples=16), quiet, method="cnn")
    report = report_on([judged], quiet, limit=None, command="x")
    assert "averaged over -10 dB (" in report.lead
    assert len(blocks(report, Picture)) == 2
    html = report.html()
    assert "accuracy, from 0 dB" not in html
    assert "-10 dB" in html
