import gzip
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from tests.language.synthetic import said

from tamis.core.errors import FileError
from tamis.language import open_corpus
from tamis.language.cldr import Names
from tamis.language.corpus import Corpus, Entity
from tamis.language.data import CLSE, load
from tamis.language.lexicons import lexicon_facts
from tamis.language.open_corpus import OPEN, PER_CELL, build, gaps, read, rebuild, write
from tamis.language.reviewing import COLUMNS as SHEET
from tamis.language.reviewing import export_review
from tamis.language.rules import rule_facts
from tamis.language.signature import Fact, merged
from tamis.language.vocabulary import PAIRS

CONCEPTS = """key\ttype\tgloss
cldr/territory/FR\tCountry\t
cldr/city/Europe/Kyiv\tCity\t
item/sword\tItem\tsword
character/queen\tCharacter\tthe Queen
"""
RUSSIAN = """key\tname\tsignature\tnote\ttype
cldr/territory/FR\t\tNoun.gender:FEMININE\t\t
item/sword\tмеч\tNoun.animacy:INANIMATE\t\t
character/queen\tКоролева\tgender:GENDER_FEMALE\t\t
extra/hermitage\tЭрмитаж\t\tthe museum\tMuseum
"""


def tables(folder: Path, **languages: str) -> Path:
    """Write the tables of a corpus; `ru=...` is the table of Russian."""
    (folder / "concepts.tsv").write_text(CONCEPTS, encoding="utf-8")
    for language, text in languages.items():
        (folder / f"{language}.tsv").write_text(text, encoding="utf-8")
    return folder


def test_the_open_corpus_comes_with_the_package_and_says_whose_it_is() -> None:
    corpus = load("open")
    assert corpus.name == "open"
    assert set(corpus.languages) == set(CLSE)
    assert all(one.mid.startswith("tamis:") for one in corpus)
    info = corpus.info()
    assert "no part of CLSE" in info["attribution"]
    assert "Chuklin" not in info["attribution"]
    text = gzip.decompress((OPEN / "open.tsv.gz").read_bytes()).decode()
    assert "no part of CLSE" in text.partition("\n")[0]
    assert "Unicode-3.0" in text[:1000]


def test_every_row_is_sound_and_every_pair_has_its_source() -> None:
    corpus = load("open", persons=True)
    for one in corpus:
        assert one.name == unicodedata.normalize("NFC", one.name).strip()
        assert set(one.signature.pairs) <= PAIRS.keys()
        assert len(dict(one.signature.pairs)) == len(one.signature.pairs) == len(one.provenance)
        assert all(source.partition(":")[0] in ("hand", "rule", "lexicon", "review") for source in one.provenance)
    assert max(Counter((one.language, one.mid, one.name) for one in corpus).values()) == 1
    assert max(Counter((one.language, one.semantic_type, one.signature) for one in corpus).values()) <= PER_CELL


def test_what_clse_lists_or_a_language_has_is_in_five_rows_or_has_a_reason_and_never_both() -> None:
    counts = Counter((one.language, *pair) for one in load("open", persons=True) for pair in one.signature.pairs)
    table = (OPEN.parent / "vocabulary.tsv").read_text(encoding="utf-8").splitlines()[1:]
    listed = {
        (language, attribute, value)
        for attribute, value, _, languages in (line.split("\t") for line in table)
        for language in languages.split()
    }
    reasons = gaps()
    assert len(listed) > 100
    assert {
        one for one in listed | counts.keys() if counts[one] < 5 and not {one, (*one[:2], "*")} & reasons.keys()
    } == set()
    assert {one for one in reasons if counts[one] >= 5} == set()
    assert all(reasons.values())


def test_a_thing_has_one_type_in_all_languages() -> None:
    types: dict[str, set[str]] = {}
    for one in load("open", persons=True):
        types.setdefault(one.mid, set()).add(one.semantic_type)
    assert {mid for mid, its in types.items() if len(its) > 1} == set()
    corpus = load("open")
    assert all(len(corpus.filter(language=one).types) >= 16 for one in corpus.languages)


