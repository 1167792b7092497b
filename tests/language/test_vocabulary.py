from collections import defaultdict

import pytest

from tamis.language.vocabulary import KINDS, NOT_APPLICABLE, PAIRS, Feature, applies, concise, features_of

# Counts of the glossary in CLSE's clse_details.pdf, by attribute.
COUNTS = {
    "Variant.classifier": 46,
    "Noun.locative_preposition": 15,
    "Noun.gender": 9,
    "ProperNoun.locative_preposition": 8,
    "event_type": 7,
    "NominalInflectedForm.article_handling": 6,
    "Noun.preposition_for_in_a_place": 5,
    "Noun.preposition_for_to_a_place": 5,
    "gender": 4,
    "InflectedNounForm.casus": 4,
    "aliveness": 2,
    "Noun.definiteness": 1,
}


def test_every_documented_pair_is_there() -> None:
    assert len(PAIRS) == 223
    assert len({attribute for attribute, _ in PAIRS}) == 62
    for attribute, count in COUNTS.items():
        assert sum(name == attribute for name, _ in PAIRS) == count, attribute


def test_every_pair_means_something_and_every_kind_is_meant() -> None:
    assert all(PAIRS.values())
    assert {feature.kind for features in PAIRS.values() for feature in features} == set(KINDS)
    assert list(KINDS) == sorted(KINDS)


def test_no_pair_says_two_things_of_one_kind() -> None:
    for pair, features in PAIRS.items():
        assert len({feature.kind for feature in features}) == len(features), pair


def test_values_of_an_attribute_are_told_apart_but_for_two_spellings_of_the_same() -> None:
    meanings = defaultdict(list)
    for (attribute, value), features in PAIRS.items():
        meanings[attribute, features].append(value)
    merged = {(attribute, *values) for (attribute, _), values in meanings.items() if len(values) > 1}
    assert merged == {
        ("Noun.locative_preposition", "NO_PREP", "NO_PREPOSITION"),
        ("NominalInflectedForm.article_handling", "ADD", "DEFINITE_ARTICLE"),
        ("NominalInflectedForm.article_handling", "EMBEDDED_ARTICLE", "MODIFY_EMBEDDED"),
        ("NominalInflectedForm.article_handling", "NONE", "NO_ARTICLE"),
    }


@pytest.mark.parametrize(
    ("pair", "features"),
    [
        ("Noun.gender:MASCULINE_INANIMATE", "gender=masculine animacy=inanimate"),
        ("SurfaceForm.gender:MASCULINE_PERSON", "gender=masculine animacy=personal"),
        ("Noun.gender:NATURAL_GENDER", "gender=natural"),
        ("Noun.gender:IRRELEVANT_PLURALE_TANTUM", f"gender={NOT_APPLICABLE} plurale_tantum=yes"),
        ("gender:GENDER_NONE", "natural_gender=none"),
        ("Noun.preposition_for_in_a_place:PREP_NAD_INSTR", "locative_preposition=nad locative_case=instrumental"),
        ("Noun.preposition_for_to_a_place:PREP_DO_GEN", "directional_preposition=do directional_case=genitive"),
        ("Noun.locative_preposition_geographical:PREP_VO", "locative_preposition=vo"),
        ("Noun.locative_preposition_political:PREP_NA", "locative_preposition_political=na"),
        ("Noun.locative_preposition:NO_PREPOSITION", "locative_preposition=none"),
        ("Determiner.form:FORM_THE", "article=definite"),
        ("Noun.article_handling:ADD_CAPITALIZED_DEFINITE_ARTICLE", "article=definite-capitalized"),
        ("CommonNoun.countability:BIPARTITE", "countability=bipartite"),
        ("Determiner.mass_count:COUNT", "determiner_countability=count"),
        ("InflectedNounForm.casus:ANY_CASUS", "case=any"),
        ("WordStemAnnotation.compound_stem:0", "compound_stem=no"),
        ("Variant.classifier:CLASSIFIER_THING_SMALL_ROUND", "classifier=thing-small-round"),
    ],
)
def test_pairs_are_translated_as_one_would_by_hand(pair: str, features: str) -> None:
    attribute, _, value = pair.partition(":")
    assert features_of(attribute, value) == tuple(Feature(*one.split("=")) for one in features.split())


@pytest.mark.parametrize("attribute", ["Noun.number", "NominalInflectedForm.number", "Noun.InflectedForm.number",
                                       "SurfaceForm.number", "InflectedNounForm.number"])  # fmt: skip
def test_number_is_one_kind_under_five_names(attribute: str) -> None:
    assert features_of(attribute, "PLURAL") == (Feature("number", "plural"),)


def test_only_natural_gender_and_aliveness_speak_of_persons() -> None:
    personal = {pair[0] for pair, its in PAIRS.items() for one in its if one.kind in ("natural_gender", "aliveness")}
    assert personal == {"gender", "aliveness"}


def test_a_kind_of_one_language_does_not_apply_to_others() -> None:
    assert applies("article_form", "it")
    assert applies("article_form", "it-CH")
    assert not applies("article_form", "fr")
    assert applies("definiteness", "nb")
    assert not applies("classifier", "cmn-CN")
    assert applies("gender", "fi")


def test_columns_of_v1_1_merge_what_the_authors_script_merges() -> None:
    columns = defaultdict(set)
    for attribute, _ in PAIRS:
        columns[concise(attribute)].add(attribute)
    assert len(columns) == 57
    assert {column: len(its) for column, its in columns.items() if len(its) > 1} == {
        "Noun.locative_preposition": 3,
        "Noun.countability": 2,
        "Noun.mass_count": 2,
        "gender": 2,
    }
    assert concise("Determiner.form") == "form"
    assert concise("Noun.InflectedForm.casus") == "Noun.InflectedForm.casus"
