import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.core.errors import InputError, MissingExtraError
from tamis.language import tags
from tamis.language.data import CLSE


@pytest.mark.parametrize("tag", CLSE)
def test_the_codes_of_clse_stay_as_they_are(tag: str) -> None:
    assert tags.canonical(tag) == tag


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("jw", "jv"),
        ("in", "id"),
        ("iw", "he"),
        ("tl", "fil"),
        ("eng", "en"),
        ("i-klingon", "tlh"),
        ("RU", "ru"),
        ("ru_RU", "ru-RU"),
        ("ru_RU.UTF-8", "ru-RU"),
        ("en_US@euro", "en-US"),
        ("ca_ES.UTF-8@valencia", "ca-ES"),
        ("CMN-cn", "cmn-CN"),
        ("fr-FR-u-ca-buddhist", "fr-FR-u-ca-buddhist"),
    ],
)
def test_old_codes_posix_names_and_odd_case_are_understood(written: str, meant: str) -> None:
    assert tags.canonical(written) == meant


@pytest.mark.parametrize(
    "tag", ["", " en ", "ｅｎ", "ar\u200e", "xx", "C", "C.UTF-8", "*", "und", "mul", "x-foo", "a" * 100]
)
def test_what_names_no_language_is_refused_in_one_line_of_ascii(tag: str) -> None:
    with pytest.raises(InputError, match="is no language tag; expected a code such as") as caught:
        tags.canonical(tag)
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("nb", "no"),
        ("zh-TW", "cmn-TW"),
        ("zh-Hant", "cmn-TW"),
        ("zh-HK", "cmn-TW"),
        ("zh", "cmn-CN"),
        ("zh-Hans-CN", "cmn-CN"),
        ("pt-BR", "pt"),
        ("pt_PT.UTF-8", "pt"),
        ("en-GB", "en"),
        ("fr-CA", "fr"),
        ("yue", "yue"),
    ],
)
def test_a_variety_finds_its_language_in_the_corpus(wanted: str, found: str) -> None:
    assert tags.closest(wanted, CLSE) == found


@pytest.mark.parametrize("wanted", ["uk", "nn", "sr", "ca", "gl", "ms", "hr", "fi"])
def test_a_language_that_is_not_there_is_never_replaced_by_another(wanted: str) -> None:
    assert tags.closest(wanted, CLSE) is None
    assert tags.closest(wanted, []) is None


def test_danish_is_not_taken_for_norwegian() -> None:
    assert tags.closest("da", ["no", "sv"]) is None


def test_the_very_tag_comes_before_others_of_the_same_language() -> None:
    assert tags.closest("zh-CN", ["cmn-CN", "zh-CN"]) == "zh-CN"
    assert tags.closest("cmn-CN", ["zh-CN", "cmn-CN"]) == "cmn-CN"


@given(st.permutations(sorted(CLSE)))
def test_the_order_of_the_known_tags_does_not_matter(known: list[str]) -> None:
    assert tags.closest("zh-SG", known) == "cmn-CN"


def test_a_missing_package_is_said_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langcodes", None)
    tags.canonical.cache_clear()
    with pytest.raises(MissingExtraError, match=r"pip install 'tamis\[language\]'"):
        tags.canonical("ru")
