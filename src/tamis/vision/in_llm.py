"""What every pruner inside the language model is: a rule that drops image tokens on the way through its layers.

The model runs its own code; hooks on the instance read the query and key projections that the layers make anyway,
and hand shorter inputs to the layers after a stage. Attention stays fused: only the rows of the queries that rate
are computed, raters × tokens.

- Image tokens are all placeholders of a sample, newlines and frames included, of all its images together.
- Kept tokens keep their position ids, so the language model sees gaps where tokens were.
- From a stage on, the layers' caches are shorter than those before it; the mask of each stage is kept on the cache.
- Samples that keep fewer tokens than others of their batch are padded on the left, and the padding is masked.
- Rating and dropping look at the prompt alone, so recomputing without a cache drops the same tokens at every step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers.masking_utils import create_causal_mask

from tamis.core.budget import Budget, Keep
from tamis.core.errors import ConfigError
from tamis.vision.selector import Selection, keep_tokens

_KINDS = ("llama", "mistral", "qwen2")
_ATTENTION = ("sdpa", "eager")
_PIECEWISE = ("prefill_chunk_size", "prompt_lookup_num_tokens", "assistant_early_exit", "assistant_model")
"""Settings of `generate` that feed the prompt in pieces, or together with guesses."""


@dataclass(frozen=True)
class InLLMPruner(ABC):
    """A training-free rule that drops image tokens part-way through the language model.

    It works only inside of `vision.pruned(model, pruner)`, for `generate` or for a plain forward pass. The hidden
    states and logits of a plain forward pass are shorter than the prompt (`generate` reads the last of them only), so
    a loss over the whole prompt cannot be taken.
    """

    keep: Keep
    """Budget of each sample's image tokens; what it counts is said by the subclass."""

    name: ClassVar[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "keep", Budget.parse(self.keep))

    @abstractmethod
    def layers(self, depth: int) -> tuple[int, ...]:
        """Say before which layers tokens are dropped, ascending, in 1…depth − 1; the layer before each one rates.

        Args:
            depth: Layers of the language model.

        Raises:
            ConfigError: If the language model has too few layers.
        """

    @abstractmethod
    def schedule(self, total: int, depth: int) -> tuple[int, ...]:
        """Say how many image tokens each stage keeps by their score.

        Args:
            total: Image tokens of the sample before the first stage.
            depth: Layers of the language model.

        Raises:
            BudgetError: If the budget does not fit.
        """

    @abstractmethod
    def raters(
        self, states: Float[Tensor, "tokens width"], image: Bool[Tensor, " tokens"], prompt: Bool[Tensor, " tokens"]
    ) -> Bool[Tensor, " tokens"]:
        """Choose the tokens of one sample whose attention rates the image tokens.

        Args:
            states: What enters the first layer.
            image: True where a token is an image token.
            prompt: True where a token belongs to the prompt, images included; False for padding and for new tokens.
        """

    def select(
        self, scores: Float[Tensor, "1 tokens"], states: Float[Tensor, "1 tokens width"], keep: int
    ) -> Selection:
        """Choose among the image tokens of one sample.

        Args:
            scores: Attention that each image token gets in the layer before, mean over heads and raters.
            states: What would enter the layer.
            keep: How many to keep by score.
        """
        return Selection(keep_tokens(scores, keep))

    def tokens(self, total: int, depth: int) -> list[int]:
        """Count the image tokens that enter each layer: what compute and cache of the layer are paid for.

        Args:
            total: Image tokens of the sample.
            depth: Layers of the language model.
        """
        counts = [total] * depth
        for layer, keep in zip(self.layers(depth), self.schedule(total, depth), strict=True):
            counts[layer:] = [self.left(counts[layer], keep)] * (depth - layer)
        return counts

    def left(self, total: int, keep: int) -> int:
        """Count the image tokens that a stage leaves of `total` if it keeps `keep` by score."""
        return min(total, keep)

    def prepare(self, model: nn.Module, /, **inputs: Any) -> None:
        """Say that there is nothing to prepare: tokens are dropped on the way through the language model.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.name} works inside the language model: use `with vision.pruned(model, pruner): …`")

    @contextmanager
    def installed(self, model: nn.Module) -> Iterator[None]:
        """Prune inside of a model until the context ends; of nested contexts on one model the innermost prunes.

        Args:
            model: A stock LLaVA, LLaVA-NeXT or Video-LLaVA of transformers, with its head.

        Raises:
            ConfigError: If the model, its attention or the way it is run is not supported.
        """
        run = _Run(self, model)
        outer = _ACTIVE.get(run.text)
        with ExitStack() as undo:
            run.hook(undo)
            _ACTIVE[run.text] = run
            try:
                yield
            finally:
                if outer is None:
                    del _ACTIVE[run.text]
                else:
                    _ACTIVE[run.text] = outer


@dataclass
class _Shortened:
    """What a cache remembers of the prompt that was pruned on the way into it."""

    width: int
    """Tokens of the full prompt, padding included."""
    masks: dict[int, Bool[Tensor, "batch kept"]] = field(default_factory=dict)
    """First layer of a stage → which keys of the prompt that are cached from there on are no padding."""


@dataclass
class _Pass:
    """One pass through the layers, as far as it has come."""

    memory: _Shortened
    decoding: bool
    """Whether the pass goes on after a prompt that is in the cache."""
    mask: Bool[Tensor, "batch keys"]
    """True where a key is no padding; while decoding, of the full prompt and all that came after it."""
    image: Bool[Tensor, "batch tokens"]
    """True where a token is an image token of the prompt."""
    raters: Bool[Tensor, "batch tokens"]
    """True where a token rates the image tokens of its sample."""
    schedules: list[tuple[int, ...]]
    """How many image tokens each stage keeps of each sample by score; empty for a sample without any."""
    short: bool = False
    """Whether tokens were dropped before the current layer."""
    causal: Any = None
    """The layers' attention mask from the last stage on, as the attention implementation takes it."""
    rotary: tuple[Tensor, Tensor] | None = None
    """Cosine and sine of the positions that are left, (batch, tokens, head size); None: those of the whole pass."""


