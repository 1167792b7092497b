"""A Llama read layer by layer with full attention maps, for one sample without padding: slow, plain, independent."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from tests.vision.small import IMAGE, build
from torch import Tensor

Prune = Callable[[int, Tensor, Tensor, list[int]], tuple[Tensor, list[int]]]
"""(layer, attention of the layer before (heads, tokens, tokens), states, original indices) → what is left of both."""


def deep(family: str, layers: int = 4, seed: int = 0, **text: Any) -> Any:
    """One of the small models, with another language model."""
    stock = build(family, seed)
    config = deepcopy(stock.config)
    for name, value in {"num_hidden_layers": layers, "initializer_range": 0.3, **text}.items():
        setattr(config.text_config, name, value)
    torch.manual_seed(seed)
    return type(stock)(config).eval()


def embed(model: Any, ids: list[int], pixels: dict[str, Tensor]) -> Tensor:
    """What a LLaVA feeds to its language model, (tokens, width)."""
    embeds = model.get_input_embeddings()(torch.tensor(ids)).clone()
    if pixels:
        embeds[torch.tensor(ids) == IMAGE] = torch.cat(list(model.model.get_image_features(**pixels).pooler_output))
    return embeds


@torch.no_grad()
def logits(model: Any, ids: list[int], pixels: dict[str, Tensor], prune: Prune) -> Tensor:
    """Logits after the last token, with tokens dropped on the way."""
    text = model.model.language_model
    states, left, attention = embed(model, ids, pixels), list(range(len(ids))), torch.empty(0)
    for index, layer in enumerate(text.layers):
        if index > 0:
            states, left = prune(index, attention, states, left)
        update, attention = _attend(layer.self_attn, layer.input_layernorm(states), left)
        states = states + update
        states = states + layer.mlp(layer.post_attention_layernorm(states))
    return model.lm_head(text.norm(states[-1]))


def greedy(
    model: Any, ids: list[int], pixels: dict[str, Tensor], prune: Prune, new: int, never: list[int]
) -> list[int]:
    """Continue a prompt, computing everything anew for each token."""
    ids, start = list(ids), len(ids)
    for _ in range(new):
        scores = logits(model, ids, pixels, prune)
        scores[never] = -math.inf
        ids.append(int(scores.argmax()))
        if ids[-1] == model.generation_config.eos_token_id:
            break
    return ids[start:]


def _attend(attention: Any, states: Tensor, positions: list[int]) -> tuple[Tensor, Tensor]:
    size, tokens = attention.head_dim, len(states)
    queries = _turn(attention.q_proj(states).view(tokens, -1, size), positions)
    keys = _turn(attention.k_proj(states).view(tokens, -1, size), positions)
    values = attention.v_proj(states).view(tokens, -1, size)
    share = queries.shape[1] // keys.shape[1]
    maps, outputs = [], []
    for head in range(queries.shape[1]):
        scores = queries[:, head] @ keys[:, head // share].T / math.sqrt(size)
        scores = scores.masked_fill(torch.ones(tokens, tokens).triu(1).bool(), -math.inf)
        maps.append(scores.softmax(-1))
        outputs.append(maps[-1] @ values[:, head // share])
    return attention.o_proj(torch.cat(outputs, dim=-1)), torch.stack(maps)


def _turn(heads: Tensor, positions: list[int]) -> Tensor:
    """Rotary embedding by complex numbers: dimension i pairs with i + half."""
    half = heads.shape[-1] // 2
    speed = 10000.0 ** (-torch.arange(half) / half)
    angle = torch.tensor(positions)[:, None] * speed
    turned = torch.complex(heads[..., :half], heads[..., half:]) * torch.polar(torch.ones_like(angle), angle)[:, None]
    return torch.cat([turned.real, turned.imag], dim=-1)
