"""The open corpus: entities in the languages and the vocabulary of CLSE, made for this package and no part of CLSE.

It is built from what lies in `open`: `concepts.tsv` lists the things, and a table for each language names and annotates
them by hand. The build adds

- the names of countries, cities, months and the like from CLDR, where the table has none;
- what dictionaries and rules know: manual annotation comes before a dictionary, and that before a rule;
- what reviewers found, from the sheets in `open/reviews`, if there are any.

Then the selection rule of CLSE holds: of rows with the same language, semantic type and signature ten are kept, in
`open.tsv.gz`; the others are in `more.tsv.gz`, for those who look for a certain name: `open-full` is both. Names that
something else of another signature has too come first, so that neither is taken for the other; then it goes by the
order of `concepts.tsv`, so that languages keep the same things where they can. Things that are not listed there follow
by their key, and names of the same thing stand in the order of their table.

Source:
    CLSE (arXiv 2211.02423), `docs/clse_details.pdf`, for the selection rule. Which ten is our choice; CLSE does
    not say.
"""

from __future__ import annotations

import gzip
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tamis.core.errors import FileError, InputError, nearest, one_line
from tamis.core.files import write_whole
from tamis.language.cldr import PREFIX, Names
from tamis.language.corpus import MID, Corpus, Entity, Report
from tamis.language.csv_file import DAMAGE, INVISIBLE
from tamis.language.data import COLUMNS, OURS, row_of
from tamis.language.lexicons import lexicon_facts
from tamis.language.reviewing import import_review
from tamis.language.rules import rule_facts
from tamis.language.signature import Fact, Signature, merged
from tamis.language.vocabulary import PAIRS

OPEN = Path(__file__).with_name("open")
"""The folder of the corpus and of what it is made of."""
PER_CELL = 10
"""Rows with the same language, type and signature that are kept."""
HEADER = (
    "# The open corpus of tamis: made for this package, in the attribute vocabulary of CLSE; no part of CLSE, and none "
    "of its rows.",
    "# Names of things whose mid begins with tamis:cldr/ are those of Unicode CLDR where it has them: Copyright "
    "1991-present Unicode, Inc., Unicode-3.0.",
    "# Provenance lexicon:polish-inflection-data: SGJP, Copyright 2007-2026 its authors, BSD-2-Clause.",
    "# All else: the licence of tamis.",
)
"""What the packed file says of itself."""

_COLUMNS = (*COLUMNS, *OURS)
_FILES = ("open.tsv.gz", "more.tsv.gz")
_MAY_SHIP = ("pl",)  # the Russian dictionary is CC BY-SA, so nothing of it goes into the package
_EXTRA = "extra/"
_PERSON = "Person"


@cache
def embedded(*, persons: bool = False, full: bool = False) -> Corpus:
    """Read the open corpus that comes with the package.

    Args:
        persons: Keep rows about persons, which are few and about the dead. Invented characters are no persons.
        full: Also the rows beyond ten alike.

    Raises:
        FileError: If it is missing or damaged.

    >>> len(embedded()) < len(embedded(full=True))
    True
    """
    corpus = read(OPEN / _FILES[0], persons=persons)
    return replace(corpus + read(OPEN / _FILES[1], persons=persons), name="open-full") if full else corpus


def read(path: Path, *, persons: bool = True) -> Corpus:
    """Read a packed file that `write` made.

    Args:
        path: The file.
        persons: Keep rows about persons.

    Raises:
        FileError: If it is missing or damaged.
    """
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read ({one_line(error)}); install tamis again") from error
    table = [line.split("\t") for line in lines if not line.startswith("#")]
    if not table or tuple(table[0]) != _COLUMNS or any(len(row) != len(_COLUMNS) for row in table):
        raise FileError(f"{path}: not in the format of this version, {', '.join(_COLUMNS)}; install tamis again")
    signatures = {text: Signature(text) for text in {row[3] for row in table[1:]}}
    entities = tuple(
        Entity(
            language,
            mid,
            name,
            semantic_type,
            signatures[signature],
            semantic_type == _PERSON,
            provenance=tuple(provenance.split(",")) if provenance else (),
            reviewed=tuple(map(int, reviewed.split(","))) if reviewed else (),
        )
        for language, mid, name, signature, semantic_type, provenance, reviewed in table[1:]
        if persons or semantic_type != _PERSON
    )
    rows = len(table) - 1
    return Corpus(entities, "open", Report(rows, kept=len(entities), persons_left_out=rows - len(entities)))


