"""A budget as people write it, with one meaning for each way of writing it.

58      int, or "58"                a count of things
0.1     float in (0, 1], or "0.1"   a fraction of what there is; 1.0 is everything, 1 is one thing
"10%"   percent                     the same fraction
"50KB"  B, KB, MB, GB (powers of 1000), KiB, MiB, GiB    bytes
"5ms"   us, ms, s, min              seconds
"""

from __future__ import annotations

import math
import numbers
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tamis.core.errors import BudgetError

_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
_FORMS = 'write a count (58), a fraction in (0, 1] (0.1), a percentage ("10%"), bytes ("50KB") or a time ("5ms")'
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-zµ%]*)")


@dataclass(frozen=True)
class Budget:
    """A checked budget: what it counts, and how much of it.

    `Budget("count", 0)` says "nothing"; no way of writing a budget does, and `parse` refuses zero.

    >>> Budget.parse("10%").of(576)
    58
    >>> Budget.parse(1).of(576), Budget.parse(1.0).of(576)
    (1, 576)
    """

    kind: Literal["count", "fraction", "bytes", "seconds"]
    """What is limited."""
    value: float
    """How much: a whole count, a fraction in (0, 1], bytes or seconds."""

    def __post_init__(self) -> None:
        """Refuse a value that means nothing for its kind."""
        if not math.isfinite(self.value) or self.value < 0 or (self.value == 0 and self.kind != "count"):
            raise BudgetError(f"budget is {self.value!r} ({self.kind}); expected more than zero and finite: {_FORMS}")
        if self.kind == "count" and self.value != int(self.value):
            raise BudgetError(f"budget is a count of {self.value!r}; expected a whole number: {_FORMS}")
        if self.kind == "fraction" and self.value > 1:
            raise BudgetError(f"budget is {self}, a fraction above 1; {_FORMS}")

    @classmethod
    def parse(cls, budget: Keep) -> Budget:
        """Read a budget as people write it.

        Args:
            budget: An int, a float, a string such as "10%", "50KB", "5ms", or a Budget, which is returned as it is.

        Raises:
            BudgetError: If it is none of these, not finite, zero, negative or a fraction above one.
        """
        if isinstance(budget, Budget):
            return budget
        if isinstance(budget, bool):
            raise BudgetError(f"budget is {budget!r}; {_FORMS}")
        if isinstance(budget, numbers.Integral):
            return cls._checked("count", float(budget), budget)
        if isinstance(budget, numbers.Real):
            return cls._checked("fraction", float(budget), budget)
        if isinstance(budget, str):
            return cls._parse_text(budget)
        raise BudgetError(f"budget is {budget!r}, a {type(budget).__name__}; {_FORMS}")

    @classmethod
    def parse_list(cls, budgets: str) -> tuple[Budget, ...]:
        """Read budgets separated by commas, such as "50%,25%,10%,5%".

        Raises:
            BudgetError: If any of them cannot be read.
        """
        return tuple(cls.parse(part) for part in budgets.split(","))

    @classmethod
    def _parse_text(cls, text: str) -> Budget:
        match = _NUMBER.fullmatch(text.strip())
        if match is None:
            raise BudgetError(f"budget is {text!r}; {_FORMS}")
        number, unit = float(match[1]), match[2]
        if unit == "":
            return cls._checked("fraction" if "." in match[1] else "count", number, text)
        if unit == "%":
            return cls._checked("fraction", number / 100, text)
        if unit in _SECONDS:
            return cls._checked("seconds", number * _SECONDS[unit], text)
        if unit.upper() in _BYTES:
            return cls._checked("bytes", number * _BYTES[unit.upper()], text)
        raise BudgetError(f"budget is {text!r} with the unknown unit {unit!r}; {_FORMS}")

    @classmethod
    def _checked(cls, kind: Literal["count", "fraction", "bytes", "seconds"], value: float, raw: object) -> Budget:
        if not math.isfinite(value) or value <= 0:
            raise BudgetError(f"budget is {raw!r}; expected more than zero and finite: {_FORMS}")
        return cls(kind, value)

    def of(self, total: int) -> int:
        """How many of `total` things this budget keeps: at least one, a fraction rounded to the nearest count.

        Args:
            total: How many there are.

        Raises:
            BudgetError: If the budget is a count above `total`, or no budget of things at all.

        Source:
            Rounding as in FasterVLM's evaluation (432/288/144/58/29 of 576); halves go to the even count.
        """
        if self.kind == "fraction":
            return max(1, round(total * self.value))
        if self.kind == "count":
            if self.value > total:
                raise BudgetError(
                    f"budget is {self}, but there are only {total}; give at most {total}, or a percentage"
                )
            return int(self.value)
        raise BudgetError(f"budget is {self}, a budget of {self.kind}; expected a count or a fraction of {total}")

    def __str__(self) -> str:
        """The budget as people write it, in its shortest exact form."""
        if self.kind == "fraction":
            return f"{self.value * 100:.12g}%"
        if self.kind == "count":
            return str(int(self.value))
        return f"{self.value:.12g}{'B' if self.kind == 'bytes' else 's'}"


Keep: TypeAlias = Budget | int | float | str
"""How much to keep, as people may write it; `Budget.parse` reads it."""
