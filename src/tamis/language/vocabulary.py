"""One vocabulary for what CLSE says in 62 attributes: kinds, and the values that each may have.

CLSE writes the same fact under several names, such as gender under four, and yes as both `1` and `YES`. The table
`vocabulary.tsv` gives the features of each of its 223 pairs of attribute and value. Choices made there:

- A gender that also tells animacy is two features: MASCULINE_PERSON is `gender=masculine` and `animacy=personal`.
- A Polish preposition that also tells its case is two features: PREP_W_LOC is `w` and `locative`.
- A noun that is plural only has no gender: `gender=not-applicable` and `plurale_tantum=yes`.
- Natural gender, of persons, is a kind of its own and is never mixed with grammatical gender.
- Of the two Russian locative prepositions the geographical one is `locative_preposition`; the political one is a kind
  of its own.

Source:
    CLSE (arXiv 2211.02423), `docs/clse_details.pdf`, for attributes, values and the languages that it names. The kinds
    and their values are our choice.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tamis.language import tags

MISSING = "missing"
"""The value of a kind that could be annotated and is not: "trust the spelling", never "no"."""
NOT_APPLICABLE = "not-applicable"
"""The value of a kind that the language does not have, or that the annotation says the name does not have."""

KINDS = {
    "aliveness": "whether a person lives, as of the annotation",
    "allative_preposition": "к or ко",
    "animacy": "grammatical animacy",
    "article": "the article that the name takes",
    "article_form": "the Italian article where the spelling does not decide it",
    "case": "the case in which the name is given",
    "classifier": "the word with which such things are counted",
    "comitative_preposition": "с or со",
    "compound_stem": "whether the name ends in a Turkish compound marker",
    "countability": "counted, measured, or of two parts",
    "dative_preposition": "k or ke",
    "declension": "the German declension of the form given",
    "definiteness": "whether the form given is definite",
    "determiner_countability": "what a determiner takes the name for",
    "directional_case": "the case after the preposition for motion to the place",
    "directional_preposition": "the preposition for motion to the place",
    "event_type": "what sort of event it is, for verb and tense",
    "event_verb": "the Italian verb with which the event takes place",
    "gender": "grammatical gender",
    "genitive_preposition": "z or ze",
    "honorific": "whether the name asks for respectful agreement",
    "instrumental_preposition": "s or se",
    "locative_article": "the article after a locative preposition, where it differs",
    "locative_case": "the case after the preposition for being at the place",
    "locative_preposition": "the preposition for being at the place",
    "locative_preposition_political": "the same where the place is meant as a state",
    "name_appellation": "in what way the name is not the given one",
    "name_completeness": "whether the name is clear at first mention",
    "name_formality": "official or everyday name",
    "name_geo": "name for those who live there or for those abroad, such as Paris, France",
    "name_nutrition": "the number in which a food is measured out",
    "name_surface": "a name better shown than spoken",
    "name_whenis": "the name of an event of a certain date",
    "natural_gender": "the pronoun that English takes; none is a thing",
    "noun_type": "common or proper noun",
    "number": "grammatical number",
    "plurale_tantum": "whether the noun is plural only",
    "starts_with_phonetic_a": "whether the name sounds like a at its start",
    "starts_with_phonetic_e": "whether the name sounds like e at its start",
    "starts_with_phonetic_i": "whether the name sounds like i at its start",
    "starts_with_phonetic_o": "whether the name sounds like o at its start",
    "starts_with_stressed_a": "whether the name starts with a stressed a",
    "starts_with_vowel": "whether the name sounds like a vowel at its start",
    "state": "the Arabic state of the form given",
    "topical_preposition": "о or об",
}
"""Every kind and what it says of a name."""


class Feature(NamedTuple):
    """What a signature says of a name, in the words of this vocabulary."""

    kind: str
    value: str


def features_of(attribute: str, value: str) -> tuple[Feature, ...]:
    """Translate a pair of CLSE into features; case does not matter, and 1, YES and true are the same.

    Args:
        attribute: Such as `Noun.gender`.
        value: Such as `MASCULINE_PERSON`.

    Returns:
        One feature or two; none if the pair is unknown.

    >>> features_of("Noun.gender", "MASCULINE_PERSON")
    (Feature(kind='gender', value='masculine'), Feature(kind='animacy', value='personal'))
    """
    return _FEATURES.get(_key(attribute, value), ())


def applies(kind: str, language: str) -> bool:
    """Say whether a kind can be annotated in a language; yes if CLSE's documents name no languages for it.

    Args:
        kind: One of KINDS.
        language: A language tag.

    Raises:
        MissingExtraError: If langcodes is not installed.
    """
    languages = _LANGUAGES[kind]
    return not languages or tags.closest(language, languages) is not None


def concise(attribute: str) -> str:
    """Name the column in which CLSE v1.1 repeats an attribute; several attributes may share one.

    Args:
        attribute: Such as `CommonNoun.countability`.

    Source:
        CLSE, `scripts/generate_v1.1_data.py`.

    >>> concise("CommonNoun.countability")
    'Noun.countability'
    """
    for prefix in ("NameTags.", "Variant.", "WordStemAnnotation.", "Common", "SurfaceForm.", "Determiner.", "Proper"):
        attribute = attribute.removeprefix(prefix)
    return attribute


def _key(attribute: str, value: str) -> tuple[str, str]:
    folded = value.casefold()
    return attribute.casefold(), _BOOLEANS.get(folded, folded)


def _read() -> tuple[dict[tuple[str, str], tuple[Feature, ...]], dict[str, frozenset[str]]]:
    """Read the table: the features of each pair, and the languages of each kind."""
    table = Path(__file__).with_name("vocabulary.tsv").read_text(encoding="utf-8")
    pairs: dict[tuple[str, str], tuple[Feature, ...]] = {}
    languages: dict[str, list[set[str]]] = {kind: [] for kind in KINDS}
    for line in table.splitlines()[1:]:
        attribute, value, features, named = line.split("\t")
        pairs[attribute, value] = tuple(Feature(*feature.split("=")) for feature in features.split())
        for feature in pairs[attribute, value]:
            languages[feature.kind].append(set(named.split()))
    return pairs, {kind: frozenset(set().union(*named) if all(named) else ()) for kind, named in languages.items()}


_BOOLEANS = {"0": "no", "false": "no", "no": "no", "1": "yes", "true": "yes", "yes": "yes"}
PAIRS, _LANGUAGES = _read()
"""The features of each documented pair of attribute and value."""
_FEATURES = {_key(*pair): features for pair, features in PAIRS.items()}