class _Run:
    """A pruner at work in a model: the hooks, and what they hand to each other."""

    def __init__(self, pruner: InLLMPruner, model: nn.Module) -> None:
        inner: Any = getattr(model, "model", None)
        text: Any = getattr(inner, "language_model", None)
        config: Any = getattr(text, "config", None)
        kind = getattr(config, "model_type", None)
        if kind not in _KINDS or not hasattr(model, "generate"):
            raise ConfigError(
                f"model is {type(model).__name__} with the language model {kind!r}; {pruner.name} needs a LLaVA, "
                f"LLaVA-NeXT or Video-LLaVA with its head, around one of {', '.join(_KINDS)}"
            )
        if config._attn_implementation not in _ATTENTION:
            raise ConfigError(
                f"the language model's attention is {config._attn_implementation!r}; {pruner.name} needs one of "
                f"{', '.join(_ATTENTION)}: load the model with attn_implementation='sdpa'"
            )
        if getattr(config, "sliding_window", None) is not None:
            raise ConfigError(
                f"the language model attends within a sliding window of {config.sliding_window}; {pruner.name} needs "
                "full attention: use a model with sliding_window=None"
            )
        self.pruner, self.model, self.inner, self.text = pruner, model, inner, text
        self.stages = pruner.layers(len(text.layers))
        self.prompt: int | None = None
        """Width of the prompt that `generate` continues: 0 until its first pass, None outside of `generate`."""
        self.image: Tensor | None = None
        """Where the placeholders are, on the way from the outer model's forward to the language model's."""
        self.now: _Pass | None = None
        self.heard: dict[tuple[int, str], Tensor] = {}
        """(first layer of a stage, "q_proj" or "k_proj") → what that projection of the layer before made."""

    def hook(self, undo: ExitStack) -> None:
        """Set every hook; `undo` puts back what was there."""
        layers = self.text.layers
        hooks = [
            self.inner.register_forward_pre_hook(self._find_images, with_kwargs=True),
            self.text.register_forward_pre_hook(self._begin, with_kwargs=True),
            self.text.register_forward_hook(self._end, always_call=True),
        ]
        for layer in range(self.stages[0], len(layers)):
            hooks.append(layers[layer].register_forward_pre_hook(partial(self._enter, layer), with_kwargs=True))
        for layer in self.stages:
            for name in ("q_proj", "k_proj"):
                projection = getattr(layers[layer - 1].self_attn, name)
                hooks.append(projection.register_forward_hook(partial(self._hear, (layer, name))))
        for hook in hooks:
            undo.callback(hook.remove)
        attributes = vars(self.model)
        before = {name: attributes[name] for name in ("generate",) if name in attributes}
        attributes["generate"] = self._generating()
        undo.callback(attributes.update, before)
        undo.callback(attributes.pop, "generate")

    def _generating(self) -> Callable[..., Any]:
        model: Any = self.model
        stock = model.generate

        @wraps(stock)
        def generate(*args: Any, **kwargs: Any) -> Any:
            settings = (
                kwargs.get("generation_config") or (args[1] if len(args) > 1 else None) or model.generation_config
            )
            for name in _PIECEWISE:
                if kwargs.get(name, getattr(settings, name, None)) is not None:
                    raise ConfigError(
                        f"{name} is set; {self.pruner.name} needs the whole prompt in one pass: leave {name} out"
                    )
            self.prompt = 0
            try:
                return stock(*args, **kwargs)
            finally:
                self.prompt = None

        return generate

    def _find_images(self, inner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        ids, embeds = kwargs.get("input_ids", args[0] if args else None), kwargs.get("inputs_embeds")
        found: list[Tensor] = []
        for name in ("image_token_id", "video_token_id"):
            token = getattr(inner.config, name, None)
            if token is not None and ids is not None:
                found.append(ids == token)
            elif token is not None and embeds is not None:  # as transformers itself finds them: by their embedding
                found.append(
                    (embeds == inner.get_input_embeddings()(torch.tensor(token, device=embeds.device))).all(-1)
                )
        self.image = torch.stack(found).any(0) if found else None

    def _begin(self, text: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Tell whether this pass prunes a prompt, goes on after one that was pruned, or neither."""
        image, self.image, self.now = self.image, None, None
        if image is None or _ACTIVE.get(text) is not self:
            return
        embeds, cache, mask = kwargs["inputs_embeds"], kwargs.get("past_key_values"), kwargs.get("attention_mask")
        batch, width = embeds.shape[:2]
        seen = 0 if cache is None else int(cache.get_seq_length())
        if cache is not None and seen == 0:
            vars(cache).pop(_MEMORY, None)  # it was emptied and is used again
        if self.prompt == 0:
            self.prompt = seen + width
        image = image & (seen + torch.arange(width, device=image.device) < (self.prompt or seen + width))
        memory: _Shortened | None = getattr(cache, _MEMORY, None)
        if memory is None and not bool(image.any()):
            return
        if getattr(cache, "is_compileable", False) or (mask is not None and getattr(mask, "ndim", 0) != 2):
            raise ConfigError(
                f"the cache is a {type(cache).__name__} of fixed length, or the attention mask is not (batch, tokens); "
                f"{self.pruner.name} needs a cache that grows and a plain mask: leave cache_implementation out"
            )
        if seen > 0 and bool(image.any()):
            raise ConfigError(
                f"image tokens come on top of {seen} cached tokens; {self.pruner.name} needs the whole prompt in one "
                "pass: leave past_key_values out"
            )
        mask = torch.ones(batch, seen + width, dtype=torch.bool, device=embeds.device) if mask is None else mask.bool()
        raters = torch.zeros_like(image)
        schedules: list[tuple[int, ...]] = [()] * batch
        if memory is None:
            image = image & mask
            prompt = mask & (torch.arange(width, device=mask.device) < (self.prompt or width))
            for sample in image.any(-1).nonzero().squeeze(1).tolist():
                raters[sample] = self.pruner.raters(embeds[sample].detach(), image[sample], prompt[sample])
                schedules[sample] = self.pruner.schedule(int(image[sample].sum()), len(text.layers))
        self.now = _Pass(memory or _Shortened(width), memory is not None, mask, image, raters, schedules)

    def _end(self, text: Any, args: tuple[Any, ...], output: Any) -> None:
        self.now = None
        self.heard.clear()

    def _hear(self, key: tuple[int, str], projection: Any, args: tuple[Any, ...], output: Tensor) -> None:
        if self.now is not None and not self.now.decoding:
            self.heard[key] = output.detach()

    def _enter(self, layer: int, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Hand a layer what is left; before the first layer of a stage, drop what is not kept."""
        now = self.now
        if now is None:
            return None
        states = args[0]
        if layer in self.stages:
            cache, memory = kwargs.get("past_key_values"), now.memory
            mask: Tensor | None = None
            if not now.decoding:
                states, mask = self._drop(now, layer, states, now.rotary or kwargs["position_embeddings"])
                if mask is not None and cache is not None:
                    memory.masks[layer] = mask
                    vars(cache)[_MEMORY] = memory
            elif layer in memory.masks:
                mask = torch.cat([memory.masks[layer], now.mask[:, memory.width :]], dim=1)
            if mask is not None:
                now.short = True
                now.causal = create_causal_mask(self.text.config, states, mask, cache, layer_idx=layer)
        if not now.short:
            return None
        kwargs = {**kwargs, "attention_mask": now.causal}
        if now.rotary is not None:
            kwargs.update(position_embeddings=now.rotary, position_ids=None)
        return (states, *args[1:]), kwargs

    def _drop(
        self, now: _Pass, layer: int, states: Float[Tensor, "batch tokens width"], rotary: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """Drop the image tokens that the pruner does not keep at one stage.

        Returns:
            The states that are left, and which of them are no padding; None if nothing was dropped.
        """
        stay = torch.ones_like(now.image)
        states = states.clone()
        for sample, schedule in enumerate(now.schedules):
            where = now.image[sample].nonzero().squeeze(1)
            if schedule and (keep := schedule[self.stages.index(layer)]) < len(where):
                scores = self._scores(now, layer, sample, rotary)[None, where]
                selection = self.pruner.select(scores, states[sample, where][None], keep)
                stay[sample, where] = selection.mask[0]
                if selection.patches is not None:
                    states[sample, where] = selection.patches[0]
        if bool(stay.all()):
            return states, None
        source = torch.sort(stay.long(), dim=1, stable=True).indices[:, -int(stay.sum(1).max()) :]
        valid = stay.gather(1, source)
        now.mask = now.mask.gather(1, source) & valid
        now.image = now.image.gather(1, source) & valid
        now.raters = now.raters.gather(1, source) & valid
        rows = torch.arange(len(states), device=states.device)[:, None]
        cos, sin = (table.expand(len(states), -1, -1)[rows, source] for table in rotary)
        now.rotary = (cos, sin)
        return states[rows, source], now.mask

    def _scores(self, now: _Pass, layer: int, sample: int, rotary: tuple[Tensor, Tensor]) -> Float[Tensor, " tokens"]:
        """Attention of a sample's raters to each of its tokens in the layer before, mean over heads and raters."""
        attention: Any = self.text.layers[layer - 1].self_attn
        raters = now.raters[sample].nonzero().squeeze(1)
        cos, sin = (table.expand(len(now.raters), -1, -1)[sample] for table in rotary)
        keys = _rotated(self.heard[layer, "k_proj"][sample], cos, sin)
        queries = _rotated(self.heard[layer, "q_proj"][sample, raters], cos[raters], sin[raters])
        queries = queries.view(len(raters), keys.shape[1], -1, keys.shape[2])
        logits = torch.einsum("rkgd,tkd->kgrt", queries, keys).float() * attention.scaling
        visible = now.mask[sample] & (torch.arange(len(keys), device=keys.device) <= raters[:, None])
        attended: Tensor = logits.masked_fill(~visible, -torch.inf).softmax(-1)
        return attended.mean((0, 1, 2))


def _rotated(
    projected: Float[Tensor, "tokens inner"], cos: Float[Tensor, "tokens size"], sin: Float[Tensor, "tokens size"]
) -> Float[Tensor, "tokens heads size"]:
    """Split a projection into heads and rotate them to their positions."""
    heads = projected.view(len(projected), -1, cos.shape[-1])
    first, second = heads.chunk(2, dim=-1)
    rotated: Tensor = heads * cos[:, None] + torch.cat([-second, first], dim=-1) * sin[:, None]
    return rotated


_MEMORY = "_tamis_shortened"
"""Attribute of a cache that holds its `_Shortened`, so that a copy of the cache remembers too."""
_ACTIVE: WeakKeyDictionary[nn.Module, _Run] = WeakKeyDictionary()
"""Language model → the innermost pruner at work in it."""