def test_teams_mountains_and_offices_that_share_a_name_are_one_thing() -> None:
    things: dict[tuple[str, str], set[str]] = {}
    for one in load("open"):
        if one.semantic_type in ("SportsTeam", "Mountain", "MountainRange", "Organization", "Holiday"):
            things.setdefault((one.semantic_type, one.name), set()).add(one.mid)
    assert things["SportsTeam", "Barcelona"] == {"tamis:extra/fc-barcelona"}
    assert things["SportsTeam", "All Blacks"] == {"tamis:extra/new-zealand-rugby"}
    assert things["Mountain", "Mount Everest"] == {"tamis:extra/everest"}
    assert things["Organization", "Kremlin"] == {"tamis:extra/russian-presidency"}


def test_persons_are_kept_on_request_only_and_characters_are_no_persons() -> None:
    some, everyone = load("open"), load("open", persons=True)
    assert {one.name for one in everyone} > {one.name for one in some}
    assert not any(one.person or one.semantic_type == "Person" for one in some)
    assert some.report.persons_left_out == len(everyone) - len(some) > 0
    assert some.filter(type="Character").filter(where={"natural_gender": "female"})


# What grammars of these languages say.
@pytest.mark.parametrize(
    ("language", "name", "pairs"),
    [
        ("cs", "Slovensko", "Noun.locative_preposition:PREP_NA Noun.genitive_preposition:PREP_ZE Noun.gender:NEUTER"),
        ("da", "Tågeøen", "InflectedNounForm.definiteness:DEFINITE Noun.gender:COMMON"),
        ("de", "Schweiz", "Noun.article_handling:DEFINITE_ARTICLE Noun.gender:FEMININE"),
        ("en", "Netherlands", "Determiner.form:FORM_THE"),
        ("en", "scissors", "CommonNoun.countability:BIPARTITE Noun.number:PLURAL"),
        ("es", "águila", "NominalInflectedForm.starts_with_stressed_a:1 NominalInflectedForm.gender:FEMININE"),
        ("fr", "Le Havre", "NominalInflectedForm.article_handling:MODIFY_EMBEDDED"),
        ("fr", "Iran", "NominalInflectedForm.starts_with_vowel:1 ProperNoun.locative_preposition:PREP_EN"),
        ("hi", "रानी", "Noun.gender:FEMININE Noun.InflectedForm.casus:DIRECT"),
        ("it", "Utah", "NominalInflectedForm.override_article:ARTICLE_LO"),
        ("ja", "フクロウ", "Noun.animacy:ANIMATE"),
        ("pl", "Węgry", "Noun.preposition_for_in_a_place:PREP_NA_LOC SurfaceForm.number:PLURAL"),
        ("ru", "Франция", "Noun.locative_preposition_geographical:PREP_VO Noun.gender:FEMININE Noun.topical:PREP_O"),
        ("ru", "вторник", "Noun.allative:PREP_KO"),
    ],
)
def test_what_grammars_teach_is_in_it(language: str, name: str, pairs: str) -> None:
    rows = [one for one in load("open").filter(language=language) if one.name == name]
    assert rows
    assert all(set(pairs.split()) <= said(one).keys() for one in rows)


@pytest.mark.parametrize("language", sorted(CLSE))
def test_dictionaries_and_rules_never_contradict_manual_annotation(language: str) -> None:
    contradictions = []
    for one in load("open").filter(language=language):
        manual = {fact.attribute: fact.value for fact in one.facts if fact.provenance == "hand"}
        found = [
            *lexicon_facts(one.name, language, one.semantic_type),
            *rule_facts(one.name, language, one.semantic_type),
        ]
        contradictions += [(one.name, fact) for fact in found if manual.get(fact.attribute, fact.value) != fact.value]
    assert contradictions == []


def test_manual_annotation_comes_before_a_dictionary_and_that_before_a_rule() -> None:
    hand, lexicon, rule = (Fact("Noun.gender", value, value) for value in ("NEUTER", "FEMININE", "MASCULINE"))
    assert merged([hand], [lexicon], [rule]) == [hand]
    assert merged([], [lexicon], [rule]) == [lexicon]
    number = Fact("Noun.number", "PLURAL", "rule")
    assert merged([hand], [number]) == [hand, number]


