"""Read a corpus from a CSV file, account for every row, and write one.

The format is that of CLSE v1.0: a header, and the columns `language`, `mid`, `name`, `linguistic_signature` and
`semantic_type` in any order. The further columns of v1.1 repeat parts of the signature, with losses: they are compared
with it and not used. Two columns of ours, `provenance` and `reviewed`, hold an entry for each pair of the signature in
the order of the alphabet; `save` writes them where they are known. A row with fewer entries was completed by hand, and
its pairs are read as the user's.

A row that cannot be used stops the reading, or is refused and counted. A row that is merely odd is kept and counted.
Names are composed (NFC) and rid of spaces around them and of invisible marks without meaning (zero-width space, soft
hyphen); joiners and non-joiners, which some scripts need, stay.

Source:
    CLSE (arXiv 2211.02423), `scripts/generate_v1.1_data.py` and `docs/clse_details.pdf`. What is refused is our choice.
"""

from __future__ import annotations

import html
import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal

from tamis.core.errors import ConfigError, FileError, InputError
from tamis.core.files import write_whole
from tamis.language import tags
from tamis.language.corpus import Corpus, Entity, Report
from tamis.language.csv_file import INVISIBLE, MARKS, MIXED_SCRIPTS, Reading, cleaned, csv_text
from tamis.language.signature import Signature
from tamis.language.vocabulary import PAIRS, concise, features_of

COLUMNS = ("language", "mid", "name", "linguistic_signature", "semantic_type")
"""The columns of CLSE v1.0."""
OURS = ("provenance", "reviewed")
"""The columns that we add, with an entry for each pair of the signature."""

CLSE = {
    "ar": (899, 21), "bn": (721, 6), "cmn-CN": (530, 5), "cmn-TW": (529, 6), "cs": (1238, 20), "da": (1286, 23),
    "de": (2922, 37), "en": (4076, 32), "es": (3181, 26), "fr": (4312, 26), "gu": (798, 6), "hi": (950, 18),
    "id": (705, 9), "it": (2510, 41), "ja": (1063, 47), "jv": (55, 2), "kn": (849, 6), "ko": (885, 9), "ml": (888, 6),
    "mr": (924, 6), "nl": (1049, 20), "no": (1237, 23), "pl": (1606, 30), "pt": (2464, 25), "ru": (3039, 31),
    "su": (29, 2), "sv": (1309, 19), "ta": (891, 6), "te": (885, 6), "th": (724, 9), "tr": (1262, 10), "ur": (883, 6),
    "vi": (612, 8), "yue": (551, 19),
}  # fmt: skip
"""Entities, and pairs of attribute and value, of each language: Table 1 of CLSE's docs/clse_details.pdf."""

_ROWS, _ALIKE = 80_893, 10
_TYPES = tuple(f"Type{number:02}" for number in range(74))
_LETTERS = {"ar": "ابتثجحخدذرزس", "hi": "कखगघचछजझटठ", "ja": "源氏物語東京大阪", "ru": "абвгдежзиклмнопр"}
MOST_WEIGHT = 1e100
"""The largest weight of a name, so that sums are finite."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_REPEATED = "repeated row"
_DERIVED = frozenset(concise(attribute) for attribute, _ in PAIRS)
_EMPTY = {""}
_UNTIDY = re.compile(r"(?:^|[,:])\s|\s(?:[,:]|$)|^,|,,|,$")


def load(source: str | Path, *, persons: bool = False, on_error: Literal["raise", "collect"] = "raise") -> Corpus:
    """Read a corpus from a CSV file in the format of CLSE v1.0 or v1.1, or take the one that comes with the package.

    Args:
        source: The file, UTF-8; or `open`, the open corpus, or `open-full`, which also has the rows beyond ten alike
            (files of these names are `./open` and `./open-full`).
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
    if source in ("open", "open-full"):
        from tamis.language.open_corpus import embedded

        return embedded(persons=persons, full=source == "open-full")
    path = Path(source)
    reading = Reading(path, strict=on_error == "raise")
    read = _entities(reading)
    if not reading.count:
        raise FileError(f"{path}: has a header and no rows; get the file again")
    if not read:
        raise FileError(f"none of {reading.count} rows can be used; the first problem is {reading.examples[0]}")
    known = {one.mid for one in read if one.person and one.mid}
    marked = [replace(one, person=True) if one.mid in known and not one.person else one for one in read]
    kept = tuple(one for one in marked if persons or not one.person)
    if not kept:
        raise FileError(
            f"{path}: all {len(read)} rows are about persons, who are read on request only: persons=True, --persons"
        )
    return Corpus(kept, path.name, _report(reading, kept=len(kept), persons_left_out=len(read) - len(kept)))


