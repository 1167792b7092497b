"""The command line from signals to a student, as a person goes through it, and what it says to bad input."""

import contextlib
import io
import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tamis import cli
from tamis.core.results import Run, read_runs
from tamis.radio.config import KDCNNConfig
from tamis.radio.data import load, split
from tamis.radio.kdcnn import KDCNN
from tamis.radio.methods import NETWORKS, load_network

pytestmark = pytest.mark.filterwarnings("default:.* the training collapsed")  # after few epochs it may well have
COMMANDS = ("data generate", "data info", "train", "distill", "eval", "export", "bench")
SIGNALS = "clean --modulations BPSK,CPFSK,PAM4 --snrs -10,10 --samples 32 --per-cell 20"
QUICK = "--epochs 3 --batch 32 --learning-rate 0.01"


def run(command: str) -> tuple[int, str, str]:
    """Run one command in process; a code, and what it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = cli.main(["radio", *shlex.split(command)])
    return code, out.getvalue(), err.getvalue()


def done(command: str) -> tuple[str, str]:
    code, out, err = run(command)
    assert code == 0, err
    return out, err


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Work in a folder with signals, a teacher trained on them, and a student distilled from it."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("work")
    os.chdir(folder)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tamis.radio.shrink._WIDTHS", (0.125, 0.25))
            done(f"data generate {SIGNALS} --out signals.safetensors")
            done(f"train kd-cnn-xs --data signals.safetensors {QUICK} --out runs/teacher")
            told = f"--teacher runs/teacher --budget 10KB --data signals.safetensors {QUICK} --no-rotate"
            (folder / "distilled.txt").write_text(done(f"distill {told} --out runs/student")[0])
        yield folder
    finally:
        os.chdir(before)


@pytest.mark.parametrize("command", ["", "data", *COMMANDS])
def test_every_help_ends_with_an_example_of_the_domain(command: str) -> None:
    out, _ = done(f"{command} --help")
    assert "Example: tamis radio " + command in re.sub(r"\s+", " ", out)


def test_the_help_of_train_names_every_network() -> None:
    said = re.sub(r"[\s│]+", " ", done("train --help")[0])
    assert all(f" {name}" in said for name in NETWORKS)


def test_generated_signals_are_a_file_that_can_be_loaded(work: Path) -> None:
    frames = load(work / "signals.safetensors")
    assert (frames.classes, frames.samples, len(frames)) == (("BPSK", "CPFSK", "PAM4"), 32, 120)
    assert sorted(set(frames.snr_db)) == [-10, 10]
    out, err = done("data generate clean --modulations 'BPSK, QPSK' --snrs=4 --samples-per-symbol 4,8 --out new/two.st")
    assert out == "new/two.st\n"
    assert err == f"tamis: 400 frames of 2 modulations; {load('new/two.st').dataset}\n"


def test_info_says_what_is_in_a_file(work: Path) -> None:
    out, err = done("data info signals.safetensors")
    assert err == ""
    facts = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (facts["frames"], facts["classes"], facts["snrs_db"]) == ("120", "BPSK, CPFSK, PAM4", "-10, 10")
    told = json.loads(done("data info signals.safetensors --json --per-cell 3")[0])
    assert (told["frames"], told["samples"], told["snrs_db"]) == (18, 32, [-10.0, 10.0])
    assert {"severity", "message", "count"} == set(told["findings"][0])


def test_what_is_wrong_with_a_file_is_an_exit_code(work: Path) -> None:
    frames = load("signals.safetensors")
    frames.iq[:3] = 0
    frames.save("silent.safetensors")
    for command in ("data info silent.safetensors", "data info silent.safetensors --json"):
        code, out, err = run(command)
        assert (code, err) == (1, "")
        assert "frames hold nothing but zeros" in out


def test_a_training_leaves_a_model_and_prints_both_accuracies(work: Path) -> None:
    assert load_network("runs/teacher").config.classes == ("BPSK", "CPFSK", "PAM4")
    out, err = done(f"train kd-cnn-xs --data signals.safetensors {QUICK} --out runs/teacher")  # goes on: it is finished
    assert re.fullmatch(r"validation 0\.\d{4}  test 0\.\d{4}\nruns/teacher\n", out)
    assert all(line.startswith("tamis: ") for line in err.splitlines())
    out, _ = done(f"train kd-cnn-xs --data signals.safetensors {QUICK} --out runs/teacher --json")
    lines = [Run.from_json(json.dumps(line)) for line in json.loads(out)]
    assert [(line.split, line.method, line.n) for line in lines] == [
        ("val", "kd-cnn-xs", 24),
        ("test", "kd-cnn-xs", 24),
    ]


def test_a_distillation_leaves_a_student_within_the_budget_and_a_report(work: Path) -> None:
    assert (work / "runs/student/skd/model.int8.onnx").stat().st_size <= 10_000
    assert {"skd", "alone", "index.html"} <= set(os.listdir("runs/student"))
    printed = (work / "distilled.txt").read_text()
    assert all(name in printed for name in ("teacher", "kd-cnn+skd", "kd-cnn+skd int8", "parameters"))
    assert printed.endswith("runs/student/index.html\n")
    page = (work / "runs/student/index.html").read_text()
    assert "A student within 10KB" in page
    assert "distill --teacher runs/teacher --student kd-cnn --budget 10KB --data signals.safetensors" in page
    assert "--epochs 3 --batch 32 --learning-rate 0.01 --no-rotate" in page


def test_models_are_judged_on_the_test_part_and_written_down(work: Path) -> None:
    models = "runs/student/skd runs/student/alone runs/student/skd/model.int8.onnx"
    out, err = done(f"eval {models} --data signals.safetensors --out judged")
    assert err == ""
    assert out.endswith("judged/index.html\n")
    lines = {line.method: line for line in read_runs("judged/runs.jsonl")}
    assert list(lines) == ["skd", "alone", "model.int8.onnx"]
    test = split(load("signals.safetensors")).test
    assert all((line.dataset, line.n, line.split) == (test.dataset, 24, "test") for line in lines.values())
    assert f"tamis radio eval {models} --data signals.safetensors" in Path("judged/index.html").read_text()


def test_all_frames_need_no_split_and_costs_are_shown(work: Path) -> None:
    one_each = "--data signals.safetensors --per-cell 1"
    assert "nothing is left for" in run(f"eval runs/teacher {one_each} --out never")[2]
    out, _ = done(f"eval runs/teacher {one_each} --all-frames --cost --json --out whole")
    (line,) = json.loads(out)
    assert (line["n"], line["split"]) == (6, "all")
    page = Path("whole/index.html").read_text()
    assert "What it costs" in page
    assert "--per-cell 1 --all-frames --cost" in page


def test_the_limit_is_drawn_for_generated_frames_only(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamis.radio.alrt.limit_of", lambda frames: {"0": 0.9})
    pages = []
    for data in ("clean", "signals.safetensors"):
        monkeypatch.setattr("tamis.radio.data.load", lambda *_, **__: load("signals.safetensors"))
        done(f"eval runs/teacher --data {data} --out drawn")
        pages.append("likelihood ratio test" in Path("drawn/index.html").read_text())
    assert pages == [True, False]


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ("", False),
        ("--per-cell 200", False),
        ("--per-cell 100", True),
        ("--split snr", True),
        ("--classes BPSK,PAM4", True),
        ("--all-frames", True),
        ("--all-frames --data-seed 1", False),
    ],
)
def test_frames_that_a_shipped_model_may_have_been_trained_on_are_warned_of(
    options: str, warned: bool, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamis.radio.data.load", lambda *_, **__: load("signals.safetensors"))
    monkeypatch.setattr("tamis.radio.alrt.limit_of", lambda frames: None)
    _, err = run(f"eval runs/teacher --data rml2016 {options} --out cautious")[1:]
    assert ("some that they were trained on may be among those that judge" in err) == warned


def test_lines_of_a_file_reach_the_report(work: Path) -> None:
    config = {"frames": 72, "cell": "seed0"}
    for method, accuracy in (("kd-cnn", 0.5), ("kd-cnn+skd", 0.6)):
        Run.measured(
            "radio/accuracy", method, dataset="d@sha256:0", split="test", n=9, metrics={"accuracy": accuracy},
            seconds=1.0, seeds=[0], config=config,
        ).append("lines.jsonl")  # fmt: skip
    done("eval runs/teacher --data signals.safetensors --lines lines.jsonl --out lined")
    assert "What distillation brought" in Path("lined/index.html").read_text()


def test_models_of_one_name_are_told_apart_by_where_they_lie(work: Path) -> None:
    for folder in ("a", "b"):
        load_network("runs/teacher").save_pretrained(f"{folder}/same")
    out, _ = done("eval a/same b/same runs/teacher --data signals.safetensors --json --out told")
    assert [line["method"] for line in json.loads(out)] == ["a/same", "b/same", "teacher"]


def test_reports_do_not_tell_where_a_model_lies_on_this_machine(work: Path) -> None:
    done(f"eval {work}/runs/teacher --data {work}/signals.safetensors --out {work}/quiet")
    assert str(work) not in Path("quiet/index.html").read_text()
    assert str(work) not in Path("quiet/runs.jsonl").read_text()


def test_an_export_is_printed_as_a_table_or_as_json(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    out, err = done("export runs/student/skd --data signals.safetensors --out forms")
    assert (out.splitlines()[-1], err) == ("forms", "")
    assert "gcc is not installed" in out
    forms = json.loads(done("export runs/student/skd --data signals.safetensors --out forms --json")[0])
    assert [one["form"] for one in forms][0::3] == ["PyTorch", "ONNX int8"]
    assert all(Path(one["file"]).is_file() for one in forms[1:])


def test_costs_are_printed_as_a_table_or_as_json(work: Path) -> None:
    load_network("runs/teacher").save_pretrained("a/kd-cnn-xs")
    out, err = done("bench runs/teacher kd-cnn-xs --rounds 1 --data signals.safetensors")
    assert err == ""
    teacher, untrained = (next(row for row in out.splitlines() if row.startswith(name)) for name in ("teacher", "kd-"))
    assert teacher.split()[1:5] == untrained.split()[1:5]  # the same network, trained or not
    both = json.loads(done("bench a/kd-cnn-xs kd-cnn-xs --rounds 1 --data signals.safetensors --json")[0])
    assert [line["method"] for line in both] == ["a/kd-cnn-xs", "kd-cnn-xs"]
    (line,) = json.loads(done("bench runs/teacher --rounds 1 --data signals.safetensors --json")[0])
    assert (line["task"], line["method"]) == ("radio/bench", "teacher")


NOT_A_NUMBER = "expected whole numbers separated by commas"
TOO_LONG = "64 samples a frame; the network was made for 32"
BAD = {
    "data generate nonsense --out x.st": "'nonsense' is no preset of the signal generator",
    "data generate clean --snrs abc --out x.st": NOT_A_NUMBER,
    "data generate clean --snrs 1.5 --out x.st": NOT_A_NUMBER,
    "data generate clean --snrs '' --out x.st": NOT_A_NUMBER,
    "data generate clean --modulations BPSK,QPKS --out x.st": "did you mean 'QPSK'?",
    "data generate clean --samples-per-symbol 4,6,8 --out x.st": "expected one number, or two: least, most",
    "data generate clean --samples-per-symbol 8,4 --out x.st": "expected (least, greatest)",
    "data generate clean --per-cell 0 --out x.st": "--per-cell",
    "data generate clean --per-cell 1 --out runs": "a directory",
    "data info none.st": "'none.st' is neither a file nor a preset",
    "data info ./none.st": "none.st: ",
    "data info nan.safetensors": "hold NaN or infinity",
    "data info runs": "runs: ",
    "train kd-cn --data signals.safetensors --out new": "did you mean 'kd-cnn'?",
    "train kd-cnn --data signals.safetensors --out signals.safetensors": "a file",
    "train kd-cnn --data signals.safetensors --device tpu --out new": "torch can compute on",
    "train kd-cnn --data signals.safetensors --epochs 0 --out new": "epochs is 0; expected a whole number from 1",
    "train kd-cnn --data signals.safetensors --split sideways --out new": "--split",
    "train kd-cnn --data signals.safetensors --split group --out new": "give how='stratified'",
    "train kd-cnn --data signals.safetensors --per-cell 1 --out new": "nothing is left for",
    "train kd-cnn --data signals.safetensors": "--out",
    "distill --teacher runs/teacher --budget 58 --out new": "budget is 58; expected bytes such as 50KB, or a time",
    "distill --teacher runs/teacher --budget abc --out new": "budget is 'abc'; write",
    "distill --teacher runs/teacher --budget 1B --data signals.safetensors --out new": "the narrowest kd-cnn takes",
    "distill --teacher runs/teacher --student clst-t --out new": "--student",
    "distill --teacher nothing --out new": "'nothing': no Network of this name comes with tamis",
    "distill --teacher runs/teacher --temperature 0 --out new": "a temperature above 0",
    "distill --teacher runs/teacher --data long.safetensors --out new": TOO_LONG,
    "distill --teacher runs/teacher --data other.safetensors --out new": "other: holds AM, FM, PM, of which",
    "eval": "no model is named",
    "eval '' --out new": "the name of the model is empty",
    "data generate clean --per-cell 1 --out signals.safetensors/x.st": "signals.safetensors is a file, not a folder",
    "export runs/teacher --out signals.safetensors/x": "signals.safetensors is a file, not a folder",
    "train clst-t --data signals.safetensors --batch 1 --out new": "batch is 1; expected a whole number from 2",
    "train kd-cnn --data signals.safetensors --weight-decay inf --out new": "decay up to 10",
    "distill --teacher runs/infinite --data signals.safetensors --out new": "holds NaN or infinity",
    "distill --teacher runs/teacher --data signals.safetensors --device cuda --out new": "torch can compute on cpu",
    "distill --teacher runs/teacher --feature-weight 1e300 --out new": "from 0 to 1000",
    "eval runs/infinite --data signals.safetensors --out new": "24 frames have scores that are NaN or infinite",
    "eval ./nothing --out new": "no such directory",
    "eval damaged/ --out new": "not the configuration of a tamis model",
    "eval runs/weightless --out new": "model.safetensors: no such file",
    "eval none.onnx --out new": "none.onnx: no such file",
    "eval nan.safetensors.onnx --out new": "not a network that tamis exported",
    "eval runs/teacher --data other.safetensors --out new": "other: holds AM, FM, PM, of which",
    "eval runs/teacher runs/stranger --data signals.safetensors --out new": "stranger: knows A, B; runs/teacher knows",
    "eval runs/teacher --data long.safetensors --out new": TOO_LONG,
    "eval runs/teacher --lines none.jsonl --out new": "none.jsonl: cannot be read",
    "eval runs/teacher --lines signals.safetensors --out new": "signals.safetensors: cannot be read",
    "eval runs/teacher --data signals.safetensors --out signals.safetensors": "a file",
    "export runs/teacher --data long.safetensors --out new": TOO_LONG,
    "export runs/teacher --data other.safetensors --out new": "other: holds AM, FM, PM, of which",
    "bench nothing --rounds 1": "'nothing': no Network of this name comes with tamis",
    "bench kd-cnn --rounds 0": "--rounds",
}


@pytest.fixture(scope="module")
def bad(work: Path) -> Path:
    """Add damaged files and models to the folder of the work."""
    arrays = load_file("signals.safetensors")
    about = {"frames": json.dumps({"classes": ["BPSK", "CPFSK", "PAM4"], "name": "nan", "samples_per_symbol": 8.0})}
    save_file({**arrays, "iq": np.where(arrays["iq"] > 1, np.float32(np.nan), arrays["iq"])}, "nan.safetensors", about)
    Path("nan.safetensors.onnx").write_bytes(Path("nan.safetensors").read_bytes())
    done(f"data generate {SIGNALS} --samples 64 --out long.safetensors".replace("--samples 32", ""))
    frames = load("signals.safetensors")
    type(frames)(frames.iq, frames.labels, frames.snr_db, ("AM", "FM", "PM"), "other").save("other.safetensors")
    Path("damaged").mkdir()
    Path("damaged/config.json").write_text("{}")
    load_network("runs/teacher").save_pretrained("runs/weightless")
    Path("runs/weightless/model.safetensors").unlink()
    KDCNN(KDCNNConfig(classes=("A", "B"), samples=32)).save_pretrained("runs/stranger")
    infinite = load_network("runs/teacher")
    with torch.no_grad():
        list(infinite.parameters())[-1].fill_(torch.inf)
    infinite.save_pretrained("runs/infinite")
    return work


@pytest.mark.parametrize("command", BAD)
def test_bad_input_is_one_line_and_leaves_nothing_behind(command: str, bad: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in bad.rglob("*")}
    code, out, err = run(command)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("tamis: error: ")
    assert BAD[command] in err
    assert {path: path.stat().st_mtime_ns for path in bad.rglob("*")} == before


def test_a_folder_of_another_training_is_refused_and_kept(work: Path) -> None:
    before = (work / "runs/teacher/training.json").read_bytes()
    code, _, err = run("train kd-cnn-xs --data signals.safetensors --epochs 4 --batch 32 --out runs/teacher")
    assert code == 2
    assert "another training" in err
    assert (work / "runs/teacher/training.json").read_bytes() == before
