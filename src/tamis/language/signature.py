"""The linguistic signature: everything that CLSE says of a name in one language, fact by fact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tamis.core.errors import InputError
from tamis.language.vocabulary import MISSING, Feature, features_of


@dataclass(frozen=True, order=True, slots=True)
class Signature:
    """A linguistic signature, made from its text.

    Two are equal if they hold the same pairs the same number of times, in whatever order.

    Raises:
        InputError: If a part has no colon, or nothing before or after it.

    >>> Signature("Noun.number:SINGULAR,Noun.gender:FEMININE").features
    (Feature(kind='gender', value='feminine'), Feature(kind='number', value='singular'))
    """

    raw: str = field(compare=False)
    """The text as it came."""
    pairs: tuple[tuple[str, str], ...] = field(init=False, repr=False)
    """Attributes and their values as CLSE names them, sorted; the same pair may come twice."""
    features: tuple[Feature, ...] = field(init=False, repr=False, compare=False)
    """What the pairs say in the words of the vocabulary, sorted, each once; unknown pairs say nothing."""

    def __post_init__(self) -> None:
        pairs = sorted(_pair(part) for part in self.raw.split(",") if part.strip())
        object.__setattr__(self, "pairs", tuple(pairs))
        object.__setattr__(self, "features", tuple(sorted({one for pair in pairs for one in features_of(*pair)})))

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Signature:
        """Make a signature of attributes and their values.

        >>> str(Signature.of([("b", "2"), ("a", "1")]))
        'a:1,b:2'
        """
        return cls(",".join(f"{attribute}:{value}" for attribute, value in sorted(pairs)))

    def get(self, kind: str) -> str:
        """Return the value of a kind, or MISSING; different values of one kind are joined by `|`.

        Args:
            kind: One of `vocabulary.KINDS`.

        >>> Signature("Noun.gender:FEMININE").get("gender")
        'feminine'
        """
        return "|".join(feature.value for feature in self.features if feature.kind == kind) or MISSING

    def __str__(self) -> str:
        """Write the pairs in order, so that equal signatures have the same text."""
        return ",".join(f"{attribute}:{value}" for attribute, value in self.pairs)


def _pair(part: str) -> tuple[str, str]:
    attribute, colon, value = (piece.strip() for piece in part.partition(":"))
    if not (attribute and colon and value):
        raise InputError(f"signature part {part.strip()!r} is no pair; expected attribute:value")
    return attribute, value


class Fact(NamedTuple):
    """A pair of a signature, who says so, and who agrees."""

    attribute: str
    value: str
    provenance: str = ""
    """`hand`; `rule:` and its name; `lexicon:` and a package with its version; `review`; `open` for the open corpus;
    `user` for a row that was completed by hand; empty where the corpus does not say."""
    reviewed: int = 0
    """How many reviewers agreed."""

    @property
    def pair(self) -> tuple[str, str]:
        """Attribute and value."""
        return self.attribute, self.value

    @property
    def topics(self) -> frozenset[str]:
        """What the pair is about: kinds of the vocabulary, or its attribute if the vocabulary lacks the pair."""
        return frozenset(one.kind for one in features_of(*self.pair)) or frozenset({self.attribute})


def merged(*sources: Iterable[Fact]) -> list[Fact]:
    """Join facts from several sources; of each kind of the vocabulary the first source that has it counts.

    Args:
        sources: The most trustworthy first.

    Returns:
        Facts in the order in which a signature has its pairs.

    >>> merged([Fact("Noun.gender", "FEMININE")], [Fact("SurfaceForm.gender", "MASCULINE_PERSON")])
    [Fact(attribute='Noun.gender', value='FEMININE', provenance='', reviewed=0)]
    """
    facts: list[Fact] = []
    said: frozenset[str] = frozenset()
    for source in sources:
        new = [fact for fact in source if said.isdisjoint(fact.topics)]
        facts += new
        said = said.union(*(fact.topics for fact in new))
    return sorted(facts)
