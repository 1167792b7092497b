"""The language part of `tamis demo`: the few countries that meet all that grammar asks in twelve languages."""

from __future__ import annotations

from pathlib import Path

from tamis.core.report import Cell as TableCell
from tamis.core.report import Details, Facts, Report, Section, Table
from tamis.language.baselines import METHODS, compare, effort_picture
from tamis.language.cldr import PREFIX, glosses
from tamis.language.corpus import MID, Corpus, Entity
from tamis.language.covering import Cover, cover
from tamis.language.data import load
from tamis.language.phrases import reasons
from tamis.language.receipt import cover_pytest
from tamis.language.vocabulary import KINDS

SAYS = (
    "The few countries with which a sentence meets all that grammar asks, in twelve languages, and why each is there."
)
"""What the front page of the demo says of this part."""
LANGUAGES = {
    "ar": "Arabic",
    "cs": "Czech",
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "mr": "Marathi",
    "nl": "Dutch",
    "pl": "Polish",
    "ru": "Russian",
    "sv": "Swedish",
    "tr": "Turkish",
}
"""What is shown, with its English name."""
TYPE = "Country"
GRAMMAR = tuple(
    kind for kind in KINDS if not kind.startswith("name_") and kind not in ("aliveness", "animacy", "natural_gender")
)
"""What a sentence around the name of a country has to get right."""
SHOWN = ("gender", "number", "locative_preposition", "topical_preposition")
"""What counts in the code that is shown."""

DRAWS = 200
"""Random orders of each language."""
_LAST = ("EH", "FO", "PS", "TW", "VA", "XK")
"""Territories that are disputed or hardly known."""


def run(out: Path) -> Path:
    """Write the demo's report into a folder and return the page's path.

    Raises:
        FileError: If the folder cannot be written.
        MissingExtraError: If langcodes, Babel or matplotlib is not installed.
    """
    return page(load("open")).write(out / "index.html")


def page(corpus: Corpus) -> Report:
    """Make the page: which names, why, what other choices need, and the code to paste.

    Args:
        corpus: The open corpus.
    """
    covers = {
        language: cover(corpus, language, TYPE, level="value", relevant=GRAMMAR, weights=usual_first)
        for language in LANGUAGES
    }
    compared = {
        language: compare(corpus, language, TYPE, level="value", relevant=GRAMMAR, draws=DRAWS).efforts
        for language in LANGUAGES
    }
    totals = {method: sum(one[method].total for one in compared.values()) for method in METHODS}
    names = sum(len(one.entities) for one in covers.values())
    every = sum(len(corpus.filter(language=its, type=TYPE)) for its in LANGUAGES)
    report = Report(
        "Which countries must you test?",
        f"{names} names meet every gender, number, article and preposition that {every} names of countries bring in "
        f"{len(LANGUAGES)} languages. Fewer cannot: each language is solved and proven by itself.",
    )
    report.add(
        Facts(
            {
                "names to test": f"{names} of {every}",
                "cells, all of them met": sum(len(one.cells) for one in covers.values()),
                "at random, until all are met": f"{totals['random']:.0f} names",
                "from A to Z, until all are met": f"{totals['alphabetical']:.0f} names",
            }
        ),
        names_table(covers, corpus),
        Section("What other ways to choose take"),
        effort_picture(
            {
                "until every cell is met": {
                    method: {name: compared[its][method].total for its, name in LANGUAGES.items()} for method in METHODS
                }
            },
            "Names needed in each language: by cover, at random, the best-known first, and from A to Z",
            f"Random is the mean of {DRAWS} orders; best-known takes first what most languages of the corpus name. "
            "Each may stop at the very name with which the last cell is met, which is kind to it.",
        ),
        Section("Paste it"),
        f"`tamis language cover` writes parameters for pytest, for any of {len(corpus.languages)} languages and any "
        "type; tables, CSV and JSON too, and rows for sentences with several slots.",
        Details("Russian cities, for a sentence with a verb, “in” and “about”", _code(corpus)),
        Section("What to keep in mind"),
        f"Names and annotations are those of the open corpus, {len(corpus):,} rows made for this package. It is no "
        "part of CLSE, and no native speaker has reviewed it; `tamis language review export` writes a sheet for one.",
        "A cell is a value that some name has, such as feminine. What is not annotated is not known.",
        f"Credit: {corpus.attribution}.",
        Details("What counts as grammar here", {kind: KINDS[kind] for kind in _met(covers)}),
    )
    return report


def _code(corpus: Corpus) -> str:
    found = cover(corpus, "ru", "City", level="value", relevant=SHOWN)
    command = f"tamis language cover --lang ru --type City --level value --relevant {','.join(SHOWN)} --format pytest"
    return cover_pytest(found, corpus, command)


def names_table(covers: dict[str, Cover], corpus: Corpus) -> Table:
    """List the names of each language below a row of its own, each with what it alone meets.

    Args:
        covers: By language.
        corpus: Where English names come from.
    """
    english = glosses(corpus)
    rows: list[list[TableCell]] = []
    for language, found in covers.items():
        every = len(corpus.filter(language=language, type=TYPE))
        rows.append([LANGUAGES[language].upper(), f"{len(found.choices)} of {every} names"])
        for choice in found.choices:
            (one,) = choice.entities.values()
            gloss = english.get(one.mid, "")
            name = f"{one.name} ({gloss})" if gloss.casefold() not in ("", one.name.casefold()) else one.name
            rows.append([name, ", ".join(reasons(choice.needed_for))])
    return Table(("name", "what this name alone brings"), rows)


def usual_first(one: Entity) -> float:
    """Weigh names so that usual ones, those of CLDR and short ones come first, and never more names than without.

    Nobody should have to discuss a border to test a sentence, so disputed ones come last, and so do those
    that few know.
    """
    tagged = any(feature.kind.startswith("name_") for feature in one.signature.features)
    of_cldr = one.mid.startswith(MID + PREFIX)
    last = of_cldr and one.mid.rpartition("/")[2] in _LAST
    return 1 + 0.02 * tagged + 0.05 * last + 0.01 * (not of_cldr) + len(one.name) / 1000


def _met(covers: dict[str, Cover]) -> list[str]:
    return sorted({kind for found in covers.values() for cell in found.cells for kind, _ in cell.parts[0][1]})
