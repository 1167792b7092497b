"""Find the smallest budget that a user's own questions bear: how many answers does each budget lose?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from tamis.core.budget import Budget
from tamis.core.errors import BudgetError, ConfigError, FileError, InputError, one_line
from tamis.core.readers import list_images, read_image
from tamis.core.report import Cell, Table
from tamis.core.statistics import wilson
from tamis.vision.ask import batch_for, image_tokens
from tamis.vision.baselines.simple import Random
from tamis.vision.config import Layout
from tamis.vision.context import pruned
from tamis.vision.in_llm import InLLMPruner
from tamis.vision.loading import Loaded
from tamis.vision.selector import Selector

QUESTIONS = "questions.jsonl"
"""File of a folder's questions: one JSON object a line, with `image`, `question` and, if it is known, `answer`."""
_CHANCE = {"random", "uniform"}
"""Methods that are never the advice."""


@dataclass(frozen=True)
class Item:
    """A question about a picture."""

    path: Path
    question: str
    answer: str | None
    """The right answer; None: that of the unpruned model is taken for it."""


@dataclass(frozen=True)
class Loss:
    """What one method at one budget loses."""

    method: str
    keep: str
    fraction: float
    """Share of the image tokens that the language model still reads of the first picture; to order budgets by. Inside
    the language model it is the mean over layers."""
    lost: int
    """Answers that were right with all tokens and are not with these."""
    gained: int
    """Answers that are right only now."""
    right: int
    """Answers that were right with all tokens."""
    high: float
    """Upper end of the Wilson interval of the share of lost answers, at the confidence of the advice."""

    @property
    def share(self) -> float:
        """Share of the right answers that is lost; what was gained is not set against it."""
        return self.lost / self.right


@dataclass(frozen=True)
class Advice:
    """The smallest budget that stays within a loss, and all that was tried."""

    limit: float
    """Share of the answers that may be lost."""
    tried: list[Loss]
    best: Loss | None
    """None: none stays within the loss with 95 % confidence."""
    chance: Loss | None
    """Random selection at the same budget, with the same position ids."""
    right: int | None
    """Right answers with all tokens; None where no truth is known."""
    confidence: float = 0.95
    """Of the interval of each loss: with several methods it is higher, so that 95 % holds for all together."""


def read_items(folder: Path, question: str | None) -> list[Item]:
    """Read a folder's questions, or ask one question about every picture in it.

    Args:
        folder: Pictures, and `questions.jsonl` unless a question is given.
        question: Asked about every picture, instead of what the file says.

    Raises:
        FileError: If the folder or its file cannot be read, or a line of the file is none.
        InputError: If there is neither file nor question, or nothing to ask about.
    """
    file = folder / QUESTIONS
    if question is not None:
        items = [Item(path, question, None) for path in list_images(folder)]
    elif file.is_file():
        items = list(_lines(file))
    else:
        raise InputError(f"{folder}: no {QUESTIONS}; write one, or give --question to ask the same about every picture")
    if not items:
        raise InputError(f"{folder}: nothing to ask about")
    return items


def _lines(file: Path) -> Iterator[Item]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{file}: {one_line(error)[:200]}; expected UTF-8, a JSON object a line") from error
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            path, question, answer = file.parent / told["image"], told["question"], told.get("answer")
            inside = path.resolve().is_relative_to(file.parent.resolve())
            line.encode()
            f"{question}{answer}".encode()
        except (ValueError, KeyError, TypeError, AttributeError, OSError, RuntimeError) as error:
            raise FileError(f"{file}, line {number}: expected an object with image and question") from error
        if not isinstance(question, str) or not isinstance(answer, str | None):
            raise FileError(f"{file}, line {number}: question and answer must be text")
        if not inside:
            raise FileError(f"{file}, line {number}: {told['image']} lies outside of the folder")
        yield Item(path, question, answer)


def share_of(loss: str | float) -> float:
    """Read the share of the answers that may be lost, such as "2%" or 0.02.

    Raises:
        ConfigError: If it is no share.
    """
    try:
        budget = Budget.parse(loss)
    except BudgetError:
        budget = None
    if budget is None or budget.kind != "fraction":
        raise ConfigError(f"loss is {loss!r}; expected a share of the answers, such as 2% or 0.02")
    return budget.value


def matches(said: str, truth: str) -> bool:
    """Whether an answer begins with the words of the true one, capitals and marks aside.

    >>> matches("Two dogs.", "two"), matches("twofold", "two")
    (True, False)
    """
    spoken, wanted = (re.findall(r"\w+", text.casefold()) for text in (said, truth))
    return spoken[: len(wanted)] == wanted if wanted else said.strip() == truth.strip()


