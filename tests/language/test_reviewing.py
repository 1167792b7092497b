import csv
import math
from collections.abc import Iterable
from pathlib import Path

import pytest

from tamis.core.errors import ConfigError, FileError, InputError, LimitError
from tamis.language import csv_file
from tamis.language.corpus import Corpus, Entity
from tamis.language.data import load
from tamis.language.reviewing import COLUMNS, Review, export_review, import_review
from tamis.language.signature import Signature


def entity(language: str, mid: str, name: str, signature: str, semantic_type: str = "City") -> Entity:
    pairs = Signature(signature).pairs
    return Entity(language, mid, name, semantic_type, Signature(signature), provenance=("hand",) * len(pairs))


CORPUS = Corpus(
    (
        entity("en", "/m/1", "Moscow", "Noun.number:SINGULAR"),
        entity("ru", "/m/1", "Москва", "Noun.gender:MASCULINE,Noun.number:SINGULAR"),
        entity("ru", "/m/2", "Омск", "Noun.gender:MASCULINE,Noun.topical:PREP_OB"),
        entity("ru", "/m/2", "=Омск", "Noun.gender:MASCULINE"),
        entity("ru", "/m/3", "Тверь", "Noun.gender:FEMININE"),
        entity("ru", "/m/3", "Тверь", "Noun.gender:FEMININE", "Region"),
    ),
    "towns",
)
MOSCOW = ("ru /m/1", "Москва", "Noun.gender", "MASCULINE")
OMSK = ("ru /m/2", "Омск", "Noun.gender", "MASCULINE")
TVER = ("ru /m/3", "Тверь", "Noun.gender", "FEMININE")


HEADER = [name for name in COLUMNS if name != "values"]  # as sheets were before


