"""The linguistic signature: everything that CLSE says of a name in one language."""

from __future__ import annotations

from dataclasses import dataclass, field

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