def advise(
    loaded: Loaded,
    items: Sequence[Item],
    pruners: Sequence[Selector | InLLMPruner],
    limit: float,
    *,
    max_new_tokens: int = 16,
    progress: Callable[[int], None] = lambda done: None,
) -> Advice:
    """Answer every question with all tokens and at every budget, the larger ones first, and test what was lost.

    Each method is tested from its largest budget downwards, and no further than the first at which the upper end of
    the interval of its loss lies above the limit. Tests in a fixed order that end with the first failure need no
    correction for their number: a wrong "within" is possible only at the first budget that is truly not within. What
    needs one is the choice among methods; each has an equal part of the 5 % (Bonferroni). Random selection and the
    grid, which are never the advice, take no part.

    Args:
        loaded: A vision–language model.
        items: What to ask.
        pruners: Methods at their budgets.
        limit: Share of the answers that may be lost.
        max_new_tokens: Length of an answer.
        progress: Is told how many answers were given.

    Raises:
        BudgetError: If a budget does not fit the number of tokens.
        ConfigError: If the model cannot answer, or a pruner does not fit it.
        FileError: If a picture cannot be read.
        InputError: If a question is no text, or the model answers none rightly with all tokens.
    """
    model: Any = loaded.model
    for path in dict.fromkeys(item.path for item in items):
        read_image(path)  # so that one that cannot be read is known now
    example = next(_batches(loaded, items))
    tokenizer: Any = loaded.tokenizer
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    total = image_tokens(model, None, example)
    fractions = [image_tokens(model, pruner, example) / total for pruner in pruners]
    confidence = 1 - 0.05 / max(1, len({pruner.name for pruner in pruners} - _CHANCE))
    done = 0

    def answers() -> list[str]:
        nonlocal done
        said = []
        for batch in _batches(loaded, items):
            with torch.inference_mode():
                output = model.generate(
                    **batch, do_sample=False, num_beams=1, pad_token_id=pad, max_new_tokens=max_new_tokens
                )
            said.append(tokenizer.decode(output[0, batch["input_ids"].shape[1] :], skip_special_tokens=True).strip())
            done += 1
            progress(done)
        return said

    first = answers()
    truths = [one if item.answer is None else item.answer for one, item in zip(first, items, strict=True)]
    before = [matches(one, truth) for one, truth in zip(first, truths, strict=True)]
    if not any(before):
        raise InputError(
            f"with all tokens {loaded.name} answers none of {len(items)} questions rightly: nothing to lose"
        )

    def lose(pruner: Selector | InLLMPruner, fraction: float) -> Loss:
        with pruned(model, pruner):
            after = [matches(one, truth) for one, truth in zip(answers(), truths, strict=True)]
        lost = sum(b and not a for b, a in zip(before, after, strict=True))
        gained = sum(a and not b for b, a in zip(before, after, strict=True))
        high = wilson(lost, sum(before), confidence)[1]
        return Loss(pruner.name, str(Budget.parse(pruner.keep)), fraction, lost, gained, sum(before), high)

    tried: list[Loss] = []
    within: list[tuple[Loss, Selector | InLLMPruner]] = []
    failed: set[str] = set()
    for fraction, pruner in sorted(zip(fractions, pruners, strict=True), key=lambda pair: pair[0], reverse=True):
        if pruner.name in failed:
            continue
        tried.append(lose(pruner, fraction))
        if tried[-1].high > limit:
            failed.add(pruner.name)
        elif pruner.name not in _CHANCE:
            within.append((tried[-1], pruner))
    best, winner = min(within, key=lambda pair: (pair[0].fraction, pair[0].lost), default=(None, None))
    chance = None
    if best is not None and best.fraction > 0:
        layout = winner.layout if isinstance(winner, Selector) else Layout(positions="original")
        chance = lose(Random(best.keep, layout=layout), best.fraction)
    known = all(item.answer is not None for item in items)
    return Advice(limit, tried, best, chance, sum(before) if known else None, confidence)


def _batches(loaded: Loaded, items: Sequence[Item]) -> Iterator[dict[str, Any]]:
    """Write the prompts one at a time; questions that follow one another on a picture share its reading."""
    for path, about in groupby(items, key=lambda item: item.path):
        picture = read_image(path)
        for item in about:
            yield batch_for(loaded, picture, item.question)


def table(advice: Advice) -> Table:
    """Show what every budget lost."""
    rows: list[list[Cell]] = [
        [
            loss.method,
            loss.keep,
            f"{loss.lost} of {loss.right}",
            f"{loss.share:.1%}",
            f"{loss.high:.1%}",
            loss.gained,
            "yes" if loss.high <= advice.limit else "no",
        ]
        for loss in advice.tried
    ]
    headers = ["method", "keep", "lost", "share", "at most (95 %)", "gained", f"within {advice.limit:.1%}"]
    note = (
        "Each method is tested from its largest budget down, and no further than the first that is not within; the "
        "95 % hold for all methods together."
    )
    return Table(headers, rows, notes=[note])


def said(advice: Advice) -> str:
    """Put the advice into a sentence or two."""
    asked = advice.tried[0].right if advice.tried else 0
    if advice.best is None:
        least = wilson(0, asked, advice.confidence)[1]
        text = f"No budget stays within {advice.limit:.1%} with 95 % confidence."
        if least > advice.limit:
            text += f" {asked} right answers are too few to tell: losing none of them still allows {least:.1%}."
        return text
    best = advice.best
    text = (
        f"Keep {best.keep} with {best.method}: {best.lost} of {best.right} right answers lost, at most {best.high:.1%}."
    )
    if advice.chance is not None and advice.chance.lost <= best.lost:
        text += (
            f" Random selection loses no more at {best.keep} ({advice.chance.lost}): these questions do not need it."
        )
    return text
