from tests.language.synthetic import entity

from tamis.language.corpus import Corpus
from tamis.language.tables import languages_table


def test_languages_are_counted_as_clse_counts_them() -> None:
    masculine, feminine = ("Noun.gender:MASCULINE,Noun.number:PLURAL", "Noun.gender:FEMININE,Noun.number:PLURAL")
    corpus = Corpus(
        (
            entity("Lyon", masculine, "x:lyon"),
            entity("Lugdunum", masculine, "x:lyon"),
            entity("Rome", feminine),
            entity("Rome", "", "x:rome", language="en"),
        )
    )
    assert [list(row) for row in languages_table(corpus).rows] == [["en", 1, 1, 1, 1, 0], ["fr", 3, 1, 1, 2, 3]]
