"""The command line of the audio domain, on real files and the encoders that come with the package."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.audio.encoding import RATE, described

from tamis.cli import main

soundfile = pytest.importorskip("soundfile")
OWN = ("--sound", "mel-cnn", "--text", "words")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lines = []
    for number, one in enumerate(described(24)):
        soundfile.write(tmp_path / f"{number}.wav", one.sound.samples, RATE)
        lines.append(json.dumps({"audio": f"{number}.wav", "captions": one.captions}))
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def clips(folder: Path) -> Path:
    """ESC-10 in small: three kinds, two folds."""
    rng = np.random.default_rng(0)
    for number, kind in enumerate(("Dog bark", "Rain", "Rooster")):
        place = folder / f"00{number + 1} - {kind}"
        place.mkdir(parents=True)
        for fold in (1, 2):
            soundfile.write(
                place / f"{fold}-{100 * number + fold}-A.ogg", 0.5 * rng.normal(size=8000).clip(-1, 1), 8000
            )
    return folder


def test_train_eval_and_locate_work_together(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "space")
    assert main(["audio", "train", str(table), *OWN, "--epochs", "2", "--batch", "8", "--out", out, "--json"]) == 0
    run = json.loads(capsys.readouterr().out)
    assert (run["task"], run["method"], run["split"]) == ("audio/retrieval", "clsr", "val")
    assert run["config"]["sound"] == "mel-cnn"

    judged = str(tmp_path / "judged")
    assert main(["audio", "eval", f"{out}/", "--dataset", str(table), "--out", judged]) == 0
    said = capsys.readouterr()
    assert "pairs: 24 of 24 clips, 48 captions" in said.err
    assert "mAP@10" in said.out
    methods = [json.loads(line)["method"] for line in (tmp_path / "judged" / "runs.jsonl").read_text().splitlines()]
    assert methods == ["space", "random", "file-names"]
    assert "data:image/png" in (tmp_path / "judged" / "index.html").read_text()

    shutil.copytree(out, tmp_path / "other" / "space")
    other = str(tmp_path / "other" / "space")
    assert main(["audio", "eval", out, other, "--dataset", str(table), "--out", judged, "--json"]) == 0
    assert [line["method"] for line in json.loads(capsys.readouterr().out)][:2] == [out, other]

    assert main(["audio", "locate", str(tmp_path / "0.wav"), "rain falls", "--model", f"{out}/", "--json"]) == 0
    moments = json.loads(capsys.readouterr().out)
    assert moments[0]["start_s"] == 0.0
    assert moments[0]["end_s"] == pytest.approx(0.8, abs=0.01)


def test_ablate_compares_in_pairs(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, test = str(tmp_path / "ablation"), tmp_path / "test.jsonl"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text("".join(lines[:18]), encoding="utf-8")
    test.write_text("".join(lines[18:]), encoding="utf-8")
    given = [*OWN, "--epochs", "1", "--batch", "8", "--seeds", "0,1", "--losses", "nt-xent,clsr", "--out", out]
    assert main(["audio", "ablate", str(table), "--test", str(test), *given]) == 0
    assert "random" in capsys.readouterr().out
    runs = [json.loads(line) for line in (tmp_path / "ablation" / "runs.jsonl").read_text().splitlines()]
    assert [(run["method"], run["seeds"]) for run in runs] == [(m, [s]) for m in ("nt-xent", "clsr") for s in (0, 1)]
    assert (tmp_path / "ablation" / "clsr" / "1" / "model.safetensors").is_file()
    assert "paired bootstrap" in (tmp_path / "ablation" / "index.html").read_text()


def test_composed_mixtures_are_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = clips(tmp_path / "esc"), tmp_path / "mixtures"
    given = ["--root", str(root), "--split", "1", "--count", "6", "--out", str(out)]
    assert main(["audio", "data", "compose", "esc10", *given]) == 0
    assert capsys.readouterr().out.strip() == str(out / "metadata.jsonl")
    lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 6
    for line in lines:
        assert soundfile.info(out / line["file_name"]).duration == 10.0
        assert len(line["captions"]) == 3
        assert {event["label"] for event in line["events"]} <= {"dog bark", "rain", "rooster"}
    assert main(["audio", "data", "info", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["clips"], facts["with_audio"], facts["captions"]) == (6, 6, 18)


def test_silence_has_no_moment_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000), 8000)
    assert main(["audio", "locate", str(tmp_path / "silence.wav"), "rain falls"]) == 0
    said = capsys.readouterr()
    assert (said.out, "silence, in which nothing is heard" in said.err) == ("", True)
    assert main(["audio", "locate", str(tmp_path / "silence.wav"), "rain falls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_the_command_of_a_report_has_all_that_was_given(table: Path, tmp_path: Path) -> None:
    judged = tmp_path / "judged"
    assert main(["audio", "eval", "effects", "--dataset", str(table), "--out", str(judged)]) == 0
    page = (judged / "index.html").read_text(encoding="utf-8")
    assert f"tamis audio eval effects --dataset {table} --out {judged}" in page


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"audio": "gone.wav", "caption": "x"}\n', encoding="utf-8")
    assert main(["audio", "data", "info", str(file)]) == 0
    assert "1: gone.wav" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["train", "none.csv", "--out", "x"], "none.csv: no such"),
        (["train", "clotho", "--out", "x"], "clotho needs --root"),
        (["train", "pairs.jsonl", "--root", ".", "--out", "x"], "--root belongs to a named data set"),
        (["train", "pairs.jsonl", "--loss", "nt-xnet", "--out", "x"], "'nt-xnet' is no loss; did you mean 'nt-xent'"),
        (["train", "pairs.jsonl", "--sound", "panns", "--out", "x"], "'panns' is no encoder of sounds"),
        (["train", "pairs.jsonl", "--sound", "aisfx", "--out", "x"], "tamis models pull aisfx"),
        (["ablate", "pairs.jsonl", "--test", "pairs.jsonl"], "24 of its sounds are those of the training"),
        (["ablate", "pairs.jsonl", "--test", "pairs.jsonl", "--seeds", "a"], "expected whole numbers"),
        (["eval", "nothing", "--dataset", "pairs.jsonl"], "no JointSpace of this name comes with tamis"),
        (["locate", "pairs.jsonl", "rain"], "not a sound, or damaged"),
        (["locate", "0.wav", " "], "give some words"),
        (["data", "compose", "pairs.jsonl", "--out", "x"], "has no clip with a label"),
    ],
)
def test_bad_input_is_one_line(
    given: list[str], said: str, table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(table.parent)
    assert main(["audio", *given]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("tamis: error: ")
    assert said in error
    assert not (table.parent / "x" / "model.safetensors").exists()
