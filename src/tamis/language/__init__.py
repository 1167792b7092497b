"""Pick the names that matter grammatically: the fewest with which a sentence meets all that grammar asks.

CLSE (arXiv 2211.02423) annotates names in 34 languages with what a template has to get right: gender, number, article,
preposition, first sound. This package reads it, brings an open corpus of its own in the same words, and chooses the
fewest names that exercise every cell (a value, or values that occur together in a name), with a proof that fewer
cannot:

    from tamis import language

    corpus = language.load("open")  # or language.load("clse_v1.0.csv")
    found = language.cover(corpus, language="ru", type="City", level="pair")
    print([entity.name for entity in found.entities], found.optimal)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis.core.lazy import lazy

if TYPE_CHECKING:
    from tamis.language.annotation import Annotation, annotate, annotate_file
    from tamis.language.cells import Cell
    from tamis.language.corpus import Corpus, Entity, Problem, Report
    from tamis.language.covering import Choice, Cover, Gap, cover
    from tamis.language.data import load, save
    from tamis.language.reviewing import Agreement, Review, export_review, import_review
    from tamis.language.signature import Signature
    from tamis.language.vocabulary import Feature

_WHERE = {
    "Agreement": "reviewing",
    "Annotation": "annotation",
    "Cell": "cells",
    "Choice": "covering",
    "Corpus": "corpus",
    "Cover": "covering",
    "Entity": "corpus",
    "Feature": "vocabulary",
    "Gap": "covering",
    "Problem": "corpus",
    "Report": "corpus",
    "Review": "reviewing",
    "Signature": "signature",
    "annotate": "annotation",
    "annotate_file": "annotation",
    "cover": "covering",
    "export_review": "reviewing",
    "import_review": "reviewing",
    "load": "data",
    "save": "data",
}
__all__ = [
    "Agreement",
    "Annotation",
    "Cell",
    "Choice",
    "Corpus",
    "Cover",
    "Entity",
    "Feature",
    "Gap",
    "Problem",
    "Report",
    "Review",
    "Signature",
    "annotate",
    "annotate_file",
    "cover",
    "export_review",
    "import_review",
    "load",
    "save",
]


if not TYPE_CHECKING:  # so that a type checker still knows a misspelt name
    __getattr__, __dir__ = lazy(__name__, _WHERE)