def sheet(path: Path, answers: Iterable[tuple[tuple[str, str, str, str], str, str]], reviewer: str = "Anna") -> Path:
    """Write a sheet that came back: questions, verdicts and corrections."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for (ident, name, attribute, value), verdict, correction in answers:
            writer.writerow([ident, name, "", attribute, value, "?", verdict, correction, "", reviewer])
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def signatures(review: Review, name: str) -> list[str]:
    return [str(one.signature) for one in review.corpus if one.name == name]


def test_a_sheet_asks_one_question_for_each_pair_in_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "ru.csv"
    assert export_review(CORPUS, "ru-RU", path) == 6
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")  # so that spreadsheets see UTF-8
    assert tuple(rows_of(path)[0]) == COLUMNS
    first = next(row for row in rows_of(path) if row["name"] == "Москва" and row["attribute"] == "Noun.gender")
    assert first["id"] == "ru /m/1"
    assert first["gloss"] == "Moscow"
    assert first["question"] == "Москва: grammatical gender: masculine. Is that right?"
    assert {row[column] for row in rows_of(path) for column in COLUMNS[-4:]} == {""}
    assert [path.name for path in tmp_path.iterdir()] == ["ru.csv"]


def test_a_sheet_may_ask_about_some_of_each_value_only(tmp_path: Path) -> None:
    export_review(CORPUS, "ru", tmp_path / "ru.csv", per_value=1)
    asked = [(row["attribute"], row["value"]) for row in rows_of(tmp_path / "ru.csv")]
    assert sorted(asked) == sorted({pair for one in CORPUS.filter(language="ru") for pair in one.signature.pairs})


def test_some_are_spread_over_the_whole_corpus(tmp_path: Path) -> None:
    many = Corpus(tuple(entity("ru", f"/m/{n:03}", f"N{n:03}", "Noun.gender:NEUTER") for n in range(100)))
    export_review(many, "ru", tmp_path / "ru.csv", per_value=4)
    assert [row["name"] for row in rows_of(tmp_path / "ru.csv")] == ["N000", "N025", "N050", "N075"]


@pytest.mark.parametrize("name", ["=1+1", "+7", "-x", "@SUM(A1)", "'=1", "''@x", "'s-Hertogenbosch", "＝1", 'a,"b"'])
def test_no_cell_is_a_formula_and_every_name_comes_back(tmp_path: Path, name: str) -> None:
    corpus = Corpus((entity("nl", "/m/1", name, "Noun.gender:NEUTER"),))
    path = tmp_path / "nl.csv"
    export_review(corpus, "nl", path)
    [row] = rows_of(path)
    assert row["name"][0] not in "=+-@\t\r＝"
    assert row["question"][0] not in "=+-@\t\r＝"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(row | {"verdict": "yes", "reviewer": "Anna"})
    assert import_review(corpus, [path]).accepted == 1


def answered(path: Path, answers: dict[str, dict[str, str]], separator: str = ",") -> Path:
    """Fill in an exported sheet by attribute, and save it as some spreadsheet does."""
    rows = [row | answers.get(row["attribute"], {}) | {"reviewer": "Anna"} for row in rows_of(path)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_of_own_names_a_sheet_asks_what_is_undecided_too(tmp_path: Path) -> None:
    corpus = Corpus(
        (entity("ru", "", "Тында", "Noun.number:SINGULAR"), entity("ru", "", "Тында", "Noun.number:SINGULAR", "River"))
    )
    path = tmp_path / "ru.csv"
    export_review(corpus, "ru", path)
    asked = {(row["id"], row["attribute"]): row for row in rows_of(path)}
    gender = asked["ru City", "Noun.gender"]
    assert gender["value"] == ""
    assert gender["question"].startswith("Тында: grammatical gender; ")
    assert gender["question"].endswith("? Write the value as correction.")
    assert {"FEMININE", "MASCULINE", "NEUTER"} <= set(gender["values"].split())
    assert ("ru River", "Noun.gender") in asked
    assert asked["ru City", "Noun.number"]["value"] == "SINGULAR"
    answers = {
        "Noun.gender": {"correction": "feminine"},
        "Noun.number": {"verdict": "да"},
        "Noun.locative_preposition_geographical": {"correction": "в"},
        "Noun.topical": {"verdict": "?"},
    }
    review = import_review(corpus, [answered(path, answers, ";")])
    city, river = (next(one for one in review.corpus if one.semantic_type == type) for type in ("City", "River"))
    assert set(map(":".join, city.signature.pairs)) == {
        "Noun.gender:FEMININE",
        "Noun.locative_preposition_geographical:PREP_V",
        "Noun.number:SINGULAR",
    }
    assert "Noun.gender:FEMININE" in str(river.signature)
    assert {fact.attribute: (fact.provenance, fact.reviewed) for fact in city.facts}["Noun.gender"] == ("review", 1)
    assert review.by_one == review.accepted + review.corrected
    assert review.agreement["Noun.gender"].judged == 2
    assert math.isnan(review.agreement["Noun.gender"].agreed)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_sheet_may_come_back_from_any_spreadsheet(tmp_path: Path, separator: str) -> None:
    export_review(CORPUS, "ru", tmp_path / "ru.csv")
    back = answered(tmp_path / "ru.csv", {"Noun.gender": {"verdict": "Y"}}, separator)
    assert import_review(CORPUS, [back]).accepted == 4


def test_a_question_shows_the_preposition_itself_and_what_may_stand_in_its_place(tmp_path: Path) -> None:
    export_review(CORPUS, "ru", tmp_path / "ru.csv")
    row = next(row for row in rows_of(tmp_path / "ru.csv") if row["attribute"] == "Noun.topical")
    assert row["question"] == "Омск: о or об: об. Is that right?"
    assert row["values"] == "PREP_O"


def test_all_that_is_wrong_in_a_sheet_is_said_at_once(tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.csv", [(MOSCOW, "maybe", ""), (OMSK, "yes", ""), (TVER, "no", "RED")])
    with pytest.raises(FileError) as caught:
        import_review(CORPUS, [path])
    first, second = str(caught.value).split(f"; {path}")
    assert first.startswith(f"{path}:2:")
    assert second.startswith(":4:")


def test_what_reviewers_accept_is_marked_with_how_many_they_were(tmp_path: Path) -> None:
    anna = sheet(tmp_path / "anna.csv", [(TVER, "yes", ""), (OMSK, "Yes ", "")])
    boris = sheet(tmp_path / "boris.csv", [(TVER, "yes", ""), (OMSK, "unsure", "")], "Boris")
    review = import_review(CORPUS, [anna, boris])
    assert (review.accepted, review.corrected, review.removed, review.disputed) == (2, 0, 0, ())
    assert [one.reviewed for one in review.corpus if one.name == "Тверь"] == [(2,), (2,)]
    assert [one.reviewed for one in review.corpus if one.name == "Омск"] == [(1, 0)]
    assert [one.reviewed for one in review.corpus if one.name == "Москва"] == [()]
    assert review.corpus == CORPUS
    assert review.agreement["Noun.gender"].judged == 3
    assert review.agreement["Noun.gender"].unsure == 1
    assert review.agreement["Noun.gender"].agreed == 1.0


def test_what_they_reject_is_corrected_or_removed(tmp_path: Path) -> None:
    review = import_review(CORPUS, [sheet(tmp_path / "a.csv", [(MOSCOW, "no", "FEMININE"), (OMSK, "no", "")])])
    assert (review.accepted, review.corrected, review.removed) == (0, 1, 1)
    [moscow] = [one for one in review.corpus if one.name == "Москва"]
    assert str(moscow.signature) == "Noun.gender:FEMININE,Noun.number:SINGULAR"
    assert (moscow.provenance, moscow.reviewed) == (("review", "hand"), (1, 0))
    assert signatures(review, "Омск") == ["Noun.topical:PREP_OB"]
    assert signatures(review, "=Омск") == ["Noun.gender:MASCULINE"]
    assert review.agreement["Noun.gender"].agreed == 0.0


def test_disputed_pairs_are_left_unchanged_and_reported(tmp_path: Path) -> None:
    anna = sheet(tmp_path / "anna.csv", [(MOSCOW, "no", "FEMININE"), (TVER, "yes", ""), (OMSK, "no", "NEUTER")])
    boris = sheet(tmp_path / "boris.csv", [(MOSCOW, "no", "FEMININE"), (TVER, "no", ""), (OMSK, "no", "")], "Boris")
    review = import_review(CORPUS, [anna, boris])
    assert (review.accepted, review.corrected, review.removed) == (0, 1, 1)
    assert signatures(review, "Тверь") == ["Noun.gender:FEMININE"] * 2
    assert signatures(review, "Омск") == ["Noun.topical:PREP_OB"]
    assert review.disputed == (
        "Омск (ru /m/2), Noun.gender:MASCULINE: Anna: NEUTER, Boris: not MASCULINE",
        "Тверь (ru /m/3), Noun.gender:FEMININE: Anna: FEMININE, Boris: not FEMININE",
    )
    assert review.agreement["Noun.gender"].agreed == 1 / 6


def test_kappa_is_that_of_the_values_which_two_reviewers_hold_right(tmp_path: Path) -> None:
    anna = sheet(tmp_path / "anna.csv", [(MOSCOW, "no", "FEMININE"), (OMSK, "yes", ""), (TVER, "yes", "")])
    boris = sheet(tmp_path / "boris.csv", [(MOSCOW, "yes", ""), (OMSK, "yes", ""), (TVER, "yes", "")], "Boris")
    carla = sheet(tmp_path / "carla.csv", [(("ru /m/2", "Омск", "Noun.topical", "PREP_OB"), "yes", "")], "Carla")
    agreement = import_review(CORPUS, [anna, boris, carla]).agreement
    # f m f and m m f: they agree in 2 of 3, by chance in (2 * 1 + 1 * 2) / 9.
    assert agreement["Noun.gender"].kappa == {("Anna", "Boris"): pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))}
    assert agreement["Noun.topical"].kappa == {}
    assert agreement["Noun.gender"].agreed == pytest.approx(5 / 6)


def test_rows_without_a_verdict_and_short_rows_are_no_trouble(tmp_path: Path) -> None:
    export_review(CORPUS, "ru", tmp_path / "ru.csv")
    assert import_review(CORPUS, [tmp_path / "ru.csv"]).agreement == {}
    short = tmp_path / "short.csv"
    short.write_text(",".join(HEADER) + "\nru /m/3,Тверь\n,,,,,,,,,\n", encoding="utf-8")
    assert import_review(CORPUS, [short]).accepted == 0


def test_the_open_corpus_goes_out_and_comes_back(tmp_path: Path) -> None:
    corpus = load("open").filter(language="mr")
    count = export_review(corpus, "mr", tmp_path / "mr.csv", per_value=3)
    rows = [row | {"verdict": "yes", "reviewer": "Anna"} for row in rows_of(tmp_path / "mr.csv")]
    with (tmp_path / "back.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    review = import_review(corpus, [tmp_path / "back.csv"])
    assert review.accepted == count == len(rows)
    assert sum(sum(one.reviewed) for one in review.corpus) == count


# ^ stands where the trouble is.
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ru /m/3,Тверь,,Noun.gender,FEMININE,,^maybe,,,Anna", "the verdict is 'maybe'; expected yes, no or unsure"),
        ("ru /m/3,Тверь,,Noun.gender,FEMININE,,^,MASCULINE,,Anna", "the verdict is ''; expected yes, no or unsure"),
        ("ru /m/3,Тверь,,Noun.gender,FEMININE,,yes,,,^", "nobody is named as reviewer"),
        ("^ru /m/9,Тверь,,Noun.gender,FEMININE,,yes,,,Anna", "the corpus has no 'Тверь' with the id 'ru /m/9'"),
        ("^ru /m/3,Tver,,Noun.gender,FEMININE,,yes,,,Anna", "the corpus has no 'Tver' with the id 'ru /m/3'"),
        ("ru /m/3,Тверь,,Noun.gender,^NEUTER,,yes,,,Anna", "not annotated as Noun.gender:NEUTER any more"),
        ("ru /m/3,Тверь,,Noun.gender,FEMININE,,yes,^NEUTER,,Anna", "'NEUTER' corrects nothing"),
        ("ru /m/3,Тверь,,Noun.gender,FEMININE,,no,^FEMININE,,Anna", "'FEMININE' corrects nothing"),
        ("ru /m/3,Тверь,,Noun.gender,FEMININE,,no,^NEUTR,,Anna", "did you mean 'NEUTER'?"),
        ("^ru /m/3,Тверь,,Noun.gender,FEMININE,,yes,,,Anna,more", "fields: 11, in the header 10; quote fields that"),
        ("ru /m/3,Тве^\u202eрь,,Noun.gender,FEMININE,,yes,,,Anna", "U+202E turns the direction of reading"),
        ("ru /m/3,Тверь,,Noun.gender,FEMININE,,yes,,,An^\0na", "U+0000 is a control character"),
    ],
)
def test_a_wrong_row_is_refused_with_its_place(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "ru.csv"
    path.write_text(f"{','.join(HEADER)}\n{row.replace('^', '')}\n", encoding="utf-8")
    with pytest.raises(FileError) as caught:
        import_review(CORPUS, [path])
    assert str(caught.value).startswith(f"{path}:2:{row.index('^') + 1}: ")
    assert message in str(caught.value)


def test_a_correction_is_one_value(tmp_path: Path) -> None:
    corpus = Corpus((entity("ru", "/m/1", "Омск", "Noun.colour:RED"),))
    asked = ("ru /m/1", "Омск", "Noun.colour", "RED")
    with pytest.raises(FileError, match=r"a\.csv:2:\d+: 'y,Noun.number:PLURAL' holds a comma"):
        import_review(corpus, sheet(tmp_path / "a.csv", [(asked, "no", "y,Noun.number:PLURAL")]))


def test_a_sheet_in_decomposed_letters_is_the_same(tmp_path: Path) -> None:
    corpus = Corpus((entity("fr", "/m/1", "Île", "Noun.gender:FEMININE"),))
    back = sheet(tmp_path / "a.csv", [(("fr /m/1", "I\u0302le", "Noun.gender", "FEMININE"), "yes", "")])
    assert import_review(corpus, back).accepted == 1


def test_a_reviewer_has_one_answer_to_a_question(tmp_path: Path) -> None:
    twice = sheet(tmp_path / "twice.csv", [(TVER, "yes", ""), (TVER, "yes", "")])
    assert import_review(CORPUS, [twice, twice]).accepted == 1
    torn = sheet(tmp_path / "torn.csv", [(TVER, "yes", ""), (TVER, "no", "")])
    with pytest.raises(FileError, match=r"torn\.csv:3:\d+: 'Anna' gave another answer to this question before"):
        import_review(CORPUS, [torn])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; get the file again"),
        (b"PK\x03\x04", "a spreadsheet; save it as CSV"),
        ("|".join(COLUMNS).encode(), "separated by '|'; save it with commas"),
        (b"id,name\n", "the header lacks attribute"),
        ((",".join(COLUMNS) + ",id").encode(), "names 'id' twice"),
        ((",".join(HEADER) + "\n").encode() + "ru /m/3,Тверь,,,,,yes,,,Anna".encode("cp1251"), "is not UTF-8"),
        ((",".join(COLUMNS) + '\n"ru').encode(), "check the quotes"),
    ],
)
def test_a_file_that_is_no_sheet_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "ru.csv"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        import_review(CORPUS, [path])
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_a_sheet_that_is_too_large_or_missing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "_MAX_BYTES", 10)
    with pytest.raises(LimitError, match="the limit is 10"):
        import_review(CORPUS, [sheet(tmp_path / "ru.csv", [])])
    with pytest.raises(FileError, match="cannot be read"):
        import_review(CORPUS, [tmp_path / "none.csv"])


def test_a_sheet_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        export_review(CORPUS, "ru", __file__ + "/ru.csv")
    with pytest.raises(ConfigError, match="per_value is 0"):
        export_review(CORPUS, "ru", tmp_path / "ru.csv", per_value=0)
    with pytest.raises(InputError, match="none has language 'de'"):
        export_review(CORPUS, "de", tmp_path / "ru.csv")
    with pytest.raises(InputError, match="nothing is annotated"):
        export_review(Corpus((Entity("ru", "tamis:x", "Омск", "City", Signature("")),)), "ru", tmp_path / "ru.csv")
    assert list(tmp_path.iterdir()) == []
