import ast
import functools
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from tamis.cli import DOMAINS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/tamis"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def imported(*files: Path) -> set[str]:
    """Top-level modules that files import anywhere, those of Python and of tamis left out."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"tamis"}


def core_of(*files: Path) -> set[Path]:
    """The files of the core that files import, and those that these import."""
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        text = waiting.pop().read_text(encoding="utf-8")
        used = {SOURCE / f"core/{name}.py" for name in re.findall(r"from tamis\.core\.(\w+) import", text)}
        waiting += used - found
        found |= used
    return found


installed = functools.cache(metadata.packages_distributions)


def undeclared(modules: set[str], requirements: list[str]) -> set[str]:
    distributions = installed()
    declared = {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower() for requirement in requirements}
    return {
        module
        for module in modules
        if not declared & {name.lower().replace("_", "-") for name in distributions.get(module, ())}
    }


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_extra_of_a_domain_declares_every_package_that_it_or_its_part_of_the_core_imports(domain: str) -> None:
    files = [*SOURCE.glob(f"{domain}/**/*.py"), SOURCE / "cli.py"]
    modules = imported(*files, *core_of(*files))
    assert undeclared(modules, PROJECT["dependencies"] + EXTRAS[domain]) == set()


def test_the_command_line_needs_no_extra() -> None:
    assert undeclared(imported(*SOURCE.glob("*.py")), PROJECT["dependencies"]) == set()


def test_the_extra_all_is_the_domains_and_no_tool_for_developers() -> None:
    assert EXTRAS["all"] == [f"tamis[{','.join(DOMAINS)}]"]


def test_the_check_itself_sees_a_package_that_is_not_declared() -> None:
    assert undeclared({"pytest", "cyclopts"}, PROJECT["dependencies"]) == {"pytest"}
