import csv
import gzip
import inspect
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.language.synthetic import rows, text, v1_1, write

from tamis.core.errors import ConfigError, FileError, InputError, LimitError
from tamis.language import csv_file
from tamis.language.corpus import Corpus, Entity
from tamis.language.data import CLSE, COLUMNS, load, save, synthetic
from tamis.language.signature import Signature

OMSK = ["ru", "/m/0193f", "Омск", "Noun.gender:MASCULINE,Noun.number:SINGULAR", "City"]
PERM = ["ru", "/m/0g8fj", "Пермь", "Noun.gender:FEMININE", "City"]
AUTHOR = ["en", "/m/0author", "A. Author", "gender:GENDER_OTHER,aliveness:ALIVENESS_LIVING", "Writer"]
HEADER = ",".join(COLUMNS) + "\n"


def changed(**fields: str) -> list[str]:
    """The row of Omsk with other fields."""
    return [fields.get(name, value) for name, value in zip(COLUMNS, OMSK, strict=True)]


def collected(path: Path) -> Corpus:
    return load(path, on_error="collect")


def message(path: Path) -> str:
    """The error of strict reading: one line, and within it the path only by its name."""
    with pytest.raises((FileError, LimitError)) as caught:
        load(path, persons=True)
    told = str(caught.value)
    assert "\n" not in told
    assert told.isprintable()
    return told.replace(str(path), path.name)


def odd(tmp_path: Path, *table: list[str]) -> dict[str, int]:
    """What strict reading counts in rows that it keeps."""
    corpus = load(write(tmp_path / "odd.csv", table))
    assert corpus.report.refused == 0
    return dict(corpus.report.counts)


def test_every_row_becomes_the_entity_that_it_describes(tmp_path: Path) -> None:
    table = rows(("fr", "ru", "ar", "hi", "ja"), seed=1)
    corpus = load(write(tmp_path / "clse.csv", table))
    assert Counter(
        (one.language, one.mid, one.name, one.signature.raw, one.semantic_type) for one in corpus
    ) == Counter(map(tuple, table))
    assert corpus.name == "clse.csv"
    assert corpus.report.counts == {}
    assert corpus.report.rows == corpus.report.kept == len(corpus) == len(table)


def test_all_languages_of_clse_are_read(tmp_path: Path) -> None:
    corpus = load(write(tmp_path / "clse.csv", rows(tuple(CLSE), ("City",), many=2000)))
    assert set(corpus.languages) == set(CLSE)


def test_synthetic_rows_have_the_shape_of_clse() -> None:
    corpus = synthetic(4000, types=("A", "B", "C"), seed=0)
    assert len(corpus) == pytest.approx(4000, rel=0.05)
    assert set(corpus.languages) == set(CLSE)
    assert sum(entities for entities, _ in CLSE.values()) == 45_862
    cells = Counter((one.language, one.semantic_type, one.signature) for one in corpus)
    assert max(cells.values()) > 1
    pairs = {(one.language, pair) for one in corpus for pair in one.signature.pairs}
    for language, count in Counter(language for language, _ in pairs).items():
        assert count <= CLSE[language][1]
    assert not any(one.person for one in corpus)
    assert corpus == synthetic(4000, types=("A", "B", "C"), seed=0) != synthetic(4000, types=("A", "B", "C"), seed=1)


def test_columns_may_come_in_any_order(tmp_path: Path) -> None:
    order = [4, 2, 0, 3, 1]
    turned = write(tmp_path / "turned.csv", [[OMSK[i] for i in order]], [COLUMNS[i] for i in order])
    assert load(turned).entities == load(write(tmp_path / "plain.csv", [OMSK])).entities


