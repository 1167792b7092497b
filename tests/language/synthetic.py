"""What tests of language share: entities in few words, and rows in the format of CLSE that nobody annotated."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from tamis.language.corpus import Entity
from tamis.language.data import COLUMNS, row_of, synthetic
from tamis.language.signature import Signature
from tamis.language.vocabulary import concise


def entity(name: str, signature: str, mid: str = "", language: str = "fr", type: str = "City") -> Entity:
    return Entity(language, mid, name, type, Signature(signature))


def said(one: Entity) -> dict[str, str]:
    """The pairs of a signature, each with the one who says so."""
    return {":".join(fact.pair): fact.provenance for fact in one.facts}


def rows(
    languages: Sequence[str] = ("fr", "ru"),
    types: Sequence[str] = ("City", "Country"),
    *,
    many: int = 100,
    seed: int = 0,
) -> list[list[str]]:
    """Make about so many rows of the five columns."""
    made = synthetic(many, languages=languages, types=types, seed=seed)
    return [list(row_of(one)[: len(COLUMNS)]) for one in made]


def v1_1(table: Iterable[list[str]]) -> list[list[str]]:
    """Add the columns of v1.1, with a header; where attributes share a column the later one wins."""
    table = list(table)
    parts = [dict((concise(a), v) for a, _, v in (pair.partition(":") for pair in row[3].split(","))) for row in table]
    columns = sorted(set().union(*parts))
    return [[*COLUMNS, *columns]] + [
        row + [its.get(column, "") for column in columns] for row, its in zip(table, parts, strict=True)
    ]


def text(table: Iterable[Sequence[str]], header: Sequence[str] = COLUMNS) -> str:
    """Write rows as CSV with a header."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows([header, *table])
    return buffer.getvalue()


def write(path: Path, table: Iterable[Sequence[str]], header: Sequence[str] = COLUMNS) -> Path:
    """Write rows to a file."""
    path.write_text(text(table, header), encoding="utf-8", newline="")
    return path
