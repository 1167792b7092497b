"""The documentation is held to the code: commands parse, snippets compile, links resolve."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.language.synthetic import rows, write

from tamis.cli import app, main
from tamis.core.results import read_runs

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *DOCS]


def text_of(page: Path) -> str:
    """A page as a reader sees it: without comments, so without the programs that render its tables."""
    return re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text_of(page), flags=re.DOTALL | re.MULTILINE):
        if language in languages:
            yield code


def commands(page: Path) -> Iterator[str]:
    for block in blocks(page, "bash", "console"):
        yield from (line.removeprefix("$ ") for line in block.splitlines())
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE))


SHOWN = sorted({command for page in PAGES for command in commands(page)})
COMMANDS = [command for command in SHOWN if command.startswith("tamis ")]
BENCHMARKS = [command for command in SHOWN if command.startswith("python benchmarks/")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_the_documentation_is_one_that_tamis_knows(command: str) -> None:
    tokens = shlex.split(command.partition(" > ")[0], comments=True)[1:]
    chain, _, rest = app.parse_commands(tokens)
    asks_for_help = "--help" in rest
    is_group = bool(chain) and app[chain[0]].default_command is None and len(chain) == 1
    assert chain, f"{command}: no such command"
    if is_group:
        assert set(rest) <= {"--help"}, f"{command}: {chain[0]} knows no {rest[0]}"
    elif not asks_for_help and rest:
        app.parse_args(tokens, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("command", BENCHMARKS)
def test_every_benchmark_in_the_documentation_has_these_options_and_quick_help(command: str) -> None:
    _, script, *arguments = shlex.split(command)
    asked = subprocess.run(
        [sys.executable, "-X", "importtime", ROOT / script, "--help"], capture_output=True, text=True, check=True
    )
    known = re.findall(r"--[a-z0-9-]+", asked.stdout)
    assert {argument for argument in arguments if argument.startswith("--")} <= set(known)
    assert not re.search(r"\| +torch$", asked.stderr, flags=re.MULTILINE), f"{script} --help loads torch"


def test_the_documentation_shows_commands() -> None:
    assert "tamis demo" in COMMANDS
    assert BENCHMARKS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_snippet_compiles(page: Path) -> None:
    for number, code in enumerate(blocks(page, "python"), start=1):
        compile(code, f"{page.name}, snippet {number}", "exec")


def slugs(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:", link):
            file, _, anchor = link.partition("#")
            target = (page.parent / file) if file else page
            assert target.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in slugs(target), f"{page.name}: {link} has no such heading"


def test_the_language_page_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "clse_v1.0.csv", rows())
    page = ROOT / "docs" / "language.md"
    asked = [line for block in blocks(page, "bash") for line in block.splitlines()]
    assert len(asked) > 10
    printed = []
    for line in asked:
        command, _, file = line.partition(" > ")
        if command.startswith("tamis "):
            assert main(shlex.split(command)[1:]) == 0, f"{line}: {capsys.readouterr().err}"
            printed.append(capsys.readouterr().out)
        else:
            printed.append(subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True).stdout)
        if file:
            Path(file).write_text(printed[-1], encoding="utf-8")
    for shown in blocks(page, "text"):
        assert shown.splitlines() == [line.rstrip() for line in printed[0].splitlines()]
    for code in blocks(page, "python"):
        exec(code, {})


def test_every_page_is_in_the_navigation_once() -> None:
    configuration = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = [page for entry in configuration["nav"] for page in entry.values()]
    assert sorted(named) == [str(page.relative_to(ROOT / "docs")) for page in DOCS]


def test_the_worked_example_of_a_method_works() -> None:
    import torch

    names: dict[str, Any] = {"__name__": "norm", "torch": torch}
    for code in blocks(ROOT / "docs" / "adding-a-method.md", "python"):
        exec(code, names)
    names["test_norm_keeps_the_longest_vectors"]()


def test_the_unit_of_every_metric_in_the_result_lines_is_said() -> None:
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    table = text.partition("## Units")[2].partition("\n## ")[0]
    said = {
        name for row in table.splitlines() if row.startswith("|") for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    runs = [run for path in (ROOT / "results").glob("*.jsonl") for run in read_runs(path)]
    assert runs
    assert {name for run in runs for name in run.metrics} <= said


def test_the_changelog_leads_with_the_version_of_the_package() -> None:
    import tamis

    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == tamis.__version__