@pytest.mark.parametrize("end", ["\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_saved_elsewhere_is_the_same_corpus(tmp_path: Path, end: str, mark: str) -> None:
    table = rows()
    saved = tmp_path / "saved.csv"
    saved.write_bytes((mark + text(table).replace("\n", end)).encode())
    corpus = load(saved)
    assert corpus.hash == load(write(tmp_path / "plain.csv", table)).hash
    assert set(corpus.report.counts) == ({"blank line"} if end == "\r\r\n" else set())


def test_v1_1_is_the_same_corpus_as_v1_0(tmp_path: Path) -> None:
    table = rows(tuple(CLSE), many=2000)
    header, *wide = v1_1(table)
    assert len(header) > 50
    corpus = load(write(tmp_path / "clse_v1.1.csv", wide, header))
    assert corpus.hash == load(write(tmp_path / "clse_v1.0.csv", table)).hash
    assert corpus.report.counts == {}


def test_where_v1_1_merges_attributes_either_value_agrees(tmp_path: Path) -> None:
    row = changed(linguistic_signature="Noun.countability:MASS,CommonNoun.countability:COUNT")
    header, wide = v1_1([row])
    for cell in ("MASS", "COUNT"):
        corpus = load(write(tmp_path / "merged.csv", [[*wide[:5], cell]], header))
        assert corpus.report.counts == {}


@pytest.mark.parametrize(("cell", "expected"), [("FEMININE", "'MASCULINE'"), ("", "'MASCULINE'")])
def test_a_column_of_v1_1_that_disagrees_is_reported_and_the_signature_is_right(
    tmp_path: Path, cell: str, expected: str
) -> None:
    row = changed(linguistic_signature="Noun.gender:MASCULINE")
    corpus = load(write(tmp_path / "wide.csv", [[*row, cell]], [*COLUMNS, "Noun.gender"]))
    assert corpus.entities[0].get("gender") == "masculine"
    assert corpus.report.counts == {"column disagrees": 1}
    told = f"column 'Noun.gender' has {cell!r}, the signature {expected}; the signature is right"
    assert corpus.report.examples[0].message == told


def test_a_column_of_v1_1_without_a_pair_disagrees(tmp_path: Path) -> None:
    corpus = load(write(tmp_path / "wide.csv", [[*PERM, "PLURAL"]], [*COLUMNS, "Noun.number"]))
    assert corpus.report.examples[0].message.startswith("column 'Noun.number' has 'PLURAL', the signature ''")


def test_a_column_of_no_version_is_reported_once_and_not_read(tmp_path: Path) -> None:
    corpus = load(write(tmp_path / "wide.csv", [[*OMSK, "x"], [*PERM, "y"]], [*COLUMNS, "comment"]))
    assert corpus.report.counts == {"unknown column": 1}
    assert str(corpus.report.examples[0]).endswith("wide.csv:1:54: column 'comment' is not read")


# Files that are no corpus.


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it.csv: empty; get the file again"),
        (b"\n\n", "it.csv:3:1: the header lacks language, mid, name, linguistic_signature, semantic_type; expected "
         "language,mid,name,linguistic_signature,semantic_type"),
        (HEADER.encode(), "it.csv: has a header and no rows; get the file again"),
        (gzip.compress(b"x", mtime=0), "it.csv: packed with gzip; unpack it first"),
        (b"%PDF-1.7", "it.csv: a PDF; get the table itself as CSV"),
        (b"sep=,\n", "it.csv: begins with a line for Excel; delete that line"),
        (b"PK\x03\x04", "it.csv: a zip archive or a spreadsheet; save it as CSV"),
        (HEADER.encode("utf-16"), "it.csv: UTF-16; save it as UTF-8"),
        (HEADER.encode("utf-16-be"), "it.csv:1:1: holds NUL bytes, as UTF-16 does; save it as UTF-8"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
         "it.csv: a pointer of git-lfs, not the file itself; run `git lfs pull`"),
        (b"\n<!DOCTYPE html><html>", "it.csv: a web page, not the file itself; download the raw file"),
        (b"\xef\xbb\xbf<html>", "it.csv: a web page, not the file itself; download the raw file"),
        (HEADER.replace(",", ";").encode(), "it.csv:1:1: fields are separated by ';'; save it with commas"),
        (HEADER.replace(",", "\t").encode(), "it.csv:1:1: fields are separated by '\\t'; save it with commas"),
        (b"language,mid,name,semantic_type\nru,m,Omsk,City\n", "it.csv:1:1: the header lacks linguistic_signature; "
         "expected language,mid,name,linguistic_signature,semantic_type"),
        (HEADER.replace("mid", "mid,name").encode(), "it.csv:1:1: the header names 'name' twice; keep one"),
        (HEADER.encode() + b'ru,m,"Omsk,,City\n', "it.csv:2:1: unexpected end of data; check the quotes of this row"),
        (HEADER.encode() + b'ru,m,"Om"sk,,Ci\n', "it.csv:2:1: ',' expected after '\"'; check the quotes of this row"),
        (HEADER.encode() + b'ru,m,"' + b"x" * 140_000, "it.csv:2:1: field larger than field limit (131072); check the "
         "quotes of this row"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_corpus_is_refused_for_what_it_is(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "it.csv"
    path.write_bytes(content)
    assert message(path) == told


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"a folder; give the CSV file in it$"):
        load(tmp_path)
    with pytest.raises(FileError, match=r"cannot be read \(No such file or directory\); check the path$"):
        load(tmp_path / "none.csv")


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "_MAX_BYTES", 100)
    assert message(write(tmp_path / "big.csv", [OMSK] * 9)).startswith("big.csv: ")
    with pytest.raises(LimitError, match="the limit is 100; cut the file"):
        load(tmp_path / "big.csv")


def test_another_way_to_handle_errors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="on_error is 'skip'; expected 'raise' or 'collect'"):
        inspect.unwrap(load)(write(tmp_path / "it.csv", [OMSK]), on_error="skip")


# Rows that cannot be used: strict reading names the place, collecting refuses them and goes on.

NO_TAG = "is no language tag; expected a code such as ru, pt-BR or cmn-TW"
NO_PAIR = "is no pair; expected attribute:value"
CONTROL = "is a control character or a line break; take it out"
TURNS = "turns the direction of reading; take it out"
UNUSABLE = [
    ("wrong number of fields", "ru,m,x,a:1,b:2,City", 1, "fields: 6, in the header 5; quote fields that hold commas"),
    ("wrong number of fields", "ru,m,x", 1, "fields: 3, in the header 5; complete the row"),
    ("bad language tag", "english?,m,x,,City", 1, f"'english?' {NO_TAG}"),
    ("bad language tag", " ru ,m,x,,City", 1, f"' ru ' {NO_TAG}"),
    ("no name", "ru,m,,,City", 6, "the name is empty; every row needs one"),
    ("no name", 'ru,"a,b",  ,,City', 10, "the name is empty; every row needs one"),
    ("no name", 'ru,5",,,City', 7, "the name is empty; every row needs one"),
    ("no name", "ru,m,\u200b,,City", 6, "the name is empty; every row needs one"),
    ("no name", "ru,m,\u200e\u200d\u2800\u3164\u2060,,City", 6, "the name is empty; every row needs one"),
    ("no semantic type", "ru,m,x,,\u200b", 9, "the semantic type is empty; every row needs one"),
    ("bad quotes", 'ru,m,"a"b,,City', 1, "',' expected after '\"'; check the quotes of this row"),
    ("no semantic type", "ru,m,x,,", 9, "the semantic type is empty; every row needs one"),
    ("bad signature", "ru,m,x,FEMININE,City", 8, f"signature part 'FEMININE' {NO_PAIR}"),
    ("bad signature", 'ru,m,"a ""x"", b","a:1,b:",City', 19, f"signature part 'b:' {NO_PAIR}"),
    ("bad character", "ru,m,Ом\0ск,,City", 8, f"U+0000 {CONTROL}"),
    ("bad character", 'ru,m,"Ом\nск",,City', 9, f"U+000A {CONTROL}"),
    ("bad character", "ru,m,Ом\u2028ск,,City", 8, f"U+2028 {CONTROL}"),
    ("bad character", "ru,m,\u202eОмск,,City", 6, f"U+202E {TURNS}"),
    ("bad character", "ru,m,Омск\u2069,,City", 10, f"U+2069 {TURNS}"),
    (
        "bad character",
        "ru,m,О\ufffd,,City",
        7,
        "U+FFFD stands for a character that was lost; get the row from its source",
    ),
    ("bad character", "fr,m,\udcceле,,City", 6, "byte 0xCE is not UTF-8; save the file as UTF-8"),
]


@pytest.mark.parametrize(("kind", "row", "column", "told"), UNUSABLE)
def test_a_row_that_cannot_be_used_is_named_by_line_and_column(
    tmp_path: Path, kind: str, row: str, column: int, told: str
) -> None:
    path = tmp_path / "it.csv"
    before, after = text([PERM]), text([OMSK]).removeprefix(HEADER)
    path.write_bytes(f"{before}{row}\n{after}".encode("utf-8", "surrogateescape"))
    assert message(path) == f"it.csv:3:{column}: {told}"
    report = collected(path).report
    assert (report.rows, report.kept, report.refused) == (3, 2, 1)
    assert report.counts == {kind: 1}
    assert str(report.examples[0]) == f"{path}:3:{column}: {told}"


def test_a_latin_1_file_is_recognised_by_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "it.csv"
    path.write_bytes(text([changed(language="fr", name="Orléans")]).encode("latin-1", "replace"))
    assert message(path) == "it.csv:2:16: byte 0xE9 is not UTF-8; save the file as UTF-8"


def test_lines_count_those_within_quotes(tmp_path: Path) -> None:
    path = tmp_path / "it.csv"
    path.write_text(HEADER + '\nru,m,Омск,"a:1,\nb:2",City\n\nru,m,,,City\n', encoding="utf-8")
    assert message(path) == "it.csv:3:16: U+000A is a control character or a line break; take it out"
    path.write_text(
        HEADER + '\nru,m,Омск,,"Ci\nty"\n\nru,m,,,City\nru,m,Омск,Noun.gender:MASCULINE,City\n', encoding="utf-8"
    )
    assert [one.line for one in collected(path).report.examples if one.kind != "blank line"] == [3, 6]


def test_a_file_without_a_usable_row_is_refused_even_when_collecting(tmp_path: Path) -> None:
    path = write(tmp_path / "it.csv", [changed(name=""), changed(language="")])
    with pytest.raises(FileError) as caught:
        collected(path)
    told = f"none of 2 rows can be used; the first problem is {path}:2:13: the name is empty; every row needs one"
    assert str(caught.value) == told


def test_a_corpus_that_was_saved_is_read_back_whole(tmp_path: Path) -> None:
    marked = Corpus(
        (
            Entity("ru", "tamis:x", 'a "b", c', "City", Signature("b:2,a:1"), False, ("hand", "rule:x"), (0, 2)),
            Entity("ru", "", "Омск", "City", Signature("")),
        )
    )
    back = load(save(marked, tmp_path / "new" / "it.csv"))
    assert back.entities == marked.entities
    assert [(one.provenance, one.reviewed) for one in back] == [(one.provenance, one.reviewed) for one in marked]
    plain = save(marked.filter(raw={"a": "1"}), tmp_path / "it.csv")
    assert plain.read_text(encoding="utf-8").startswith("language,mid,name,linguistic_signature,semantic_type,prov")
    table = rows()
    assert load(save(load(write(tmp_path / "a.csv", table)), tmp_path / "b.csv")).hash == load(tmp_path / "a.csv").hash
    assert (tmp_path / "b.csv").read_text(encoding="utf-8").startswith(HEADER)


@pytest.mark.parametrize(
    ("column", "marks", "told"),
    [
        ("provenance", "hand,x,y", "provenance has 3 entries; expected 2, one for each pair"),
        ("reviewed", "1,x", "reviewed has 'x'; expected numbers of reviewers"),
        ("reviewed", "1,-1", "reviewed has '-1'; expected numbers of reviewers"),
    ],
)
def test_marks_that_do_not_fit_the_signature_are_refused(tmp_path: Path, column: str, marks: str, told: str) -> None:
    assert message(write(tmp_path / "it.csv", [[*OMSK, marks]], [*COLUMNS, column])) == f"it.csv:2:68: {told}"


def test_a_row_that_was_completed_by_hand_is_the_users(tmp_path: Path) -> None:
    corpus = load(write(tmp_path / "it.csv", [[*OMSK, "hand", "1"]], [*COLUMNS, "provenance", "reviewed"]))
    assert (corpus.entities[0].provenance, corpus.entities[0].reviewed) == (("user", "user"), ())
    assert corpus.report.counts == {"edited row": 1}


def test_of_each_kind_of_problem_a_few_examples_are_kept(tmp_path: Path) -> None:
    report = collected(write(tmp_path / "it.csv", [OMSK, *([changed(language=f"?{i}") for i in range(50)])])).report
    assert report.counts == {"bad language tag": 50}
    assert [one.line for one in report.examples] == [3, 4, 5]


# Rows that are odd and kept.


@pytest.mark.parametrize(
    ("signature", "kind", "told"),
    [
        ("", "empty signature", "the signature says nothing"),
        ("a:1,,", "untidy signature", "the signature has empty parts or spaces; it is read as 'a:1'"),
        ("a : 1", "untidy signature", "the signature has empty parts or spaces; it is read as 'a:1'"),
        ("Noun.colour:RED", "unknown pair", "'Noun.colour:RED' is not in the vocabulary; only `raw` queries find it"),
        ("Noun.gender:RED", "unknown pair", "'Noun.gender:RED' is not in the vocabulary; only `raw` queries find it"),
        (
            "noun.gender:feminine",
            "unusual spelling",
            "'noun.gender:feminine' is understood, but CLSE spells it otherwise",
        ),
        (
            "NominalInflectedForm.starts_with_vowel:TRUE",
            "unusual spelling",
            "'NominalInflectedForm.starts_with_vowel:TRUE' is understood, but CLSE spells it otherwise",
        ),
        ("Noun.number:PLURAL,Noun.number:PLURAL", "repeated attribute", "'Noun.number:PLURAL' stands 2 times"),
        (
            "Noun.number:SINGULAR,Noun.number:PLURAL",
            "conflicting values",
            "'Noun.number' is 'PLURAL' and 'SINGULAR' at once",
        ),
    ],
)
def test_an_odd_signature_is_kept_and_reported(tmp_path: Path, signature: str, kind: str, told: str) -> None:
    corpus = load(write(tmp_path / "it.csv", [changed(linguistic_signature=signature)]))
    assert corpus.entities[0].signature.raw == signature
    problems = {one.kind: one for one in corpus.report.examples}
    assert (problems[kind].message, problems[kind].line) == (told, 2)


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("/m/0193f", "name is the mid", "the name is the mid '/m/0193f'"),
        ("CafÃ©", "garbled name", "the name 'CafÃ©' looks like 'Café' read with the wrong encoding"),
        ("Ben &amp; Jerry", "HTML in the name", "the name 'Ben &amp; Jerry' is HTML for 'Ben & Jerry'"),
        ("It&#39;s", "HTML in the name", """the name 'It&#39;s' is HTML for "It's\""""),
        ("Om\u2060sk", "invisible marks", "the name 'Om\\u2060sk' holds characters that are not seen"),
        ("Mосква", "mixed scripts", "the name 'Mосква' mixes Latin and Cyrillic letters in a word"),
        (" Омск ", "cleaned name", r"the name ' \u041e\u043c\u0441\u043a ' is read as 'Омск'"),
    ],
)
def test_an_odd_name_is_kept_and_reported(tmp_path: Path, name: str, kind: str, told: str) -> None:
    corpus = load(write(tmp_path / "it.csv", [changed(name=name)]))
    assert corpus.report.counts == {kind: 1}
    assert corpus.report.examples[0].message == told


