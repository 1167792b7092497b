"""A corpus: entities in a fixed order, asked by language, type, feature or attribute."""

from __future__ import annotations

import difflib
import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tamis.core.errors import InputError, nearest
from tamis.language import tags
from tamis.language.signature import Fact, Signature
from tamis.language.vocabulary import KINDS, MISSING, NOT_APPLICABLE, applies

ATTRIBUTION = (
    "CLSE: Corpus of Linguistically Significant Entities, A. Chuklin, J. Zhao, M. Kale (GEM 2022), CC BY 4.0; "
    "whoever passes on its rows names it and says what was changed"
)
"""The credit that rows of CLSE carry wherever they go."""
OPEN_ATTRIBUTION = (
    "open corpus of tamis, no part of CLSE; names from Unicode CLDR (Unicode-3.0), Polish grammar in part from "
    "SGJP (BSD-2-Clause); provenance says which"
)
"""The same for rows of the open corpus."""
WARNINGS = (
    "Annotations serve grammar alone: do not infer anything else from them, least of all a person's gender or whether "
    "a person lives.",
    "People wrote them; they may be wrong, incomplete or out of date, and come as they are, without warranty.",
    "Rows were chosen so that rare signatures count as much as common ones: the corpus tells nothing about frequency.",
)
"""What the datasheet of CLSE asks of its users, in our words."""


MID = "tamis:"
"""What the mid of everything in the open corpus begins with."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A name in a language, with what matters for its grammar: one row of a corpus."""

    language: str
    """The language tag in its standard form; codes are those of CLSE, such as `no` and `cmn-CN`."""
    mid: str
    """What joins the same thing across languages, a Knowledge Graph id in CLSE; empty if the row has none."""
    name: str
    """The name as text shows it, in Unicode's composed form (NFC)."""
    semantic_type: str
    """What sort of thing it is."""
    signature: Signature
    """What the annotation says of the name."""
    person: bool = False
    """Whether the thing is, or in some language is annotated as, a person."""
    provenance: tuple[str, ...] = field(default=(), compare=False)
    """Who says so, for each pair of the signature; empty where the corpus does not say."""
    reviewed: tuple[int, ...] = field(default=(), compare=False)
    """How many reviewers agreed, for each pair of the signature; empty if nobody reviewed the row."""

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The pairs of the signature, each with who says so and how many reviewers agreed."""
        pairs = self.signature.pairs
        provenance, reviewed = self.provenance or ("",) * len(pairs), self.reviewed or (0,) * len(pairs)
        return tuple(Fact(*pair, who, many) for pair, who, many in zip(pairs, provenance, reviewed, strict=True))

    def get(self, kind: str) -> str:
        """Return the value of a kind: MISSING if it is not annotated, NOT_APPLICABLE if the language does not have it.

        Different values of one kind are joined by `|`.

        Args:
            kind: One of `vocabulary.KINDS`.

        Raises:
            InputError: If there is no such kind.
            MissingExtraError: If langcodes is not installed.
        """
        if kind not in KINDS:
            raise InputError(f"there is no kind {kind!r}; {nearest(kind, KINDS)}")
        value = self.signature.get(kind)
        return NOT_APPLICABLE if value == MISSING and not applies(kind, self.language) else value


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong or odd in a file, and where."""

    kind: str
    file: str
    line: int
    """From 1."""
    column: int
    """Character in the line, from 1."""
    message: str

    def __str__(self) -> str:
        """Write it on one line, as editors read places."""
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


@dataclass(frozen=True)
class Report:
    """What became of every row of a file: rows = kept + refused + repeated + persons left out."""

    rows: int = 0
    """Rows in the file, the header not counted."""
    kept: int = 0
    """Rows that the corpus holds."""
    refused: int = 0
    """Rows that could not be used; the file was read with `on_error="collect"`."""
    repeated: int = 0
    """Rows that say the same as an earlier one."""
    persons_left_out: int = 0
    """Rows about persons, which are read on request only."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How often each kind of problem was found, in rows refused and in rows kept though odd."""
    examples: tuple[Problem, ...] = ()
    """The first few problems of each kind."""


