import dataclasses
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tamis.core import results
from tamis.core.errors import ConfigError, FileError
from tamis.core.results import Run, dataset_hash, read_runs

PUBLISHED = Run(
    task="vision/accuracy",
    method="fastervlm",
    dataset="gqa",
    split="test",
    n=None,
    metrics={"accuracy": 0.5},
    config={"keep": 0.1},
    source={"paper": "arXiv:0000.00000", "table": "1", "row": "ours"},
)


def measured(monkeypatch: pytest.MonkeyPatch, *, dirty: bool = False, **changes: Any) -> Run:
    monkeypatch.setattr(results, "source_state", lambda: ("ab12cd3", dirty))
    given: dict[str, Any] = {"dataset": "toy@sha256:00", "split": "test", "n": 4, "metrics": {"accuracy": 0.25}}
    return Run.measured("vision/accuracy", "random", **{**given, "seconds": 1.23456, **changes})


def test_a_run_survives_its_line_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    run = measured(
        monkeypatch,
        metrics={"accuracy": 0.1 + 0.2},
        intervals={"accuracy": (0.2, 0.4)},
        curves={"snr_db": {-20: 0.1, 18: 0.9}},
        config={"keep": 0.1, "layers": (7, 23), "name": "é"},
        seeds=(0, 1),
    )
    assert Run.from_json(run.to_json()) == run
    assert run.config["layers"] == [7, 23]
    assert run.curves == {"snr_db": {"-20": 0.1, "18": 0.9}}
    assert "é" in run.to_json()


def test_a_published_run_survives_its_line_unchanged() -> None:
    assert Run.from_json(PUBLISHED.to_json()) == PUBLISHED


def test_a_measured_line_has_exactly_the_keys_of_the_schema_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = "commit config curves dataset dirty env intervals method metrics n schema seconds seeds split task time"
    line = json.loads(measured(monkeypatch).to_json())
    assert list(line) == keys.split()
    assert (line["schema"], line["seconds"], line["time"][-1]) == (1, 1.235, "Z")


def test_a_published_line_has_a_source_in_place_of_commit_environment_and_time() -> None:
    keys = "config curves dataset intervals method metrics n schema seeds source split task"
    assert list(json.loads(PUBLISHED.to_json())) == keys.split()


def test_the_environment_names_versions_and_neither_host_nor_path(monkeypatch: pytest.MonkeyPatch) -> None:
    env = measured(monkeypatch).env
    assert env is not None
    assert {"python", "platform", "cpus", "tamis"} <= env.keys()
    assert not any("/" in str(value) for value in env.values())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True])
def test_a_metric_that_is_no_finite_number_is_refused_by_name(value: float) -> None:
    with pytest.raises(ConfigError, match=r"metric accuracy is .*finite"):
        dataclasses.replace(PUBLISHED, metrics={"accuracy": value})


def test_a_config_that_json_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (float("nan"), Path(), {1, 2}):
        with pytest.raises(ConfigError, match="config holds what JSON cannot"):
            measured(monkeypatch, config={"x": value})


def test_a_number_is_published_or_measured_but_not_both_or_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="both source and"):
        dataclasses.replace(measured(monkeypatch), source={"paper": "x"})
    with pytest.raises(ConfigError, match="has no seconds"):
        dataclasses.replace(PUBLISHED, source=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "unknown key 'extra'"),
        ({"method": None}, "missing key 'method'"),
        ({"schema": 2}, "schema is 2"),
        ({"metrics": []}, r"metrics is \[\]; expected an object"),
        ({"task": 3}, "task is 3; expected a string"),
    ],
)
def test_a_line_off_the_schema_is_refused_by_key(change: dict[str, Any], message: str) -> None:
    line = {**json.loads(PUBLISHED.to_json()), **change}
    with pytest.raises(ConfigError, match=message):
        Run.from_json(json.dumps({key: value for key, value in line.items() if value is not None or key == "n"}))


