"""What dictionaries say of a name: gender, number and animacy where every reading of it agrees.

Only words that the dictionary lists are looked up; what it would guess for others is not taken. The dictionaries are
those of OpenCorpora for Russian, by pymorphy3, and SGJP for Polish, by polish-inflection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from typing import Any

from tamis.core.errors import MissingExtraError
from tamis.language.signature import Fact

LEXICONS = {"pl": "polish-inflection-data", "ru": "pymorphy3-dicts-ru"}
"""The languages that have a dictionary, and the package that holds it."""

_PLACES = frozenset({"City", "Country", "Island", "Lake", "Mountain", "MountainRange", "Region", "River", "Sea"})
_COMMON = frozenset({"Creature", "Currency", "Food", "Item", "Month", "Unit", "Weekday"})
_ADJECTIVES = frozenset({"Language", "Script"})
"""Types whose names the dictionaries list as something else: as an adjective, or as a people."""
_RUSSIAN_GENDERS = {"femn": "FEMININE", "masc": "MASCULINE", "neut": "NEUTER"}
_RUSSIAN_PERSONS = frozenset({"Name", "Patr", "Surn"})
_RUSSIAN_NAMES = _RUSSIAN_PERSONS | {"Geox", "Orgn", "Trad"}
_RUSSIAN_ODD = frozenset({"Arch", "Dist", "Erro", "Infr", "Slng"})
_ONE_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def lexicon_facts(name: str, language: str, semantic_type: str = "") -> list[Fact]:
    """Say what a dictionary says about a name.

    Names of persons are not judged, nor are other names whose type is no place: what a dictionary lists under the same
    spelling may be something else, most often a surname.

    Args:
        name: One word in its citation form; of others nothing is said.
        language: A code of CLSE.
        semantic_type: A type of the open corpus, if it is known.

    Returns:
        Facts on which all readings of the word as a noun in the nominative agree; often none.

    Raises:
        MissingExtraError: If the language has a dictionary and it is not installed.
    """
    if language not in LEXICONS or not _ONE_WORD.fullmatch(name) or (len(name) > 1 and name.isupper()):
        return []
    common = semantic_type in _COMMON or (name.islower() and semantic_type not in _ADJECTIVES)
    if not common and semantic_type and semantic_type not in _PLACES:
        return []
    read = {"pl": _polish, "ru": _russian}[language]
    package = LEXICONS[language]
    return [Fact(*pair, f"lexicon:{package}=={version(package)}") for pair in read(name, common, bool(semantic_type))]


def _russian(name: str, common: bool, typed: bool) -> Iterator[tuple[str, str]]:
    readings = [
        one.tag
        for one in _pymorphy().parse(name)
        if one.is_known and "NOUN" in one.tag and "nomn" in one.tag and not one.tag.grammemes & _RUSSIAN_ODD
    ]
    if common:
        readings = [tag for tag in readings if not tag.grammemes & _RUSSIAN_NAMES]
    elif typed or not any("Geox" in tag for tag in readings):
        readings = [tag for tag in readings if "Geox" in tag]
    for attribute, values in (
        ("Noun.gender", map(_russian_gender, readings)),
        ("Noun.number", ("PLURAL" if "plur" in tag else "SINGULAR" for tag in readings)),
        ("Noun.animacy", map(_russian_animacy, readings)),
    ):
        if value := _only(values):
            yield attribute, value


def _russian_animacy(tag: Any) -> str:
    """Read the animacy; a word that does not inflect may be a language where the dictionary has the people."""
    if "Fixd" in tag and "Geox" not in tag:
        return ""
    return "ANIMATE" if "anim" in tag else "INANIMATE"


def _russian_gender(tag: Any) -> str:
    """Read the gender; that of words which do not inflect varies, so it is left open."""
    if "Pltm" in tag:
        return "IRRELEVANT_PLURALE_TANTUM"
    return "" if "Fixd" in tag or tag.number == "plur" else _RUSSIAN_GENDERS.get(str(tag.gender), "")


def _polish(name: str, common: bool, typed: bool) -> Iterator[tuple[str, str]]:
    if not (common or typed):
        return
    inflect = _polish_inflection()
    readings = {
        (one.lemat, one.liczba, one.rodzaj)
        for one in inflect.podaj(name)
        if one.przypadek == inflect.MIANOWNIK and one.lemat.islower() == common
    }
    number = _only({number for _, number, _ in readings})
    if number:
        yield "SurfaceForm.number", "PLURAL" if number == inflect.MNOGA else "SINGULAR"
    lemma, gender = _only({lemma for lemma, _, _ in readings}), _only({gender for _, _, gender in readings})
    if not lemma or not gender:
        return
    if gender == inflect.NIJAKI and number == inflect.MNOGA:
        if lemma == name:
            yield "Noun.gender", "IRRELEVANT_PLURALE_TANTUM"
    elif gender == inflect.MĘSKI:
        if masculine := _polish_masculine(lemma, inflect):
            yield "Noun.gender", masculine
    else:
        yield "Noun.gender", "FEMININE" if gender == inflect.ŻEŃSKI else "NEUTER"


def _polish_masculine(lemma: str, inflect: Any) -> str:
    """Tell the three masculine genders by the accusative; nothing if it has several forms.

    Source:
        O. E. Swan, "A Grammar of Contemporary Polish", 2002: the accusative is like the genitive in the
        singular of animate and in the plural of personal nouns. What to do with several forms is our choice.
    """
    forms = inflect.odmien_warianty

    def like(number: str, case: str) -> bool:
        return set(forms(lemma, inflect.BIERNIK, number)) == set(forms(lemma, case, number))

    try:
        if like(inflect.POJEDYNCZA, inflect.MIANOWNIK):
            return "MASCULINE_INANIMATE"
        if not like(inflect.POJEDYNCZA, inflect.DOPEŁNIACZ):
            return ""
        if like(inflect.MNOGA, inflect.DOPEŁNIACZ):
            return "MASCULINE_PERSON"
        return "MASCULINE_ANIMATE" if like(inflect.MNOGA, inflect.MIANOWNIK) else ""
    except inflect.BrakOdmiany:
        return ""


def _only(values: Iterable[str]) -> str:
    """Give the one value if there is just one."""
    found = set(values)
    return found.pop() if len(found) == 1 else ""


@cache
def _pymorphy() -> Any:
    try:
        import pymorphy3
    except ModuleNotFoundError as error:
        raise MissingExtraError("the Russian dictionary", "language") from error
    return pymorphy3.MorphAnalyzer(lang="ru")


def _polish_inflection() -> Any:
    try:
        import polish_inflection
    except ModuleNotFoundError as error:
        raise MissingExtraError("the Polish dictionary", "language") from error
    return polish_inflection
