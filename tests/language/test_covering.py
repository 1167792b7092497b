import inspect
import itertools
import time
from collections.abc import Iterable
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language.synthetic import entity

from tamis.core.errors import ConfigError, InputError, LimitError
from tamis.language import covering
from tamis.language.cells import candidates
from tamis.language.corpus import Corpus, Entity
from tamis.language.covering import Cover, cover

GENDER, NUMBER, PLACE = "Noun.gender", "Noun.number", "ProperNoun.locative_preposition"


CITIES = Corpus(
    (
        entity("Paris", f"{GENDER}:MASCULINE,{NUMBER}:SINGULAR,{PLACE}:PREP_A", "/m/1"),
        entity("Rome", f"{GENDER}:FEMININE,{NUMBER}:SINGULAR,{PLACE}:PREP_A", "/m/2"),
        entity("Les Abymes", f"{GENDER}:MASCULINE,{NUMBER}:PLURAL", "/m/3"),
        entity("Athènes", f"{GENDER}:FEMININE,{NUMBER}:PLURAL", "/m/4"),
        entity("Ys", f"{GENDER}:FEMININE", "/m/5"),
    ),
    name="cities",
)


def names(found: Cover) -> list[str]:
    return [one.name for one in found.entities]


def test_values_are_covered_by_the_fewest_entities() -> None:
    found = cover(CITIES, "fr", "City", level="value")
    assert names(found) == ["Rome", "Les Abymes"]
    assert (found.cost, found.lower_bound, found.optimal) == (2, 2, True)
    assert [str(cell) for cell in found.cells] == [
        "fr City: Noun.gender=FEMININE",
        "fr City: Noun.gender=MASCULINE",
        "fr City: Noun.number=PLURAL",
        "fr City: Noun.number=SINGULAR",
        "fr City: ProperNoun.locative_preposition=PREP_A",
    ]


def test_each_entity_comes_with_the_cells_that_are_lost_without_it() -> None:
    found = cover(CITIES, level="value")
    assert [str(cell) for cell in found.choices[1].needed_for] == [
        "fr City: Noun.gender=MASCULINE",
        "fr City: Noun.number=PLURAL",
    ]
    assert not found.choices[1].must


def test_pairs_that_do_not_occur_are_not_asked_for() -> None:
    found = cover(CITIES, level="pair")
    assert names(found) == ["Paris", "Rome", "Les Abymes", "Athènes"]
    texts = {str(cell) for cell in found.cells}
    assert "fr City: Noun.gender=FEMININE + Noun.number=PLURAL" in texts
    assert not any("PLURAL" in text and "PREP_A" in text for text in texts)
    assert len(found.cells) == 7 + 1  # Ys has one value


def test_signatures_take_one_entity_each_and_an_empty_signature_is_one() -> None:
    found = cover(Corpus((*CITIES, entity("Y", ""), entity("Z", ""))), level="signature")
    assert names(found) == ["Y", "Paris", "Rome", "Les Abymes", "Athènes", "Ys"]
    assert str(found.choices[0].needed_for[0]) == "fr City: nothing annotated"


def test_all_that_is_said_of_a_name_with_fewer_values_is_a_cell_too() -> None:
    paris, ys = entity("Paris", f"{GENDER}:MASCULINE,{NUMBER}:SINGULAR"), entity("Ys", f"{GENDER}:FEMININE")
    found = cover(Corpus((paris, ys)), level="pair")
    assert names(found) == ["Paris", "Ys"]
    assert [len(cell.parts[0][1]) for cell in found.cells] == [1, 2]
    assert names(cover(Corpus((paris, entity("Z", f"{GENDER}:MASCULINE"))), level=7)) == ["Paris"]


def test_levels_may_be_numbers_also_as_text() -> None:
    assert cover(CITIES, level=1) == cover(CITIES, level="value") == cover(CITIES, level="1")
    assert cover(CITIES, level=2) == cover(CITIES, level="pair")


def test_names_that_are_alike_are_taken_in_the_order_of_mid_and_name() -> None:
    rows = [("B", "/m/1"), ("A", "/m/2"), ("C", "/m/1")]
    corpus = Corpus(tuple(entity(name, f"{GENDER}:FEMININE", mid) for name, mid in rows))
    assert names(cover(corpus)) == ["B"]


