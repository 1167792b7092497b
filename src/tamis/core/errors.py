"""The exceptions of tamis, one tree.

    TamisError                   every error that tamis raises on purpose
    ├── InputError               the input or the call is wrong              exit code 2
    │   ├── BudgetError          a budget that means nothing here
    │   ├── ConfigError          a setting, model or combination that does not fit
    │   ├── FileError            a file that cannot be read as what it should be
    │   └── ShapeError           an array of the wrong shape
    ├── LimitError               a safety limit refused the input            exit code 3
    └── MissingExtraError        an optional dependency is not installed     exit code 4

Every message is one line that says what came, what was expected and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, get_args

_NAMED = 20


class TamisError(Exception):
    """Base of all errors that tamis raises on purpose."""

    exit_code = 2


class InputError(TamisError, ValueError):
    """The input or the call is wrong."""


class BudgetError(InputError):
    """A budget that cannot be read, or that does not fit what it is applied to."""


class ConfigError(InputError):
    """A setting, a model or a combination of both that does not fit."""


class FileError(InputError):
    """A file that is missing, damaged or not of the expected kind."""


class ShapeError(InputError):
    """An array or tensor of the wrong shape."""


class LimitError(TamisError):
    """A safety limit refused the input before it was decoded."""

    exit_code = 3


class MissingExtraError(TamisError, ImportError):
    """An optional dependency is not installed; the message is the pip command.

    Args:
        feature: What needs it.
        extra: The extra of tamis that has it.
        package: The package itself, if no extra has it.
    """

    exit_code = 4

    def __init__(self, feature: str, extra: str = "", *, package: str = "") -> None:
        super().__init__(f"{feature} needs more packages: pip install {package or repr(f'tamis[{extra}]')}")


def one_line(error: BaseException | str) -> str:
    r"""Put a text or the message of an error on one line of printable text; an error without one is named by its class.

    >>> one_line(RuntimeError("size mismatch:\n    3 and 4"))
    'size mismatch: 3 and 4'
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def nearest(name: str, known: Iterable[str]) -> str:
    """Say, at the end of a message, what a misspelt name may have been: the known one that is near it, or else all.

    Of more than twenty the first twenty are named.

    >>> nearest("Widht", ["width", "height"])
    "did you mean 'width'?"
    """
    names = list(known)
    folded = {one.casefold(): one for one in names}
    near = [folded[one] for one in difflib.get_close_matches(name.casefold(), folded, n=1)]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(names[:_NAMED])}{more}"


def check_choice(name: str, value: object, choices: Any) -> None:
    """Refuse a value that is none of a `Literal`.

    Args:
        name: Of the setting.
        value: What came.
        choices: The `Literal`.

    Raises:
        ConfigError: If the value is none of them.
    """
    if value not in get_args(choices):
        raise ConfigError(f"{name} is {value!r}; {nearest(str(value), get_args(choices))}")


def check_range(settings: object, least: int, most: int, *names: str) -> None:
    """Refuse settings that are no whole numbers, or out of range.

    Args:
        settings: What has them as attributes.
        least: The smallest value that is accepted.
        most: The greatest.
        names: Of the settings.

    Raises:
        ConfigError: If one is no whole number from least to most.
    """
    for name in names:
        value = getattr(settings, name)
        if type(value) is not int or not least <= value <= most:
            raise ConfigError(f"{name} is {value!r}; expected a whole number from {least} to {most}")


def check_rates(settings: object, *names: str) -> None:
    """Refuse learning rates that no training can use.

    Args:
        settings: What has them as attributes.
        names: Of the rates.

    Raises:
        ConfigError: If one is not more than 0 and less than 10.
    """
    for name in names:
        value = getattr(settings, name)
        if not 0 < value < 10:
            raise ConfigError(f"{name} is {value}; expected more than 0 and less than 10")
