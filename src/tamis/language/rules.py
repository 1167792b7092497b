"""Rules: what the spelling or the type of a name, or the language itself, decides with certainty.

A rule says nothing where usage varies or where one would have to know the word. So each asks little of a name and often
says nothing:

- Acronyms, single letters, digits and words with capitals inside (`eBay`) are never judged; they may be spelt out. Nor
  are words that mix Latin and Cyrillic letters, of which some are not what they seem.
- What a vowel at the start sounds like is judged only if the name is known to be a word of the language, for `Iron` is
  no `hierro` and `Auckland` starts with o.
- Of the Russian and Czech prepositions that grow a vowel (с, со; k, ke) only the clear cases are decided: a vowel or a
  single consonant follows, a plosive and a liquid follow, or a consonant too like the preposition follows. Words of one
  syllable that may lose their vowel in other cases (`лев`, `pes`) are left out.

Source:
    CLSE (arXiv 2211.02423), `docs/clse_details.pdf`, for what each value means. The rules are those of
    school grammars of these languages; which cases count as clear is our choice.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from tamis.language.csv_file import MIXED_SCRIPTS
from tamis.language.signature import Fact

_FIRST_WORD = re.compile(r"[^\W\d_]{2,}")
_PROPER_TYPES = frozenset({"City", "Country", "Region"})
"""Types whose names are proper names in every language."""
_NATIVE_TYPES = frozenset({"Country", "Creature", "Currency", "Food", "Item", "Language", "Month", "Place", "Weekday"})
"""Types whose names are words of the language, or have become such; names of cities are often read as abroad."""
_THINGS = _NATIVE_TYPES - {"Creature"} | {"Airline", "Airport", "City", "Media", "Region", "Script", "Unit"}
"""Types of which none is a person; of creatures some are nearly so."""

_FRENCH_MUTE = re.compile(r"(?:onz|oui|ouh|uhlan|ulul|i[aeiou]|o[nu][ae]|yeu)")
_FRENCH_ENGLISH = re.compile(r"(?:eu|on|u)")
_RUSSIAN_VOWELS = "аеёиоуыэюя"


def rule_facts(name: str, language: str, semantic_type: str = "") -> list[Fact]:
    """Say what rules decide about a name.

    Args:
        name: In its citation form.
        language: A code of CLSE.
        semantic_type: A type of the open corpus; if it is not known, rules that need it do not apply.

    Returns:
        At most one fact of each attribute; often none.

    >>> rule_facts("Омск", "ru")[0]
    Fact(attribute='Noun.topical', value='PREP_OB', provenance='rule:preposition', reviewed=0)
    """
    found = []
    if semantic_type in _THINGS:
        found.append(Fact("gender", "GENDER_NONE", "rule:thing"))
    if language in _CITATION_CASES:
        found.append(Fact(*_CITATION_CASES[language], "rule:citation-form"))
    if language in ("da", "no", "sv") and semantic_type in _PROPER_TYPES:
        found.append(Fact("InflectedNounForm.definiteness", "DEFINITE", "rule:proper-name"))
    if language == "hi" and semantic_type in _PROPER_TYPES:
        found.append(Fact("Noun.noun_type", "NOUN_PROPER", "rule:proper-name"))
    word = _first_word(name)
    if word and language in _BY_START:
        rule, pairs = _BY_START[language]
        found += [Fact(*pair, f"rule:{rule}") for pair in pairs(word, semantic_type in _NATIVE_TYPES)]
    return found


def _first_word(name: str) -> str:
    """Give the first word in small letters, or nothing if it may not be read as it is written."""
    match = _FIRST_WORD.match(name)
    if not match or match[0][1:] != match[0][1:].lower() or MIXED_SCRIPTS.search(match[0]):
        return ""
    return match[0].lower()


def _plain(word: str) -> str:
    """Take the accents off Latin letters."""
    return "".join(
        letter
        for letter in unicodedata.normalize("NFD", word.replace("œ", "oe").replace("æ", "ae"))
        if letter.isalpha()
    )


def _french(word: str, native: bool) -> Iterator[tuple[str, str]]:
    """Decide elision; an h may be aspirated, y and w may be vowels or not."""
    word = _plain(word)
    if word[0] in "bcdfgjklmnpqrstvxz":
        yield "NominalInflectedForm.starts_with_vowel", "0"
    elif word[0] in "aeiou" and not _FRENCH_MUTE.match(word) and (native or not _FRENCH_ENGLISH.match(word)):
        yield "NominalInflectedForm.starts_with_vowel", "1"


def _italian(word: str, native: bool) -> Iterator[tuple[str, str]]:
    """Decide `ad` and `ed`: yes before the letter with a consonant behind it, no before another sound."""
    word = _plain(word)
    for letter in "ae":
        if word[0] in "bcdfgklmnpqrstvz" or (native and re.match(f"[aeiou](?<!{letter})[bcdfglmnpqrstvz]", word)):
            yield f"NominalInflectedForm.starts_with_phonetic_{letter}", "NO"
        elif native and word[0] == letter and word[1] in "bcdfglmnpqrstvz":
            yield f"NominalInflectedForm.starts_with_phonetic_{letter}", "YES"


def _spanish(word: str, native: bool) -> Iterator[tuple[str, str]]:
    """Decide `e` for `y` and `u` for `o`; an h is mute, and i before a vowel is none."""
    word = _plain(word)
    sounded = word.removeprefix("h") or word
    for letter in "io":
        if word[0] in "bcdfgklmnpqrstvz" or (native and sounded[0] in "aeiou" and sounded[0] != letter):
            yield f"NominalInflectedForm.starts_with_phonetic_{letter}", "NO"
        elif native and sounded[0] == letter and sounded[1:2] not in ("", *"aeiouy"):
            yield f"NominalInflectedForm.starts_with_phonetic_{letter}", "YES"


def _russian(word: str, native: bool) -> Iterator[tuple[str, str]]:
    """Decide о and об, к and ко, с and со."""
    if not re.fullmatch("[а-яё]+", word):
        return
    vowel = f"[{_RUSSIAN_VOWELS}]"
    yield "Noun.topical", "PREP_OB" if word[0] in "аиоуэ" else "PREP_O"
    if re.fullmatch(f"[^{_RUSSIAN_VOWELS}]+[еёо][^{_RUSSIAN_VOWELS}]+", word):
        return
    simple = re.match(f"{vowel}|[^щ][ьъ]?{vowel}", word)
    if re.match("[сзшж][бвгджзклмнпрстфхцчшщ]|щ", word):
        yield "Noun.comitative", "PREP_SO"
    elif simple or re.match(f"[бгдкптфх][лр]{vowel}", word):
        yield "Noun.comitative", "PREP_S"
    if simple or re.match(f"(?:[бдптф][лр]|с[клпт][лр]?|ш[вкпт]){vowel}", word):
        yield "Noun.allative", "PREP_K"


def _czech(word: str, native: bool) -> Iterator[tuple[str, str]]:
    """Decide z and ze, k and ke, s and se."""
    if re.fullmatch(r"[^\Waeiouyáéíóúůý]+e[^\Waeiouyáéíóúůý]+", word):
        return
    simple = re.match(r"[aeiouy]|[^x][aeiouy]", _plain(word))
    liquid = re.match(r"[bdpt][lr][aeiouyáéíóúůý]", word)
    for attribute, prep, alike, near in (
        ("Noun.genitive_preposition", "Z", "sz", "šž"),
        ("Noun.dative_preposition", "K", "k", "g"),
        ("Noun.instrumental_preposition", "S", "sz", "šž"),
    ):
        if word[0] in alike and simple:
            yield attribute, f"PREP_{prep}E"
        elif word[0] not in alike + near and (simple or liquid):
            yield attribute, f"PREP_{prep}"


_CITATION_CASES = {
    "hi": ("Noun.InflectedForm.casus", "DIRECT"),
    "pl": ("SurfaceForm.casus", "NOMINATIVE"),
}
"""The case of a citation form, in languages of which CLSE names it."""
_BY_START: dict[str, tuple[str, Callable[[str, bool], Iterator[tuple[str, str]]]]] = {
    "cs": ("preposition", _czech),
    "es": ("first-sound", _spanish),
    "fr": ("first-sound", _french),
    "it": ("first-sound", _italian),
    "ru": ("preposition", _russian),
}