def test_each_language_and_type_is_covered_by_itself() -> None:
    rows = [
        entity("Paris", f"{GENDER}:FEMININE", type=type, language=language)
        for language in ("fr", "it")
        for type in ("City", "Event")
    ]
    found = cover(Corpus(tuple(rows)))
    assert [(one.language, one.semantic_type) for one in found.entities] == [
        ("fr", "City"),
        ("fr", "Event"),
        ("it", "City"),
        ("it", "Event"),
    ]
    assert [one.language for one in cover(Corpus(tuple(rows)), type="Event").entities] == ["fr", "it"]


def test_cells_are_covered_as_often_as_asked_or_as_the_corpus_allows() -> None:
    found = cover(CITIES, level="value", per_cell=2)
    times = {
        cell: sum(values <= set(one.signature.pairs) for one in found.entities)
        for cell in found.cells
        for values in [set(cell.parts[0][1])]
    }
    assert list(times.values()) == [2, 2, 2, 2, 2]  # feminine, masculine, plural, singular, PREP_A
    assert found.uncovered == ()
    third = cover(CITIES, level="value", per_cell=3)
    assert len(third.entities) == 5
    assert [str(gap) for gap in third.uncovered] == [
        "fr City: Noun.gender=MASCULINE: 2 of 3 entities; the corpus holds no more",
        "fr City: Noun.number=PLURAL: 2 of 3 entities; the corpus holds no more",
        "fr City: Noun.number=SINGULAR: 2 of 3 entities; the corpus holds no more",
        "fr City: ProperNoun.locative_preposition=PREP_A: 2 of 3 entities; the corpus holds no more",
    ]


def test_equal_rows_count_once() -> None:
    twice = Corpus((*CITIES, *CITIES))
    assert cover(twice, level="value", per_cell=3) == cover(CITIES, level="value", per_cell=3)


def test_cells_of_excluded_entities_alone_are_reported_as_uncovered() -> None:
    found = cover(CITIES, level="value", exclude=["Athènes", "/m/3"])
    assert names(found) == ["Paris", "Rome"]
    assert [str(gap) for gap in found.uncovered] == ["fr City: Noun.number=PLURAL: 0 of 1 entities; 2 more excluded"]
    assert not any("PLURAL" in str(cell) for cell in found.cells)
    assert found.optimal


def test_names_are_found_however_their_accents_are_written() -> None:
    assert "Athènes" not in names(cover(CITIES, exclude="Athe\N{COMBINING GRAVE ACCENT}nes"))


def test_what_must_be_chosen_is_and_counts_towards_the_cells() -> None:
    found = cover(CITIES, level="value", must="Rome")
    assert names(found) == ["Rome", "Les Abymes"]
    assert [choice.must for choice in found.choices] == [True, False]
    assert "Ys" in names(cover(CITIES, level="value", must=["/m/5"]))


def test_weights_decide_before_numbers_and_names() -> None:
    weights = {"/m/1": 5, "Athènes": 2.5}
    found = cover(CITIES, level="value", weights=weights)
    assert names(found) == ["Rome", "Les Abymes"]
    assert (found.cost, found.lower_bound) == (2, 2)
    long = cover(CITIES, level="value", weights=lambda one: len(one.name) / 10)
    assert names(long) == ["Paris", "Athènes"]
    assert (long.cost, long.optimal) == (1.2, True)


def test_tiny_and_huge_weights_are_summed_exactly() -> None:
    assert cover(CITIES, level="signature", weights=lambda one: 0.1).cost == 0.5
    assert cover(CITIES, level="signature", weights=lambda one: 1e-300).cost == 5e-300
    assert cover(CITIES, level="signature", weights=lambda one: 0).cost == 0


def test_kinds_speak_the_vocabulary_and_attributes_the_corpus() -> None:
    corpus = Corpus(
        (
            entity("A", "Noun.gender:FEMININE,Noun.number:PLURAL"),
            entity("B", "NominalInflectedForm.gender:FEMININE,NominalInflectedForm.number:SINGULAR"),
        )
    )
    assert names(cover(corpus, level="value", relevant="gender")) == ["A"]
    assert [str(cell) for cell in cover(corpus, level="value", relevant="gender").cells] == ["fr City: gender=feminine"]
    assert names(cover(corpus, level="value", relevant={"gender", "number"})) == ["A", "B"]
    assert names(cover(corpus, level="value", relevant=["NominalInflectedForm.gender"])) == ["B"]
    assert names(cover(corpus, level="value", relevant=[])) == []