def validate(path: str | Path) -> Report:
    """Read a file to its end, and say what became of every row, persons among them.

    Args:
        path: A CSV file in the format of CLSE v1.0 or v1.1.

    Returns:
        The report; no row need be usable.

    Raises:
        FileError: If the file is missing or is no such file.
        LimitError: If it is larger than 500 MB.
        MissingExtraError: If langcodes is not installed.
    """
    reading = Reading(Path(path), strict=False)
    return _report(reading, kept=len(_entities(reading)), persons_left_out=0)


def _report(reading: Reading, *, kept: int, persons_left_out: int) -> Report:
    return Report(
        rows=reading.count,
        kept=kept,
        refused=reading.refused,
        repeated=reading.counts[_REPEATED],
        persons_left_out=persons_left_out,
        counts=dict(sorted(reading.counts.items())),
        examples=tuple(sorted(reading.examples, key=lambda one: one.kind)),
    )


def synthetic(
    rows: int = _ROWS,
    *,
    languages: Sequence[str] = tuple(CLSE),
    types: Sequence[str] = _TYPES,
    seed: int,
) -> Corpus:
    """Make rows like those of CLSE, which nobody annotated: values and names are drawn, and mean nothing.

    Each language has its share of the rows and its number of pairs of attribute and value from Table 1 of CLSE's
    documents; the sizes of types are in proportion to 1, 1/2, 1/3 and so on. Up to ten rows have the same signature.

    Args:
        rows: About how many.
        languages: Codes of CLSE.
        types: Semantic types, the largest first.
        seed: Of everything that is drawn.

    Returns:
        No rows about persons.
    """
    dice = random.Random(seed)
    attributes: dict[str, list[str]] = {}
    for attribute, value in PAIRS:
        if attribute not in ("aliveness", "gender"):
            attributes.setdefault(attribute, []).append(value)
    whole = sum(CLSE[language][0] for language in languages) * sum(1 / rank for rank in range(1, len(types) + 1))
    made: list[Entity] = []
    for language in languages:
        entities, pairs = CLSE[language]
        values = dict(_some(attributes, pairs, dice))
        letters = _LETTERS.get(language, "abcdefghijklmnop")
        for rank, semantic_type in enumerate(types, start=1):
            for signature in _signatures(values, round(rows * entities / whole / rank), dice):
                name = "".join(dice.choices(letters, k=dice.randint(4, 16))).title()
                made.append(Entity(language, f"/m/{len(made):06x}", name, semantic_type, signature))
    return Corpus(tuple(made), "clse-sized")


def _some(attributes: Mapping[str, list[str]], pairs: int, dice: random.Random) -> Iterator[tuple[str, list[str]]]:
    """Draw attributes until there are so many pairs."""
    for attribute in dice.sample(sorted(attributes), k=len(attributes)):
        its = attributes[attribute][:pairs]
        pairs -= len(its)
        if its:
            yield attribute, its


