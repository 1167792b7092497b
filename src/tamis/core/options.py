"""Kinds of options that the command lines of all domains share."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, validators

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
"""A whole number, at least 1."""
File = Annotated[Path, Parameter(validator=validators.Path(dir_okay=False))]
"""A path that is no folder."""
Folder = Annotated[Path, Parameter(validator=validators.Path(file_okay=False))]
"""A path that is no file."""
Json = Annotated[bool, Parameter(name="--json", negative="")]
"""Whether to print JSON."""


def changed(*groups: Any) -> list[str]:
    """Write those options of groups that are not as by default, as one types them.

    Args:
        groups: Dataclasses whose fields are options.
    """
    told = []
    for group in groups:
        for field in fields(group):
            value, name = getattr(group, field.name), field.name.replace("_", "-")
            if isinstance(value, bool) and value != field.default:
                told.append(f"--{name}" if value else f"--no-{name}")
            elif value != field.default:
                told += [f"--{name}", str(value)]
    return told
