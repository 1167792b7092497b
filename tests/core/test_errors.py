import inspect
import re

import pytest

from tamis.core import errors
from tamis.core.errors import InputError, LimitError, MissingExtraError, TamisError

CLASSES = [value for _, value in inspect.getmembers(errors, inspect.isclass)]


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = re.findall(r"\b(\w+Error)\b", errors.__doc__ or "")
    assert sorted(set(drawn)) == sorted(value.__name__ for value in CLASSES)
    assert all(issubclass(value, TamisError) for value in CLASSES)


def test_exit_codes_are_those_the_command_line_promises() -> None:
    codes = {value.__name__: value.exit_code for value in CLASSES if issubclass(value, TamisError)}
    assert codes.pop("LimitError") == 3
    assert codes.pop("MissingExtraError") == 4
    assert set(codes.values()) == {2}


def test_each_error_is_also_what_python_would_have_raised() -> None:
    assert issubclass(InputError, ValueError)
    assert issubclass(MissingExtraError, ImportError)
    assert not issubclass(LimitError, ValueError)


def test_a_missing_extra_is_answered_with_the_pip_command() -> None:
    with pytest.raises(ImportError, match=re.escape("reading videos needs more packages: pip install 'tamis[vision]'")):
        raise MissingExtraError("reading videos", "vision")
