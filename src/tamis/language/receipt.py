"""The receipt of a cover: which names, why, what is proven, and what chance would do; table, CSV, JSON and tests."""

from __future__ import annotations

import keyword
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tamis.core.report import Cell as TableCell
from tamis.core.report import Table
from tamis.language.cldr import glosses
from tamis.language.corpus import Corpus, Entity
from tamis.language.csv_file import csv_text, escaped
from tamis.language.phrases import reason, reasons
from tamis.language.tables import entity_json

if TYPE_CHECKING:
    from tamis.language.covering import Choice, Cover

_REASONS = 3
_GAPS = 5
_COMMENT = 100


def cover_table(found: Cover, corpus: Corpus) -> Table:
    """List the entities of a cover, each with what would be missed without it.

    Args:
        found: The cover.
        corpus: The corpus that was covered; English names come from it.

    Raises:
        MissingExtraError: If a thing may have a name in CLDR and Babel is not installed.
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
    return Table(headers, rows, summary(found), [*_gap_notes(found), *_chance(found)])


def summary(found: Cover) -> str:
    """Say in one sentence how many there are, what they meet, and what is proven."""
    weighed = found.cost != len(found.choices)
    count = f"{len(found.choices):,} {'test' if _slots(found) else 'name'}{'' if len(found.choices) == 1 else 's'}"
    cost = f" of cost {found.cost:g}" if weighed else ""
    if found.optimal:
        proof = "nothing cheaper does" if weighed else "fewer cannot"
    else:
        how = "not all rows were tried" if _slots(found) else "time ran out, so it was covered greedily"
        proof = f"{how}; at least {found.lower_bound:,} {'must be paid' if weighed else 'are needed'}"
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
        "attribution": corpus.attribution,
        "cost": found.cost,
        "lower_bound": found.lower_bound,
        "optimal": found.optimal,
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
        "met_at_random": found.met_at_random,
    }


def cover_csv(found: Cover, corpus: Corpus) -> str:
    """Write a cover as a table for spreadsheets: one row for each test and slot; see `csv_file.escaped`.

    Args:
        found: The cover.
        corpus: The corpus that was covered.

    Raises:
        MissingExtraError: If a thing may have a name in CLDR and Babel is not installed.
    """
    english, credit = glosses(corpus), corpus.attribution
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
            "; ".join(reasons(choice.needed_for)),
            "yes" if choice.must else "",
            credit,
        )
        for number, choice in enumerate(found.choices, start=1)
        for slot, one in choice.entities.items()
    ]
    header = ("test", "language", "slot", "name", "english", "mid", "semantic_type", "linguistic_signature")
    return csv_text(
        [(*header, "needed_for", "must", "attribution"), *([escaped(str(field)) for field in row] for row in rows)]
    )


def cover_pytest(found: Cover, corpus: Corpus, command: str) -> str:
    """Write a cover as parameters for pytest.

    Args:
        found: The cover.
        corpus: The corpus that was covered; its credit goes into a comment.
        command: What made it, to be repeated when the corpus changes.
    """
    several = len({choice.entities[slot].language for choice in found.choices for slot in choice.entities}) > 1
    credit = corpus.attribution
    slots = _slots(found)
    names = [*(["language"] if several else []), *(slots or ["name"])]
    lines = [
        f"# {_comment(command)}",
        f"# {summary(found)}",
        *([f"# {credit}"] if credit else []),
        "import pytest",
        "",
        f"NAMES = {_literal(', '.join(_identifiers(names)))}",
        "CASES = [  # @pytest.mark.parametrize(NAMES, CASES)",
    ]
    for choice in found.choices:
        entities = list(choice.entities.values())
        values = [*([entities[0].language] if several else []), *(one.name for one in entities)]
        ident = _literal(" / ".join(values))
        why = textwrap.shorten(_why(choice), _COMMENT, placeholder=" …")
        lines.append(f"    pytest.param({', '.join(map(_literal, values))}, id={ident}),  # {_comment(why)}")
    return "\n".join([*lines, "]", ""])


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
    its = reasons(choice.needed_for)
    more = f" and {len(its) - _REASONS} more" if len(its) > _REASONS else ""
    said = "; ".join(its[:_REASONS]) + more
    return "; ".join(part for part in ("asked for" if choice.must else "", said) if part)


def _gap_notes(found: Cover) -> list[str]:
    notes = [f"too few: {gap.cell.language}, {reason(gap.cell)}: {gap.had}" for gap in found.uncovered[:_GAPS]]
    hidden = len(found.uncovered) - _GAPS
    return [*notes, *([f"and {hidden:,} more; --json lists all"] if hidden > 0 else [])]


def _chance(found: Cover) -> list[str]:
    """Compare with random choice of as many."""
    if not found.cells:
        return []
    share = found.met_at_random / len(found.cells)
    what = "tests drawn at random" if _slots(found) else "names drawn at random"
    return [f"as many {what} meet {share:.0%} of the cells" + ("" if share < 1 else ": this choice is no better")]


def _comment(text: str) -> str:
    """Write what is not printable, line breaks among it, as Python does in strings."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _identifiers(names: Sequence[str]) -> list[str]:
    """Make names of arguments, all different and none that pytest or Python needs."""
    made: list[str] = []
    for name in names:
        clean = "".join(letter if letter.isalnum() else "_" for letter in name.lower()).strip("_")
        if not clean.isidentifier() or keyword.iskeyword(clean) or clean == "request":
            clean = f"slot_{clean}"
        made.append(clean if clean not in made else f"{clean}_{len(made) + 1}")
    return made


def _literal(text: str) -> str:
    """Write text as Python does with double quotes where it can."""
    return f'"{text}"' if text.isprintable() and not set('"\\') & set(text) else repr(text)
