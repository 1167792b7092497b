"""The command line of the language domain: parse, call one function, print."""

from __future__ import annotations

import json as json_format
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter, validators

from tamis.core.options import Count, File, Json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tamis.language.corpus import Corpus
    from tamis.language.covering import Cover

app = App(
    name="language",
    help="Pick the names that matter grammatically: the fewest with which a sentence meets all that grammar asks.",
    help_epilogue="Example: tamis language cover --lang ru --type City --level value",
)
data = App(
    name="data",
    help="Look at a corpus, choose from it, check a file.",
    help_epilogue="Example: tamis language data info clse_v1.0.csv",
)
review = App(
    name="review",
    help="Have annotations judged by those who speak the language.",
    help_epilogue="Example: tamis language review export --lang mr --out marathi.csv",
)
app.command(data)
app.command(review)

Many = Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)]
Seconds = Annotated[float, Parameter(validator=validators.Number(gte=0))]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """How a corpus is read."""

    persons: Annotated[bool, Parameter(negative="")] = False
    """Read rows about persons too; do not infer anything else from them."""
    collect: Annotated[bool, Parameter(negative="")] = False
    """Leave out rows that cannot be used, and go on."""

    def read_all(self, sources: Sequence[str] | None, *, everybody: bool = False) -> Corpus:
        """Read corpora and join them, the open corpus if none is named; see `read`."""
        first, *others = (self.read(source, everybody=everybody) for source in sources or ["open"])
        return sum(others, first)

    def read(self, source: str, *, everybody: bool = False) -> Corpus:
        """Read a corpus, and say on stderr what was left out of it and what its authors ask.

        Args:
            source: A file, or open.
            everybody: Keep rows about persons, since none is shown and none may be lost.
        """
        from tamis.language.corpus import WARNINGS
        from tamis.language.data import load

        corpus = load(source, persons=self.persons or everybody, on_error="collect" if self.collect else "raise")
        if corpus.report.refused:
            print(
                f"tamis: {corpus.report.refused} of {corpus.report.rows} rows of {corpus.name} cannot be used: "
                f"tamis language data validate {shlex.quote(source)}",
                file=sys.stderr,
            )
        if self.persons:
            print(f"tamis: {WARNINGS[0]}", file=sys.stderr)
        elif corpus.report.persons_left_out and source not in ("open", "open-full"):
            print(
                f"tamis: {corpus.report.persons_left_out} rows about persons are left out; --persons reads them",
                file=sys.stderr,
            )
        return corpus


_READ = CorpusOptions()


@data.command(help_epilogue="Example: tamis language data info open --json")
def info(source: str = "open", /, *, options: CorpusOptions = _READ, json: Json = False) -> None:
    """Say what is in a corpus, language by language, whose work it is, and what its authors ask of those who use it.

    Args:
        source: A CSV file in the format of CLSE v1.0 or v1.1, or open, the corpus that comes with the package.
        options: How it is read.
        json: Print one JSON object.
    """
    from tamis.language.tables import languages_table

    corpus = options.read(source)
    facts = {**corpus.info(), "persons_left_out": corpus.report.persons_left_out}
    table = languages_table(corpus)
    if json:
        counts = {str(row[0]): dict(zip(table.headers[1:], row[1:], strict=True)) for row in table.rows}
        print(_dumped({**facts, "languages": counts}))
        return
    for name in ("name", "entities", "mids", "signatures", "persons", "persons_left_out", "hash", "attribution"):
        print(f"{name:17} {facts[name]}")
    print(f"{'types':17} {', '.join(f'{one} {count}' for one, count in facts['types'].items())}")
    for warning in facts["warnings"]:
        print(f"{'warning':17} {warning}")
    print()
    table.print()


