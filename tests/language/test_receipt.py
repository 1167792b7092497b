import csv
import io
import json
from dataclasses import replace

import pytest
from tests.language.synthetic import entity

from tamis.language.corpus import Corpus
from tamis.language.covering import Cover, cover
from tamis.language.receipt import cover_csv, cover_json, cover_pytest, cover_table, summary

GENDER, NUMBER = "NominalInflectedForm.gender", "NominalInflectedForm.number"


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
    assert "covered greedily; at least" in summary(replace(found(), lower_bound=1))
    assert summary(found(relevant=[])) == "0 names for 0 cells: fewer cannot"


def test_the_table_names_each_entity_in_english_and_why_it_is_there() -> None:
    table = cover_table(found(), CORPUS)
    assert table.headers == ["name", "in English", "needed for"]
    assert [list(row) for row in table.rows] == [
        ["Les Abymes", None, "masculine; plural"],
        ["Rome", "Rome (en)", "feminine; singular"],
    ]


def test_gaps_stand_below_the_table() -> None:
    assert cover_table(found(exclude="Rome"), CORPUS).notes == [
        "too few: fr, feminine: 0 of 1 entities; 1 more excluded",
        "as many names drawn at random meet 100% of the cells: this choice is no better",
    ]


def test_random_choice_of_as_many_stands_beside_the_choice() -> None:
    # Of the three pairs of names two meet three of four values, one all four.
    assert cover_table(found(), CORPUS).notes == ["as many names drawn at random meet 83% of the cells"]
    assert cover_table(found(relevant=[]), CORPUS).notes == []


def test_no_name_gets_out_of_a_comment_and_slots_have_arguments_of_their_own() -> None:
    rows = cover(
        CORPUS, "fr", slots={"to City": "City", "to-city": "City", "request": "City"}, level="value", relevant="number"
    )
    text = cover_pytest(rows, CORPUS, "tamis language cover --corpus 'a\nimport os\n.csv'")
    assert "\nimport os" not in text
    assert 'NAMES = "to_city, to_city_2, slot_request"' in text


def test_several_slots_have_a_column_each() -> None:
    rows = cover(CORPUS, "fr", slots={"from": "City", "to": "City"}, level="value", relevant="number")
    table = cover_table(rows, CORPUS)
    assert list(table.headers)[:2] == ["from", "to"]
    assert table.caption.startswith("4 tests for 4 cells: fewer cannot")
    assert "from: singular × to: plural" in str(table.rows)


def test_csv_has_a_row_for_each_test_and_slot_with_its_credit() -> None:
    text = cover_csv(
        cover(CORPUS, "fr", slots={"from": "City", "to": "City"}, level="value", relevant="number"), CORPUS
    )
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["test"] for row in rows] == ["1", "1", "2", "2", "3", "3", "4", "4"]
    assert {row["slot"] for row in rows} == {"from", "to"}
    assert all("no part of CLSE" in row["attribution"] for row in rows)


def test_json_holds_the_proof_the_reasons_and_the_credit() -> None:
    said = json.loads(json.dumps(cover_json(found(exclude="Rome"), CORPUS)))
    assert (said["cost"], said["lower_bound"], said["optimal"], said["met_at_random"]) == (2, 2, True, 3)
    assert [one["entities"]["City"]["name"] for one in said["choices"]] == ["Les Abymes", "Lyon"]
    assert len(said["uncovered"]) == 1
    assert said["dataset"].startswith("towns@sha256:")
    assert "no part of CLSE" in said["attribution"]


@pytest.mark.parametrize("slots", [None, {"from": "City", "to City": "City"}])
def test_pytest_parameters_are_python_that_pytest_takes(slots: dict[str, str] | None) -> None:
    odd = Corpus((entity('"A\\B"', f"{NUMBER}:PLURAL"), entity("{x} %s", f"{NUMBER}:SINGULAR")))
    rows = cover(odd, "fr", None if slots else "City", slots=slots, level="value")
    names: dict[str, object] = {}
    exec(cover_pytest(rows, odd, "tamis language cover"), names)
    cases = [case.values for case in names["CASES"]]  # type: ignore[attr-defined]
    expected = [tuple(one.name for one in choice.entities.values()) for choice in rows.choices]
    assert cases == expected
    assert names["NAMES"] == ("slot_from, to_city" if slots else "name")