@pytest.mark.parametrize(
    "name", ["São Paulo", "Île-de-France", "AT&T", "R&B; soul", "MTV Россия", "Москва́", "3M", "😀", "99"]
)
def test_a_plain_name_is_not_called_odd(tmp_path: Path, name: str) -> None:
    assert odd(tmp_path, changed(name=name)) == {}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("I\u0302le", "Île"),
        ("И\u0306ошкар-Ола", "Йошкар-Ола"),
        ("\u0958लम", "\u0915\u093cलम"),
        ("New\u200bark", "Newark"),
        ("Haut\u00adbois", "Hautbois"),
        ("\ufeffOmsk", "Omsk"),
        ("\u00a0Omsk\u3000", "Omsk"),
    ],
)
def test_a_name_is_composed_and_rid_of_marks_without_meaning(tmp_path: Path, written: str, read: str) -> None:
    corpus = load(write(tmp_path / "it.csv", [changed(name=written)]))
    assert corpus.entities[0].name == read
    assert corpus.report.counts == {"cleaned name": 1}


@pytest.mark.parametrize(
    "name",
    ["क्\u200dष", "می\u200cخواهم", "ar\u200e", "Côte d’Ivoire", "Bora\u00a0Bora", "10\u202f000", "İstanbul", "Weiß"],
)
def test_marks_and_spaces_with_meaning_stay(tmp_path: Path, name: str) -> None:
    corpus = load(write(tmp_path / "it.csv", [changed(name=name)]))
    assert corpus.entities[0].name == name
    assert corpus.report.counts == {}