@data.command(help_epilogue="Example: tamis language data query open --lang ru --where gender=neuter --limit 5")
def query(
    source: str = "open",
    /,
    *,
    lang: str | None = None,
    type: str | None = None,
    name: str | None = None,
    where: Many = None,
    raw: Many = None,
    options: CorpusOptions = _READ,
    limit: Count | None = None,
    out: File | None = None,
    format: Literal["table", "csv"] = "table",
    json: Json = False,
) -> None:
    """List the entities for which all that is asked holds.

    Args:
        source: A CSV file in the format of CLSE, or open, or open-full, which has more than ten names alike.
        lang: A language tag.
        type: A semantic type.
        name: A part of the name, in whatever letter case.
        where: A kind of the vocabulary and its value, such as gender=feminine or number=missing; may be repeated.
        raw: An attribute as the corpus writes it and its value, such as Noun.topical=PREP_OB; may be repeated.
        options: How the corpus is read.
        limit: List this many at most.
        out: Also write all of them to a CSV file that can be read as a corpus.
        format: table or csv.
        json: Print one JSON object.
    """
    from tamis.language.data import save
    from tamis.language.tables import entities_csv, entities_table, entity_json

    _one_format(format, json)
    _no_input(out, [source])
    corpus = options.read(source)
    found = corpus.filter(language=lang, type=type, name=name, where=_pairs("--where", where), raw=_pairs("--raw", raw))
    _said_which(lang, found.languages)
    credit = corpus.attribution
    shown = found.entities[:limit]
    if out:
        print(f"tamis: {save(found, out)}: {len(found)} rows", file=sys.stderr)
    if json:
        print(_dumped({"attribution": credit, "entities": [entity_json(one) for one in shown]}))
    elif format == "csv":
        print(entities_csv(shown, credit), end="")
    else:
        entities_table(shown, corpus).print()
        more = f", {len(shown)} of them shown" if len(shown) < len(found) else ""
        print(f"tamis: {len(found)} of {len(corpus)} entities{more}; {credit or corpus.name}", file=sys.stderr)


@data.command(help_epilogue="Example: tamis language data stats open --lang pl --type City")
def stats(
    source: str = "open",
    /,
    *,
    lang: str | None = None,
    type: str | None = None,
    raw: Annotated[bool, Parameter(negative="")] = False,
    options: CorpusOptions = _READ,
    json: Json = False,
) -> None:
    """Count how many entities have each value.

    Args:
        source: A CSV file in the format of CLSE, or open, or open-full, which has more than ten names alike.
        lang: A language tag.
        type: A semantic type.
        raw: Count attributes as the corpus writes them, not kinds of the vocabulary.
        options: How the corpus is read.
        json: Print one JSON object.
    """
    from tamis.language.tables import values_table

    corpus = options.read(source)
    found = corpus.filter(language=lang, type=type)
    _said_which(lang, found.languages)
    counts = found.stats(raw=raw)
    if json:
        print(_dumped(counts))
    else:
        values_table(counts).print()


@data.command(help_epilogue="Example: tamis language data validate names.csv --json")
def validate(source: str, /, *, json: Json = False) -> int:
    """Read a file to its end and say what is wrong or odd in it, and where; exit code 1 if a row cannot be used.

    Args:
        source: A CSV file in the format of CLSE v1.0 or v1.1, or open.
        json: Print one JSON object.
    """
    from dataclasses import asdict

    from tamis.language.data import load
    from tamis.language.data import validate as checked

    report = load(source, persons=True).report if source in ("open", "open-full") else checked(source)
    if json:
        print(_dumped(asdict(report)))
        return int(report.refused > 0)
    for one in report.examples:
        print(one)
    for kind, count in report.counts.items():
        print(f"{count} × {kind}")
    print(f"{report.rows} rows: {report.kept} kept, {report.refused} refused, {report.repeated} repeated")
    return int(report.refused > 0)


@app.command(help_epilogue="Example: tamis language annotate names.csv --lang ru --out annotated.csv")
def annotate(names: File, /, *, lang: str | None = None, out: File | None = None, json: Json = False) -> None:
    """Say of your own names what is known for certain, who says so, and what a person must decide.

    Args:
        names: A CSV file with a column `name`, and perhaps `language`, `mid` and `semantic_type`.
        lang: A language tag, for rows that have none.
        out: Also write a corpus, to be completed by a person and read by the other commands.
        json: Print a JSON array.
    """
    from tamis.language.annotation import annotate_file
    from tamis.language.data import save
    from tamis.language.tables import annotation_json, annotation_table, undecided_table

    _no_input(out, [names])
    annotations, corpus = annotate_file(names, lang)
    if lang is not None and len(corpus.languages) == 1:
        _said_which(lang, corpus.languages)
    if out:
        rows = dict.fromkeys(one.entity for one in annotations)
        print(f"tamis: {save(rows, out, spreadsheet=True)}: {len(rows)} rows", file=sys.stderr)
    if json:
        print(_dumped([annotation_json(one) for one in annotations]))
        return
    annotation_table(annotations).print()
    print()
    undecided_table(annotations).print()


