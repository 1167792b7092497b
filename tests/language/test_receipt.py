import csv
import io
import json
from dataclasses import replace

import pytest

from tamis.language.corpus import Corpus, Entity
from tamis.language.covering import Cover, cover
from tamis.language.receipt import (
    cover_csv,
    cover_json,
    cover_pytest,
    cover_table,
    glosses,
    languages_table,
    reason,
    summary,
)
from tamis.language.signature import Signature

GENDER, NUMBER = "NominalInflectedForm.gender", "NominalInflectedForm.number"


def entity(name: str, signature: str, mid: str = "", language: str = "fr", type: str = "City") -> Entity:
    return Entity(language, mid, name, type, Signature(signature))


CORPUS = Corpus(
    (
        entity("Lyon", f"{GENDER}:MASCULINE,{NUMBER}:SINGULAR", "tamis:lyon"),
        entity("Rome", f"{GENDER}:FEMININE,{NUMBER}:SINGULAR", "tamis:rome"),
        entity("Les Abymes", f"{GENDER}:MASCULINE,{NUMBER}:PLURAL", "tamis:abymes"),
        entity("Rome (en)", "", "tamis:rome", language="en"),
    ),
    "towns",
)


def found(**options: object) -> Cover:
    return cover(CORPUS, "fr", "City", level="value", **options)  # type: ignore[arg-type]


def test_a_cover_says_how_many_there_are_and_what_is_proven() -> None:
    assert summary(found()) == "2 names for 4 cells: fewer cannot"
    assert summary(found(weights={"Rome": 0.5})) == "2 names of cost 1.5 for 4 cells: nothing cheaper does"
    assert "covered greedily, at least" in summary(replace(found(), lower_bound=1))
    assert summary(found(relevant=[])) == "0 names for 0 cells: fewer cannot"


def test_the_table_names_each_entity_in_english_and_why_it_is_there() -> None:
    table = cover_table(found(), CORPUS)
    assert table.headers == ["name", "in English", "needed for"]
    assert [list(row) for row in table.rows] == [
        ["Les Abymes", None, "gender=masculine; number=plural"],
        ["Rome", "Rome (en)", "gender=feminine; number=singular"],
    ]


def test_gaps_stand_below_the_table() -> None:
    assert cover_table(found(exclude="Rome"), CORPUS).notes == [
        "not covered: fr City: NominalInflectedForm.gender=FEMININE: 0 of 1 entities; 1 more excluded"
    ]


def test_several_slots_have_a_column_each() -> None:
    rows = cover(CORPUS, "fr", {"from": "City", "to": "City"}, level="value", relevant="number")
    table = cover_table(rows, CORPUS)
    assert list(table.headers)[:2] == ["from", "to"]
    assert table.caption.startswith("4 tests for 4 cells: fewer cannot")
    assert "from: number=singular × to: number=plural" in str(table.rows)


def test_csv_has_a_row_for_each_test_and_slot_with_its_credit() -> None:
    text = cover_csv(cover(CORPUS, "fr", {"from": "City", "to": "City"}, level="value", relevant="number"), CORPUS)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["test"] for row in rows] == ["1", "1", "2", "2", "3", "3", "4", "4"]
    assert {row["slot"] for row in rows} == {"from", "to"}
    assert all("no part of CLSE" in row["attribution"] for row in rows)


def test_json_holds_the_proof_the_reasons_and_the_credit() -> None:
    said = json.loads(json.dumps(cover_json(found(exclude="Rome"), CORPUS)))
    assert (said["cost"], said["lower_bound"], said["optimal"], said["method"]) == (2, 2, True, "exact")
    assert [one["entities"]["City"]["name"] for one in said["choices"]] == ["Les Abymes", "Lyon"]
    assert len(said["uncovered"]) == 1
    assert said["dataset"].startswith("towns@sha256:")
    assert "no part of CLSE" in said["attribution"]


@pytest.mark.parametrize("slots", [None, {"from": "City", "to City": "City"}])
def test_pytest_parameters_are_python_that_pytest_takes(slots: dict[str, str] | None) -> None:
    odd = Corpus((entity('"A\\B"', f"{NUMBER}:PLURAL"), entity("{x} %s", f"{NUMBER}:SINGULAR")))
    rows = cover(odd, "fr", slots or "City", level="value")
    names: dict[str, object] = {}
    exec(cover_pytest(rows, odd, "tamis language cover"), names)
    cases = [case.values for case in names["CASES"]]  # type: ignore[attr-defined]
    expected = [tuple(one.name for one in choice.entities.values()) for choice in rows.choices]
    assert cases == expected
    assert names["NAMES"] == ("slot_from, to_city" if slots else "name")


def test_reasons_speak_the_vocabulary_as_far_as_it_goes() -> None:
    corpus = Corpus((entity("A", "Noun.gender:MASCULINE_PERSON,Noun.colour:RED"),))
    (cell,) = cover(corpus, level="pair").cells
    assert reason(cell) == "Noun.colour=RED + gender=masculine + animacy=personal"
    (empty,) = cover(Corpus((entity("A", ""),)), level="signature").cells
    assert reason(empty) == "nothing annotated"


def test_languages_are_counted_as_clse_counts_them() -> None:
    assert [list(row) for row in languages_table(CORPUS).rows] == [["en", 1, 1, 1, 1, 0], ["fr", 3, 3, 1, 3, 4]]


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
