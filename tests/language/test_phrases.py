import pytest
from tests.language.synthetic import entity

from tamis.language.cells import Cell
from tamis.language.corpus import Corpus
from tamis.language.covering import cover
from tamis.language.phrases import reason, reasons
from tamis.language.vocabulary import PAIRS


def test_reasons_speak_english_as_far_as_the_vocabulary_goes() -> None:
    corpus = Corpus((entity("A", "Noun.gender:MASCULINE_PERSON,Noun.colour:RED"),))
    (cell,) = cover(corpus, level="pair").cells
    assert reason(cell) == "Noun.colour=RED + masculine + personal"
    (empty,) = cover(Corpus((entity("A", ""),)), level="signature").cells
    assert reason(empty) == "nothing annotated"


@pytest.mark.parametrize("pair", sorted(PAIRS))
def test_every_pair_of_the_vocabulary_reads_as_english(pair: tuple[str, str]) -> None:
    said = reason(Cell("ru", (("City", (pair,)),)))
    assert said not in ("", "yes", "no", "none", "any")
    assert not {"=", "_", "{"} & set(said)


@pytest.mark.parametrize(
    ("language", "pair", "said"),
    [
        ("fr", ("ProperNoun.locative_preposition", "PREP_A"), "“in” is à"),
        ("it", ("NominalInflectedForm.override_article", "ARTICLE_L"), "the article is l’"),
        ("ru", ("Noun.topical", "PREP_OB"), "“about” is об"),
        ("ru", ("Noun.gender", "IRRELEVANT_PLURALE_TANTUM"), "has no singular"),
        ("ru", ("gender", "not-applicable"), "has no gender"),
        ("pl", ("Noun.preposition_for_in_a_place", "PREP_W_LOC"), "“in” is w + “in” takes the locative"),
        ("de", ("Noun.locative_preposition", "NO_PREP"), "“in” is no preposition"),
    ],
)
def test_a_phrase_says_what_a_sentence_has_to_do(language: str, pair: tuple[str, str], said: str) -> None:
    assert reason(Cell(language, (("City", (pair,)),))) == said


def test_gender_comes_first_and_nothing_twice() -> None:
    values = [("Noun.topical", "PREP_O"), ("Noun.gender", "FEMININE"), ("NominalInflectedForm.gender", "FEMININE")]
    assert reasons(Cell("ru", (("City", (one,)),)) for one in values) == ["feminine", "“about” is о"]