def test_a_name_that_is_a_kind_and_an_attribute_is_the_kind() -> None:
    corpus = Corpus((entity("A", "gender:GENDER_NONE,Noun.gender:FEMININE"), entity("B", "gender:GENDER_NONE")))
    assert [str(cell) for cell in cover(corpus, level="value", relevant="gender").cells] == ["fr City: gender=feminine"]
    natural = cover(corpus, level="value", relevant="natural_gender").cells
    assert [str(cell) for cell in natural] == ["fr City: natural_gender=none"]


def test_progress_is_reported_before_each_language_and_type() -> None:
    done: list[int] = []
    rows = [entity("Paris", f"{GENDER}:FEMININE", type=type) for type in ("City", "Event", "Item")]
    cover(Corpus(tuple(rows)), progress=done.append)
    assert done == [0, 1, 2]


def test_signatures_that_differ_in_nothing_relevant_are_one() -> None:
    assert names(cover(CITIES, level="signature", relevant=["number"])) == ["Paris", "Les Abymes", "Ys"]


SLOTS = {"start": "City", "end": "City"}


def test_in_rows_for_several_slots_every_two_values_meet() -> None:
    found = cover(CITIES, "fr", slots=SLOTS, level="value", relevant=["gender", "number"])
    assert [[choice.entities[slot].name for slot in SLOTS] for choice in found.choices] == [
        ["Paris", "Paris"],
        ["Paris", "Athènes"],
        ["Athènes", "Paris"],
        ["Athènes", "Athènes"],
    ]
    assert (found.cost, found.lower_bound, found.optimal) == (4, 4, True)
    assert len(found.cells) == 4 * 4
    assert "fr start: gender=feminine × end: number=plural" in {str(cell) for cell in found.cells}
    assert names(found) == ["Paris", "Athènes"]
    assert all(len(choice.needed_for) == 4 for choice in found.choices)


def test_each_slot_may_have_its_own_relevant_kinds() -> None:
    found = cover(CITIES, "fr", slots=SLOTS, level="value", relevant={"start": ["gender"], "end": []})
    assert [[choice.entities[slot].name for slot in SLOTS] for choice in found.choices] == [
        ["Paris", "Paris"],
        ["Rome", "Paris"],
    ]
    assert [str(cell) for cell in found.cells] == ["fr start: gender=feminine", "fr start: gender=masculine"]


def test_a_row_costs_the_mean_of_its_entities() -> None:
    found = cover(
        CITIES, "fr", slots=SLOTS, level="value", relevant=["number"], weights={"Paris": 2, "Les Abymes": 0.5}
    )
    assert names(found) == ["Rome", "Les Abymes"]
    assert (found.cost, found.lower_bound) == (3, 3)


def test_exclusions_and_musts_hold_in_every_slot() -> None:
    found = cover(CITIES, "fr", slots=SLOTS, level="value", relevant=["number"], exclude=["/m/3", "/m/4"], must="Ys")
    assert {choice.entities[slot].name for choice in found.choices for slot in SLOTS} == {"Paris", "Ys"}
    assert [str(gap.cell) for gap in found.uncovered] == ["fr start: number=plural", "fr end: number=plural"]
    assert [choice.must for choice in found.choices] == [False, True]


