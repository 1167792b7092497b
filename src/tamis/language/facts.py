"""Facts: pairs of a signature, each with the one who says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tamis.language.vocabulary import features_of


class Fact(NamedTuple):
    """A pair of a signature, and who says so."""

    attribute: str
    value: str
    provenance: str
    """`hand`; `rule:` and its name; `lexicon:` and a package with its version; `review`; `open` for the open corpus."""

    @property
    def topics(self) -> frozenset[str]:
        """What the pair is about: kinds of the vocabulary, or its attribute if the vocabulary lacks the pair."""
        return frozenset(one.kind for one in features_of(self.attribute, self.value)) or frozenset({self.attribute})


def merged(*sources: Iterable[Fact]) -> list[Fact]:
    """Join facts from several sources; who speaks first of a kind of the vocabulary is believed.

    Args:
        sources: The most trustworthy first.

    Returns:
        Facts in the order in which a signature has its pairs.

    >>> merged([Fact("Noun.gender", "FEMININE", "hand")], [Fact("SurfaceForm.gender", "MASCULINE_PERSON", "rule:x")])
    [Fact(attribute='Noun.gender', value='FEMININE', provenance='hand')]
    """
    facts: list[Fact] = []
    said: frozenset[str] = frozenset()
    for source in sources:
        new = [fact for fact in source if said.isdisjoint(fact.topics)]
        facts += new
        said = said.union(*(fact.topics for fact in new))
    return sorted(facts)