@review.command(name="export", help_epilogue="Example: tamis language review export --lang mr --out marathi.csv")
def review_export(
    *,
    lang: str,
    out: File,
    corpus: Many = None,
    per_value: Count | None = None,
    options: CorpusOptions = _READ,
) -> None:
    """Write a sheet of questions for somebody who speaks a language.

    Args:
        lang: A language tag.
        out: The CSV file.
        corpus: A CSV file in the format of CLSE, or open, or open-full; repeated, all together. By default open.
        per_value: Ask at most this often about each value of each attribute; by default about all.
        options: How the corpus is read.
    """
    from tamis.language.reviewing import export_review

    _no_input(out, corpus or ())
    read = options.read_all(corpus)
    count = export_review(read, lang, out, per_value=per_value)
    print(out)
    print(f"tamis: {count} questions; verdict is yes, no or unsure; name yourself as reviewer", file=sys.stderr)


@review.command(name="import", help_epilogue="Example: tamis language review import marathi.csv --json")
def review_import(
    *sheets: File,
    corpus: Many = None,
    out: File | None = None,
    options: CorpusOptions = _READ,
    json: Json = False,
) -> None:
    """Read sheets that came back, and say how far reviewers agree with the annotation and with one another.

    Args:
        sheets: CSV files, of any number of reviewers.
        corpus: The corpus from which they were written: a CSV file in the format of CLSE, or open; may be repeated.
        out: Also write the corpus with what they agree on, reviewed pairs marked.
        options: How the corpus is read.
        json: Print one JSON object.
    """
    from tamis.core.errors import ConfigError
    from tamis.language.data import save
    from tamis.language.reviewing import import_review
    from tamis.language.tables import review_json, review_table

    if not sheets:
        raise ConfigError("no sheet is named; give the CSV files that reviewers filled in")
    _no_input(out, [*sheets, *(corpus or ())])
    found = import_review(options.read_all(corpus, everybody=True), sheets)
    if out:
        print(f"tamis: {save(found.corpus, out)}: {len(found.corpus)} rows", file=sys.stderr)
    if json:
        print(_dumped(review_json(found)))
    else:
        review_table(found).print()
    if not found.agreement:
        print("tamis: no row has a verdict; reviewers write yes, no or unsure", file=sys.stderr)


@app.command(help_epilogue="Example: tamis language cover --lang fr --type City --level pair --format pytest")
def cover(
    *,
    lang: str | None = None,
    type: str | None = None,
    slot: Many = None,
    level: str = "pair",
    per_cell: Count = 1,
    relevant: Many = None,
    weights: File | None = None,
    must: Many = None,
    exclude: Many = None,
    corpus: Many = None,
    options: CorpusOptions = _READ,
    time_limit: Seconds = 60,
    format: Literal["table", "csv", "pytest"] = "table",
    json: Json = False,
) -> None:
    """Choose the fewest names that meet every cell which occurs, say why each is there, and whether fewer could.

    A cell is a value, or values that occur together in a name.

    Args:
        lang: A language tag; by default each language by itself.
        type: A semantic type; by default each type by itself.
        slot: A slot of a sentence and its type, such as city=City; repeated, names are chosen for all slots together.
        level: What a cell is: signature, value, pair, or a whole number of values that meet in one name.
        per_cell: How many names each cell should have.
        relevant: Kinds or attributes that count, separated by commas; the rest is dropped. For one of several slots:
            city=gender,number. May be repeated.
        weights: A CSV file with the columns name and weight: what a name costs, 1 where it is not listed.
        must: A name or mid to choose whatever it meets; may be repeated.
        exclude: A name or mid never to choose; may be repeated.
        corpus: A CSV file in the format of CLSE, or open, or open-full; repeated, all together. By default open.
        options: How the corpus is read.
        time_limit: In seconds; what is not proven by then is covered greedily.
        format: table, csv or pytest.
        json: Print one JSON object.
    """
    from tamis.core.errors import InputError
    from tamis.core.progress import progress
    from tamis.language.covering import cover as cover_corpus
    from tamis.language.data import read_weights
    from tamis.language.receipt import cover_csv, cover_json, cover_pytest, cover_table

    _one_format(format, json)
    slots = _pairs("--slot", slot)
    read = options.read_all(corpus)
    costs = None if weights is None else read_weights(weights)
    if unknown := sorted((costs or {}).keys() - {one.name for one in read} - {one.mid for one in read}):
        print(
            f"tamis: warning: {len(unknown)} names of {weights} are not in {read.name}; the first: {unknown[0]!r}",
            file=sys.stderr,
        )
    with progress("covering languages and types") as advance:
        found = cover_corpus(
            read,
            lang,
            type,
            slots=slots or None,
            level=level,
            per_cell=per_cell,
            weights=costs,
            must=must or (),
            exclude=exclude or (),
            relevant=_relevant(relevant, slots),
            time_limit=time_limit,
            progress=advance,
        )
    if not found.cells:
        what = f"nothing to cover: no name has any of {', '.join(relevant or ['the attributes'])}"
        raise InputError(f"{what}; see tamis language data stats for what there is")
    _said_which(lang, sorted({one.language for one in found.entities}))
    _said_short(found)
    if json:
        print(_dumped(cover_json(found, read)))
    elif format == "csv":
        print(cover_csv(found, read), end="")
    elif format == "pytest":
        asked = {
            "lang": lang, "type": type, "slot": slot, "level": level, "per-cell": per_cell if per_cell > 1 else None,
            "relevant": relevant, "weights": weights, "must": must, "exclude": exclude,
            "corpus": [Path(one) for one in corpus or ()], "persons": options.persons,
            "collect": options.collect, "time-limit": time_limit if time_limit != 60 else None, "format": format,
        }  # fmt: skip
        print(cover_pytest(found, read, shlex.join(["tamis", "language", "cover", *_typed(asked)])), end="")
    else:
        cover_table(found, read).print()
        print(f"tamis: {read.info()['attribution'] or read.name}", file=sys.stderr)


