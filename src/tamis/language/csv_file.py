"""CSV files that people hand in: told from what is none, read row by row, and every problem named with its place.

The rules hold for corpora, weights, names to annotate and review sheets alike. Blank lines are passed over and counted.
Where a file is also opened by spreadsheets, a field that one could take for a formula has an apostrophe before it.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tamis.core.errors import FileError, LimitError
from tamis.language.corpus import Problem

DAMAGE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffd]")
"""Characters that no field may hold; bytes that are not UTF-8 are read as lone surrogates."""
INVISIBLE = re.compile("[\u00ad\u200b\ufeff]")
"""Invisible marks without meaning, which are taken out of names."""
MARKS = re.compile("[\u034f\u061c\u180e\u2060\u2800\u3164\uffa0\U000e0000-\U000e007f]")
"""Invisible characters that a name hardly needs."""
MIXED_SCRIPTS = re.compile("[A-Za-z][\u0400-\u052f]|[\u0400-\u052f][A-Za-z]")
"""Latin beside Cyrillic letters in a word."""

_MAX_BYTES = 500_000_000
_EXAMPLES = 3
_HEADER = 10_000
_NOT_CSV = {
    b"\x1f\x8b": "packed with gzip; unpack it first",
    b"PK\x03\x04": "a zip archive or a spreadsheet; save it as CSV",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
    b"version https://git-lfs": "a pointer of git-lfs, not the file itself; run `git lfs pull`",
    b"\xfd7zXZ": "packed with xz; unpack it first",
    b"BZh": "packed with bzip2; unpack it first",
    b"%PDF": "a PDF; get the table itself as CSV",
    b"sep=": "begins with a line for Excel; delete that line",
    b"<": "a web page, not the file itself; download the raw file",
}
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


class Reading:
    """A file being read: its rows one by one, and what was wrong with them so far.

    Args:
        path: The file, UTF-8.
        strict: Stop at a row that cannot be used; else it is counted as refused.
        separators: What may stand between fields; of several that which is most frequent in the first line.
    """

    def __init__(self, path: Path, *, strict: bool = True, separators: str = ",") -> None:
        self.path = path
        self.strict = strict
        self.separators = separators
        self.separator = separators[0]
        self.count = 0
        self.refused = 0
        self.counts: Counter[str] = Counter()
        self.examples: list[Problem] = []
        self.header: list[str] = []
        self.width = 0
        self.line = 1
        self._text: list[str] = []

    def records(
        self, columns: Sequence[str], *, optional: Sequence[str] = (), short: bool = False
    ) -> Iterator[dict[str, str]]:
        """Read the header at once, then give the rows, each with its fields by column.

        Args:
            columns: Those that the file must have.
            optional: Those that are read too; where the file lacks one its fields are empty.
            short: Rows may lack fields at their end, which are then empty.

        Returns:
            The rows that are no trouble; columns that are not named here are among their fields unchecked.

        Raises:
            FileError: If the file is no CSV file or lacks a column or, while the rows are read, if one of them has too
                many or too few fields or a character that no field may hold.
            LimitError: If the file is larger than 500 MB.
        """
        _check_file(self.path)
        rows = self._rows()
        self.header = [name.strip() for name in next(rows, [])]
        self.width = len(self.header)
        while self.header and not self.header[-1]:
            self.header.pop()
        self._check_header(columns)
        return self._records(rows, (*columns, *optional), short)

    def _records(self, rows: Iterator[list[str]], read: Sequence[str], short: bool) -> Iterator[dict[str, str]]:
        empty = dict.fromkeys((*read, *self.header), "")
        for row in rows:
            self.count += 1
            if len(row) <= self.width and not any(row[len(self.header) :]):
                row = row[: len(self.header)]  # spreadsheets write columns that have no name and hold nothing
            surplus = len(row) - len(self.header)
            if surplus > 0 or (surplus < 0 and not short):
                hint = "quote fields that hold commas" if surplus > 0 else "complete the row"
                self.refuse("wrong number of fields", f"fields: {len(row)}, in the header {len(self.header)}; {hint}")
                continue
            fields = empty | dict(zip(self.header, row, strict=False))
            found = next(((name, *bad) for name in read if (bad := forbidden(fields[name]))), None)
            if found:
                name, letter, message = found
                self.refuse("bad character", message, name, letter)
                continue
            yield fields

    def _rows(self) -> Iterator[list[str]]:
        """Give the rows that are not blank, the header first."""
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            start = file.readline(_HEADER)
            self.separator = max(self.separators, key=start.count)
            file.seek(0)
            reader = csv.reader(self._remembered(file), delimiter=self.separator, strict=True)
            while True:
                self.line = reader.line_num + 1
                self._text.clear()
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    if self.strict or not self.header:
                        raise FileError(f"{self.path}:{self.line}:1: {error}; check the quotes of this row") from error
                    self.count += 1
                    self.refuse("bad quotes", f"{error}; check the quotes of this row")
                    continue
                if row:
                    yield row
                else:
                    self.note("blank line", "blank line; the file was saved with doubled line ends")

    def _remembered(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._text.append(line)
            yield line

    def _check_header(self, columns: Sequence[str]) -> None:
        """Refuse a header that lacks a column or has one twice."""
        where, header = f"{self.path}:{self.line}:1", self.header
        missing = [name for name in columns if name not in header]
        if missing and len(header) == 1 and (mark := next((mark for mark in ";\t|" if mark in header[0]), None)):
            raise FileError(f"{where}: fields are separated by {mark!r}; save it with commas")
        if missing:
            raise FileError(f"{where}: the header lacks {', '.join(missing)}; expected {','.join(columns)}")
        twice = next((name for name, count in Counter(header).items() if count > 1), None)
        if twice is not None:
            raise FileError(f"{where}: the header names {twice!r} twice; keep one")

    def note(self, kind: str, message: str, column: str = "", letter: str = "") -> None:
        """Count a problem of the row at hand, and keep it if there are few like it.

        Args:
            kind: What sort of problem.
            message: One line.
            column: Where it is; the row's beginning by default.
            letter: The character of the field where it is; the field's beginning by default.
        """
        self.counts[kind] += 1
        alike = [one.message for one in self.examples if one.kind == kind]
        if len(alike) < _EXAMPLES and message not in alike:
            self.examples.append(self._problem(kind, message, column, letter))

    def refuse(self, kind: str, message: str, column: str = "", letter: str = "") -> None:
        """Stop at the row at hand, or count it as refused; the arguments are those of `note`."""
        if self.strict:
            raise self.error(message, column, letter)
        self.refused += 1
        self.note(kind, message, column, letter)

    def error(self, message: str, column: str = "", letter: str = "") -> FileError:
        """Make the error to be raised at the row at hand; the arguments are those of `note`."""
        return FileError(str(self._problem("", message, column, letter)))

    def _problem(self, kind: str, message: str, column: str, letter: str) -> Problem:
        text = "".join(self._text)
        offset = text.index(letter, _field(text, self.header.index(column), self.separator) if column else 0)
        lines = re.split(r"\r\n|\r|\n", text[:offset])
        return Problem(kind, str(self.path), self.line + len(lines) - 1, len(lines[-1]) + 1, message)


def _check_file(path: Path) -> None:
    """Refuse what is no CSV file at all, by its beginning."""
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            with path.open("rb") as file:
                start = file.read(1000)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise FileError(f"{str(path)!r} is no path ({error}); check it") from error
    if stat.S_ISDIR(found.st_mode):
        raise FileError(f"{path}: a folder; give the CSV file in it")
    if not stat.S_ISREG(found.st_mode):
        raise FileError(f"{path}: no regular file; save it as one first")
    size = found.st_size
    if not size:
        raise FileError(f"{path}: empty; get the file again")
    if size > _MAX_BYTES:
        raise LimitError(f"{path}: {size} bytes, the limit is {_MAX_BYTES}; cut the file")
    for sign, meaning in _NOT_CSV.items():
        if start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(sign):
            raise FileError(f"{path}: {meaning}")
    if b"\0" in start.partition(b"\n")[0]:
        raise FileError(f"{path}:1:{start.index(0) + 1}: holds NUL bytes, as UTF-16 does; save it as UTF-8")


def _field(text: str, number: int, separator: str) -> int:
    """Find where a field begins in the text of a row."""
    fields, start, quoted, inside = 0, 0, False, False
    for offset, letter in enumerate(text):
        if fields == number:
            return offset
        if letter == '"' and (quoted or offset == start):
            quoted, inside = True, not inside
        elif letter == separator and not inside:
            fields, start, quoted = fields + 1, offset + 1, False
    return len(text)


def forbidden(text: str) -> tuple[str, str] | None:
    r"""Find a character that no field may hold, and say what is wrong with it.

    >>> forbidden("Om\x7fsk")
    ('\x7f', 'U+007F is a control character or a line break; take it out')
    """
    found = DAMAGE.search(text)
    if not found:
        return None
    letter = found[0]
    if "\udc80" <= letter <= "\udcff":
        return letter, f"byte 0x{ord(letter) - 0xDC00:02X} is not UTF-8; save the file as UTF-8"
    if letter == "\ufffd":
        return letter, "U+FFFD stands for a character that was lost; get the row from its source"
    if unicodedata.category(letter) == "Cf":
        return letter, f"U+{ord(letter):04X} turns the direction of reading; take it out"
    return letter, f"U+{ord(letter):04X} is a control character or a line break; take it out"


def cleaned(name: str) -> str:
    """Compose a name (NFC), and rid it of spaces around it and of invisible marks without meaning; joiners stay.

    Of a name that shows nothing at all nothing is left.

    >>> cleaned(" Cafe\u0301\u200b")
    'Café'
    """
    if name.isascii():
        return name.strip()
    clean = unicodedata.normalize("NFC", INVISIBLE.sub("", name)).strip()
    shown = MARKS.sub("", clean)
    return clean if any(unicodedata.category(letter)[0] in "LNPS" for letter in shown) else ""


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    r"""Write rows as CSV.

    >>> csv_text([("name", "weight"), ("Paris, Texas", 2)])
    'name,weight\n"Paris, Texas",2\n'
    """
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def escaped(field: str) -> str:
    """Put an apostrophe before a field that a spreadsheet could take for a formula.

    >>> escaped("=1+1"), escaped("Омск")
    ("'=1+1", 'Омск')
    """
    return f"'{field}" if _FORMULA.match(field) else field


def unescaped(field: str) -> str:
    """Take the apostrophe off that `escaped` put before a field.

    >>> unescaped("'=1+1"), unescaped("'s-Hertogenbosch")
    ('=1+1', "'s-Hertogenbosch")
    """
    return field[1:] if field.startswith("'") and _FORMULA.match(field[1:]) else field
