"""The command line of language as a person goes through it, and what it says to bad input."""

import codecs
import contextlib
import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.language.synthetic import rows, write

from tamis import cli, language
from tamis.language.corpus import WARNINGS
from tamis.language.reviewing import COLUMNS as SHEET

COMMANDS = (
    "data info",
    "data query",
    "data stats",
    "data validate",
    "annotate",
    "review export",
    "review import",
    "cover",
)
PERSON = ["ru", "/m/0x", "А. Автор", "gender:GENDER_FEMALE,aliveness:ALIVENESS_DEAD", "Writer"]
CREDIT = "CC BY 4.0"


def run(command: str) -> tuple[int, str, str]:
    """Run one command in process; a code, and what it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = cli.main(["language", *shlex.split(command)])
    return code, out.getvalue(), err.getvalue()


def done(command: str) -> tuple[str, str]:
    code, out, err = run(command)
    assert code == 0, err
    return out, err


def refused(command: str) -> str:
    """The error of a command: one line on stderr, exit code 2, nothing on stdout."""
    code, out, err = run(command)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("tamis: error: ")
    return err.removeprefix("tamis: error: ").rstrip("\n")


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder that holds a corpus in the format of CLSE."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "clse.csv", [*rows(("fr", "ru"), ("City", "Event")), PERSON])
    return tmp_path


@pytest.mark.parametrize("command", ["", "data", "review", *COMMANDS])
def test_every_help_ends_with_an_example_of_the_domain(command: str) -> None:
    out, _ = done(f"{command} --help")
    assert "Example: tamis language " + command in re.sub(r"\s+", " ", out)


def test_info_shows_counts_the_warnings_about_persons_and_the_credit() -> None:
    out, _ = done("data info clse.csv")
    assert all(f"warning           {warning}" in out for warning in WARNINGS)
    assert CREDIT in out
    facts = json.loads(done("data info clse.csv --json")[0])
    assert facts["warnings"] == list(WARNINGS)
    assert (facts["persons"], facts["persons_left_out"]) == (0, 1)
    assert facts["hash"] == language.load("clse.csv").hash


def test_persons_are_read_on_request_with_a_warning() -> None:
    out, err = done("data info clse.csv --persons --json")
    assert json.loads(out)["persons"] == 1
    assert err == f"tamis: {WARNINGS[0]}\n"


def test_query_lists_what_holds_and_carries_the_credit() -> None:
    table, err = done("data query open --lang ru --type City --where gender=neuter")
    assert "Большое яблоко" in table
    assert "New York" in table
    assert "no part of CLSE" in err
    said = json.loads(done("data query clse.csv --lang ru --json")[0])
    assert CREDIT in said["attribution"]
    assert {one["language"] for one in said["entities"]} == {"ru"}
    text, _ = done("data query clse.csv --lang ru --format csv --limit 2")
    listed = list(csv.DictReader(io.StringIO(text)))
    assert len(listed) == 2
    assert all(CREDIT in row["attribution"] for row in listed)


def test_query_writes_a_corpus_that_can_be_read_again() -> None:
    out, err = done("data query clse.csv --lang fr --type City --out new/cities.csv --limit 1 --format csv")
    chosen = language.load("clse.csv").filter(language="fr", type="City")
    assert language.load("new/cities.csv").entities == chosen.entities
    assert f"{len(chosen)} rows" in err
    assert len(out.splitlines()) == 2


def test_a_tag_that_is_read_as_another_is_reported() -> None:
    assert "tamis: nb is read as no\n" in done("data query open --lang nb --limit 1")[1]
    assert "tamis: zh-Hant is read as cmn-TW\n" in done("data stats open --lang zh-Hant")[1]


def test_info_counts_languages_and_stats_count_values() -> None:
    out, _ = done("data info clse.csv")
    assert [line.split()[0] for line in out.splitlines()[-2:]] == ["fr", "ru"]
    corpus = language.load("clse.csv").filter(language="fr")
    counts = json.loads(done("data info clse.csv --json")[0])["languages"]["fr"]
    assert (counts["rows"], counts["signatures"]) == (len(corpus), corpus.info()["signatures"])
    assert json.loads(done("data stats clse.csv --json")[0])
    values = json.loads(done("data stats open --lang ru --type City --json")[0])
    assert values["gender"]["neuter"] == sum(
        one.get("gender") == "neuter" for one in language.load("open").filter(language="ru", type="City")
    )
    raw = json.loads(done("data stats open --lang ru --type City --raw --json")[0])
    assert {"PREP_O", "PREP_OB"} <= set(raw["Noun.topical"])
    assert "gender" in done("data stats open --lang ru --type City")[0]


def test_validate_names_every_problem_and_exits_with_one_where_a_row_cannot_be_used() -> None:
    odd = [["ru", "/m/1", "Омск", "Noun.gender:RED", "City"]]
    write(Path("odd.csv"), odd)
    code, out, _ = run("data validate odd.csv")
    assert code == 0
    assert "odd.csv:2:14: 'Noun.gender:RED' is not in the vocabulary" in out
    assert "1 rows: 1 kept, 0 refused, 0 repeated" in out
    write(Path("bad.csv"), [*odd, ["ru", "/m/2", "", "", "City"]])
    code, out, _ = run("data validate bad.csv")
    assert code == 1
    assert "bad.csv:3:9: the name is empty; every row needs one" in out
    code, out, _ = run("data validate bad.csv --json")
    assert (code, json.loads(out)["refused"]) == (1, 1)
    assert run("data validate open")[0] == 0


def test_rows_that_cannot_be_used_stop_a_command_unless_it_collects() -> None:
    write(Path("bad.csv"), [["ru", "/m/2", "", "", "City"], *rows(("ru",), ("City",))])
    assert refused("cover --corpus bad.csv") == "bad.csv:2:9: the name is empty; every row needs one"
    _, err = done("cover --corpus bad.csv --collect")
    assert "1 of " in err
    assert "tamis language data validate bad.csv" in err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it.csv: empty; get the file again"),
        (codecs.BOM_UTF16_LE + "name\nОмск\n".encode("utf-16-le"), "it.csv: UTF-16; save it as UTF-8"),
        (b"name\nOm\0sk\n", "it.csv:2:3: U+0000 is a control character or a line break; take it out"),
        (b"name\nOrl\xe9ans\n", "it.csv:2:4: byte 0xE9 is not UTF-8; save the file as UTF-8"),
        ("name\n\u202eОмск\n".encode(), "it.csv:2:1: U+202E turns the direction of reading; take it out"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it.csv: a pointer of git-lfs, not the file itself; run"),
        (b"<!doctype html>", "it.csv: a web page, not the file itself; download the raw file"),
        (b"name,name\nx,y\n", "it.csv:1:1: the header names 'name' twice; keep one"),
        (b"Omsk\nPerm\n", "it.csv:1:1: the header lacks name; expected name"),
        (b"name;mid\nx;y\n", "it.csv:1:1: fields are separated by ';'; save it with commas"),
        (b"name\nParis, Texas\n", "it.csv:2:1: fields: 2, in the header 1; quote fields that hold commas"),
        (b"name,mid\n ,x\n", "it.csv:2:1: the name is empty; every row needs one"),
        (b"name\n", "it.csv: has a header and no rows; give one name a row"),
    ],
)
def test_a_bad_file_of_names_is_refused_in_one_line_with_its_place(content: bytes, told: str) -> None:
    Path("it.csv").write_bytes(content)
    assert refused("annotate it.csv --lang ru").startswith(told)


def test_a_folder_is_no_file() -> None:
    Path("folder").mkdir()
    assert "folder" in refused("annotate folder --lang ru")
    assert refused("data info folder") == "folder: a folder; give the CSV file in it"


def test_names_are_annotated_with_their_sources_and_what_is_to_be_decided() -> None:
    Path("names.csv").write_text(
        "\ufeffname,mid,semantic_type\nОмск,a,City\nНетфликс,b,\nОмск,a,City\n", encoding="utf-8"
    )
    out, err = done("annotate names.csv --lang ru --out mine.csv")
    assert re.search(r"Омск +Noun.topical +PREP_OB +\w", out)
    assert re.search(r"What a person must decide\n.*Noun.gender .*Нетфликс", out, flags=re.DOTALL)
    assert "mine.csv: 2 rows" in err
    said = json.loads(done("annotate names.csv --lang ru --json")[0])
    assert [one["name"] for one in said] == ["Омск", "Нетфликс", "Омск"]
    assert "Noun.gender" in said[1]["undecided"]
    assert not any(pair["attribute"] == "Noun.gender" for pair in said[1]["pairs"])
    mine = language.load("mine.csv")
    assert sorted((one.name, one.semantic_type) for one in mine) == [("Нетфликс", "Name"), ("Омск", "City")]
    assert all(one.provenance for one in mine if one.name == "Омск")
    assert done("cover --corpus mine.csv --level signature")[0]


def test_a_review_goes_out_and_comes_back() -> None:
    out, err = done("review export --lang mr --out sheet.csv --per-value 2")
    assert out == "sheet.csv\n"
    with Path("sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        asked = list(csv.DictReader(file))
    assert f"{len(asked)} questions" in err
    with Path("back.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, SHEET)
        writer.writeheader()
        writer.writerows(row | {"verdict": "yes", "reviewer": "Anna"} for row in asked)
    out, err = done("review import back.csv --out reviewed.csv")
    assert (
        f"{len(asked)} pairs accepted, 0 corrected, 0 removed ({len(asked)} of these by one reviewer), 0 disputed"
        in out
    )
    reviewed = language.load("reviewed.csv", persons=True)
    assert sum(sum(one.reviewed) for one in reviewed) >= len(asked)
    said = json.loads(done("review import back.csv --json")[0])
    assert all(its["agreed"] == 1.0 for its in said["agreement"].values())


def test_a_sheet_without_a_verdict_is_reported() -> None:
    done("review export --lang su --out sheet.csv")
    assert done("review import sheet.csv")[1] == "tamis: no row has a verdict; reviewers write yes, no or unsure\n"


def test_no_cell_for_a_spreadsheet_is_a_formula() -> None:
    write(Path("odd.csv"), [["fr", "/m/1", "=1+1", "Noun.gender:FEMININE", "City"]])
    for command in ("cover --corpus odd.csv --format csv", "data query odd.csv --format csv"):
        (row,) = csv.DictReader(io.StringIO(done(command)[0]))
        assert row["name"] == "'=1+1"
    done("data query odd.csv --out same.csv")
    assert [one.name for one in language.load("same.csv")] == ["=1+1"]


def test_a_cover_can_be_had_as_table_csv_json_and_python() -> None:
    command = "cover --lang ru --type City --level value --relevant gender,number,locative_preposition"
    table, err = done(command)
    corpus = language.load("open")
    kinds = ["gender", "number", "locative_preposition"]
    best = language.cover(corpus, "ru", "City", level="value", relevant=kinds)
    names = [one.name for one in best.entities]
    assert all(name in table for name in names)
    assert "fewer cannot" in table
    assert "no part of CLSE" in err
    said = json.loads(done(f"{command} --json")[0])
    assert [one["entities"]["City"]["name"] for one in said["choices"]] == names
    assert said["optimal"] is True
    assert [row["name"] for row in csv.DictReader(io.StringIO(done(f"{command} --format csv")[0]))] == names
    assert "--persons --time-limit 5 " in done(f"{command} --persons --time-limit 5 --format pytest")[0].splitlines()[0]
    code, _ = done(f"{command} --format pytest")
    assert code.startswith(f"# tamis language {command} --format pytest\n")
    there: dict[str, object] = {}
    exec(code, there)
    assert [case.values for case in there["CASES"]] == [(name,) for name in names]  # type: ignore[attr-defined]


def test_pytest_runs_what_cover_writes() -> None:
    code, _ = done("cover --slot from=City --slot to=City --lang fr --level value --relevant gender --format pytest")
    Path("test_it.py").write_text(
        code + "\n@pytest.mark.parametrize(NAMES, CASES)\ndef test_it(slot_from, to):\n    assert slot_from and to\n",
        encoding="utf-8",
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--rootdir=.",
        "test_it.py",
    ]
    asked = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTEST_ADDOPTS": ""})
    assert "4 passed" in asked.stdout, asked.stdout + asked.stderr


def test_every_option_of_cover_does_what_the_library_does() -> None:
    Path("weights.csv").write_text("name,weight\nLos Angeles,0.5\nВарна,0.25\n", encoding="utf-8")
    command = (
        "cover --lang de --type City --level pair --per-cell 2 --weights weights.csv --must Paris --exclude Amsterdam "
        "--relevant gender --relevant number,article --time-limit 30 --json"
    )
    said = json.loads(done(command)[0])
    expected = language.cover(
        language.load("open"), "de", "City", level="pair", per_cell=2, weights={"Los Angeles": 0.5}, must="Paris",
        exclude="Amsterdam", relevant=["gender", "number", "article"],
    )  # fmt: skip
    assert [one["entities"]["City"]["name"] for one in said["choices"]] == [one.name for one in expected.entities]
    assert said["cost"] == expected.cost
    assert [one["must"] for one in said["choices"]].count(True) == 1


def test_each_slot_may_have_its_own_kinds() -> None:
    command = (
        "cover --lang fr --slot a=City --slot b=Country --level value --relevant a=gender --relevant b=number --json"
    )
    cells = json.loads(done(command)[0])["cells"]
    assert cells
    assert all(re.fullmatch(r"fr a: gender=\w+ × b: number=\w+", cell) for cell in cells)


def test_gaps_are_reported_on_stderr_whatever_the_format() -> None:
    _, err = done("cover --lang ru --type City --level value --relevant number --exclude Афины --format csv")
    assert "tamis: warning: " in err
    assert "cells with fewer names than asked for: 1; the first: ru City: number=plural" in err
    assert (
        "cells with fewer names than asked for: 21;"
        in done("cover --lang ru --type City --level value --per-cell 99 --json")[1]
    )


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("cover --lang xx", "'xx' is no language tag; expected a code such as ru, pt-BR or cmn-TW"),
        ("cover --lang ''", "'' is no language tag"),
        ("cover --lang fi", "entities none has language 'fi'; "),
        ("cover --lang fr --type Citty", "none has type 'Citty'; did you mean 'City'?"),
        ("cover --lang fr --level values", "level is 'values'; expected signature, value, pair or a whole number"),
        ("cover --lang fr --level 0", "level is '0'"),
        ("cover --lang fr --per-cell 0", "--per-cell"),
        ("cover --lang fr --per-cell -3", "--per-cell"),
        ("cover --lang fr --time-limit nan", "--time-limit"),
        ("cover --lang fr --time-limit -1", "--time-limit"),
        ("cover --lang fr --type City --must Pari", "must has 'Pari'"),
        ("cover --lang fr --type City --relevant gendre", "relevant has 'gendre', which is no kind and no attribute"),
        ("cover --lang fr --relevant a=gender", "--relevant is 'a=gender'; expected kinds"),
        ("cover --lang fr --relevant ''", "--relevant is ''; expected kinds separated by commas"),
        ("cover --lang fr --slot a=City --slot b=City --relevant a=", "--relevant is 'a='"),
        ("cover --lang fr --slot City", "--slot is 'City'; expected a name and a value, such as city=City"),
        ("cover --lang fr --slot a=City --slot a=Food", "--slot gives 'a' twice; keep one"),
        ("cover --lang fr --slot a=City --type City", "type is 'City' beside slots"),
        ("cover --slot a=City", "language is None"),
        ("cover --lang fr --format yaml", "--format"),
        ("cover --lang fr --json --format csv", "--format is 'csv' beside --json; keep one"),
        ("data query open --json --format csv", "--format is 'csv' beside --json; keep one"),
        ("cover --corpus none.csv", "none.csv: cannot be read (No such file or directory); check the path"),
        ("data query open --where gender", "--where is 'gender'; expected a name and a value, such as gender=feminine"),
        ("data query open --where gendr=x", "there is no kind 'gendr'; did you mean 'gender'?"),
        ("data query open --raw Noun.x=1", "it is not annotated here at all"),
        ("data query open --limit 0", "--limit"),
        ("review import", "no sheet is named"),
        ("review export --lang de --out clse.csv/x.csv", "cannot be written"),
        ("review import none.csv", "none.csv: cannot be read"),
        ("annotate none.csv --lang ru", "none.csv"),
        ("annotate", "requires an argument"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(command: str, told: str) -> None:
    assert told in refused(command)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("name,weight\nOslo,nan\n", "w.csv:2:6: the weight is 'nan'; expected a finite number, zero or more"),
        ("name,weight\nOslo,-1\n", "w.csv:2:6: the weight is '-1'"),
        ("name,weight\nOslo,inf\n", "w.csv:2:6: the weight is 'inf'"),
        ("name,weight\nOslo,heavy\n", "w.csv:2:6: the weight is 'heavy'"),
        ("name,weight\n,5\n", "w.csv:2:1: the name is empty"),
        (
            "name,weight\nOslo,1e101\n",
            "w.csv:2:6: the weight is '1e101'; expected a finite number, zero or more, at most",
        ),
        ("name,weight\nOslo,1_000\n", "w.csv:2:6: the weight is '1_000'"),
        ("name,weight\nOslo,١\n", "w.csv:2:6: the weight is '١'"),
        ("name,weight\nOslo,1\nOslo,2\n", "w.csv:3:6: 'Oslo' has another weight in an earlier row; keep one"),
        ("name,weight\nParis, Texas,1\n", "w.csv:2:1: fields: 3, in the header 2; quote fields that hold commas"),
        ("name\nOslo\n", "w.csv:1:1: the header lacks weight; expected name,weight"),
    ],
)
def test_bad_weights_are_refused_with_their_place(content: str, told: str) -> None:
    Path("w.csv").write_text(content)
    assert refused("cover --lang no --type City --weights w.csv").startswith(told)


def test_weights_of_names_that_are_not_there_are_reported() -> None:
    Path("w.csv").write_text("name,weight\nOslo,2\nOslp,2\n")
    told = "tamis: warning: 1 names of w.csv are not in open; the first: 'Oslp'\n"
    assert done("cover --lang no --type City --weights w.csv")[1].startswith(told)


def test_own_names_are_annotated_completed_and_covered_with_the_corpus() -> None:
    Path("names.csv").write_text(
        "name,language,semantic_type\nТында,,City\nАбаза,ru,City\nLauffen,de,City\n", encoding="utf-8"
    )
    done("annotate names.csv --lang ru --out mine.csv")
    text = Path("mine.csv").read_text(encoding="utf-8")
    assert text.startswith("\ufefflanguage,")
    assert [line.split(",")[2] for line in text.splitlines()[1:]] == ["Тында", "Абаза", "Lauffen"]
    lines = text.splitlines()
    row = next(csv.reader([lines[1]]))
    row[3] += ",Noun.gender:FEMININE,Noun.locative_preposition_geographical:PREP_VO"
    lines[1] = ",".join(f'"{field}"' for field in row)
    Path("mine.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tynda = next(one for one in language.load("mine.csv") if one.name == "Тында")
    assert set(tynda.provenance) == {"user"}
    assert run("data validate mine.csv")[1].count("no mid") == 0
    both = json.loads(
        done("cover --corpus open --corpus mine.csv --lang ru --type City --level value --must Тында --json")[0]
    )
    assert both["dataset"].startswith("open+mine.csv@")
    assert any(one["must"] for one in both["choices"])


def test_a_name_beyond_ten_alike_can_be_chosen_from_the_full_corpus() -> None:
    assert "the open corpus holds ten names alike, open-full all" in refused("cover --lang de --type City --must Athen")
    command = "cover --corpus open-full --lang de --type City --level value --must Athen --json"
    assert any(one["must"] for one in json.loads(done(command)[0])["choices"])


def test_names_are_found_by_a_part_of_them() -> None:
    found = json.loads(done("data query open --lang de --name WIEN --json")[0])["entities"]
    assert {one["name"] for one in found} >= {"Wien"}
    assert "none has 'Wyen' in it; did you mean 'Wien'?" in refused("data query open --lang de --name Wyen")


def test_what_is_asked_of_persons_says_that_they_were_left_out() -> None:
    assert "rows about persons were left out, see --persons" in refused("cover --lang fr --type Person")
    assert done("cover --lang fr --type Person --persons --level value")[0]


def test_a_cover_of_nothing_is_refused() -> None:
    told = refused("cover --lang tr --type City --relevant gender --format pytest")
    assert told.startswith("nothing to cover: no name has any of gender")


def test_portuguese_is_said_to_be_brazilian() -> None:
    assert "pt-PT is read as pt, which is Brazilian" in done("cover --lang pt-PT --type City --level value")[1]


def test_kinds_of_one_slot_add_up() -> None:
    command = "cover --lang fr --slot a=City --slot b=City --level value --relevant a=gender --relevant a=number --json"
    cells = json.loads(done(f"{command} --relevant b=gender")[0])["cells"]
    assert {part.split("=")[0] for cell in cells for part in [cell.removeprefix("fr a: ").partition(" × ")[0]]} == {
        "gender",
        "number",
    }


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_names_are_written_whatever_the_locale(encoding: str) -> None:
    command = [sys.executable, "-m", "tamis", "language", "data", "query", "open", "--lang", "ru", "--name", "омск"]
    asked = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert asked.returncode == 0
    assert "Омск" in asked.stdout.decode("utf-8")


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_closed_streams_are_no_trouble(closed: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m tamis language data info open {closed}"
    asked = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (asked.returncode, asked.stderr) == (0, "")


def test_nothing_that_is_read_or_answered_is_written_over() -> None:
    before = Path("clse.csv").read_bytes()
    for command in ("data query clse.csv --out ./clse.csv", "review export --lang ru --corpus clse.csv --out clse.csv"):
        assert "which is read; give another file" in refused(command)
    assert Path("clse.csv").read_bytes() == before
    done("review export --lang su --out sheet.csv --per-value 1")
    sheet = Path("sheet.csv").read_text(encoding="utf-8-sig").splitlines()
    Path("sheet.csv").write_text(
        "\n".join([*sheet[:1], sheet[1].removesuffix(",,,,") + ",yes,,,Anna"]), encoding="utf-8"
    )
    assert "holds answers of a reviewer" in refused("review export --lang su --out sheet.csv")
    Path("link.csv").symlink_to("clse.csv")
    assert "no regular file" in refused("review export --lang su --out link.csv")


def test_a_pipe_is_no_file() -> None:
    os.mkfifo("pipe.csv")
    assert refused("data info pipe.csv") == "pipe.csv: no regular file; save it as one first"


def test_a_file_of_bad_rows_alone_is_validated_to_its_end() -> None:
    bad = ["", "ru,m,,,City", 'ru,m,"a"b,,City', "ru,m,x,y,City"]
    Path("bad.csv").write_text("language,mid,name,linguistic_signature,semantic_type" + "\n".join(bad) + "\n")
    code, out, _ = run("data validate bad.csv")
    assert code == 1
    assert "bad.csv:3:1: ',' expected after" in out
    assert "3 rows: 0 kept, 3 refused" in out
    code, out, _ = run("data validate bad.csv --json")
    assert (code, json.loads(out)["refused"]) == (1, 3)


def test_too_many_cells_are_a_limit() -> None:
    write(Path("wide.csv"), [["fr", "m", "x", ",".join(f"a{number}:1" for number in range(60)), "City"]])
    code, out, err = run("cover --corpus wide.csv --level 30")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "1,048,576" in err
