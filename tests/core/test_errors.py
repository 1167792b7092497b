import inspect
import math
import re
from types import SimpleNamespace
from typing import Literal

import pytest

from tamis.core import errors
from tamis.core.errors import (
    ConfigError,
    InputError,
    LimitError,
    MissingExtraError,
    TamisError,
    check_choice,
    check_range,
    nearest,
    one_line,
)

CLASSES = [value for _, value in inspect.getmembers(errors, inspect.isclass) if value.__module__ == errors.__name__]


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


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError(" two\n\tlines \r\n"), "two lines"),
        (TimeoutError(), "TimeoutError"),
        (OSError("\n"), "OSError"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
    ],
)
def test_any_error_makes_one_line_that_says_something(error: Exception, line: str) -> None:
    assert one_line(error) == line


def test_a_misspelt_name_is_answered_with_the_one_that_is_near_and_any_other_with_all() -> None:
    known = {"width": 1, "kernels": 2}
    assert nearest("kernel", known) == "did you mean 'kernels'?"
    assert nearest("zzz", known) == "expected one of width, kernels"
    many = [f"n{number}" for number in range(25)]
    assert nearest("zzz", many) == f"expected one of {', '.join(many[:20])} and 5 more"


def test_one_line_holds_nothing_that_a_terminal_obeys() -> None:
    told = one_line(ValueError("a\x1b[2Jb\x9bc\u202ed\ne"))
    assert told.replace("\N{REPLACEMENT CHARACTER}", "?") == "a?[2Jb?c?d e"


def test_a_choice_that_is_none_is_refused_with_the_nearest_one() -> None:
    check_choice("mode", "sum", Literal["sum", "max"])
    with pytest.raises(ConfigError, match=r"^mode is 'summ'; did you mean 'sum'\?$"):
        check_choice("mode", "summ", Literal["sum", "max"])
    with pytest.raises(ConfigError, match=r"^mode is None; expected one of sum, max$"):
        check_choice("mode", None, Literal["sum", "max"])


def test_a_setting_out_of_range_is_named_with_its_range() -> None:
    settings = SimpleNamespace(epochs=3, batch=0, rate=math.nan)
    check_range(settings, 1, 3, "epochs")
    with pytest.raises(ConfigError, match="batch is 0; expected a whole number from 1 to 3"):
        check_range(settings, 1, 3, "epochs", "batch")
    with pytest.raises(ConfigError, match="rate is nan; expected a whole number"):
        check_range(settings, 1, 3, "rate")
    with pytest.raises(ConfigError, match=r"epochs is 1\.5; expected a whole number from 1 to 3"):
        check_range(SimpleNamespace(epochs=1.5), 1, 3, "epochs")