def test_facts_of_one_kind_go_together_and_natural_gender_is_another_kind() -> None:
    person = Fact("SurfaceForm.gender", "MASCULINE_PERSON", "rule")
    animacy = Fact("Noun.animacy", "INANIMATE", "rule")
    thing = Fact("gender", "GENDER_NONE", "rule")
    feminine = Fact("Noun.gender", "FEMININE", "hand")
    assert merged([feminine], [person]) == [feminine]
    assert merged([person], [animacy]) == [person]
    assert merged([feminine], [thing]) == [feminine, thing]


def test_a_build_joins_tables_with_names_and_rules(tmp_path: Path) -> None:
    corpus, _ = build(tables(tmp_path, ru=RUSSIAN))
    by_name = {one.name: one for one in corpus}
    assert set(by_name) == {"Франция", "Киев", "меч", "Королева", "Эрмитаж"}
    france = by_name["Франция"]
    assert (france.language, france.mid, france.semantic_type) == ("ru", "tamis:cldr/territory/FR", "Country")
    assert said(france)["Noun.gender:FEMININE"] == "hand"
    assert "Noun.number:SINGULAR" not in said(france)  # the Russian dictionary knows it, but may not be passed on
    assert said(france)["Noun.topical:PREP_O"] == "rule:preposition"
    assert said(france)["gender:GENDER_NONE"] == "rule:thing"
    assert said(by_name["меч"])["Noun.animacy:INANIMATE"] == "hand"
    assert "gender:GENDER_NONE" not in said(by_name["Королева"])
    assert by_name["Эрмитаж"].mid == "tamis:extra/hermitage"


def test_a_thing_without_a_name_is_counted(tmp_path: Path) -> None:
    # CLDR has no names of cities in Sundanese.
    corpus, _ = build(tables(tmp_path, su="key\tname\tsignature\nitem/sword\tpedang\t\n"))
    assert [one.name for one in corpus] == ["Prancis", "pedang"]
    assert (corpus.report.rows, corpus.report.kept, corpus.report.counts["no name"]) == (3, 2, 1)


def test_ten_alike_are_kept_homonyms_first_then_in_the_order_of_the_concepts(tmp_path: Path) -> None:
    keys = [f"item/{number:02}" for number in range(12, 0, -1)]
    rows = [f"{key}\tthing {key[-2:]}\tNoun.number:SINGULAR" for key in keys]
    homonym = "extra/zoo\tthing 01\tNoun.number:PLURAL\t\tItem"
    folder = tables(tmp_path, en="\n".join(["key\tname\tsignature\tnote\ttype", *rows, homonym]) + "\n")
    (folder / "concepts.tsv").write_text("\n".join(["key\ttype\tgloss", *(f"{key}\tItem\t" for key in keys)]) + "\n")
    corpus, more = build(folder)
    kept = sorted(one.name for one in corpus.filter(where={"number": "singular"}))
    assert kept == ["thing 01", *(f"thing {number:02}" for number in range(4, 13))]
    assert corpus.report.counts["more than ten alike"] == len(more) == 2
    assert corpus.report.rows == corpus.report.kept


