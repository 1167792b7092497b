from tests.language.synthetic import entity

from tamis.language.cldr import glosses
from tamis.language.corpus import Corpus


def test_an_english_name_is_that_of_cldr_or_a_plain_one_of_the_corpus() -> None:
    corpus = Corpus(
        (
            entity("Holanda", "", "tamis:cldr/territory/NL", language="es"),
            entity("Holland", "", "tamis:cldr/territory/NL", language="en"),
            entity("Big Smoke", "NameTags.appellation:PSEUDONYM", "x:london", language="en"),
            entity("London", "Noun.number:SINGULAR", "x:london", language="en"),
            entity("Ys", "", "x:ys"),
        )
    )
    assert glosses(corpus) == {"tamis:cldr/territory/NL": "Netherlands", "x:london": "London"}