def test_a_row_without_a_mid_is_kept_and_reported(tmp_path: Path) -> None:
    assert odd(tmp_path, changed(mid=" ")) == {"no mid": 1}


def test_a_row_that_comes_twice_is_kept_once(tmp_path: Path) -> None:
    turned = changed(linguistic_signature="Noun.number:SINGULAR,Noun.gender:MASCULINE")
    corpus = load(write(tmp_path / "it.csv", [OMSK, PERM, OMSK, turned]))
    assert len(corpus) == 2
    assert corpus.report.repeated == corpus.report.counts["repeated row"] == 2
    assert corpus.report.examples[0].line == 4


@pytest.mark.parametrize("order", [1, -1])
def test_of_equal_rows_the_one_with_more_reviewers_is_kept(tmp_path: Path, order: int) -> None:
    table = [[*PERM, "hand", "0"], [*PERM, "hand", "2"]][::order]
    corpus = load(write(tmp_path / "it.csv", table, [*COLUMNS, "provenance", "reviewed"]))
    assert [one.reviewed for one in corpus] == [(2,)]


def test_columns_without_a_name_that_hold_nothing_are_passed_over(tmp_path: Path) -> None:
    corpus = load(write(tmp_path / "it.csv", [[*OMSK, "", ""], [*PERM, ""]], [*COLUMNS, "", ""]))
    assert len(corpus) == 2
    assert message(write(tmp_path / "it.csv", [[*OMSK, "", "x"]], [*COLUMNS, "", ""])).endswith(
        "quote fields that hold commas"
    )


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(FileError, match="is no path"):
        load("a\0b")


