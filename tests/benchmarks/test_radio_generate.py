from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import radio_generate
import torchsig_peer
from tamis.core.errors import ConfigError
from tamis.core.results import read_runs

DOUBLE = """
import sys
for line in sys.stdin:
    level, samples, frames = map(int, line.split())
    print(frames * (level + 1) * samples / 1000, flush=True)
"""
"""Stands in for TorchSig: a frame of level 0 and 1,000 samples takes a second."""


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    script = tmp_path / "double.py"
    script.write_text(DOUBLE, encoding="utf-8")
    monkeypatch.setattr(radio_generate, "SCRIPT", script)
    monkeypatch.setattr(radio_generate, "PER_CLASS", 2)
    monkeypatch.setattr(radio_generate, "environment", lambda folder: Path(sys.executable))
    return script


def test_every_preset_stands_beside_its_level_and_lines_are_written_once(
    double: Path, written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--samples", "16", "--repetitions", "1", "--frames", "10", "--write"]
    assert radio_generate.main(command) == 0
    assert "TorchSig level" in capsys.readouterr().out
    runs = read_runs(written.with_name("radio.jsonl"))
    assert [(run.config["preset"], run.config["peer_level"]) for run in runs] == [
        ("rml2016", 2),
        ("rml22", 2),
        ("default", 2),
        ("clean", 0),
    ]
    for run in runs:
        assert (run.task, run.method, run.split, run.n, run.headline) == ("radio/bench", "generate", "test", 1, True)
        assert run.metrics["peer_frames_per_cpu_second"] == pytest.approx(1000 / 16 / (run.config["peer_level"] + 1))
        expected = run.metrics["frames_per_cpu_second"] / run.metrics["peer_frames_per_cpu_second"]
        assert run.metrics["ratio"] == pytest.approx(expected)
        low, high = run.intervals["ratio"]
        assert low <= run.metrics["ratio"] <= high
        assert run.config["frames"] == (20 if run.config["preset"] == "rml22" else 22)
    assert not written.exists()
    assert radio_generate.main(command) == 2
    assert "radio.jsonl has lines of radio/bench on rml2016-16 already" in capsys.readouterr().err


def test_torchsig_that_fails_is_an_error_in_one_line(double: Path, capsys: pytest.CaptureFixture[str]) -> None:
    double.write_text("raise SystemExit('no torchsig here')", encoding="utf-8")
    assert radio_generate.main(["--samples", "16"]) == 2
    assert capsys.readouterr().err == "radio_generate: error: TorchSig made no frames: no torchsig here\n"


def test_no_round_is_an_error_in_one_line(double: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert radio_generate.main(["--repetitions", "0"]) == 2
    assert "repetitions is 0 and frames is 300; expected at least 1 of each" in capsys.readouterr().err


def test_the_environment_is_made_once_and_again_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[Any]] = []
    code = 1

    def run(command: list[Any], **_: Any) -> Any:
        asked.append(command)
        return SimpleNamespace(returncode=code, stderr="first\nno such package\n")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(radio_generate.venv, "create", lambda folder, with_pip: folder.mkdir())
    folder = tmp_path / "torchsig"
    with pytest.raises(ConfigError, match=r"^pip cannot install TorchSig 2\.2\.0: no such package$"):
        radio_generate.environment(folder)
    code = 0
    python = radio_generate.environment(folder)
    assert radio_generate.environment(folder) == python
    assert len(asked) == 2
    assert asked[1][0] == python
    assert asked[1][-2:] == ["torchsig==2.2.0", "torch==2.13.0"]


def test_the_spectrogram_that_torchsig_is_given_is_the_power_of_windowed_transforms() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(size=40) + 1j * rng.normal(size=40)
    made = torchsig_peer.Spectrogram(16, torch.blackman_window, 16, 8, center=False, onesided=False, power=2)
    out = made(torch.from_numpy(samples)).numpy()
    window = torch.blackman_window(16).numpy()
    expected = [np.abs(np.fft.fft(samples[start : start + 16] * window)) ** 2 for start in (0, 8, 16, 24)]
    np.testing.assert_allclose(out.T, expected, rtol=1e-5)


def test_torchsig_makes_as_many_frames_as_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Source:
        def __next__(self) -> Any:
            made.append(1)
            return SimpleNamespace(data=np.zeros(64))

    monkeypatch.setattr(torchsig_peer, "frames", lambda level, samples: Source())
    monkeypatch.setattr(torchsig_peer.warnings, "simplefilter", lambda action: None)
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    monkeypatch.setattr(sys, "stdin", io.StringIO("0 64 3\n2 64 4\n"))
    answers = io.StringIO()
    monkeypatch.setattr(sys, "stdout", answers)
    torchsig_peer.main()
    assert len(made) == 7
    assert [float(line) >= 0 for line in answers.getvalue().splitlines()] == [True, True]
