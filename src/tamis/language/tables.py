"""Corpora, annotations and reviews as tables, CSV and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tamis.core.report import Cell as TableCell
from tamis.core.report import Table
from tamis.language.cldr import glosses
from tamis.language.corpus import Corpus, Entity
from tamis.language.csv_file import csv_text, escaped
from tamis.language.data import COLUMNS, row_of
from tamis.language.vocabulary import features_of

if TYPE_CHECKING:
    from tamis.language.annotation import Annotation
    from tamis.language.reviewing import Review

_NAMES = 5


def languages_table(corpus: Corpus) -> Table:
    """Count what each language has, as Table 1 of CLSE's documents does."""
    rows: list[list[TableCell]] = []
    for language in corpus.languages:
        its = [one for one in corpus if one.language == language]
        rows.append(
            [
                language,
                len(its),
                len({one.mid for one in its if one.mid}),
                len({one.semantic_type for one in its}),
                len({one.signature for one in its}),
                len({pair for one in its for pair in one.signature.pairs}),
            ]
        )
    return Table(("language", "rows", "entities", "types", "signatures", "attribute:value pairs"), rows)


def values_table(stats: Mapping[str, Mapping[str, int]]) -> Table:
    """Set what `Corpus.stats` counts, one row for each value."""
    rows = [(name, value, count) for name, values in stats.items() for value, count in values.items()]
    return Table(("kind", "value", "rows"), rows)


def entities_table(entities: Iterable[Entity], corpus: Corpus) -> Table:
    """List entities with their signatures.

    Args:
        entities: Which.
        corpus: Where their English names may be.

    Raises:
        MissingExtraError: If a thing may have a name in CLDR and Babel is not installed.
    """
    english = glosses(corpus)
    rows = [
        (one.language, one.name, english.get(one.mid), one.semantic_type, one.mid, str(one.signature))
        for one in entities
    ]
    return Table(("language", "name", "in English", "type", "mid", "signature"), rows)


def entity_json(one: Entity) -> dict[str, Any]:
    """Say all that a corpus knows of an entity."""
    pairs = [
        {
            **fact._asdict(),
            "features": [list(each) for each in features_of(*fact.pair)],
        }
        for fact in one.facts
    ]
    return {
        "language": one.language,
        "mid": one.mid,
        "name": one.name,
        "semantic_type": one.semantic_type,
        "signature": str(one.signature),
        "person": one.person,
        "pairs": pairs,
    }


def entities_csv(entities: Iterable[Entity], credit: str) -> str:
    """Write entities in the columns of CLSE for a spreadsheet, each row with its credit; see `csv_file.escaped`.

    Args:
        entities: Which.
        credit: Whose rows they are.
    """
    rows = (map(escaped, (*row_of(one)[: len(COLUMNS)], credit)) for one in entities)
    return csv_text(list(row) for row in ((*COLUMNS, "attribution"), *rows))


def annotation_table(annotations: Iterable[Annotation]) -> Table:
    """List what is known of names, and who says so."""
    rows: list[Sequence[TableCell]] = []
    for one in annotations:
        facts = one.entity.facts
        rows += [(one.given, fact.attribute, fact.value, fact.provenance) for fact in facts]
        if not facts:
            rows.append((one.given, None, None, None))
    return Table(("name", "attribute", "value", "who says so"), rows, "What is known")


def undecided_table(annotations: Iterable[Annotation]) -> Table:
    """List what a person must decide: each attribute, its values, and for which names."""
    names: dict[str, list[str]] = {}
    values: dict[str, tuple[str, ...]] = {}
    for one in annotations:
        for attribute, its in one.undecided.items():
            values[attribute] = its
            names.setdefault(attribute, []).append(one.given)
    rows = [
        (
            attribute,
            ", ".join(values[attribute]),
            ", ".join(its[:_NAMES]) + (f" and {len(its) - _NAMES} more" if len(its) > _NAMES else ""),
        )
        for attribute, its in sorted(names.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    return Table(("attribute", "values seen in the open corpus", "names"), rows, "What a person must decide")


def annotation_json(one: Annotation) -> dict[str, Any]:
    """Say all of an annotation in what JSON can hold."""
    undecided = {attribute: list(values) for attribute, values in one.undecided.items()}
    return {"given": one.given, **entity_json(one.entity), "undecided": undecided}


def review_table(review: Review) -> Table:
    """Say for each attribute how far reviewers agree with the annotation and with one another."""
    rows: list[list[TableCell]] = [
        [
            attribute,
            its.judged,
            its.unsure,
            None if math.isnan(its.agreed) else f"{its.agreed:.3f}",
            ", ".join(
                f"{first} and {second}: {'not defined' if math.isnan(kappa) else f'{kappa:.2f}'}"
                for (first, second), kappa in its.kappa.items()
            )
            or None,
        ]
        for attribute, its in review.agreement.items()
    ]
    caption = (
        f"{review.accepted} pairs accepted, {review.corrected} corrected, {review.removed} removed "
        f"({review.by_one} of these by one reviewer), {len(review.disputed)} disputed"
    )
    headers = ("attribute", "judged", "unsure", "share of yes", "kappa of two reviewers")
    return Table(headers, rows, caption, review.disputed)


def review_json(review: Review) -> dict[str, Any]:
    """Say how a review went in what JSON can hold; what is not defined is null."""

    def number(value: float) -> float | None:
        return None if math.isnan(value) else value

    return {
        "accepted": review.accepted,
        "corrected": review.corrected,
        "removed": review.removed,
        "by_one": review.by_one,
        "disputed": list(review.disputed),
        "agreement": {
            attribute: {
                "judged": its.judged,
                "unsure": its.unsure,
                "agreed": number(its.agreed),
                "kappa": [{"reviewers": list(both), "kappa": number(kappa)} for both, kappa in its.kappa.items()],
            }
            for attribute, its in review.agreement.items()
        },
    }