def test_names_types_and_homographs_of_their_own_are_legal(tmp_path: Path) -> None:
    nickname = changed(name="Омич")
    also = changed(semantic_type="Port")
    homograph = changed(mid="/m/other", linguistic_signature="Noun.gender:FEMININE")
    assert odd(tmp_path, OMSK, nickname, also, homograph) == {}


def test_rows_that_disagree_are_both_kept_and_reported(tmp_path: Path) -> None:
    corpus = load(write(tmp_path / "it.csv", [OMSK, PERM, changed(linguistic_signature="Noun.gender:FEMININE")]))
    assert len(corpus) == 3
    assert str(corpus.report.examples[0]).endswith(
        "it.csv:4:1: 'Омск' (/m/0193f) has another signature in line 2; both are kept"
    )


def test_genders_that_differ_from_type_to_type_are_reported(tmp_path: Path) -> None:
    port = changed(semantic_type="Port", linguistic_signature="Noun.gender:FEMININE")
    corpus = load(write(tmp_path / "it.csv", [OMSK, port]))
    assert corpus.report.counts == {"conflicting gender": 1}
    assert corpus.report.examples[0].message == "'Омск' (/m/0193f) has gender feminine; as City in line 2, masculine"


# Persons.


def test_persons_are_read_on_request_only(tmp_path: Path) -> None:
    path = write(tmp_path / "it.csv", [OMSK, AUTHOR])
    assert [one.name for one in load(path)] == ["Омск"]
    assert load(path).report.persons_left_out == 1
    everyone = load(path, persons=True)
    assert [(one.name, one.person) for one in everyone] == [("A. Author", True), ("Омск", False)]
    assert everyone.report.persons_left_out == 0
    assert everyone.info()["persons"] == 1