def _signatures(values: Mapping[str, list[str]], rows: int, dice: random.Random) -> Iterator[Signature]:
    """Draw signatures of half of the attributes or more, each for one to ten rows."""
    while rows > 0:
        chosen = dice.sample(sorted(values), k=dice.randint((len(values) + 1) // 2, len(values)))
        count = min(rows, dice.randint(1, _ALIKE))
        rows -= count
        yield from [Signature.of((attribute, dice.choice(values[attribute])) for attribute in chosen)] * count


def save(corpus: Iterable[Entity], path: str | Path, *, spreadsheet: bool = False) -> Path:
    """Write a corpus as a CSV file that `load` reads, with who says what and who reviewed it where that is known.

    Rows of CLSE stay under its licence; `corpus.attribution` is the credit to pass on with them.

    Args:
        corpus: What to write, in its order.
        path: The file, UTF-8; it is replaced as a whole.
        spreadsheet: Begin with the mark by which spreadsheets know UTF-8.

    Returns:
        The path.

    Raises:
        FileError: If it cannot be written there.
    """
    entities = tuple(corpus)
    width = len(COLUMNS) + (len(OURS) if any(one.provenance or one.reviewed for one in entities) else 0)
    text = csv_text(row[:width] for row in ((*COLUMNS, *OURS), *map(row_of, entities)))
    return write_whole(path, "\ufeff" * spreadsheet + text)


def row_of(one: Entity) -> tuple[str, ...]:
    """Write an entity as a row of the columns COLUMNS and OURS."""
    marks = (",".join(map(str, its)) for its in (one.provenance, one.reviewed))
    return one.language, one.mid, one.name, str(one.signature), one.semantic_type, *marks


def read_weights(path: str | Path) -> dict[str, float]:
    """Read what names cost from a CSV file.

    Args:
        path: A file in UTF-8 with the columns `name`, a name or a mid, and `weight`; others are passed over.

    Returns:
        What each name or mid costs.

    Raises:
        FileError: If the file cannot be read, or a weight is no finite number of zero or more; the message names the
            place.
        LimitError: If the file is larger than 500 MB.
    """
    reading = Reading(Path(path))
    weights: dict[str, float] = {}
    for fields in reading.records(("name", "weight")):
        name, text = cleaned(fields["name"]), fields["weight"].strip()
        if not name:
            raise reading.error("the name is empty; every row needs one", "name")
        weight = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not 0 <= weight <= MOST_WEIGHT:
            raise reading.error(
                f"the weight is {text!r}; expected a finite number, zero or more, at most {MOST_WEIGHT:g}", "weight"
            )
        if weights.setdefault(name, weight) != weight:
            raise reading.error(f"{name!r} has another weight in an earlier row; keep one", "weight")
    return weights


@dataclass(frozen=True, slots=True)
class _Annotation:
    """What one text of a signature says, worked out once for all rows that have it."""

    signature: Signature
    person: bool
    oddities: tuple[tuple[str, str], ...]
    """Kinds of problem, and messages."""


def _entities(reading: Reading) -> list[Entity]:
    """Give the rows that can be used, each once; of equal rows that which more reviewers agreed on."""
    records = reading.records(COLUMNS, optional=OURS)
    for name in reading.header:
        if name not in COLUMNS and name not in _DERIVED and name not in OURS:
            reading.note("unknown column", f"column {name!r} is not read", name)
    derived = [name for name in reading.header if name in _DERIVED]
    annotations: dict[str, _Annotation] = {}
    agreed: dict[str, list[str]] = {}
    seen: dict[Entity, Entity] = {}
    first: dict[tuple[str, str, str], tuple[Entity, int]] = {}
    for fields in records:
        entity = _entity(fields, reading, annotations)
        if entity is None or (entity := _marked(entity, fields, reading)) is None:
            continue
        if entity in seen:
            reading.note(_REPEATED, f"{entity.name!r} stands in an earlier row just so")
            seen[entity] = max(seen[entity], entity, key=lambda one: sum(one.reviewed))
            continue
        seen[entity] = entity
        earlier, line = first.setdefault((entity.language, entity.mid, entity.name), (entity, reading.line))
        if earlier is not entity and entity.mid:
            _note_conflict(entity, earlier, line, reading)
        its = [fields[name] for name in derived]
        raw = entity.signature.raw
        if its != agreed.get(raw) and _columns_agree(dict(zip(derived, its, strict=True)), entity.signature, reading):
            agreed[raw] = its
    return list(seen.values())


def _entity(fields: Mapping[str, str], reading: Reading, annotations: dict[str, _Annotation]) -> Entity | None:
    """Read one row, or refuse it."""
    tag, mid, name, raw, semantic_type = (fields[column] for column in COLUMNS)
    try:
        language = tags.canonical(tag)
    except InputError as error:
        reading.refuse("bad language tag", str(error), "language")
        return None
    clean = cleaned(name)
    if not clean:
        reading.refuse("no name", "the name is empty; every row needs one", "name")
        return None
    semantic_type = cleaned(semantic_type)
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
    mid = INVISIBLE.sub("", mid).strip()
    for kind, message in annotation.oddities:
        reading.note(kind, message, "linguistic_signature")
    if not mid and "provenance" not in reading.header:
        reading.note("no mid", f"{clean!r} has no mid; it joins no other language", "mid")
    for kind, message in _name_oddities(name, clean, mid):
        reading.note(kind, message, "name")
    person = annotation.person or semantic_type.rpartition("/")[2].casefold() == "person"
    return Entity(language, mid, clean, semantic_type, annotation.signature, person)


def _marked(entity: Entity, fields: Mapping[str, str], reading: Reading) -> Entity | None:
    """Read what our columns say of each pair, or refuse the row."""
    pairs = len(entity.signature.pairs)
    marks = {name: tuple(map(str.strip, fields[name].split(","))) for name in OURS if fields[name].strip()}
    for name, its in marks.items():
        if len(its) > pairs:
            reading.refuse("bad marks", f"{name} has {len(its)} entries; expected {pairs}, one for each pair", name)
            return None
    if any(len(its) < pairs for its in marks.values()):
        reading.note("edited row", f"{entity.name!r} has pairs without marks; all of its pairs count as yours", "name")
        return replace(entity, provenance=("user",) * pairs)
    provenance, counts = marks.get("provenance", ()), marks.get("reviewed", ())
    if wrong := [one for one in counts if not re.fullmatch("[0-9]{1,6}", one)]:
        reading.refuse("bad marks", f"reviewed has {wrong[0]!r}; expected numbers of reviewers", "reviewed")
        return None
    return replace(entity, provenance=provenance, reviewed=tuple(map(int, counts))) if marks else entity


def _name_oddities(name: str, clean: str, mid: str) -> Iterator[tuple[str, str]]:
    if name != clean:
        yield "cleaned name", f"the name {name!a} is read as {clean!r}"
    if clean == mid:
        yield "name is the mid", f"the name is the mid {mid!r}"
    if "&" in clean and ";" in clean and html.unescape(clean) != clean:
        yield "HTML in the name", f"the name {clean!r} is HTML for {html.unescape(clean)!r}"
    if clean.isascii():
        return
    if MARKS.search(clean):
        yield "invisible marks", f"the name {clean!a} holds characters that are not seen"
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


def _columns_agree(derived: Mapping[str, str], signature: Signature, reading: Reading) -> bool:
    """Compare the columns of v1.1 with the signature; where attributes share a column, either value will do."""
    columns: dict[str, set[str]] = {}
    for attribute, value in signature.pairs:
        columns.setdefault(concise(attribute), set()).add(value)
    for column, value in derived.items():
        expected = columns.get(column, _EMPTY)
        if value not in expected:
            reading.note(
                "column disagrees",
                f"column {column!r} has {value!r}, the signature {' or '.join(map(repr, sorted(expected)))}; "
                "the signature is right",
                column,
            )
            return False
    return True