@pytest.mark.parametrize("line", ["", "{", "[]", "3"])
def test_what_is_no_object_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match="one result object a line"):
        Run.from_json(line)


def test_appended_runs_are_read_back_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "vision.jsonl"
    runs = [measured(monkeypatch), PUBLISHED, measured(monkeypatch, n=5)]
    for run in runs:
        run.append(path)
    assert read_runs(path) == runs
    assert path.read_text().count("\n") == 3


def test_a_second_headline_for_the_same_question_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vision.jsonl"
    config = {"headline": True, "keep": 0.1}
    measured(monkeypatch, config=config).append(path)
    measured(monkeypatch, config={"keep": 0.1}).append(path)
    measured(monkeypatch, config={**config, "keep": 0.25}).append(path)
    with pytest.raises(ConfigError, match=r"headline line already for toy@sha256:00, keep 0\.1"):
        measured(monkeypatch, config=config, n=9).append(path)
    assert len(read_runs(path)) == 3


@pytest.mark.parametrize(("change", "message"), [({"dirty": True}, "not clean"), ({"split": "dev"}, "split 'dev'")])
def test_a_headline_needs_the_test_split_and_a_clean_tree(
    change: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=message):
        measured(monkeypatch, config={"headline": True}, **change).append(tmp_path / "x.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_line_is_reported_with_file_and_number(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(PUBLISHED.to_json() + "\n\n{}\n")
    with pytest.raises(FileError, match=r"x\.jsonl:3: missing key"):
        read_runs(path)
    with pytest.raises(FileError, match=r"none\.jsonl: cannot be read"):
        read_runs(tmp_path / "none.jsonl")


def test_nothing_is_glued_to_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"cut')
    with pytest.raises(FileError, match="cut off"):
        PUBLISHED.append(path)
    assert path.read_text() == '{"cut'


def test_the_hash_of_one_file_is_what_sha256sum_prints(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, "abc"
    assert dataset_hash("toy", [path]) == dataset_hash("toy", b"abc") == f"toy@sha256:{digest}"


def test_the_hash_of_several_files_follows_content_name_and_order(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"1")
    b.write_bytes(b"2")
    listing = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in (("a", b"1"), ("b", b"2"))
    )
    assert dataset_hash("toy", [a, b]) == f"toy@sha256:{hashlib.sha256(listing.encode()).hexdigest()}"
    assert dataset_hash("toy", [b, a]) != dataset_hash("toy", [a, b])
    with pytest.raises(FileError, match="no files"):
        dataset_hash("toy", [])
    with pytest.raises(FileError, match="cannot be read"):
        dataset_hash("toy", [tmp_path / "none"])


def test_the_commit_is_that_of_the_tree_that_holds_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.check_output(["git", "-C", str(tmp_path), *identity, *arguments], text=True).strip()

    source = tmp_path / "src" / "results.py"
    source.parent.mkdir()
    source.write_text("1")
    monkeypatch.setattr(results, "__file__", str(source))
    git("init", "-q")
    assert results.source_state() == ("unknown", True)  # a repository that does not track the file
    git("add", ".")
    git("commit", "-qm", "x")
    assert results.source_state() == (git("rev-parse", "HEAD"), False)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "new.jsonl").write_text("{}")
    assert results.source_state()[1] is False
    source.write_text("2")
    assert results.source_state()[1] is True


@pytest.mark.parametrize("line", ['{"n": ' + "1" * 5000 + "}", "[" * 100_000, '{"schema": 1e999}'])
def test_a_hostile_line_is_told_with_its_place(tmp_path: Path, line: str) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text("\n" + line + "\n")
    with pytest.raises(FileError, match=r"bad\.jsonl:2: "):
        read_runs(file)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "runs.jsonl")
    with pytest.raises(FileError, match="it is no regular file"):
        read_runs(tmp_path / "runs.jsonl")