@dataclass(frozen=True)
class Corpus:
    """Entities in the order of language, type, signature, mid and name."""

    entities: tuple[Entity, ...] = field(repr=False)
    """The rows."""
    name: str = "entities"
    """Where they come from, such as `clse_v1.0.csv`."""
    report: Report = field(default_factory=Report, compare=False, repr=False)
    """How reading went."""

    def __post_init__(self) -> None:
        signatures = sorted({one.signature for one in self.entities}, key=lambda one: one.pairs)
        rank = {one: place for place, one in enumerate(signatures)}
        ordered = sorted(
            self.entities, key=lambda one: (one.language, one.semantic_type, rank[one.signature], one.mid, one.name)
        )
        object.__setattr__(self, "entities", tuple(ordered))

    def __len__(self) -> int:
        return len(self.entities)

    def __iter__(self) -> Iterator[Entity]:
        return iter(self.entities)

    def __add__(self, other: Corpus) -> Corpus:
        """Join two corpora; rows that are in both count once, with the provenance of the first.

        >>> one = Corpus((Entity("ru", "", "Омск", "City", Signature("")),), "one")
        >>> (one + one).name, len(one + one)
        ('one+one', 1)
        """
        ours, theirs = self.report, other.report
        entities = tuple(dict.fromkeys((*self.entities, *other.entities)))
        counts = Counter(ours.counts) + Counter(theirs.counts)
        report = Report(
            rows=ours.rows + theirs.rows,
            kept=len(entities),
            refused=ours.refused + theirs.refused,
            repeated=ours.repeated + theirs.repeated + len(self) + len(other) - len(entities),
            persons_left_out=ours.persons_left_out + theirs.persons_left_out,
            counts=dict(sorted(counts.items())),
            examples=ours.examples + theirs.examples,
        )
        return Corpus(entities, f"{self.name}+{other.name}", report)

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The languages, sorted."""
        return tuple(sorted({one.language for one in self.entities}))

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The semantic types, sorted."""
        return tuple(sorted({one.semantic_type for one in self.entities}))

    @cached_property
    def hash(self) -> str:
        """The SHA-256 of the content: the same for the same entities, however the file wrote and ordered them."""
        digest = hashlib.sha256()
        for one in self.entities:
            fields = (one.language, one.mid, one.name, one.semantic_type, str(one.signature))
            digest.update(("\x1f".join(fields) + "\x1e").encode())
        return digest.hexdigest()

    @property
    def dataset(self) -> str:
        """Name and hash, as result lines carry them."""
        return f"{self.name}@sha256:{self.hash}"

    def filter(
        self,
        *,
        language: str | None = None,
        type: str | None = None,
        name: str | None = None,
        where: Mapping[str, str] | None = None,
        raw: Mapping[str, str] | None = None,
    ) -> Corpus:
        """Choose entities; all that is asked for must hold.

        Args:
            language: A language tag; the corpus's closest language is taken, see `languages` of what comes back.
            type: A semantic type of the corpus.
            name: A part of the name, in whatever letter case.
            where: A value for each kind of the vocabulary, MISSING and NOT_APPLICABLE among them.
            raw: A value for each attribute, as the signature writes them.

        Returns:
            At least one entity.

        Raises:
            InputError: If nothing is left; the message says what there is.
            MissingExtraError: If langcodes is not installed.

        >>> moscow = Entity("ru", "", "Москва", "City", Signature("Noun.gender:FEMININE"))
        >>> len(Corpus((moscow,)).filter(language="ru-RU", where={"gender": "feminine"}))
        1
        """
        left = self
        if language is not None:
            found = tags.closest(language, self.languages) or language
            left = left._having("language", found, [(one.language,) for one in left])
        if type is not None:
            left = left._having("type", type, [(one.semantic_type,) for one in left])
        if name is not None:
            part = unicodedata.normalize("NFC", name).casefold()
            chosen = tuple(one for one in left if part in one.name.casefold())
            if not chosen:
                near = difflib.get_close_matches(name, sorted({one.name for one in left}), n=1)
                hint = f"did you mean {near[0]!r}?" if near else "none is like it"
                raise InputError(f"{self.name}: of {len(left)} names none has {name!r} in it; {hint}")
            left = replace(left, entities=chosen)
        for kind, value in (where or {}).items():
            left = left._having(kind, value, [one.get(kind).split("|") for one in left])
        for attribute, value in (raw or {}).items():
            pairs = [[its for name, its in one.signature.pairs if name == attribute] for one in left]
            left = left._having(attribute, value, pairs)
        return left

    @cached_property
    def attribution(self) -> str:
        """The credit to pass on with rows; empty unless ids are those of the Knowledge Graph, as in CLSE, or ours."""
        return "; ".join(
            credit
            for credit, starts in ((ATTRIBUTION, ("/m/", "/g/")), (OPEN_ATTRIBUTION, (MID,)))
            if any(one.mid.startswith(starts) for one in self.entities)
        )

    def info(self) -> dict[str, Any]:
        """Say what is in the corpus, whose work it is, and what its authors ask of those who use it.

        Returns:
            Counts of all and by language and type; the hash; `attribution`; `warnings`, to be shown to whoever sees
            rows.
        """
        return {
            "name": self.name,
            "entities": len(self),
            "mids": len({one.mid for one in self.entities if one.mid}),
            "signatures": len({one.signature for one in self.entities}),
            "persons": sum(one.person for one in self.entities),
            "languages": dict(Counter(one.language for one in self.entities)),
            "types": dict(sorted(Counter(one.semantic_type for one in self.entities).items())),
            "hash": self.hash,
            "attribution": self.attribution,
            "warnings": list(WARNINGS),
        }

    def stats(self, *, raw: bool = False) -> dict[str, dict[str, int]]:
        """Count how many entities have each value.

        Args:
            raw: Count attributes as the signatures write them, not kinds of the vocabulary.

        Returns:
            For each kind that is annotated at all, in the order of the alphabet, its values, the most frequent first;
            MISSING and NOT_APPLICABLE are counted too. An entity that has several values of a kind counts for each.

        >>> oslo = Entity("ru", "", "Осло", "City", Signature("Noun.gender:NEUTER"))
        >>> Corpus((oslo, Entity("ru", "", "Баку", "City", Signature("")))).stats()
        {'gender': {'missing': 1, 'neuter': 1}}
        """
        counts: dict[str, Counter[str]] = {}
        if raw:
            having: Counter[str] = Counter()
            for one in self.entities:
                having.update(dict(one.signature.pairs).keys())
                for attribute, value in one.signature.pairs:
                    counts.setdefault(attribute, Counter())[value] += 1
            for attribute, its in counts.items():
                its.update({MISSING: len(self) - having[attribute]} if having[attribute] < len(self) else {})
        else:
            for kind in sorted({feature.kind for one in self.entities for feature in one.signature.features}):
                counts[kind] = Counter(value for one in self.entities for value in one.get(kind).split("|"))
        return {
            name: dict(sorted(counts[name].items(), key=lambda item: (-item[1], item[0]))) for name in sorted(counts)
        }

    def _having(self, what: str, value: str, values: Sequence[Sequence[str]]) -> Corpus:
        """Keep the entities that have the value among theirs, of which there is a list for each."""
        chosen = tuple(one for one, its in zip(self.entities, values, strict=True) if value in its)
        if not chosen:
            known = sorted({one for its in values for one in its})
            hint = nearest(value, known) if known else "it is not annotated here at all"
            if what in ("language", "type") and self.report.persons_left_out:
                hint += f"; {self.report.persons_left_out} rows about persons were left out, see --persons"
            raise InputError(f"{self.name}: of {len(self)} entities none has {what} {value!r}; {hint}")
        return replace(self, entities=chosen)
