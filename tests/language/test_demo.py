from pathlib import Path

from tamis.language.covering import cover
from tamis.language.data import load
from tamis.language.demo import GRAMMAR, LANGUAGES, TYPE, names_table, run, usual_first


def test_the_page_needs_nothing_else_and_says_whose_names_they_are(tmp_path: Path) -> None:
    page = run(tmp_path / "language")
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "language" / "index.html"
    assert "<script" not in text
    assert "no part of CLSE" in text
    assert "pytest.param(" in text
    assert all(name.upper() in text for name in LANGUAGES.values())


def test_preferring_usual_names_takes_no_more_of_them() -> None:
    for language in LANGUAGES:
        plain = cover(load("open"), language, TYPE, level="value", relevant=GRAMMAR)
        preferred = cover(load("open"), language, TYPE, level="value", relevant=GRAMMAR, weights=usual_first)
        assert len(preferred.entities) == len(plain.entities)
        assert preferred.optimal
        assert set(preferred.cells) == set(plain.cells)


def test_every_name_of_the_table_brings_something_in_plain_words() -> None:
    covers = {one: cover(load("open"), one, TYPE, level="value", relevant=GRAMMAR) for one in LANGUAGES}
    rows = names_table(covers, load("open")).rows
    assert all(row[-1] for row in rows)
    assert [row[0] for row in rows if str(row[-1]).endswith(" names")] == [one.upper() for one in LANGUAGES.values()]
    assert not any("=" in str(row[-1]) or "_" in str(row[-1]) for row in rows)
    said = {words for row in rows for words in str(row[-1]).split(", ")}
    assert {"“about” is об", "“in” is à", "has no singular", "the article is l’"} <= said
    assert not {"", "yes", "no", "none"} & said
