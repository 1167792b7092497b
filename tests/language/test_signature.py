import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.core.errors import InputError
from tamis.language.signature import Signature
from tamis.language.vocabulary import MISSING, NOT_APPLICABLE, PAIRS, Feature

PAIR = st.sampled_from(sorted(PAIRS))


@given(st.lists(PAIR), st.randoms())
def test_order_does_not_matter_and_number_does(pairs: list[tuple[str, str]], dice: object) -> None:
    text = [f"{attribute}:{value}" for attribute, value in pairs]
    shuffled = list(text)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = Signature(",".join(text)), Signature(",".join(shuffled))
    assert one == other
    assert hash(one) == hash(other)
    assert str(one) == str(other)
    assert one != Signature(",".join([*text, "Noun.gender:FEMININE"]))


@given(st.lists(PAIR))
def test_the_text_in_order_reads_back_as_the_same_signature(pairs: list[tuple[str, str]]) -> None:
    signature = Signature(",".join(f"{attribute}:{value}" for attribute, value in pairs))
    assert Signature(str(signature)) == signature
    assert list(signature.pairs) == sorted(pairs)


def test_the_text_is_kept_as_it_came() -> None:
    assert Signature(" b:2,,a:1 ,").raw == " b:2,,a:1 ,"


@pytest.mark.parametrize("text", ["a:1,b:2", "b:2,a:1", "a:1,b:2,", ",a:1,,b:2", " a:1 , b:2 ", "a : 1,b: 2"])
def test_empty_parts_and_spaces_say_nothing(text: str) -> None:
    assert Signature(text).pairs == (("a", "1"), ("b", "2"))


@pytest.mark.parametrize("text", ["", ",", " , "])
def test_a_signature_may_be_empty(text: str) -> None:
    assert Signature(text).pairs == ()
    assert Signature(text).get("gender") == MISSING


def test_a_pair_is_split_at_its_first_colon() -> None:
    assert Signature("a:b:c").pairs == (("a", "b:c"),)


@pytest.mark.parametrize("part", ["Noun.gender", ":FEMININE", "Noun.gender:", ":"])
def test_a_part_that_is_no_pair_is_refused(part: str) -> None:
    with pytest.raises(InputError, match=f"signature part '{part}' is no pair; expected attribute:value"):
        Signature(f"Noun.number:SINGULAR,{part}")


def test_case_matters_for_identity_and_not_for_meaning() -> None:
    loud, quiet = Signature("Noun.gender:FEMININE"), Signature("noun.GENDER:feminine")
    assert loud != quiet
    assert loud.features == quiet.features == (Feature("gender", "feminine"),)


@pytest.mark.parametrize("yes", ["1", "YES", "true", "True"])
@pytest.mark.parametrize("no", ["0", "NO", "false"])
def test_truth_is_the_same_however_it_is_written(yes: str, no: str) -> None:
    assert Signature(f"NominalInflectedForm.starts_with_vowel:{yes}").get("starts_with_vowel") == "yes"
    assert Signature(f"NominalInflectedForm.starts_with_phonetic_a:{no}").get("starts_with_phonetic_a") == "no"


def test_an_unknown_pair_is_part_of_the_identity_and_says_nothing() -> None:
    assert Signature("Noun.colour:RED") != Signature("Noun.colour:BLUE")
    assert Signature("Noun.colour:RED,Noun.gender:FUTURE").features == ()


def test_annotations_that_disagree_are_both_reported() -> None:
    signature = Signature("Noun.gender:MASCULINE,NominalInflectedForm.gender:FEMININE")
    assert signature.get("gender") == "feminine|masculine"
    assert Signature("Noun.gender:FEMININE,NominalInflectedForm.gender:FEMININE").get("gender") == "feminine"


def test_natural_gender_never_stands_for_grammatical_gender() -> None:
    person = Signature("gender:GENDER_FEMALE,Noun.gender:NEUTER")
    assert (person.get("gender"), person.get("natural_gender")) == ("neuter", "female")
    assert Signature("gender:GENDER_MALE").get("gender") == MISSING


def test_a_noun_that_is_plural_only_has_no_gender() -> None:
    trousers = Signature("Noun.gender:IRRELEVANT_PLURALE_TANTUM,Noun.number:PLURAL")
    assert trousers.get("gender") == NOT_APPLICABLE
    assert trousers.get("plurale_tantum") == "yes"
    assert trousers.get("number") == "plural"


def test_signatures_sort_by_their_pairs() -> None:
    texts = ["b:1", "", "a:2,b:1", "a:1"]
    assert [one.raw for one in sorted(map(Signature, texts))] == ["", "a:1", "a:2,b:1", "b:1"]
