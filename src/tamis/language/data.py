"""Read a corpus from a CSV file, account for every row, and write one.

The format is that of CLSE v1.0: a header, and the columns `language`, `mid`, `name`, `linguistic_signature` and
`semantic_type` in any order. The further columns of v1.1 repeat parts of the signature, with losses: they are compared
with it and not used. Two columns of ours, `provenance` and `reviewed`, hold an entry for each pair of the signature in
the order of the alphabet; `save` writes them where they are known.

A row that cannot be used stops the reading, or is refused and counted. A row that is merely odd is kept and counted.
Names are composed (NFC) and rid of spaces around them and of invisible marks without meaning (zero-width space, soft
hyphen); joiners and non-joiners, which some scripts need, stay.

Source:
    CLSE (arXiv 2211.02423), `scripts/generate_v1.1_data.py` and `docs/clse_details.pdf`. What is refused is our choice.
"""

from __future__ import annotations

import codecs
import csv
import html
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal

from tamis.core.errors import ConfigError, FileError, InputError, LimitError
from tamis.core.files import write_whole
from tamis.language import tags
from tamis.language.corpus import Corpus, Entity, Problem, Report
from tamis.language.signature import Signature
from tamis.language.spelling import MIXED_SCRIPTS
from tamis.language.vocabulary import PAIRS, concise, features_of

COLUMNS = ("language", "mid", "name", "linguistic_signature", "semantic_type")
"""The columns of CLSE v1.0."""

_OURS = ("provenance", "reviewed")
_MAX_BYTES = 500_000_000
_EXAMPLES = 3
_NOT_CSV = {
    b"\x1f\x8b": "packed with gzip; unpack it first",
    b"PK\x03\x04": "a zip archive or a spreadsheet; save it as CSV",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
    b"version https://git-lfs": "a pointer of git-lfs, not the file itself; run `git lfs pull`",
    b"<": "a web page, not the file itself; download the raw file",
}
_REPEATED = "repeated row"
_DERIVED = frozenset(concise(attribute) for attribute, _ in PAIRS)
_EMPTY = {""}
DAMAGE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffd]")
_INVISIBLE = re.compile("[\u00ad\u200b\ufeff]")
_UNTIDY = re.compile(r"(?:^|[,:])\s|\s(?:[,:]|$)|^,|,,|,$")


def load(source: str | Path, *, persons: bool = False, on_error: Literal["raise", "collect"] = "raise") -> Corpus:
    """Read a corpus from a CSV file in the format of CLSE v1.0 or v1.1, or take the one that comes with the package.

    Args:
        source: The file, UTF-8; or `open`, the open corpus (a file of that name is `./open`).
        persons: Keep rows about persons. A row is about one if its type is Person, if it carries natural gender or
            aliveness, or if another row with its mid does; in the open corpus by its type alone.
        on_error: What to do with a row that cannot be used: stop, or refuse it and go on.

    Returns:
        At least one entity; its `report` says what became of every row.

    Raises:
        ConfigError: If `on_error` is something else.
        FileError: If the file is missing or is no such file, if a row cannot be used, or if no row is left.
        LimitError: If the file is larger than 500 MB.
        MissingExtraError: If langcodes is not installed.
    """
    if on_error not in ("raise", "collect"):
        raise ConfigError(f"on_error is {on_error!r}; expected 'raise' or 'collect'")
    if source == "open":
        from tamis.language.open_corpus import embedded

        return embedded(persons=persons)
    path = Path(source)
    check_file(path)
    reading = Reading(path, strict=on_error == "raise")
    read = list(_entities(reading))
    if not reading.count:
        raise FileError(f"{path}: has a header and no rows; get the file again")
    if not read:
        raise FileError(f"none of {reading.count} rows can be used; the first problem is {reading.examples[0]}")
    known = {one.mid for one in read if one.person and one.mid}
    marked = [replace(one, person=True) if one.mid in known and not one.person else one for one in read]
    kept = tuple(one for one in marked if persons or not one.person)
    if not kept:
        raise FileError(f"{path}: all {len(read)} rows are about persons, who are read on request only: persons=True")
    report = Report(
        rows=reading.count,
        kept=len(kept),
        refused=reading.refused,
        repeated=reading.counts[_REPEATED],
        persons_left_out=len(read) - len(kept),
        counts=dict(sorted(reading.counts.items())),
        examples=tuple(sorted(reading.examples, key=lambda one: one.kind)),
    )
    return Corpus(kept, path.name, report)