def rebuild(folder: Path = OPEN) -> None:
    """Build the corpus from the tables in a folder, and write it there.

    Args:
        folder: As for `build`.

    Raises:
        FileError: If a table is missing or wrong, or a file cannot be written.
        MissingExtraError: If Babel or a dictionary is not installed.
    """
    for name, corpus in zip(_FILES, build(folder), strict=True):
        write(corpus, folder / name)


def write(corpus: Corpus, path: Path) -> None:
    """Write a corpus as a packed file; the same corpus gives the same text.

    Args:
        corpus: As `build` returns it.
        path: The file; it is replaced as a whole.

    Raises:
        FileError: If it cannot be written there.
    """
    text = "".join(f"{line}\n" for line in (*HEADER, *map("\t".join, (_COLUMNS, *map(row_of, corpus)))))
    write_whole(path, gzip.compress(text.encode(), mtime=0))


def build(folder: Path = OPEN) -> tuple[Corpus, Corpus]:
    """Build the corpus from the tables in a folder; the same tables and packages give the same corpus.

    The languages are those that have a table.

    Args:
        folder: Holds `concepts.tsv`, `<language>.tsv` and perhaps `reviews/*.csv`.

    Returns:
        The corpus, whose report counts the rows without a name and those of which ten alike were kept; and the latter.

    Raises:
        FileError: If a table is missing or wrong.
        MissingExtraError: If Babel or a dictionary is not installed.
    """
    concepts = _concepts(folder / "concepts.tsv")
    entities: list[Entity] = []
    counts: Counter[str] = Counter()
    for path in sorted(folder.glob("*.tsv")):
        if path.name not in ("concepts.tsv", "gaps.tsv"):
            entities += _language(path, concepts, counts)
    place = {(one.language, one.mid, one.name): number for number, one in enumerate(entities)}
    corpus = Corpus(tuple(entities))
    if sheets := sorted((folder / "reviews").glob("*.csv")):
        corpus = import_review(corpus, sheets).corpus
    signatures: dict[tuple[str, str], set[Signature]] = {}
    for one in corpus:
        signatures.setdefault((one.language, one.name), set()).add(one.signature)
    cells: Counter[tuple[str, str, Signature]] = Counter()
    kept: list[Entity] = []
    more: list[Entity] = []
    for one in sorted(
        corpus,
        key=lambda one: (len(signatures[one.language, one.name]) == 1, place[one.language, one.mid, one.name]),
    ):
        cells[one.language, one.semantic_type, one.signature] += 1
        (kept if cells[one.language, one.semantic_type, one.signature] <= PER_CELL else more).append(one)
    counts["more than ten alike"] = len(more)
    report = Report(rows=len(kept) + counts["no name"], kept=len(kept), refused=counts["no name"], counts=dict(counts))
    return Corpus(tuple(kept), "open", report), Corpus(tuple(more), "open", Report(len(more), len(more)))


def gaps(folder: Path = OPEN) -> dict[tuple[str, str, str], str]:
    """Read why some values have fewer than five entities.

    Args:
        folder: Holds `gaps.tsv`.

    Returns:
        A reason for each language, attribute and value; the value `*` stands for all of the attribute.

    Raises:
        FileError: If the table is wrong.
    """
    columns = ("language", "attribute", "value", "reason")
    return {
        (row["language"], row["attribute"], row["value"]): row["reason"]
        for _, row in _table(folder / "gaps.tsv", columns)
    }


