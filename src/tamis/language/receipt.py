"""What a person or a program looks at: corpora, covers, annotations and reviews as tables, CSV, JSON and tests."""

from __future__ import annotations

import csv
import io
import keyword
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tamis.core.report import PALETTE, Picture, Table, plot_style
from tamis.core.report import Cell as TableCell
from tamis.language.cldr import Names
from tamis.language.corpus import Corpus, Entity
from tamis.language.reviewing import escaped
from tamis.language.vocabulary import features_of

if TYPE_CHECKING:
    from tamis.language.annotation import Annotation
    from tamis.language.covering import Cell, Choice, Cover
    from tamis.language.reviewing import Review

_REASONS = 3
_GAPS = 5
_CLDR = "tamis:cldr/"
_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


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
    """
    english = glosses(corpus)
    rows = [
        (one.language, one.name, english.get(one.mid), one.semantic_type, one.mid, str(one.signature))
        for one in entities
    ]
    return Table(("language", "name", "in English", "type", "mid", "signature"), rows)


def entity_json(one: Entity) -> dict[str, Any]:
    """Say all that a corpus knows of an entity."""
    pairs: list[dict[str, Any]] = [
        {"attribute": attribute, "value": value, "features": [list(each) for each in features_of(attribute, value)]}
        for attribute, value in one.signature.pairs
    ]
    for name, marks in (("provenance", one.provenance), ("reviewed", one.reviewed)):
        for pair, mark in zip(pairs, marks, strict=False):
            pair[name] = mark
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
    """Write entities in the columns of CLSE for a spreadsheet, each row with its credit; see `reviewing.escaped`.

    Args:
        entities: Which.
        credit: Whose rows they are.
    """
    rows = ((one.language, one.mid, one.name, str(one.signature), one.semantic_type, credit) for one in entities)
    return _csv(("language", "mid", "name", "linguistic_signature", "semantic_type", "attribution"), rows)


def cover_table(found: Cover, corpus: Corpus) -> Table:
    """List the entities of a cover, each with what would be missed without it.

    Args:
        found: The cover.
        corpus: The corpus that was covered; English names come from it.
    """
    english = glosses(corpus)
    slots = _slots(found)
    grouped = len({(cell.language, cell.parts[0][0]) for cell in found.cells}) > 1 and not slots
    rows: list[list[TableCell]] = []
    for choice in found.choices:
        entities = list(choice.entities.values())
        row: list[TableCell] = [entities[0].language, entities[0].semantic_type] if grouped else []
        row += [one.name for one in entities]
        row.append(_glossed(entities, english))
        rows.append([*row, _why(choice)])
    names = slots or ["name"]
    headers = [*(["language", "type"] if grouped else []), *names, "in English", "needed for"]
    if not any(row[-2] for row in rows):
        headers.remove("in English")
        rows = [[*row[:-2], row[-1]] for row in rows]
    return Table(headers, rows, summary(found), _gap_notes(found))


def summary(found: Cover) -> str:
    """Say in one sentence how many there are, what they meet, and what is proven."""
    weighed = found.cost != len(found.choices)
    count = f"{len(found.choices):,} {'test' if _slots(found) else 'name'}{'' if len(found.choices) == 1 else 's'}"
    cost = f" of cost {found.cost:g}" if weighed else ""
    if found.optimal:
        proof = "nothing cheaper does" if weighed else "fewer cannot"
    else:
        proof = f"covered greedily, at least {found.lower_bound:,} {'must be paid' if weighed else 'are needed'}"
    cells = f"{len(found.cells):,} cell{'' if len(found.cells) == 1 else 's'}"
    return f"{count}{cost} for {cells}: {proof}"


def cover_json(found: Cover, corpus: Corpus) -> dict[str, Any]:
    """Say all of a cover in what JSON can hold.

    Args:
        found: The cover.
        corpus: The corpus that was covered.
    """
    return {
        "dataset": corpus.dataset,
        "attribution": corpus.info()["attribution"],
        "cost": found.cost,
        "lower_bound": found.lower_bound,
        "optimal": found.optimal,
        "method": found.method,
        "choices": [
            {
                "entities": {slot: entity_json(one) for slot, one in choice.entities.items()},
                "needed_for": [str(cell) for cell in choice.needed_for],
                "must": choice.must,
            }
            for choice in found.choices
        ],
        "cells": [str(cell) for cell in found.cells],
        "uncovered": [str(gap) for gap in found.uncovered],
        "short": [str(gap) for gap in found.short],
    }


def cover_csv(found: Cover, corpus: Corpus) -> str:
    """Write a cover as a table for spreadsheets: one row for each test and slot; see `reviewing.escaped`.

    Args:
        found: The cover.
        corpus: The corpus that was covered.
    """
    english, credit = glosses(corpus), corpus.info()["attribution"]
    rows = [
        (
            number,
            one.language,
            slot,
            one.name,
            english.get(one.mid, ""),
            one.mid,
            one.semantic_type,
            str(one.signature),
            "; ".join(map(reason, choice.needed_for)),
            "yes" if choice.must else "",
            credit,
        )
        for number, choice in enumerate(found.choices, start=1)
        for slot, one in choice.entities.items()
    ]
    header = ("test", "language", "slot", "name", "english", "mid", "semantic_type", "linguistic_signature")
    return _csv((*header, "needed_for", "must", "attribution"), rows)


def cover_pytest(found: Cover, corpus: Corpus, command: str) -> str:
    """Write a cover as parameters for pytest.

    Args:
        found: The cover.
        corpus: The corpus that was covered; its credit goes into a comment.
        command: What made it, to be repeated when the corpus changes.
    """
    several = len({choice.entities[slot].language for choice in found.choices for slot in choice.entities}) > 1
    credit = corpus.info()["attribution"]
    slots = _slots(found)
    names = [*(["language"] if several else []), *(slots or ["name"])]
    lines = [
        f"# {command}",
        f"# {summary(found)}",
        *([f"# {credit}"] if credit else []),
        "import pytest",
        "",
        f"NAMES = {_literal(', '.join(map(_identifier, names)))}",
        "CASES = [  # @pytest.mark.parametrize(NAMES, CASES)",
    ]
    for choice in found.choices:
        entities = list(choice.entities.values())
        values = [*([entities[0].language] if several else []), *(one.name for one in entities)]
        lines.append(f"    pytest.param({', '.join(map(_literal, values))}),  # {_why(choice)}")
    return "\n".join([*lines, "]", ""])


def reason(cell: Cell) -> str:
    """Say what a cell is in the words of the vocabulary, as far as it has any.

    Args:
        cell: A cell of a cover; its language is not repeated, nor is its type where it is the only part.
    """
    parts = []
    for slot, values in cell.parts:
        said: dict[str, None] = {}
        for pair in values:
            for each in features_of(*pair) or [pair]:
                said[f"{each[0]}={each[1]}"] = None
        words = " + ".join(said) or "nothing annotated"
        parts.append(words if len(cell.parts) == 1 else f"{slot}: {words}")
    return " × ".join(parts)


def effort_picture(panels: Mapping[str, Mapping[str, Mapping[str, float]]], alt: str, caption: str = "") -> Picture:
    """Draw how many names each way to choose takes in each language, on a logarithmic axis.

    Args:
        panels: For each title, the names of each method in each language; all have the same languages.
        alt: What is to be seen, for those who do not see it.
        caption: What is said below.
    """
    import matplotlib
    from matplotlib import pyplot

    its = list(panels.values())
    order = sorted(its[0]["cover"], key=lambda language: -its[0]["random"][language])
    counts = [names[language] for panel in its for names in panel.values() for language in order]
    ticks = [tick for tick in _TICKS if min(counts) * 0.8 <= tick <= max(counts) * 1.2]
    size = (4.6 * len(panels) if len(panels) > 1 else 7.4, 1.1 + 0.19 * len(order) * (1 if len(order) > 20 else 1.3))
    with matplotlib.rc_context({**plot_style(), "axes.grid.axis": "x", "font.size": 10.0}):
        figure, grid = pyplot.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
        for axes, (title, panel) in zip(grid[0], panels.items(), strict=True):
            for place, language in enumerate(order):
                ends = [names[language] for names in panel.values()]
                axes.plot([min(ends), max(ends)], [place, place], color=PALETTE[-1], marker="", linewidth=1, alpha=0.5)
            for (method, names), colour, marker in zip(panel.items(), PALETTE, "osD^", strict=False):
                xs = [names[language] for language in order]
                axes.plot(
                    xs, range(len(order)), linestyle="", color=colour, marker=marker, label=method, markersize=5.5
                )
            axes.set(title=title, xlabel="names", xscale="log", xticks=ticks)
            axes.xaxis.set_major_formatter("{x:.0f}")
            axes.xaxis.set_minor_formatter("")
            axes.set_yticks(range(len(order)), order)
            axes.tick_params(axis="y", length=0, labelsize=9)
            axes.margins(y=0.6 / len(order))
        grid[0, 0].invert_yaxis()
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=len(its[0]))
        picture = Picture.of(figure, alt, caption)
        pyplot.close(figure)
    return picture


def annotation_table(annotations: Iterable[Annotation]) -> Table:
    """List what is known of names, and who says so."""
    rows: list[Sequence[TableCell]] = []
    for one in annotations:
        facts = zip(one.signature.pairs, one.provenance, strict=True)
        rows += [(one.name, attribute, value, source) for (attribute, value), source in facts]
        if not one.signature.pairs:
            rows.append((one.name, None, None, None))
    return Table(("name", "attribute", "value", "who says so"), rows, "What is known")


def undecided_table(annotations: Iterable[Annotation]) -> Table:
    """List what a person must decide: each attribute, its values, and for which names."""
    names: dict[str, list[str]] = {}
    values: dict[str, tuple[str, ...]] = {}
    for one in annotations:
        for attribute, its in one.undecided.items():
            values[attribute] = its
            names.setdefault(attribute, []).append(one.name)
    rows = [
        (
            attribute,
            ", ".join(values[attribute]),
            ", ".join(its[:_GAPS]) + (f" and {len(its) - _GAPS} more" if len(its) > _GAPS else ""),
        )
        for attribute, its in sorted(names.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    return Table(("attribute", "values seen in the open corpus", "names"), rows, "What a person must decide")


def annotation_json(one: Annotation) -> dict[str, Any]:
    """Say all of an annotation in what JSON can hold."""
    pairs = zip(one.signature.pairs, one.provenance, strict=True)
    return {
        "name": one.name,
        "language": one.language,
        "signature": str(one.signature),
        "pairs": [{"attribute": a, "value": v, "provenance": source} for (a, v), source in pairs],
        "undecided": {attribute: list(values) for attribute, values in one.undecided.items()},
    }


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
        f"{review.accepted} pairs accepted, {review.corrected} corrected, {review.removed} removed, "
        f"{len(review.disputed)} disputed"
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


def glosses(corpus: Corpus) -> dict[str, str]:
    """Give an English name of each thing that has one: that of CLDR, else one of the corpus, without tags if it can."""
    english: dict[str, str] = {}
    for one in sorted(
        corpus, key=lambda one: any(feature.kind.startswith("name_") for feature in one.signature.features)
    ):
        if one.language == "en" and one.mid:
            english.setdefault(one.mid, one.name)
    of_cldr = sorted({one.mid for one in corpus if one.mid.startswith(_CLDR)})
    if of_cldr:
        names = Names("en")
        english |= {mid: name for mid in of_cldr if (name := names[mid.removeprefix("tamis:")])}
    return english


def _glossed(entities: Sequence[Entity], english: Mapping[str, str]) -> str | None:
    """Give English names of what is not named in English already."""
    meant = [english.get(one.mid, "–") if one.language != "en" else "–" for one in entities]
    return " · ".join(meant) if any(one != "–" for one in meant) else None


def _slots(found: Cover) -> list[str]:
    """The slots of a cover, if there are several."""
    slots = list(found.choices[0].entities) if found.choices else []
    return slots if len(slots) > 1 else []


def _why(choice: Choice) -> str:
    """Say what would be missed without an entity, the first few cells."""
    reasons = list(dict.fromkeys(map(reason, choice.needed_for)))
    more = f" and {len(reasons) - _REASONS} more" if len(reasons) > _REASONS else ""
    said = "; ".join(reasons[:_REASONS]) + more
    return "; ".join(part for part in ("asked for" if choice.must else "", said) if part)


def _gap_notes(found: Cover) -> list[str]:
    notes = [f"not covered: {gap}" for gap in found.uncovered[:_GAPS]]
    notes += [f"fewer than asked for: {gap}" for gap in found.short[:_GAPS]]
    hidden = sum(max(0, len(gaps) - _GAPS) for gaps in (found.uncovered, found.short))
    return [*notes, *([f"and {hidden:,} more gaps; --json lists all"] if hidden else [])]


def _identifier(name: str) -> str:
    """Make a name of an argument."""
    cleaned = "".join(letter if letter.isalnum() else "_" for letter in name.lower()).strip("_")
    return cleaned if cleaned.isidentifier() and not keyword.iskeyword(cleaned) else f"slot_{cleaned}"


def _literal(text: str) -> str:
    """Write text as Python does with double quotes where it can."""
    return f'"{text}"' if text.isprintable() and not set('"\\') & set(text) else repr(text)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows([header, *([escaped(str(cell)) for cell in row] for row in rows)])
    return buffer.getvalue()
