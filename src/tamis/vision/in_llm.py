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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers.cache_utils import Cache
from transformers.masking_utils import create_causal_mask
from transformers.models.llama.modeling_llama import rotate_half

from tamis.core.budget import Budget
from tamis.core.errors import ConfigError
from tamis.vision.selector import Selection
from tamis.vision.tower import keep_tokens

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

    keep: Budget | int | float | str
    """Budget of each sample's image tokens; what it counts is said by the subclass."""

    name: ClassVar[str]

    def __post_init__(self) -> None:
        Budget.parse(self.keep)

    @abstractmethod
    def layers(self, depth: int) -> tuple[int, ...]:
        """Say before which layers tokens are dropped, ascending, in 1…depth − 1; the layer before each one rates.

        Args:
            depth: Layers of the language model.

        Raises:
            ConfigError: If the language model has too few layers.
        """

    @abstractmethod
    def schedule(self, total: int) -> tuple[int, ...]:
        """Say how many image tokens each stage keeps by their score.

        Args:
            total: Image tokens of the sample before the first stage.

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
        for layer, keep in zip(self.layers(depth), self.schedule(total), strict=True):
            counts[layer:] = [self.left(counts[layer], keep)] * (depth - layer)
        return counts

    def left(self, total: int, keep: int) -> int:
        """Count the image tokens that a stage leaves of `total` if it keeps `keep` by score."""
        return min(total, keep)

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
    """First layer of a stage → which of the keys cached from there on are no padding."""


@dataclass
class _Pass:
    """One pass through the layers, as far as it has come."""

    memory: _Shortened
    mask: Bool[Tensor, "batch keys"]
    """True where a key is no padding. While decoding: of the full prompt and all that came after it."""
    image: Bool[Tensor, "batch tokens"] | None
    """True where a token is an image token; None while decoding."""
    raters: Bool[Tensor, "batch tokens"] | None
    totals: tuple[int, ...] = ()
    """Image tokens of each sample before the first stage."""
    short: bool = False
    """Whether tokens were dropped before the current layer."""
    causal: Tensor | None = None
    """The layers' attention mask from the last stage on, as the attention implementation takes it."""
    rotary: tuple[Tensor, Tensor] | None = None
    """Cosine and sine of the remaining positions, (batch, tokens, head size); None while decoding."""


