"""Docstrings and signatures say the same: `make check` runs this file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from docstring_parser import DocstringStyle, parse

SOURCE = Path(__file__).parents[1] / "src" / "tamis"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, Function) and (ast.get_docstring(node) or "").find("\n") > 0:
                yield f"{file.relative_to(SOURCE)}:{node.name}", node


def arguments(node: Function) -> list[str]:
    given = node.args
    plain = [one.arg for one in (*given.posonlyargs, *given.args)]
    plain = plain[1:] if plain[:1] in (["self"], ["cls"]) else plain
    several = [given.vararg.arg] if given.vararg else []
    named = [given.kwarg.arg] if given.kwarg else []
    return plain + several + [one.arg for one in given.kwonlyargs] + named


def disagreements(node: Function) -> list[str]:
    documented = parse(ast.get_docstring(node) or "", style=DocstringStyle.GOOGLE)
    named = [one.arg_name for one in documented.params if one.args[0] == "param"]
    found = []
    if named and named != arguments(node):
        found.append(f"Args name {named}, the signature {arguments(node)}")
    gives = not (isinstance(node.returns, ast.Constant) and node.returns.value is None) and node.returns is not None
    if documented.returns is not None and not gives:
        found.append("Returns or Yields is documented, but nothing is returned")
    return found


@pytest.mark.parametrize(("where", "node"), [pytest.param(where, node, id=where) for where, node in functions()])
def test_arguments_and_results_are_documented_as_they_are(where: str, node: Function) -> None:
    assert disagreements(node) == []


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ('def f(a, b):\n    """Do.\n\n    Args:\n        a: One.\n        b: Two.\n    """', 0),
        ('def f(a, c):\n    """Do.\n\n    Args:\n        a: One.\n        b: Two.\n    """', 1),
        ('def f(b, a):\n    """Do.\n\n    Args:\n        a: One.\n        b: Two.\n    """', 1),
        ('def f(a) -> None:\n    """Do.\n\n    Returns:\n        Something.\n    """', 1),
    ],
)
def test_the_check_finds_what_is_wrong(code: str, count: int) -> None:
    node = ast.parse(code).body[0]
    assert isinstance(node, ast.FunctionDef)
    assert len(disagreements(node)) == count