@pytest.mark.parametrize(
    ("signature", "semantic_type", "person"),
    [
        ("gender:GENDER_FEMALE", "Writer", True),
        ("gender:GENDER_OTHER", "Writer", True),
        ("gender:gender_male", "Writer", True),
        ("aliveness:ALIVENESS_DEAD", "Writer", True),
        ("gender:GENDER_UNSAID", "Writer", True),
        ("aliveness:UNSAID", "Writer", True),
        ("", "Person", True),
        ("", "/people/person", True),
        ("gender:GENDER_NONE", "City", False),
        ("Noun.gender:FEMININE", "City", False),
        ("", "PersonalComputer", False),
    ],
)
def test_a_person_is_recognised_by_annotation_or_type(
    tmp_path: Path, signature: str, semantic_type: str, person: bool
) -> None:
    row = changed(linguistic_signature=signature, semantic_type=semantic_type, name="X")
    corpus = load(write(tmp_path / "it.csv", [row, PERM]), persons=True)
    assert {one.name: one.person for one in corpus} == {"X": person, "Пермь": False}


def test_a_person_in_one_language_is_a_person_in_all(tmp_path: Path) -> None:
    elsewhere = ["ru", AUTHOR[1], "Автор", "Noun.gender:MASCULINE", "Topic"]
    corpus = load(write(tmp_path / "it.csv", [elsewhere, AUTHOR, OMSK]))
    assert [one.name for one in corpus] == ["Омск"]
    assert corpus.report.persons_left_out == 2