class _Run:
    """A pruner at work in a model: the hooks and what they hand to each other."""

    def __init__(self, pruner: InLLMPruner, model: nn.Module) -> None:
        inner: Any = getattr(model, "model", None)
        text: Any = getattr(inner, "language_model", None)
        config = getattr(text, "config", None)
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
        """Width of the prompt that is being continued by `generate`: 0 until its first pass, None outside of it."""
        self.image: Tensor | None = None
        """Where the placeholders are, on the way from the outer model's forward to the language model's."""
        self.now: _Pass | None = None
        self.heard: dict[tuple[int, str], Tensor] = {}
        """(layer, "q_proj" or "k_proj") → that projection's output in this pass."""

    def hook(self, undo: ExitStack) -> None:
        """Set every hook; `undo` removes them."""
        hooks = [
            self.inner.register_forward_pre_hook(self._find_images, with_kwargs=True),
            self.text.register_forward_pre_hook(self._begin, with_kwargs=True),
            self.text.register_forward_hook(self._end, always_call=True),
        ]
        for layer in range(self.stages[0], len(self.text.layers)):
            hooks.append(
                self.text.layers[layer].register_forward_pre_hook(partial(self._enter, layer), with_kwargs=True)
            )
        for layer in self.stages:
            for name in ("q_proj", "k_proj"):
                projection = getattr(self.text.layers[layer - 1].self_attn, name)
                hooks.append(projection.register_forward_hook(partial(self._hear, (layer, name))))
        for hook in hooks:
            undo.callback(hook.remove)
        before = vars(self.model).get("generate")
        stock = self.model.generate
        setattr(self.model, "generate", partial(self._generate, stock))
        undo.callback(
            partial(delattr, self.model, "generate")
            if before is None
            else partial(setattr, self.model, "generate", before)
        )

    def _generate(self, stock: Any, *args: Any, **kwargs: Any) -> Any:
        settings = (
            kwargs.get("generation_config") or (args[1] if len(args) > 1 else None) or self.model.generation_config
        )
        for name in _PIECEWISE:
            if kwargs.get(name, getattr(settings, name, None)) is not None:
                raise ConfigError(f"{name} is set; {self.pruner.name} needs the whole prompt in one pass: leave it out")
        self.prompt = 0
        try:
            return stock(*args, **kwargs)
        finally:
            self.prompt = None

    def _find_images(self, inner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        ids = kwargs.get("input_ids", args[0] if args else None)
        embeds = kwargs.get("inputs_embeds")
        self.image = None
        for modality in ("image", "video"):
            token = getattr(inner.config, f"{modality}_token_id", None)
            if token is None:
                continue
            if ids is not None:
                found = ids == token
            else:  # as transformers itself finds them: by their embedding
                found = (embeds == inner.get_input_embeddings()(torch.tensor(token, device=embeds.device))).all(-1)
            self.image = found if self.image is None else self.image | found

    def _begin(self, text: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Decide whether this pass prunes, continues a pruned prompt, or is none of ours."""
        image, self.image = self.image, None
        self.now = None
        if _ACTIVE.get(text) is not self or image is None:
            return
        embeds, cache, given = kwargs["inputs_embeds"], kwargs.get("past_key_values"), kwargs.get("attention_mask")
        seen = int(cache.get_seq_length()) if cache is not None else 0
        width = embeds.shape[1]
        if self.prompt == 0:
            self.prompt = width
        if seen > 0:
            self._continue(embeds, cache, given, image)
            return
        if isinstance(cache, Cache) and hasattr(cache, _MEMORY):
            delattr(cache, _MEMORY)
        image = image & (torch.arange(width, device=image.device) < (self.prompt or width))
        if not bool(image.any()):
            return
        if getattr(cache, "is_compileable", False) or (
            given is not None and (not isinstance(given, Tensor) or given.ndim != 2)
        ):
            raise ConfigError(
                f"the cache is a {type(cache).__name__} of fixed length or the attention mask is not (batch, tokens); "
                f"{self.pruner.name} needs a cache that grows: leave cache_implementation out"
            )
        mask = torch.ones(embeds.shape[:2], dtype=torch.bool, device=embeds.device) if given is None else given.bool()
        image = image & mask
        prompt = mask & (torch.arange(width, device=mask.device) < (self.prompt or width))
        raters = torch.zeros_like(image)
        for sample in image.any(-1).nonzero().squeeze(1).tolist():
            raters[sample] = self.pruner.raters(embeds[sample].detach(), image[sample], prompt[sample])
        self.now = _Pass(_Shortened(width), mask, image, raters, tuple(image.sum(-1).tolist()))

    def _continue(self, embeds: Tensor, cache: Any, given: Tensor | None, image: Tensor) -> None:
        """Go on after a prompt that is in the cache."""
        batch, width = embeds.shape[:2]
        seen = int(cache.get_seq_length())
        if width > 1 and bool(image.any()):
            raise ConfigError(
                f"image tokens come on top of {seen} cached tokens; {self.pruner.name} needs the whole prompt in one "
                "pass: leave past_key_values out"
            )
        memory = getattr(cache, _MEMORY, None)
        if memory is not None:
            mask = (
                torch.ones(batch, seen + width, dtype=torch.bool, device=embeds.device)
                if given is None
                else given.bool()
            )
            self.now = _Pass(memory, mask, None, None)

    def _end(self, text: Any, args: tuple[Any, ...], output: Any) -> None:
        self.now = None
        self.heard.clear()

    def _hear(self, key: tuple[int, str], projection: Any, args: tuple[Any, ...], output: Tensor) -> None:
        if self.now is not None and self.now.image is not None:
            self.heard[key] = output.detach()

    def _enter(self, layer: int, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Hand a layer the shorter inputs; before the first layer of a stage, shorten them."""
        now = self.now
        if now is None:
            return None
        states = args[0]
        if layer in self.stages:
            cache = kwargs.get("past_key_values")
            if now.image is None:
                shortened = now.memory.masks.get(layer)
                mask = None if shortened is None else torch.cat([shortened, now.mask[:, now.memory.width :]], dim=1)
            else:
                states, mask = self._drop(now, layer, states, now.rotary or kwargs["position_embeddings"])
                if mask is not None and cache is not None:
                    now.memory.masks[layer] = mask
                    setattr(cache, _MEMORY, now.memory)
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
        assert now.image is not None and now.raters is not None
        stay = torch.ones_like(now.image)
        states = states.clone()
        for sample, total in enumerate(now.totals):
            where = now.image[sample].nonzero().squeeze(1)
            keep = self.pruner.schedule(total)[self.stages.index(layer)] if total else 0
            if keep < len(where):
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
        """Attention that each token of a sample gets from its raters in the layer before, mean over heads and raters."""
        assert now.raters is not None
        attention: Any = self.text.layers[layer - 1].self_attn
        raters = now.raters[sample].nonzero().squeeze(1)
        cos, sin = (table.expand(len(now.raters), -1, -1)[sample] for table in rotary)
        keys = self._rotated(self.heard[layer, "k_proj"][sample], cos, sin, attention.head_dim)
        queries = self._rotated(
            self.heard[layer, "q_proj"][sample, raters], cos[raters], sin[raters], attention.head_dim
        )
        queries = queries.unflatten(1, (keys.shape[1], -1))
        logits = torch.einsum("rkgd,tkd->kgrt", queries, keys).float() * attention.scaling
        visible = now.mask[sample] & (torch.arange(len(keys), device=keys.device) <= raters[:, None])
        return logits.masked_fill(~visible, -torch.inf).softmax(-1).mean((0, 1, 2))

    @staticmethod
    def _rotated(
        projected: Float[Tensor, "tokens inner"],
        cos: Float[Tensor, "tokens size"],
        sin: Float[Tensor, "tokens size"],
        size: int,
    ) -> Float[Tensor, "tokens heads size"]:
        heads = projected.unflatten(-1, (-1, size))
        rotated: Tensor = heads * cos[:, None] + rotate_half(heads) * sin[:, None]
        return rotated


_MEMORY = "_tamis_shortened"
"""Attribute of a cache that holds its `_Shortened`: so a copied cache remembers, and a dropped one takes it along."""
_ACTIVE: WeakKeyDictionary[nn.Module, _Run] = WeakKeyDictionary()
"""Language model → the innermost pruner at work in it."""
