"""The language part of `tamis demo`: the few countries that meet every case of grammar in twelve languages."""

from __future__ import annotations

from pathlib import Path

from tamis.core.report import Cell as TableCell
from tamis.core.report import Details, Facts, Report, Section, Table
from tamis.language.baselines import METHODS, compare
from tamis.language.corpus import Corpus, Entity
from tamis.language.covering import Cell, Cover, cover
from tamis.language.data import load
from tamis.language.receipt import cover_pytest, effort_picture, glosses
from tamis.language.vocabulary import KINDS

SAYS = (
    "The few countries with which a sentence meets every case of grammar, in twelve languages, and why each is there."
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

_SPELT = {
    "fr": {"a": "à"},
    "it": {"l": "l’"},
    "ru": {"k": "к", "ko": "ко", "na": "на", "o": "о", "ob": "об", "s": "с", "so": "со", "v": "в", "vo": "во"},
    "sv": {"pa": "på"},
}
_WORDS = {
    ("article", "definite"): "takes the article",
    ("article", "none"): "takes no article",
    ("case", "any"): "takes no ending in the genitive",
    ("compound_stem", "no"): "no compound suffix",
    ("compound_stem", "yes"): "ends in a compound suffix",
    ("declension", "strong"): "its adjective is declined",
    ("definiteness", "definite"): "definite",
    ("gender", "common"): "common gender",
    ("gender", "not-applicable"): "",
    ("locative_article", "definite"): "keeps the article after “in”",
    ("locative_article", "none"): "loses the article after “in”",
    ("plurale_tantum", "yes"): "has no singular",
    ("starts_with_stressed_a", "no"): "starts with an unstressed a",
    ("starts_with_vowel", "no"): "starts with a consonant",
    ("starts_with_vowel", "yes"): "starts with a vowel",
    ("state", "construct"): "construct state",
    ("state", "definite"): "definite state",
}
_PREPOSITIONS = {
    "locative_preposition": "in",
    "locative_preposition_political": "in the state of",
    "directional_preposition": "to",
    "allative_preposition": "towards",
    "dative_preposition": "towards",
    "genitive_preposition": "from",
    "comitative_preposition": "with",
    "instrumental_preposition": "with",
    "topical_preposition": "about",
}
_DISPUTED = ("EH", "PS", "TW", "XK")
_FIRST = ("gender", "plurale_tantum", "number", "article", "article_form", *_PREPOSITIONS)


def run(out: Path) -> Path:
    """Write the demo's report into a folder and return the page's path.

    Raises:
        FileError: If the folder cannot be written.
    """
    return page(load("open")).write(out / "index.html")


def page(corpus: Corpus) -> Report:
    """Make the page: which names, why, what other choices need, and the code to paste.

    Args:
        corpus: The open corpus.
    """
    covers = {
        language: cover(corpus, language, TYPE, level="value", relevant=GRAMMAR, weights=_weight)
        for language in LANGUAGES
    }
    compared = {
        language: compare(corpus, language, TYPE, level="value", relevant=GRAMMAR).efforts for language in LANGUAGES
    }
    totals = {method: sum(one[method].total for one in compared.values()) for method in METHODS}
    names = sum(len(one.entities) for one in covers.values())
    every = sum(len(corpus.filter(language=its, type=TYPE)) for its in LANGUAGES)
    report = Report(
        "Which countries must you test?",
        f"{names} names meet every case of grammar that {every} names of countries bring in {len(LANGUAGES)} "
        "languages. Fewer cannot: each language is solved and proven by itself.",
    )
    report.add(
        Facts(
            {
                "names to test": f"{names} of {every}",
                "cases, all of them met": sum(len(one.cells) for one in covers.values()),
                "at random, until all are met": f"{totals['random']:.0f} names",
                "from A to Z, until all are met": f"{totals['alphabetical']:.0f} names",
            }
        ),
        names_table(covers, corpus),
        Section("What other ways to choose take"),
        effort_picture(
            {
                "until every case is met": {
                    method: {name: compared[its][method].total for its, name in LANGUAGES.items()} for method in METHODS
                }
            },
            "Names needed in each language: by cover, at random, the best-known first, and from A to Z",
            "Random is the mean of 200 orders; best-known takes first what most languages of the corpus name. Each may "
            "stop at the very name with which the last case is met, which is kind to it.",
        ),
        Section("Paste it"),
        f"`tamis language cover` writes parameters for pytest, for any of {len(corpus.languages)} languages and any "
        "type; tables, CSV and JSON too, and rows for sentences with several slots.",
        Details("Russian cities, for a sentence with a verb, “in” and “about”", _code(corpus)),
        Section("What to keep in mind"),
        f"Names and annotations are those of the open corpus, {len(corpus):,} rows made for this package. It is no "
        "part of CLSE, and no native speaker has reviewed it; `tamis language review export` writes a sheet for one.",
        "Only what occurs counts, so no case is asked for that no name has. What is not annotated is not known.",
        f"Credit: {corpus.info()['attribution']}.",
        Details("What counts as grammar here", {kind: KINDS[kind] for kind in _met(covers)}),
    )
    return report


def _code(corpus: Corpus) -> str:
    found = cover(corpus, "ru", "City", level="value", relevant=SHOWN)
    command = f"tamis language cover --lang ru --type City --level value --relevant {','.join(SHOWN)} --format pytest"
    return cover_pytest(found, corpus, command)


def names_table(covers: dict[str, Cover], corpus: Corpus) -> Table:
    """List the names of each language, each with what it alone meets.

    Args:
        covers: By language.
        corpus: Where English names come from.
    """
    english = glosses(corpus)
    rows: list[list[TableCell]] = []
    for language, found in covers.items():
        for place, choice in enumerate(found.choices):
            (one,) = choice.entities.values()
            gloss = english.get(one.mid, "")
            name = f"{one.name} ({gloss})" if gloss.casefold() not in ("", one.name.casefold()) else one.name
            cells = sorted(choice.needed_for, key=_order)
            said = [phrase(cell) for cell in cells if phrase(cell)]
            if "has no singular" in said and "plural" in said:
                said.remove("plural")
            rows.append([LANGUAGES[language] if not place else "", name, ", ".join(said)])
    return Table(("language", "name", "what this name alone brings"), rows)


def phrase(cell: Cell) -> str:
    """Say in English what a cell of one value asks of a sentence; nothing if another cell of the name says it.

    >>> phrase(Cell("ru", (("Country", (("locative_preposition", "vo"),)),)))
    '“in” is во'
    """
    ((_, ((kind, value),)),) = cell.parts
    spelt = _SPELT.get(cell.language, {}).get(value, value)
    if kind in _PREPOSITIONS:
        return f"“{_PREPOSITIONS[kind]}” is {spelt}"
    if kind == "article_form":
        return f"the article is {spelt}"
    if kind.startswith("starts_with_phonetic_"):
        return f"{'starts' if value == 'yes' else 'does not start'} with the sound {kind[-1]}"
    return _WORDS.get((kind, value), value)


def _order(cell: Cell) -> int:
    ((_, ((kind, _),)),) = cell.parts
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST)


def _weight(one: Entity) -> float:
    """Prefer the usual name of a country to one with a tag, what CLDR knows, and short names; never more names.

    Nobody should have to discuss a border to test a sentence, so disputed ones come last.
    """
    tagged = any(feature.kind.startswith("name_") for feature in one.signature.features)
    last = one.mid.removeprefix("tamis:cldr/territory/") in _DISPUTED
    return 1 + 0.02 * tagged + 0.05 * last + 0.01 * (not one.mid.startswith("tamis:cldr/")) + len(one.name) / 1000


def _met(covers: dict[str, Cover]) -> list[str]:
    return sorted({kind for found in covers.values() for cell in found.cells for kind, _ in cell.parts[0][1]})
