import hashlib
import random

import pytest

from tamis.core.errors import InputError
from tamis.language.corpus import Corpus, Entity
from tamis.language.signature import Signature
from tamis.language.vocabulary import MISSING, NOT_APPLICABLE


def entity(language: str, name: str, signature: str, semantic_type: str = "City", mid: str = "") -> Entity:
    return Entity(language, mid, name, semantic_type, Signature(signature))


MOSCOW = entity("ru", "Москва", "Noun.gender:FEMININE,Noun.number:SINGULAR", mid="/m/04swd")
OMSK = entity("ru", "Омск", "Noun.gender:MASCULINE,Noun.number:SINGULAR,Noun.topical:PREP_OB", mid="/m/0193f")
ALTAI = entity("ru", "Алтай", "Noun.gender:MASCULINE", "Region", mid="/m/01r4n")
OSLO = entity("no", "Oslo", "Noun.locative_preposition:PREP_I", mid="/m/05l64")
TAIPEI = entity("cmn-TW", "臺北", "", mid="/m/0ftkx")
CITIES = Corpus((MOSCOW, OMSK, ALTAI, OSLO, TAIPEI), "cities.csv")


def names(corpus: Corpus) -> list[str]:
    return [one.name for one in corpus]


def test_the_order_is_by_language_type_signature_mid_and_name() -> None:
    assert names(CITIES) == ["臺北", "Oslo", "Москва", "Омск", "Алтай"]
    shuffled = list(CITIES)
    random.Random(0).shuffle(shuffled)
    assert Corpus(tuple(shuffled), "cities.csv") == CITIES
    same = [entity("ru", name, "Noun.gender:FEMININE", mid=mid) for mid, name in (("b", "x"), ("a", "z"), ("a", "y"))]
    assert names(Corpus(tuple(same))) == ["y", "z", "x"]


def test_the_hash_is_that_of_the_content() -> None:
    corpus = Corpus((OSLO, TAIPEI))
    text = "cmn-TW|/m/0ftkx|臺北|City|;no|/m/05l64|Oslo|City|Noun.locative_preposition:PREP_I;"
    text = text.replace("|", "\x1f").replace(";", "\x1e")
    assert corpus.hash == hashlib.sha256(text.encode()).hexdigest()
    assert Corpus((OSLO, TAIPEI), "another name").hash == corpus.hash
    assert CITIES.dataset == f"cities.csv@sha256:{CITIES.hash}"


def test_the_hash_does_not_see_the_order_of_a_signature() -> None:
    one, other = entity("ru", "Омск", "a:1,b:2"), entity("ru", "Омск", "b:2,a:1")
    assert one == other
    assert Corpus((one,)).hash == Corpus((other,)).hash
    assert Corpus((entity("ru", "Омск", "a:1"),)).hash != Corpus((one,)).hash


def test_languages_and_types_are_sorted() -> None:
    assert CITIES.languages == ("cmn-TW", "no", "ru")
    assert CITIES.types == ("City", "Region")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"language": "ru"}, ["Москва", "Омск", "Алтай"]),
        ({"language": "ru_RU.UTF-8", "type": "Region"}, ["Алтай"]),
        ({"where": {"gender": "masculine"}}, ["Омск", "Алтай"]),
        ({"where": {"gender": "masculine", "number": "singular"}}, ["Омск"]),
        ({"language": "ru", "where": {"number": MISSING}}, ["Алтай"]),
        ({"where": {"topical_preposition": NOT_APPLICABLE}}, ["臺北", "Oslo"]),
        ({"raw": {"Noun.topical": "PREP_OB"}}, ["Омск"]),
        ({"raw": {"Noun.gender": "MASCULINE"}, "type": "City"}, ["Омск"]),
    ],
)
def test_all_that_is_asked_for_holds(query: dict[str, object], found: list[str]) -> None:
    assert names(CITIES.filter(**query)) == found  # type: ignore[arg-type]


def test_a_close_language_is_taken_and_can_be_seen() -> None:
    assert CITIES.filter(language="nb").languages == ("no",)
    assert CITIES.filter(language="zh-Hant").languages == ("cmn-TW",)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"language": "en"}, "cities.csv: of 5 entities none has language 'en'; expected one of cmn-TW, no, ru"),
        ({"type": "Citty"}, "cities.csv: of 5 entities none has type 'Citty'; did you mean 'City'?"),
        ({"where": {"gendr": "x"}}, "there is no kind 'gendr'; did you mean 'gender'?"),
        (
            {"language": "ru", "where": {"gender": "neuter"}},
            "cities.csv: of 3 entities none has gender 'neuter'; expected one of feminine, masculine",
        ),
        ({"raw": {"Noun.x": "1"}}, "cities.csv: of 5 entities none has Noun.x '1'; it is not annotated here at all"),
        ({"language": "xx"}, "'xx' is no language tag; expected a code such as ru, pt-BR or cmn-TW"),
    ],
)
def test_a_query_that_finds_nothing_says_what_there_is(query: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        CITIES.filter(**query)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_what_is_missing_and_what_does_not_apply_are_not_the_same() -> None:
    assert ALTAI.get("topical_preposition") == MISSING
    assert OSLO.get("topical_preposition") == NOT_APPLICABLE
    assert entity("fr", "Yémen", "NominalInflectedForm.starts_with_vowel:0").get("starts_with_vowel") == "no"
    assert entity("fr", "Paris", "").get("starts_with_vowel") == MISSING


def test_an_annotation_counts_even_where_the_documents_do_not_expect_it() -> None:
    assert entity("uk", "Омськ", "Noun.topical:PREP_OB").get("topical_preposition") == "ob"


def test_annotations_that_disagree_are_found_under_both() -> None:
    torn = Corpus(
        (
            entity(
                "fr", "Amour", "Noun.gender:MASCULINE,SurfaceForm.gender:MASCULINE,NominalInflectedForm.gender:FEMININE"
            ),
        )
    )
    assert torn.filter(where={"gender": "masculine"}) == torn.filter(where={"gender": "feminine"}) == torn


def test_info_counts_and_carries_warnings_and_credit() -> None:
    info = CITIES.info()
    assert info["entities"] == 5
    assert info["mids"] == 5
    assert info["signatures"] == 5
    assert info["languages"] == {"cmn-TW": 1, "no": 1, "ru": 3}
    assert info["types"] == {"City": 4, "Region": 1}
    assert "Chuklin" in info["attribution"]
    assert "CC BY 4.0" in info["attribution"]
    assert any("do not infer" in one and "gender" in one and "lives" in one for one in info["warnings"])


def test_entities_of_the_user_are_not_credited_to_others() -> None:
    info = Corpus((entity("ru", "Омск", "", mid="omsk"),)).info()
    assert info["attribution"] == ""
    assert info["warnings"]


def test_the_text_of_a_corpus_does_not_list_its_entities() -> None:
    assert repr(CITIES) == "Corpus(name='cities.csv')"