class _Row(NamedTuple):
    """A thing in a language, as its table has it."""

    key: str
    name: str
    facts: tuple[Fact, ...]
    semantic_type: str


def _table(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Give the rows of a table, each with its place; columns at the end may be missing."""
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read ({one_line(error)}); expected a table in UTF-8") from error
    header = lines[0].split("\t")
    if tuple(header) != tuple(columns[: len(header)]):
        raise FileError(f"{path}:1:1: the header is {' '.join(header)!r}; expected {' '.join(columns)!r}")
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split("\t")
        if len(fields) > len(header):
            raise FileError(f"{path}:{number}:1: {len(fields)} fields; expected {len(header)}, with tabs between")
        text = line.replace("\t", "")
        if found := DAMAGE.search(text) or INVISIBLE.search(text):
            raise FileError(
                f"{path}:{number}:{line.index(found[0]) + 1}: U+{ord(found[0]):04X} has no place here; remove it"
            )
        yield f"{path}:{number}:1", dict.fromkeys(columns, "") | dict(zip(header, fields, strict=False))


def _concepts(path: Path) -> dict[str, str]:
    """Read the semantic type of each key."""
    return {row["key"]: row["type"] for _, row in _table(path, ("key", "type", "gloss"))}


def _hand(path: Path, concepts: Mapping[str, str]) -> Iterator[tuple[str, _Row]]:
    """Read the table of a language, each row with its place."""
    for place, row in _table(path, ("key", "name", "signature", "note", "type")):
        key, name = row["key"], row["name"]
        if key.startswith(_EXTRA) != (key not in concepts) or key.startswith(_EXTRA) != bool(row["type"]):
            raise FileError(
                f"{place}: the key is {key!r}, the type {row['type']!r}; expected a key of concepts.tsv and no "
                f"type, or one that begins with {_EXTRA} and a type"
            )
        if name != unicodedata.normalize("NFC", name).strip():
            raise FileError(f"{place}: the name {name!r} has spaces around it or is not composed (NFC); save it so")
        try:
            pairs = Signature(row["signature"]).pairs
        except InputError as error:
            raise FileError(f"{place}: {error}") from error
        for pair in pairs:
            if pair not in PAIRS:
                known = [":".join(one) for one in PAIRS]
                raise FileError(
                    f"{place}: {':'.join(pair)!r} is not in the vocabulary; {nearest(':'.join(pair), known)}"
                )
        if len(dict(pairs)) < len(pairs):
            raise FileError(f"{place}: {name or key!r} has an attribute twice; keep one")
        yield place, _Row(key, name, tuple(Fact(*pair, "hand") for pair in pairs), row["type"] or concepts[key])


def _language(path: Path, concepts: Mapping[str, str], counts: Counter[str]) -> Iterator[Entity]:
    """Make the entities of a language, in the order of the concepts."""
    language, names = path.stem, Names(path.stem)
    rows = list(_hand(path, concepts))
    annotated = {row.key for _, row in rows}
    bare = [_Row(key, "", (), concepts[key]) for key in concepts if key.startswith(PREFIX) and key not in annotated]
    rows += [(str(path), row) for row in bare]
    rank = {key: place for place, key in enumerate(concepts)}
    rows.sort(key=lambda row: (rank.get(row[1].key, len(rank)), row[1].key))
    seen = set()
    for place, (key, given, hand, semantic_type) in rows:
        name = given or (names[key] if key.startswith(PREFIX) else "")
        if not name:
            counts["no name"] += 1
            continue
        if (key, name) in seen:
            raise FileError(f"{place}: {key} is named {name!r} in an earlier row; keep one")
        seen.add((key, name))
        known = lexicon_facts(name, language, semantic_type) if language in _MAY_SHIP else []
        facts = merged(hand, known, rule_facts(name, language, semantic_type))
        yield Entity(
            language,
            f"{MID}{key}",
            name,
            semantic_type,
            Signature.of(fact.pair for fact in facts),
            semantic_type == _PERSON,
            provenance=tuple(fact.provenance for fact in facts),
        )
