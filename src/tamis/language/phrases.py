"""What a cell asks of a sentence, in English words.

A phrase is short and stands by itself, so that a list of them says why a name is in a test: “in” is во, feminine, has
no singular. What the vocabulary lacks is written as the corpus writes it.
"""

from __future__ import annotations

from collections.abc import Iterable

from tamis.language.cells import Cell
from tamis.language.vocabulary import KINDS, features_of

_SPELT = {
    "da": {"pa": "på"},
    "fr": {"a": "à"},
    "it": {"l": "l’"},
    "no": {"pa": "på"},
    "ru": {"k": "к", "ko": "ко", "na": "на", "o": "о", "ob": "об", "s": "с", "so": "со", "v": "в", "vo": "во"},
    "sv": {"pa": "på"},
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
_WORDS = {
    ("aliveness", "dead"): "a person who is dead",
    ("aliveness", "living"): "a person who lives",
    ("article", "definite"): "takes the article",
    ("article", "definite-capitalized"): "its article is part of the name",
    ("article", "embedded"): "holds an article that changes",
    ("article", "indefinite"): "takes the indefinite article",
    ("article", "none"): "takes no article",
    ("case", "any"): "one form for several cases",
    ("case", "neutral"): "no case is marked",
    ("compound_stem", "no"): "no compound suffix",
    ("compound_stem", "yes"): "ends in a compound suffix",
    ("countability", "bipartite"): "of two parts",
    ("countability", "count"): "counted",
    ("countability", "mass"): "measured",
    ("declension", "any"): "its adjective is not declined",
    ("declension", "strong"): "its adjective is declined",
    ("definiteness", "neutral"): "definite or not",
    ("determiner_countability", "count"): "counted by its determiner",
    ("gender", "common"): "common gender",
    ("gender", "natural"): "the gender of the person",
    ("gender", "not-applicable"): "has no gender",
    ("honorific", "no"): "asks for no respectful form",
    ("honorific", "yes"): "asks for the respectful form",
    ("locative_article", "definite"): "keeps the article after “in”",
    ("locative_article", "none"): "loses the article after “in”",
    ("name_nutrition", "partitive"): "measured out in the singular or plural",
    ("name_surface", "screen"): "better shown than spoken",
    ("name_whenis", "no-date"): "an event of a certain date",
    ("natural_gender", "female"): "“she” in English",
    ("natural_gender", "male"): "“he” in English",
    ("natural_gender", "none"): "“it” in English",
    ("natural_gender", "other"): "neither “he” nor “she” in English",
    ("plurale_tantum", "yes"): "has no singular",
    ("starts_with_stressed_a", "no"): "does not start with a stressed a",
    ("starts_with_stressed_a", "yes"): "starts with a stressed a",
    ("starts_with_vowel", "no"): "starts with a consonant",
    ("starts_with_vowel", "yes"): "starts with a vowel",
}
_PATTERNS = {
    "animacy": "{}",
    "article_form": "the article is {}",
    "case": "given in the {}",
    "classifier": "counted as {}",
    "definiteness": "{}",
    "directional_case": "“to” takes the {}",
    "event_type": "event: {}",
    "event_verb": "its verb is {}",
    "gender": "{}",
    "locative_case": "“in” takes the {}",
    "name_appellation": "name: {}",
    "name_completeness": "{} name",
    "name_formality": "{} name",
    "name_geo": "{}",
    "noun_type": "{} noun",
    "number": "{}",
    "state": "{} state",
    **{kind: f"“{word}” is {{}}" for kind, word in _PREPOSITIONS.items()},
}
_FIRST = ("gender", "plurale_tantum", "number", "article", "article_form", *_PREPOSITIONS)


def reason(cell: Cell) -> str:
    """Say what a cell asks of a sentence.

    Args:
        cell: A cell of a cover; its language is not repeated, nor is its type where it is the only part.

    >>> reason(Cell("ru", (("Country", (("Noun.number", "PLURAL"), ("locative_preposition", "vo"))),)))
    'plural + “in” is во'
    """
    parts = []
    for slot, values in cell.parts:
        said = dict.fromkeys(_phrase(cell.language, *feature) for feature in _features(values))
        words = " + ".join(said) or "nothing annotated"
        parts.append(words if len(cell.parts) == 1 else f"{slot}: {words}")
    return " × ".join(parts)


def reasons(cells: Iterable[Cell]) -> list[str]:
    """Say what cells ask of a sentence, each thing once, gender, number and article first.

    Args:
        cells: Those of one language, such as a name is needed for.
    """
    said = list(dict.fromkeys(map(reason, sorted(cells, key=_order))))
    return [one for one in said if one != "has no gender" or "has no singular" not in said]


def _features(values: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Put values into the words of the vocabulary as far as it has any; who has no singular has no gender either."""
    features: list[tuple[str, str]] = [one for pair in values for one in features_of(*pair) or [pair]]
    if ("plurale_tantum", "yes") in features:
        features = [one for one in features if one != ("gender", "not-applicable")]
    return features


def spelt(language: str, value: str) -> str:
    """Spell a value of the vocabulary as the language does.

    >>> spelt("ru", "vo"), spelt("ru", "feminine")
    ('во', 'feminine')
    """
    return _SPELT.get(language, {}).get(value, value)


def _phrase(language: str, kind: str, value: str) -> str:
    if kind in _PREPOSITIONS and value == "none":
        return f"“{_PREPOSITIONS[kind]}” is no preposition"
    if kind.startswith("starts_with_phonetic_"):
        return f"{'starts' if value == 'yes' else 'does not start'} with the sound {kind[-1]}"
    if (kind, value) in _WORDS:
        return _WORDS[kind, value]
    return _PATTERNS[kind].format(spelt(language, value)) if kind in _PATTERNS else f"{kind}={value}"


def _order(cell: Cell) -> tuple[int, ...]:
    kinds = [kind for _, values in cell.parts for kind, _ in _features(values)]
    return tuple(_FIRST.index(kind) if kind in _FIRST else len(_FIRST) + (kind not in KINDS) for kind in kinds)
