from random import Random

import pytest

from tamis.core.errors import ConfigError
from tamis.language.baselines import METHODS, compare
from tamis.language.cells import candidates
from tamis.language.corpus import Corpus, Entity
from tamis.language.covering import cover
from tamis.language.data import load
from tamis.language.signature import Signature

# In the order of mid: z m, Y m, x m, w f. Only w has a second value to meet, and only w is named in two languages.
GENDERS = {"z": "MASCULINE", "Y": "MASCULINE", "x": "MASCULINE", "w": "FEMININE"}
TOWNS = Corpus(
    (
        Entity("fr", "4", "w", "Event", Signature("")),
        *(
            Entity("ru", str(mid), name, "City", Signature(f"Noun.gender:{gender}"))
            for mid, (name, gender) in enumerate(GENDERS.items(), start=1)
        ),
    )
)


def test_each_order_stops_where_the_last_cell_is_met() -> None:
    found = compare(TOWNS, "ru", level="value")
    assert list(found.efforts) == list(METHODS)
    assert (found.groups, found.entities, found.cells) == (1, 4, 2)
    assert {name: effort.total for name, effort in found.efforts.items() if name != "random"} == {
        "cover": 2,
        "best-known": 2,  # w is named in two languages, so it comes first; then z
        "alphabetical": 2,  # w, x
    }
    lone = Corpus(TOWNS.entities[1:])
    assert compare(lone, "ru", level="value").efforts["best-known"].total == 4


def test_random_choice_takes_what_probability_says() -> None:
    # The last of four cells' orders: w comes at place k with probability 1/4; needed is max(2, k): 2, 2, 3, 4.
    effort = compare(TOWNS, "ru", level="value", draws=4000).efforts["random"]
    assert effort.total == pytest.approx((2 + 2 + 3 + 4) / 4, abs=0.06)
    assert effort.interval == (2, 4)
    # Two names meet both cells where w is among them, one half; else one of two.
    assert effort.met == pytest.approx(0.75, abs=0.02)


def test_the_same_seed_draws_the_same_orders() -> None:
    corpus = load("open").filter(language="pl", type="City")
    assert compare(corpus, draws=5, seed=1) == compare(corpus, draws=5, seed=1)
    assert compare(corpus, draws=5, seed=1) != compare(corpus, draws=5, seed=2)


def test_counting_agrees_with_taking_names_one_by_one() -> None:
    corpus = load("open").filter(language="cs")
    wanted = 0.0
    for group in candidates(corpus, level="pair"):
        missing = set().union(*(cells for _, cells in group))
        for _, cells in sorted(group, key=lambda one: (one[0].name.casefold(), one[0].name, one[0].mid)):
            if missing:
                wanted += 1
                missing -= cells
    assert compare(corpus, level="pair", draws=1).efforts["alphabetical"].total == wanted


def test_no_order_takes_fewer_than_the_cover() -> None:
    for language in Random(0).sample(load("open").languages, 5):
        efforts = compare(load("open"), language, level="value", draws=20).efforts
        assert efforts["cover"].total == len(cover(load("open"), language, level="value").entities)
        assert min(effort.total for effort in efforts.values()) == efforts["cover"].total
        assert efforts["cover"].met == 1 > efforts["random"].met


def test_draws_are_one_or_more() -> None:
    with pytest.raises(ConfigError, match="draws is 0"):
        compare(TOWNS, draws=0)
