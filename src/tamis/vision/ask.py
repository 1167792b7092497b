"""Ask a vision-language model about a picture, with all of its image tokens and with a few of them."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL.Image import Image

from tamis.core.budget import Budget
from tamis.core.errors import ConfigError, FileError, InputError, LimitError, one_line
from tamis.core.report import Cell, Table, quantity
from tamis.vision.baselines.simple import BLIND, All
from tamis.vision.context import pruned
from tamis.vision.in_llm import InLLMPruner
from tamis.vision.loading import Loaded
from tamis.vision.selector import Selector

REPEATS = 3
"""How often the time to the first token is taken; the median is told."""
_WIDTH = 48
"""Letters in a line of an answer in the table."""


@dataclass(frozen=True)
class Answer:
    """An answer and what it cost."""

    method: str
    keep: str
    answer: str
    image_tokens: float
    """Image tokens in the prompt, newlines of LLaVA-NeXT included; inside the language model, the mean over layers."""
    prompt_tokens: float
    """The same with the words."""
    first_token_seconds: float
    """From pixels to the first new token: tower, selection, projector and prefill; median."""
    kv_bytes: int
    """Key–value cache of the prompt."""
    same: bool = True
    """Whether the answer is that of the unpruned model."""


def batch_for(loaded: Loaded, picture: Image, question: str) -> dict[str, Any]:
    """Write the prompt as the model's processor would, with the picture's placeholders in it.

    The tokenizer's chat template is used where it has one, LLaVA's own prompt otherwise. How many placeholders a
    picture needs is found by encoding it once.

    Args:
        loaded: A vision-language model.
        picture: The picture.
        question: The question.

    Raises:
        ConfigError: If the model is a tower only, or its tokenizer does not know the image token.
        FileError: If the model's parts do not fit each other, or its weights are damaged.
        InputError: If the question is empty or no text.
        LimitError: If the prompt has more tokens than the model reads.
    """
    if not question.strip() or question != question.encode(errors="replace").decode():
        raise InputError(f"question is {question!r}; expected text")
    if loaded.model is None or loaded.tokenizer is None:
        raise ConfigError(f"{loaded.name} is a {loaded.family} tower, which sees but cannot answer; give a LLaVA model")
    tokenizer, config = loaded.tokenizer, loaded.model.config
    token = tokenizer.convert_ids_to_tokens(config.image_token_id) if config.image_token_id >= 0 else None
    if not isinstance(token, str):
        raise ConfigError(f"{loaded.name}: its tokenizer has no token {config.image_token_id}, the image token")
    text = _prompt(loaded, token, question)
    if text.count(token) != 1:
        raise ConfigError(
            f"the prompt holds the image token {token} {text.count(token)} times; write a question without it"
        )
    pixels, tokens = _seen(loaded, picture)
    begun = tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token)  # the template wrote it already
    long = text.replace(token, token * tokens)
    ids = tokenizer(long, return_tensors="pt", add_special_tokens=not begun).to(loaded.device)
    count, most = ids["input_ids"].shape[1], config.get_text_config().max_position_embeddings
    if count > most:
        raise LimitError(f"the prompt has {count} tokens, and {loaded.name} reads {most}; ask a shorter question")
    if int(ids["input_ids"].max()) >= loaded.model.get_input_embeddings().num_embeddings:
        raise FileError(f"{loaded.name}: its tokenizer has tokens that the model has not; check the directory")
    return {"input_ids": ids["input_ids"], "attention_mask": ids["attention_mask"], **pixels}


def _prompt(loaded: Loaded, token: str, question: str) -> str:
    """Write the prompt with one placeholder."""
    tokenizer: Any = loaded.tokenizer
    if not getattr(tokenizer, "chat_template", None):
        return f"USER: {token}\n{question} ASSISTANT:"
    turn = [{"role": "user", "content": f"{token}\n{question}"}]
    parts = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
    try:
        text: str = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        if token not in text:  # templates written for lists of parts, as LLaVA's processors carry them
            text = tokenizer.apply_chat_template(parts, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # whatever the template raises
        raise FileError(f"{loaded.name}: its chat template fails ({one_line(error)[:200]})") from error
    return text


def _seen(loaded: Loaded, picture: Image) -> tuple[dict[str, Any], int]:
    """Prepare a picture, and count its image tokens by encoding it once."""
    model: Any = loaded.model
    try:
        images = loaded.processor(images=[picture], return_tensors="pt")
        name = next(key for key in images if key.startswith("pixel_values"))  # Video-LLaVA's processor adds _images
        pixels = {"pixel_values": images[name].to(loaded.device)}
        if "image_sizes" in images:
            pixels["image_sizes"] = images["image_sizes"]
        with torch.inference_mode():
            features = model.model.get_image_features(**pixels).pooler_output[0]
    except (ValueError, TypeError, IndexError, RuntimeError) as error:  # of a processor that is another model's
        raise FileError(
            f"{loaded.name}: its parts do not fit each other ({one_line(error)[:200]}); check the directory"
        ) from error
    if not torch.isfinite(features).all():
        raise FileError(f"{loaded.name}: sees NaN or infinity; its weights or its processor are damaged")
    return pixels, len(features)


def ask(
    loaded: Loaded,
    picture: Image,
    question: str,
    pruners: Sequence[Selector | InLLMPruner],
    *,
    max_new_tokens: int = 64,
) -> list[Answer]:
    """Answer a question greedily, first with every token, then by each pruner.

    Args:
        loaded: A vision-language model.
        picture: The picture.
        question: The question.
        pruners: Which rules, with their budgets.
        max_new_tokens: Length of an answer.

    Raises:
        ConfigError: If the model cannot answer, or a pruner does not fit it.
        BudgetError: If a budget does not fit the number of tokens.
    """
    batch = batch_for(loaded, picture, question)
    answers: list[Answer] = []
    for pruner in [All(), *(one for one in pruners if not isinstance(one, All))]:
        answer = _answer(loaded, pruner, batch, max_new_tokens)
        answers.append(replace(answer, same=not answers or answer.answer == answers[0].answer))
    return answers


def _answer(loaded: Loaded, pruner: Selector | InLLMPruner, batch: Mapping[str, Any], max_new_tokens: int) -> Answer:
    model: Any = loaded.model
    tokenizer: Any = loaded.tokenizer
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id

    def generate(new: int) -> Any:
        return model.generate(**batch, do_sample=False, num_beams=1, pad_token_id=pad, max_new_tokens=new)

    times = []
    with torch.inference_mode(), pruned(model, pruner):
        for _ in range(1 + REPEATS):  # the first is to warm up
            start = time.perf_counter()
            generate(1)
            times.append(time.perf_counter() - start)
        output = generate(max_new_tokens)
    prompt = batch["input_ids"].shape[1]
    full, image = image_tokens(model, None, batch), image_tokens(model, pruner, batch)
    return Answer(
        method=pruner.name,
        keep=str(Budget.parse(pruner.keep)),
        answer=tokenizer.decode(output[0, prompt:], skip_special_tokens=True).strip(),
        image_tokens=image,
        prompt_tokens=prompt - full + image,
        first_token_seconds=sorted(times[1:])[REPEATS // 2],
        kv_bytes=round((prompt - full + image) * loaded.bytes_per_token),
    )


def image_tokens(model: Any, pruner: Selector | InLLMPruner | None, batch: Mapping[str, Any]) -> float:
    """Count the image tokens that the language model reads: in the prompt, or inside of it as the mean over layers.

    Args:
        model: A vision-language model.
        pruner: Who drops some; None: nobody.
        batch: One prompt, as `batch_for` writes it.

    Raises:
        BudgetError: If the budget does not fit the number of tokens.
        ConfigError: If the pruner does not fit the model.
    """
    if isinstance(pruner, InLLMPruner):
        layers = pruner.tokens(int(image_tokens(model, None, batch)), model.config.get_text_config().num_hidden_layers)
        return sum(layers) / len(layers)
    shown = batch if pruner is None else pruner.prepare(model, **batch)
    return float((shown["input_ids"] == model.config.image_token_id).sum())


def table(answers: Sequence[Answer]) -> Table:
    """Show answers, in lines of a readable length, beside what they cost."""
    rows: list[list[Cell]] = [
        [
            one.method,
            one.keep,
            textwrap.fill(one.answer, _WIDTH),
            quantity(one.image_tokens),
            quantity(one.prompt_tokens),
            round(one.first_token_seconds * 1000, 1),
            round(one.kv_bytes / 2**20, 2),
        ]
        for one in answers
    ]
    headers = ["method", "keep", "answer", "image tokens", "prompt tokens", "first token, ms", "KV cache, MiB"]
    changed = sum(not one.same for one in answers)
    notes = [f"{changed} of {len(answers) - 1} pruned answers differ from the unpruned one.", *_against_chance(answers)]
    return Table(headers, rows, notes=notes)


def _against_chance(answers: Sequence[Answer]) -> list[str]:
    """Say where random selection of as many tokens does as well as a method, or better."""
    notes = []
    for chance in (one for one in answers if one.method == "random"):
        others = [one for one in answers if one.keep == chance.keep and one.method not in BLIND]
        if worse := [one.method for one in others if chance.same and not one.same]:
            notes.append(
                f"At {chance.keep} random selection gives the unpruned answer where {', '.join(worse)} does not: what "
                "this question needs lies outside of what the method holds for important."
            )
        elif others and chance.same:
            notes.append(
                f"At {chance.keep} random selection gives the unpruned answer too: this question tells nothing."
            )
    return notes
