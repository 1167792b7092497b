import importlib
import inspect

import pytest

from tamis.cli import DOMAINS


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_public_name_is_sorted_importable_and_documented(domain: str) -> None:
    module = importlib.import_module(f"tamis.{domain}")
    assert list(module.__all__) == sorted(set(module.__all__))
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_misspelt_name_is_an_attribute_error(domain: str) -> None:
    module = importlib.import_module(f"tamis.{domain}")
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name
