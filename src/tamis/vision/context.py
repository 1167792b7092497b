"""Prune inside code that you do not own: for the length of a `with` block, on one model instance."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from tamis.core.errors import ConfigError
from tamis.vision.in_llm import InLLMPruner
from tamis.vision.prepare import family_of
from tamis.vision.selector import Selector

_PIXELS = ("pixel_values", "pixel_values_images", "pixel_values_videos")
_WRAPPED = ("generate", "forward")
_ACTIVE: WeakKeyDictionary[nn.Module, list[Selector]] = WeakKeyDictionary()
"""Model → the selectors of the blocks that are open on it, the one that prunes last."""
_BEFORE: WeakKeyDictionary[nn.Module, dict[str, Any]] = WeakKeyDictionary()
"""Model → the instance attributes that were there before the first block."""


@contextmanager
def pruned(model: nn.Module, pruner: Selector | InLLMPruner) -> Iterator[nn.Module]:
    """Make `model.generate` and `model(…)` prune image tokens until the block ends.

    Only attributes of this instance are set, and they are put back as they were when the last block on it ends, also
    after an exception. Of several blocks on one model the one opened last prunes, in every thread.

    With a token selector, `generate` returns sequences that begin with the full prompt, as the unpruned model does, so
    code that slices off `input_ids.shape[1]` tokens stays right. `model(…)` returns logits for the shorter prompt.

    Args:
        model: A vision-language model of transformers, as for `Selector.prepare`.
        pruner: A token selector, or a pruner that works inside the language model (not in several threads at once).

    Yields:
        The same model.

    Raises:
        ConfigError: If the model or the pruner is of a kind that is not known.
    """
    if isinstance(pruner, InLLMPruner):
        with pruner.installed(model):
            yield model
        return
    if not isinstance(pruner, Selector):
        raise ConfigError(f"pruner is {pruner!r}; expected a token selector such as FasterVLM(keep=0.1), or FastV")
    family_of(model)
    if not callable(getattr(model, "generate", None)):
        raise ConfigError(
            f"{type(model).__name__} cannot generate; give the model with its head, Llava…ForConditional…"
        )
    if model not in _ACTIVE:
        _BEFORE[model] = {name: vars(model)[name] for name in _WRAPPED if name in vars(model)}
        wrapped = {"generate": _generating(model), "forward": _forwarding(model)}
        _ACTIVE[model] = []
        vars(model).update(wrapped)
    _ACTIVE[model].append(pruner)
    try:
        yield model
    finally:
        opened = _ACTIVE[model]
        del opened[next(place for place, one in enumerate(opened) if one is pruner)]
        if not opened:
            del _ACTIVE[model]
            for name in _WRAPPED:
                vars(model).pop(name, None)
            vars(model).update(_BEFORE.pop(model))


def _has_pixels(arguments: dict[str, Any]) -> bool:
    return any(arguments.get(name) is not None for name in _PIXELS)


def _forwarding(model: Any) -> Callable[..., Any]:
    stock = model.forward
    names = list(inspect.signature(stock).parameters)

    @functools.wraps(stock)  # generate() asks for the signature
    def forward(*args: Any, **kwargs: Any) -> Any:
        named = {**dict(zip(names, args, strict=False)), **kwargs}
        if not _has_pixels(named):
            return stock(*args, **kwargs)
        return stock(**_ACTIVE[model][-1].prepare(model, **named))

    return forward


def _generating(model: Any) -> Callable[..., Any]:
    stock = model.generate

    @functools.wraps(stock)
    def generate(inputs: Tensor | None = None, **kwargs: Any) -> Any:
        if not _has_pixels(kwargs):
            return stock(inputs, **kwargs) if inputs is not None else stock(**kwargs)
        if inputs is not None:
            kwargs["input_ids"] = inputs
        batch = _ACTIVE[model][-1].prepare(model, **kwargs)
        prompt = kwargs.get("input_ids")
        if prompt is None:  # a prompt of embeddings is not part of what generate returns
            return stock(**batch)
        shorter = prompt.shape[1] - batch["input_ids"].shape[1]
        output = stock(**{**batch, **_shorter_limits(model, kwargs, shorter)})
        sequences = output if isinstance(output, Tensor) else output.sequences
        new = sequences[:, batch["input_ids"].shape[1] :]
        full = torch.cat([prompt.repeat_interleave(len(new) // len(prompt), dim=0).to(new.device), new], dim=1)
        if isinstance(output, Tensor):
            return full
        output.sequences = full
        return output

    return generate


def _shorter_limits(model: Any, kwargs: dict[str, Any], shorter: int) -> dict[str, int]:
    """Limits of length that count the prompt, for the shorter prompt, so that as many new tokens come."""
    settings = kwargs.get("generation_config") or model.generation_config
    limits = {}
    for total, new in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
        value = kwargs.get(total, getattr(settings, total, None))
        if value and kwargs.get(new, getattr(settings, new, None)) is None:
            limits[total] = max(0, value - shorter)
    return limits