def save(corpus: Corpus, path: str | Path) -> Path:
    """Write a corpus as a CSV file that `load` reads, with who says what and who reviewed it where that is known.

    Rows of CLSE stay under its licence; `corpus.info()["attribution"]` is the credit to pass on with them.

    Args:
        corpus: What to write, in its order.
        path: The file, UTF-8; it is replaced as a whole.

    Returns:
        The path.

    Raises:
        FileError: If it cannot be written there.
    """
    ours = [name for name in _OURS if any(getattr(one, name) for one in corpus)]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*COLUMNS, *ours])
    for one in corpus:
        marks = (",".join(map(str, getattr(one, name))) for name in ours)
        writer.writerow([one.language, one.mid, one.name, str(one.signature), one.semantic_type, *marks])
    return write_whole(path, buffer.getvalue())


def check_file(path: Path) -> None:
    """Refuse what is no CSV file at all, by its beginning.

    Raises:
        FileError: If it is missing, empty, or something else.
        LimitError: If it is larger than 500 MB.
    """
    try:
        with path.open("rb") as file:
            start = file.read(1000)
        size = path.stat().st_size
    except IsADirectoryError:
        raise FileError(f"{path}: a folder; give the CSV file in it") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if not size:
        raise FileError(f"{path}: empty; get the file again")
    if size > _MAX_BYTES:
        raise LimitError(f"{path}: {size} bytes, the limit is {_MAX_BYTES}; cut the file")
    for sign, meaning in _NOT_CSV.items():
        if start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(sign):
            raise FileError(f"{path}: {meaning}")
    if b"\0" in start.partition(b"\n")[0]:
        raise FileError(f"{path}:1:{start.index(0) + 1}: holds NUL bytes, as UTF-16 does; save it as UTF-8")