def test_rows_without_a_mid_do_not_make_each_other_persons(tmp_path: Path) -> None:
    path = write(tmp_path / "it.csv", [["en", "", *AUTHOR[2:]], changed(mid="")])
    assert [one.name for one in load(path)] == ["Омск"]


def test_a_file_about_persons_alone_says_how_to_read_it(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="all 1 rows are about persons, who are read on request only: persons=True"):
        load(write(tmp_path / "it.csv", [AUTHOR]))


# Whatever comes.

FIELD = st.text(st.sampled_from('aЖ",:;\n\t &é\0\u200b\u202e\ufffd'), max_size=6)
LANGUAGE = st.sampled_from(["ru", "fr", "xx", "", "no"])
SIGNATURE = st.sampled_from(["a:1", "Noun.gender:FEMININE,Noun.number:PLURAL", "gender:GENDER_MALE", "x", ""])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(LANGUAGE, FIELD, FIELD, SIGNATURE, FIELD).map(list), max_size=8))
def test_every_row_is_accounted_for(tmp_path: Path, table: list[list[str]]) -> None:
    path = tmp_path / "any.csv"
    path.write_text(text([OMSK, *table]), encoding="utf-8", newline="")
    report = collected(path).report
    assert report.rows == len(table) + 1
    assert report.rows == report.kept + report.refused + report.repeated + report.persons_left_out


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_whatever_bytes_come_the_answer_is_a_corpus_or_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(text([OMSK]).encode() + content)
    try:
        told = load(path).name
    except InputError as error:
        told = str(error)
    assert told.isprintable()


def test_the_reader_agrees_with_the_csv_module_on_a_well_formed_file(tmp_path: Path) -> None:
    path = write(tmp_path / "clse.csv", [changed(name='5" «Омск», "х"'), PERM])
    with path.open(encoding="utf-8", newline="") as file:
        assert sorted(row["name"] for row in csv.DictReader(file)) == sorted(one.name for one in load(path))