def test_one_slot_is_covered_like_its_type() -> None:
    assert names(cover(CITIES, "fr", slots={"city": "City"}, per_cell=2)) == names(
        cover(CITIES, "fr", "City", per_cell=2)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": "values"}, "level is 'values'; expected signature"),
        ({"level": 0}, "level is 0"),
        ({"level": True}, "level is True"),
        ({"per_cell": 0}, "per_cell is 0"),
        ({"per_cell": 1.5}, "per_cell is 1.5"),
        ({"per_cell": float("nan")}, "per_cell is nan"),
        ({"per_cell": float("inf")}, "per_cell is inf"),
        ({"weights": {"Paris": 1.7e308}}, "weight of 'Paris' is 1.7e"),
        ({"weights": {"Paris": 1, "/m/1": 2}}, "weight of 'Paris' is 1, by its mid another"),
        ({"time_limit": -1}, "time_limit is -1"),
        ({"time_limit": float("nan")}, "time_limit is nan"),
        ({"must": "Pari"}, "must has 'Pari'.*did you mean 'Paris'"),
        ({"exclude": ["Moskva"]}, "exclude has 'Moskva'.*none of 5 entities"),
        ({"must": ""}, "must has ''"),
        ({"must": "Paris", "exclude": "/m/1"}, "'Paris' is in must and in exclude"),
        ({"weights": {"Paris": -1}}, "weight of 'Paris' is -1"),
        ({"weights": lambda one: float("inf")}, "weight of .* is inf"),
        ({"weights": {"Rome": 10**400}}, "weight of 'Rome' is 1000"),
        ({"weights": {"Rome": True}}, "weight of 'Rome' is True"),
        ({"weights": lambda one: None}, "weight of .* is None"),
        ({"relevant": ["gendre"]}, "relevant has 'gendre'.*did you mean 'gender'"),
        ({"relevant": {"Town": ["gender"]}}, "relevant has the slot 'Town'"),
        ({"slots": {"a": "City"}}, "language is None"),
        ({"language": "fr", "slots": {}}, "expected a slot"),
        ({"language": "fr", "type": "City", "slots": SLOTS}, "type is 'City' beside slots"),
        ({"language": "fr", "slots": SLOTS, "per_cell": 2}, "per_cell is 2 with several slots"),
        ({"language": "fr", "slots": SLOTS, "exclude": ["/m/1", "/m/2", "/m/3", "/m/4", "/m/5"]}, "the slot 'start'"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        inspect.unwrap(cover)(CITIES, **arguments)  # also what a type checker would not let pass
    assert "\n" not in str(caught.value)


def test_a_language_or_type_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="type 'Town'"):
        cover(CITIES, type="Town")
    with pytest.raises(InputError, match="language 'ru'"):
        cover(CITIES, "ru", slots=SLOTS)
    with pytest.raises(ConfigError, match="no entities"):
        cover(Corpus(()))


def test_too_many_cells_are_refused_before_they_are_made() -> None:
    wide = Corpus((entity("A", ",".join(f"a{number}:1" for number in range(60))),))
    start = time.perf_counter()
    with pytest.raises(LimitError, match="more than 1,048,576 cells of 30 values"):
        cover(wide, level=30)
    with pytest.raises(LimitError, match="3,132,900 meetings"):
        cover(wide, "fr", slots=SLOTS, level="pair")
    assert time.perf_counter() - start < 1


def test_names_of_many_kinds_with_fewer_values_are_refused_before_they_are_compared() -> None:
    rows = [entity(f"n{number}", ",".join(f"a{part}:{number}" for part in range(3))) for number in range(5000)]
    start = time.perf_counter()
    with pytest.raises(LimitError, match="5,000 kinds of names have fewer than 50 values"):
        cover(Corpus(tuple(rows)), level=50)
    assert time.perf_counter() - start < 5


def test_the_time_limit_holds_for_every_step() -> None:
    dice = Random(0)
    signatures = [",".join(f"a{part}:{dice.randrange(40)}" for part in range(8)) for _ in range(800)]
    corpus = Corpus(tuple(entity(f"n{number}", its, f"/m/{number}") for number, its in enumerate(signatures)))
    start = time.perf_counter()
    found = cover(corpus, level="value", time_limit=0)
    assert time.perf_counter() - start < 5
    assert 40 <= found.lower_bound <= found.cost
    assert len(found.cells) == 320


def random_corpus(seed: int, count: int = 7) -> Corpus:
    random = Random(seed)
    rows = []
    for number in range(random.randint(1, count)):
        pairs = [f"{one}:{random.randint(0, 2)}" for one in "abcd" if random.random() < 0.7]
        pairs += ["a:9"] * (random.random() < 0.2)
        rows.append(entity(f"name {number}", ",".join(pairs), f"/m/{random.randint(0, 5)}"))
    return Corpus(tuple(rows))


def largest(one: Entity, together: int) -> set[frozenset[tuple[str, str]]]:
    """Sets of values, no two of one attribute, as large as there are up to a size."""
    values = set(one.signature.pairs)
    fits = [
        frozenset(some)
        for size in range(1, together + 1)
        for some in itertools.combinations(values, size)
        if len({attribute for attribute, _ in some}) == size
    ]
    return {some for some in fits if len(some) == min(together, len({attribute for attribute, _ in values}))}


def least_cost(corpus: Corpus, together: int, per_cell: int, weights: dict[str, int]) -> int:
    """Try every choice of entities."""
    entities = sorted(set(corpus), key=lambda one: (one.mid, one.name))
    every = set().union(*(largest(one, together) for one in entities))
    its = [{cell for cell in every if cell <= set(one.signature.pairs)} for one in entities]
    wanted = {cell: min(per_cell, sum(cell in cells for cells in its)) for cells in its for cell in cells}
    return min(
        sum(weights[entities[index].name] for index in chosen)
        for size in range(len(entities) + 1)
        for chosen in itertools.combinations(range(len(entities)), size)
        if all(sum(cell in its[index] for index in chosen) >= often for cell, often in wanted.items())
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**64), st.integers(1, 3), st.integers(1, 2))
def test_the_cover_is_the_cheapest_of_all_choices(seed: int, together: int, per_cell: int) -> None:
    corpus, random = random_corpus(seed), Random(seed)
    weights = {one.name: random.choice([0, 1, 1, 2]) for one in corpus}
    found = cover(corpus, level=together, per_cell=per_cell, weights=weights)
    assert found.cost == found.lower_bound == least_cost(corpus, together, per_cell, weights)
    every = {frozenset(cell.parts[0][1]) for cell in found.cells}
    assert every == set().union(*(largest(one, together) for one in corpus))
    for cell in every:
        having = [one for one in set(corpus) if cell <= set(one.signature.pairs)]
        assert len({*having} & {*found.entities}) >= min(per_cell, len(having))
    assert all(choice.needed_for for choice in found.choices)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**64))