class Reading:
    """A file being read: its rows one by one, and what was wrong with them so far."""

    def __init__(self, path: Path, *, strict: bool) -> None:
        self.path = path
        self.strict = strict
        self.count = 0
        self.refused = 0
        self.counts: Counter[str] = Counter()
        self.examples: list[Problem] = []
        self.header: list[str] = []
        self.line = 1
        self._text: list[str] = []

    def rows(self) -> Iterator[list[str]]:
        """Give the rows that are not blank, the header first; bytes that are not UTF-8 become lone surrogates."""
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(self._remembered(file), strict=True)
            while True:
                self.line = reader.line_num + 1
                self._text.clear()
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    raise FileError(f"{self.path}:{self.line}:1: {error}; check the quotes of this row") from error
                if row:
                    yield row
                else:
                    self.note("blank line", "blank line; the file was saved with doubled line ends")

    def _remembered(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._text.append(line)
            yield line

    def note(self, kind: str, message: str, at: str | None = None) -> None:
        """Count a problem of the row at hand, and keep it if there are few like it.

        Args:
            kind: What sort of problem.
            message: One line.
            at: The name of a column, or a character of the row; the row's beginning by default.
        """
        self.counts[kind] += 1
        alike = [one.message for one in self.examples if one.kind == kind]
        if len(alike) < _EXAMPLES and message not in alike:
            self.examples.append(self.problem(kind, message, at))

    def refuse(self, kind: str, message: str, at: str | None = None) -> None:
        """Stop at the row at hand, or count it as refused; the arguments are those of `note`."""
        if self.strict:
            raise FileError(str(self.problem(kind, message, at)))
        self.refused += 1
        self.note(kind, message, at)

    def problem(self, kind: str, message: str, at: str | None = None) -> Problem:
        """Say where in the row at hand a problem is; the arguments are those of `note`."""
        text = "".join(self._text)
        offset = _field(text, self.header.index(at)) if at in self.header else text.index(at or "")
        lines = re.split(r"\r\n|\r|\n", text[:offset])
        return Problem(kind, str(self.path), self.line + len(lines) - 1, len(lines[-1]) + 1, message)


def _field(text: str, number: int) -> int:
    """Find where a field begins in the text of a row."""
    fields, start, quoted, inside = 0, 0, False, False
    for offset, letter in enumerate(text):
        if fields == number:
            return offset
        if letter == '"' and (quoted or offset == start):
            quoted, inside = True, not inside
        elif letter == "," and not inside:
            fields, start, quoted = fields + 1, offset + 1, False
    return len(text)


@dataclass(frozen=True, slots=True)
class _Annotation:
    """What one text of a signature says, worked out once for all rows that have it."""

    signature: Signature
    person: bool
    oddities: tuple[tuple[str, str], ...]
    """Kinds of problem, and messages."""


def _entities(reading: Reading) -> Iterator[Entity]:
    """Give the rows that can be used, each once."""
    rows = reading.rows()
    header = reading.header = [name.strip() for name in next(rows, [])]
    check_header(header, reading, COLUMNS)
    for name in header:
        if name not in COLUMNS and name not in _DERIVED and name not in _OURS:
            reading.note("unknown column", f"column {name!r} is not read", name)
    places = [header.index(name) for name in COLUMNS]
    derived = {name: place for place, name in enumerate(header) if name in _DERIVED}
    ours = {name: header.index(name) for name in _OURS if name in header}
    annotations: dict[str, _Annotation] = {}
    agreed: dict[str, list[str]] = {}
    seen: set[Entity] = set()
    first: dict[tuple[str, str, str], tuple[Entity, int]] = {}
    for row in rows:
        reading.count += 1
        if len(row) != len(header):
            hint = "quote fields that hold commas" if len(row) > len(header) else "complete the row"
            reading.refuse("wrong number of fields", f"fields: {len(row)}, in the header {len(header)}; {hint}")
            continue
        entity = _entity([row[place] for place in places], reading, annotations)
        if entity is None:
            continue
        marked = _marked(entity, {name: row[place] for name, place in ours.items()}, reading)
        if marked is None:
            continue
        entity = marked
        if entity in seen:
            reading.note(_REPEATED, f"{entity.name!r} stands in an earlier row just so")
            continue
        seen.add(entity)
        earlier, line = first.setdefault((entity.language, entity.mid, entity.name), (entity, reading.line))
        if earlier is not entity and entity.mid:
            _note_conflict(entity, earlier, line, reading)
        cells = [row[place] for place in derived.values()]
        raw = entity.signature.raw
        if cells != agreed.get(raw) and _columns_agree(row, derived, entity.signature, reading):
            agreed[raw] = cells
        yield entity


def check_header(header: list[str], reading: Reading, columns: Sequence[str]) -> None:
    """Refuse a header that lacks a column or has one twice."""
    where = f"{reading.path}:{reading.line}:1"
    missing = [name for name in columns if name not in header]
    if missing and len(header) == 1 and (mark := next((mark for mark in ";\t|" if mark in header[0]), None)):
        raise FileError(f"{where}: fields are separated by {mark!r}; save it with commas")
    if missing:
        raise FileError(f"{where}: the header lacks {', '.join(missing)}; expected {','.join(columns)}")
    twice = next((name for name, count in Counter(header).items() if count > 1), None)
    if twice is not None:
        raise FileError(f"{where}: the header names {twice!r} twice; keep one")


def _entity(fields: list[str], reading: Reading, annotations: dict[str, _Annotation]) -> Entity | None:
    """Read one row, or refuse it."""
    if found := DAMAGE.search("".join(fields)):
        reading.refuse("bad character", damage(found[0]), found[0])
        return None
    tag, mid, name, raw, semantic_type = fields
    try:
        language = tags.canonical(tag)
    except InputError as error:
        reading.refuse("bad language tag", str(error), "language")
        return None
    clean = cleaned(name)
    if not clean:
        reading.refuse("no name", "the name is empty; every row needs one", "name")
        return None
    semantic_type = semantic_type.strip()
    if not semantic_type:
        reading.refuse("no semantic type", "the semantic type is empty; every row needs one", "semantic_type")
        return None
    annotation = annotations.get(raw)
    if annotation is None:
        try:
            annotation = annotations[raw] = _annotation(raw)
        except InputError as error:
            reading.refuse("bad signature", str(error), "linguistic_signature")
            return None
    mid = mid.strip()
    for kind, message in annotation.oddities:
        reading.note(kind, message, "linguistic_signature")
    if not mid:
        reading.note("no mid", f"{clean!r} has no mid; it joins no other language", "mid")
    for kind, message in _name_oddities(name, clean, mid):
        reading.note(kind, message, "name")
    person = annotation.person or semantic_type.rpartition("/")[2].casefold() == "person"
    return Entity(language, mid, clean, semantic_type, annotation.signature, person)


def _marked(entity: Entity, ours: dict[str, str], reading: Reading) -> Entity | None:
    """Read what our columns say of each pair, or refuse the row."""
    pairs = len(entity.signature.pairs)
    marks = {name: tuple(map(str.strip, text.split(","))) for name, text in ours.items() if text.strip()}
    for name, its in marks.items():
        if len(its) != pairs:
            reading.refuse("bad marks", f"{name} has {len(its)} entries; expected {pairs}, one for each pair", name)
            return None
    provenance, counts = marks.get("provenance", ()), marks.get("reviewed", ())
    if wrong := [one for one in counts if not re.fullmatch("[0-9]{1,6}", one)]:
        reading.refuse("bad marks", f"reviewed has {wrong[0]!r}; expected numbers of reviewers", "reviewed")
        return None
    return replace(entity, provenance=provenance, reviewed=tuple(map(int, counts))) if marks else entity


def damage(letter: str) -> str:
    """Say what is wrong with a character that has no place in data."""
    if "\udc80" <= letter <= "\udcff":
        return f"byte 0x{ord(letter) - 0xDC00:02X} is not UTF-8; save the file as UTF-8"
    if letter == "\ufffd":
        return "U+FFFD stands for a character that was lost; get the row from its source"
    if unicodedata.category(letter) == "Cf":
        return f"U+{ord(letter):04X} turns the direction of reading; take it out"
    return f"U+{ord(letter):04X} is a control character or a line break; take it out"


def cleaned(name: str) -> str:
    """Compose a name (NFC), and rid it of spaces around it and of invisible marks without meaning; joiners stay.

    >>> cleaned(" Cafe\u0301\u200b")
    'Café'
    """
    if name.isascii():
        return name.strip()
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", name)).strip()


def _name_oddities(name: str, clean: str, mid: str) -> Iterator[tuple[str, str]]:
    if name != clean:
        yield "cleaned name", f"the name {name!a} is read as {clean!r}"
    if clean == mid:
        yield "name is the mid", f"the name is the mid {mid!r}"
    if "&" in clean and ";" in clean and html.unescape(clean) != clean:
        yield "HTML in the name", f"the name {clean!r} is HTML for {html.unescape(clean)!r}"
    if clean.isascii():
        return
    if MIXED_SCRIPTS.search(clean):
        yield "mixed scripts", f"the name {clean!r} mixes Latin and Cyrillic letters in a word"
    try:
        meant = clean.encode("cp1252").decode()
    except UnicodeError:
        return
    yield "garbled name", f"the name {clean!r} looks like {meant!r} read with the wrong encoding"


def _annotation(raw: str) -> _Annotation:
    signature = Signature(raw)
    return _Annotation(signature, any(_personal(*pair) for pair in signature.pairs), tuple(_oddities(signature)))


def _personal(attribute: str, value: str) -> bool:
    """Say whether a pair is about a person; values that nobody documented are taken to be."""
    attribute = attribute.casefold()
    return attribute == "aliveness" or (attribute == "gender" and value.casefold() != "gender_none")


def _oddities(signature: Signature) -> Iterator[tuple[str, str]]:
    if not signature.pairs:
        yield "empty signature", "the signature says nothing"
    elif _UNTIDY.search(signature.raw):
        yield "untidy signature", f"the signature has empty parts or spaces; it is read as {str(signature)!r}"
    for attribute, value in signature.pairs:
        if (attribute, value) in PAIRS:
            continue
        if features_of(attribute, value):
            yield "unusual spelling", f"{f'{attribute}:{value}'!r} is understood, but CLSE spells it otherwise"
        else:
            yield "unknown pair", f"{f'{attribute}:{value}'!r} is not in the vocabulary; only `raw` queries find it"
    if len(dict(signature.pairs)) == len(signature.pairs):
        return
    for attribute, pairs in groupby(signature.pairs, key=itemgetter(0)):
        values = [value for _, value in pairs]
        if len(set(values)) > 1:
            yield "conflicting values", f"{attribute!r} is {' and '.join(map(repr, sorted(set(values))))} at once"
        elif len(values) > 1:
            yield "repeated attribute", f"{f'{attribute}:{values[0]}'!r} stands {len(values)} times"


def _note_conflict(entity: Entity, first: Entity, line: int, reading: Reading) -> None:
    """Note where a row disagrees with an earlier one about the same name of the same thing."""
    if entity.semantic_type == first.semantic_type:
        message = f"{entity.name!r} ({entity.mid}) has another signature in line {line}; both are kept"
        reading.note("conflicting rows", message)
        return
    for kind in ("gender", "natural_gender"):
        here, there = entity.get(kind), first.get(kind)
        if here != there:
            message = (
                f"{entity.name!r} ({entity.mid}) has {kind} {here}; as {first.semantic_type} in line {line}, {there}"
            )
            reading.note("conflicting gender", message)


def _columns_agree(row: list[str], derived: dict[str, int], signature: Signature, reading: Reading) -> bool:
    """Compare the columns of v1.1 with the signature; where attributes share a column, either value will do."""
    columns: dict[str, set[str]] = {}
    for attribute, value in signature.pairs:
        columns.setdefault(concise(attribute), set()).add(value)
    for column, place in derived.items():
        expected = columns.get(column, _EMPTY)
        if row[place] not in expected:
            reading.note(
                "column disagrees",
                f"column {column!r} has {row[place]!r}, the signature {' or '.join(map(repr, sorted(expected)))}; "
                "the signature is right",
                column,
            )
            return False
    return True