def _pairs(option: str, given: Sequence[str] | None) -> dict[str, str]:
    """Read what was given as NAME=VALUE."""
    from tamis.core.errors import ConfigError

    pairs: dict[str, str] = {}
    for text in given or ():
        name, sign, value = (part.strip() for part in text.partition("="))
        if not (name and sign and value):
            raise ConfigError(f"{option} is {text!r}; expected a name and a value, such as {_PAIRS[option]}")
        if pairs.setdefault(name, value) != value:
            raise ConfigError(f"{option} gives {name!r} twice; keep one")
    return pairs


_PAIRS = {"--where": "gender=feminine", "--raw": "Noun.topical=PREP_OB", "--slot": "city=City"}


def _relevant(
    given: Sequence[str] | None, slots: Collection[str]
) -> Collection[str] | Mapping[str, Collection[str]] | None:
    """Read the kinds that count, for all slots or for each."""
    from tamis.core.errors import ConfigError

    if given is None:
        return None
    if empty := [text for text in given if not text.rpartition("=")[2].strip(" ,")]:
        raise ConfigError(f"--relevant is {empty[0]!r}; expected kinds separated by commas, such as gender,number")
    if not any("=" in text for text in given):
        return [name.strip() for text in given for name in text.split(",") if name.strip()]
    kinds: dict[str, list[str]] = {}
    for text in given:
        slot, sign, names = text.partition("=")
        if not sign or not slots:
            raise ConfigError(f"--relevant is {text!r}; expected kinds, or with several --slot SLOT=KINDS for each")
        kinds.setdefault(slot.strip(), []).extend(name.strip() for name in names.split(",") if name.strip())
    return kinds


def _said_which(asked: str | None, languages: Sequence[str]) -> None:
    """Say on stderr which language was taken, where it is not the one that was typed."""
    if asked is not None and list(languages) not in ([asked], []):
        which = languages[0] + (", which is Brazilian in the open corpus" if languages[0] == "pt" else "")
        print(f"tamis: {asked} is read as {which}", file=sys.stderr)


def _said_short(found: Cover) -> None:
    """Say on stderr that there are gaps, wherever the result goes."""
    if gaps := found.uncovered:
        print(
            f"tamis: warning: cells with fewer names than asked for: {len(gaps)}; the first: {gaps[0]}", file=sys.stderr
        )


def _no_input(out: Path | None, inputs: Iterable[str | Path]) -> None:
    """Refuse to write over what is read."""
    from tamis.core.errors import ConfigError

    for one in inputs:
        if out is not None and out.exists() and Path(one).exists() and out.samefile(one):
            raise ConfigError(f"--out is {str(out)!r}, which is read; give another file")


def _one_format(format: str, json: bool) -> None:
    """Refuse two formats at once."""
    from tamis.core.errors import ConfigError

    if json and format != "table":
        raise ConfigError(f"--format is {format!r} beside --json; keep one")


def _typed(given: Mapping[str, object]) -> list[str]:
    """Write options as one types them; of paths only the name, since folders are nobody's business."""
    words = []
    for option, value in given.items():
        if value is True:
            words.append(f"--{option}")
        elif value is not None and value is not False:
            for one in value if isinstance(value, list) else [value]:
                words += [
                    f"--{option}",
                    one.name if isinstance(one, Path) else f"{one:g}" if isinstance(one, float) else str(one),
                ]
    return words


def _dumped(value: object) -> str:
    return json_format.dumps(value, ensure_ascii=False)
