import importlib
import inspect
import re
from pathlib import Path

import pytest

from tamis.cli import DOMAINS

REFERENCE = Path(__file__).parents[1] / "docs" / "reference.md"
LISTED = re.findall(r"^::: (\S+)$", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_public_name_is_sorted_importable_and_documented(domain: str) -> None:
    module = importlib.import_module(f"tamis.{domain}")
    assert list(module.__all__) == sorted(set(module.__all__))
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        value = getattr(module, name)
        assert value.__doc__, name
        assert not value.__doc__.startswith(f"{name}("), f"{name}: dataclass wrote its docstring, nobody else did"


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_public_name_is_in_the_reference(domain: str) -> None:
    module = importlib.import_module(f"tamis.{domain}")
    values = {name: getattr(module, name) for name in module.__all__}
    assert {f"{value.__module__}.{name}" for name, value in values.items()} <= set(LISTED)


def test_what_public_names_are_made_of_is_in_the_reference() -> None:
    assert {"tamis.vision.view.Reads", "tamis.vision.view.Features", "tamis.vision.in_llm.InLLMPruner"} <= set(LISTED)


@pytest.mark.parametrize("listed", LISTED)
def test_the_reference_names_documented_things_that_exist(listed: str) -> None:
    try:
        value = importlib.import_module(listed)
    except ModuleNotFoundError:
        module, _, name = listed.rpartition(".")
        value = getattr(importlib.import_module(module), name)
    assert inspect.getdoc(value)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_misspelt_name_is_an_attribute_error(domain: str) -> None:
    module = importlib.import_module(f"tamis.{domain}")
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name