def test_random_choice_is_counted_as_trying_all_choices_does(seed: int) -> None:
    found = cover(random_corpus(seed), level="value")
    (group,) = candidates(random_corpus(seed), level="value")
    draws = list(itertools.combinations([cells for _, cells in group], len(found.choices)))
    met = sum(len(frozenset[Any]().union(*draw)) for draw in draws) / len(draws)
    assert found.met_at_random == pytest.approx(met)


def test_rows_drawn_at_random_meet_what_probability_says() -> None:
    found = cover(CITIES, "fr", slots=SLOTS, level="value", relevant=["number"])
    # Two of five are singular, two plural: of four rows one meets each of the four pairs of numbers.
    assert found.met_at_random == pytest.approx(4 * (1 - (1 - 4 / 25) ** 4))


def size(found: Cover) -> Fraction:
    assert found.optimal
    return Fraction(found.cost)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**64), st.integers(1, 3))
def test_higher_levels_take_no_fewer_entities(seed: int, per_cell: int) -> None:
    corpus = random_corpus(seed, 14)
    levels: Iterable[int | str] = ["value", "pair", 3, 4, "signature"]
    sizes = [size(cover(corpus, level=level, per_cell=per_cell)) for level in levels]
    assert sizes == sorted(sizes)


def in_another_order(corpus: Corpus, seed: int) -> Corpus:
    other = Corpus(())
    object.__setattr__(other, "entities", tuple(Random(seed).sample(corpus.entities, k=len(corpus))))
    return other


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**64), st.sampled_from([0, 60]))
def test_the_order_of_rows_does_not_matter(seed: int, time_limit: int) -> None:
    corpus = random_corpus(seed, 14)
    again = in_another_order(corpus, seed)
    assert cover(again, per_cell=2, time_limit=time_limit) == cover(corpus, per_cell=2, time_limit=time_limit)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**64), st.sampled_from([0, 60]))
def test_the_order_of_rows_does_not_matter_to_several_slots(seed: int, time_limit: int) -> None:
    corpus = random_corpus(seed)
    found = [cover(one, "fr", slots=SLOTS, time_limit=time_limit) for one in (corpus, in_another_order(corpus, seed))]
    assert found[0] == found[1]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**64))
def test_no_entity_of_a_cover_is_superfluous(seed: int) -> None:
    for choice in cover(random_corpus(seed, 14)).choices:
        assert choice.needed_for
        assert not choice.must


def test_past_the_time_limit_a_greedy_cover_with_its_bound_is_given() -> None:
    random = Random(1)
    rows = [
        entity(f"name {number}", ",".join(f"{one}:{random.randint(0, 5)}" for one in "abcdefgh"), f"/m/{number:02}")
        for number in range(30)
    ]
    found = cover(Corpus(tuple(rows)), level="value", time_limit=0)
    best = cover(Corpus(tuple(rows)), level="value")
    assert (found.optimal, best.optimal) == (False, True)
    assert found.lower_bound <= best.cost <= found.cost
    assert set(found.cells) == set(best.cells)


def test_no_group_but_the_last_takes_more_than_half_of_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines = []
    solve = covering.cheapest_cover

    def watched(*arguments: Any, deadline: float, **options: Any) -> Any:
        deadlines.append(deadline - time.monotonic())
        return solve(*arguments, deadline=deadline, **options)

    monkeypatch.setattr(covering, "cheapest_cover", watched)
    rows = [entity("Paris", f"{GENDER}:FEMININE", type=type) for type in ("City", "Event")]
    cover(Corpus(tuple(rows)), time_limit=1000)
    assert deadlines == pytest.approx([500, 1000], rel=0.02)
