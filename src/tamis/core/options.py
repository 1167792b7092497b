"""Kinds of options that the command lines of all domains share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
"""A whole number, at least 1."""
File = Annotated[Path, Parameter(validator=validators.Path(dir_okay=False))]
"""A path that is no folder."""
Folder = Annotated[Path, Parameter(validator=validators.Path(file_okay=False))]
"""A path that is no file."""
Json = Annotated[bool, Parameter(name="--json", negative="")]
"""Whether to print JSON."""