def test_a_build_is_the_same_each_time_and_survives_the_file(tmp_path: Path) -> None:
    folder = tables(tmp_path, ru=RUSSIAN, no="key\tname\tsignature\nitem/sword\tsverd\tNoun.gender:NEUTER\n")
    files = [tmp_path / "one.gz", tmp_path / "two.gz"]
    for file in files:
        write(build(folder)[0], file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes()[4:8] == bytes(4)  # the time in a gzip header
    corpus = read(files[0])
    assert corpus == build(folder)[0]
    assert [said(one) for one in corpus] == [said(one) for one in build(folder)[0]]


def test_sheets_in_the_folder_become_part_of_the_build(tmp_path: Path) -> None:
    folder = tables(tmp_path, ru=RUSSIAN)
    export_review(build(folder)[0], "ru", folder / "sheet.csv")
    lines = (folder / "sheet.csv").read_text(encoding="utf-8-sig").splitlines()
    row = next(line for line in lines if "меч" in line and "Noun.animacy" in line)
    (folder / "reviews").mkdir()
    (folder / "reviews" / "anna.csv").write_text(f"{','.join(SHEET)}\n{row.removesuffix(',,,,')},yes,,,Anna\n")
    rebuild(folder)
    sword = next(one for one in read(folder / "open.tsv.gz") if one.name == "меч")
    assert sum(sword.reviewed) == 1
    assert sword.reviewed[sword.signature.pairs.index(("Noun.animacy", "INANIMATE"))] == 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("key\tnames\n", "1:1: the header is 'key names'; expected 'key name signature note type'"),
        ("key\tname\n\n", "2:1: the key is '', the type ''"),
        ("key\tname\nitem/sward\tмеч\n", "2:1: the key is 'item/sward'"),
        ("key\tname\tsignature\tnote\ttype\nextra/x\tx\t\t\t\n", "2:1: the key is 'extra/x', the type ''"),
        ("key\tname\tsignature\nitem/sword\tмеч\tNoun.gender\n", "signature part 'Noun.gender' is no pair"),
        ("key\tname\tsignature\nitem/sword\tмеч\tNoun.gendr:NEUTER\n", "did you mean 'Noun.gender:NEUTER'?"),
        ("key\tname\tsignature\nitem/sword\tмеч\tNoun.gender:NEUTER,Noun.gender:FEMININE\n", "has an attribute twice"),
        ("key\tname\nitem/sword\t меч\n", "has spaces around it"),
        ("key\tname\nitem/sword\tИ\u0306\n", "not composed (NFC)"),
        ("key\tname\nitem/sword\tм\u200bеч\n", "2:13: U+200B has no place here"),
        ("key\tname\nitem/sword\tмеч\t\n", "2:1: 3 fields; expected 2"),
        ("key\tname\nitem/sword\tмеч\nitem/sword\tмеч\n", "item/sword is named 'меч' in an earlier row"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(FileError) as caught:
        build(tables(tmp_path, ru=table))
    assert str(caught.value).startswith(f"{tmp_path / 'ru.tsv'}:")
    assert message in str(caught.value)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "open.tsv.gz"
    for content in (b"", b"language\tmid\n", gzip.compress(b"language\tmid\n"), gzip.compress("ж".encode("cp1251"))):
        path.write_bytes(content)
        with pytest.raises(FileError, match=r"open\.tsv\.gz: .*; install tamis again"):
            read(path)


@pytest.mark.parametrize(
    ("language", "key", "name"),
    [
        ("de", "month/1", "Januar"),
        ("vi", "weekday/mon", "Thứ Hai"),
        ("cmn-TW", "territory/FR", "法國"),
        ("no", "currency/EUR", "euro"),
        ("no", "city/Europe/Rome", "Roma"),
        ("de", "city/Europe/Kyiv", "Kiew"),
        ("de", "city/Europe/Paris", "Paris"),
        ("de", "city/Atlantic/Reykjavik", "Reykjavík"),
        ("de", "unit/length-meter", "Meter"),
        ("ar", "city/Europe/Paris", "باريس"),
        ("en", "city/America/Sao_Paulo", ""),
        ("su", "city/Europe/Paris", ""),
        ("su", "unit/length-kilometer", ""),
        ("ja", "language/nb", ""),
    ],
)
def test_names_are_those_of_cldr_or_none(language: str, key: str, name: str) -> None:
    assert Names(language)[f"cldr/{key}"] == name


def test_one_language_does_not_leave_its_names_to_the_next() -> None:
    for language, month in (("yue", "1月"), ("de", "Januar"), ("ur", "جنوری"), ("vi", "Tháng 1")):
        assert Names(language)["cldr/month/1"] == month


# Some seconds on an idle machine, minutes on a busy one.
@pytest.mark.slow
def test_the_embedded_file_is_what_the_tables_give(tmp_path: Path) -> None:
    for name, corpus in zip(("open.tsv.gz", "more.tsv.gz"), build(), strict=True):
        write(corpus, tmp_path / name)
        assert gzip.decompress((tmp_path / name).read_bytes()) == gzip.decompress((OPEN / name).read_bytes())


def test_a_merge_with_user_rows_credits_both() -> None:
    moscow = next(one for one in load("open") if one.name == "Москва")
    both = Corpus((moscow, Entity("ru", "/m/0193f", "Омск", "City", moscow.signature)))
    assert "Chuklin" in both.info()["attribution"]
    assert "open corpus" in both.info()["attribution"]
    assert open_corpus.HEADER[0].startswith("# The open corpus of tamis")
