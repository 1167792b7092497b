"""Rows in the format of CLSE that nobody annotated: any number of signatures, at most ten rows to a cell."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path

from tamis.language.data import COLUMNS
from tamis.language.vocabulary import PAIRS, concise

# The 34 codes of CLSE, as its documents print them.
CLSE_LANGUAGES = (
    "ar", "bn", "cmn-CN", "cmn-TW", "cs", "da", "de", "en", "es", "fr", "gu", "hi", "id", "it", "ja", "jv", "kn",
    "ko", "ml", "mr", "nl", "no", "pl", "pt", "ru", "su", "sv", "ta", "te", "th", "tr", "ur", "vi", "yue",
)  # fmt: skip
# Scripts in which names are written, so that not every row is ASCII.
LETTERS = {"ru": "абвгдежзиклмнопр", "ar": "ابتثجحخدذرزس", "hi": "कखगघचछजझटठ", "ja": "源氏物語東京大阪"}
PERSONS = ("gender", "aliveness")


def rows(
    languages: Sequence[str] = ("fr", "ru"),
    types: Sequence[str] = ("City", "Country"),
    *,
    signatures: int = 4,
    per_cell: int = 10,
    seed: int = 0,
) -> Iterator[list[str]]:
    """Make rows of the five columns, so many signatures for each language and type, 1 to per_cell rows to each."""
    dice = random.Random(seed)
    pairs = sorted(pair for pair in PAIRS if pair[0] not in PERSONS)
    number = count()
    for language in languages:
        letters = LETTERS.get(language, "abcdefghijklmnop")
        for semantic_type in types:
            texts: set[str] = set()
            while len(texts) < signatures:
                chosen = dict(dice.sample(pairs, k=dice.randint(1, 8)))
                texts.add(",".join(f"{attribute}:{value}" for attribute, value in sorted(chosen.items())))
            for text in sorted(texts):
                for row in islice(number, dice.randint(1, per_cell)):
                    name = "".join(dice.choices(letters, k=dice.randint(4, 16))).title()
                    yield [language, f"/m/{row:06x}", name, text, semantic_type]


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
