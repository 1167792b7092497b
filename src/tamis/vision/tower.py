"""One pass over a vision tower that leaves behind what a token selector reads.

The papers' code asks for `output_attentions`, which switches fused attention off and stores one N × N map per
block and head, in order to use a single row of one or a few of them. Here the tower runs as it is (SDPA or flash
attention), and the row of the [CLS] query is computed from the query and key projections that the block makes
anyway. Blocks after the selected hidden state are not run.

Block indices are 0-based: `hidden_states[j]` of transformers is the output after j blocks, so a model that selects
`hidden_states[-2]` of 24 blocks uses the output of block 22, and block 23 is not run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from tamis.core.errors import ConfigError, ShapeError
from tamis.vision.view import Features, Reads, View


@dataclass(frozen=True)
class _Anatomy:
    """Where a tower keeps its parts."""

    embed: Callable[[Tensor], Tensor]
    blocks: nn.ModuleList
    norm: str
    attention: str
    heads: int
    patch: int
    some: Callable[[_Start, Tensor], Tensor] | None = None
    """Runs one block for some of its tokens, where that is known for this kind of tower."""


def _anatomy(tower: nn.Module) -> _Anatomy:
    """Find the parts of a tower by its configuration's type.

    Raises:
        ConfigError: If the tower has no [CLS] token or is of an unknown type.
    """
    config: Any = getattr(tower, "config", None)
    kind = getattr(config, "model_type", type(tower).__name__)
    parts: Any = getattr(tower, "vision_model", tower)
    if kind in ("clip_vision_model", "clip"):
        vision = getattr(config, "vision_config", config)
        return _Anatomy(
            embed=lambda pixels: parts.pre_layrnorm(parts.embeddings(pixels)),
            blocks=parts.encoder.layers,
            norm="layer_norm1",
            attention="self_attn",
            heads=vision.num_attention_heads,
            patch=vision.patch_size,
            some=_clip_block_for_some,
        )
    if kind == "dinov2":
        return _Anatomy(
            embed=parts.embeddings,
            blocks=parts.encoder.layer,
            norm="norm1",
            attention="attention",
            heads=config.num_attention_heads,
            patch=config.patch_size,
        )
    raise ConfigError(
        f"vision tower is {kind!r}; expected one with a [CLS] token that is read here: clip_vision_model (LLaVA-1.5, "
        "LLaVA-NeXT, Video-LLaVA) or dinov2. Towers without [CLS] (SigLIP, Qwen-VL) need a scorer of their own"
    )


def extent(tower: nn.Module, layers: int | Sequence[int]) -> tuple[int, int]:
    """Count the blocks of a tower, and those of them that make the features.

    Args:
        tower: A CLIP or DINOv2 vision model of transformers.
        layers: Index into `hidden_states`, or several, as in a model's `vision_feature_layer`.

    Returns:
        All blocks, and the blocks up to the deepest of the layers.

    Raises:
        ConfigError: If the tower is of an unknown type, or an index is outside of it.
    """
    depth = len(_anatomy(tower).blocks)
    return depth, max(_blocks_for(depth, layer) for layer in _listed(layers))


def _listed(layers: int | Sequence[int]) -> Sequence[int]:
    return [layers] if isinstance(layers, int) else layers


def _blocks_for(depth: int, layer: int) -> int:
    """Translate an index into `hidden_states` (−2: the one before the last) into the number of blocks that make it.

    Raises:
        ConfigError: If the index is outside of the tower, or selects the embeddings, which no block has made.
    """
    run = layer + depth + 1 if layer < 0 else layer
    if not 1 <= run <= depth:
        raise ConfigError(f"hidden state {layer} of a tower with {depth} blocks; expected {-depth}…{depth} without 0")
    return run


def cls_row(
    query: Float[Tensor, "units inner"], keys: Float[Tensor, "units tokens inner"], heads: int
) -> Float[Tensor, "units heads patches"]:
    """Attention of the [CLS] query to the patches: softmax over all tokens, then [CLS] itself is dropped.

    The row is not renormalised, as in both papers. The softmax is in float32.

    Args:
        query: Query projection of [CLS], heads concatenated.
        keys: Key projections of [CLS] (first) and patches, heads concatenated.
        heads: Number of heads; the scale is (inner / heads)^-0.5.

    Source:
        FasterVLM (arXiv 2412.01818v1), the authors' `clip_encoder.py`: `attentions[i][:, :, 0, 1:]`.
    """
    units, tokens, inner = keys.shape
    size = inner // heads
    logits = torch.einsum("uhd,uthd->uht", query.view(units, heads, size), keys.view(units, tokens, heads, size))
    return torch.softmax(logits.float() * size**-0.5, dim=-1)[..., 1:]


class _Listener:
    """Reads the query and key projections of chosen blocks by forward hooks; removed on exit."""

    def __init__(self, anatomy: _Anatomy, reads: Reads) -> None:
        self.rows: dict[int, Tensor] = {}
        self.keys: dict[int, Tensor] = {}
        self.queries: dict[int, Tensor] = {}
        self._anatomy, self._reads = anatomy, reads
        self._handles: list[Any] = []

    def __enter__(self) -> _Listener:
        for index in sorted({*self._reads.rows, *self._reads.keys}):
            attention = getattr(self._anatomy.blocks[index], self._anatomy.attention)
            for name, heard in (("q_proj", self._hear_query), ("k_proj", self._hear_keys)):
                hook = getattr(attention, name).register_forward_hook(lambda _m, _i, out, i=index, f=heard: f(i, out))
                self._handles.append(hook)
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _hear_query(self, index: int, projected: Tensor) -> None:
        self.queries[index] = projected[:, 0].detach()
        self._settle(index)

    def _hear_keys(self, index: int, projected: Tensor) -> None:
        self.keys[index] = projected.detach()
        self._settle(index)

    def _settle(self, index: int) -> None:
        """Once both projections of a block were heard: make the row, and forget what nobody reads."""
        if index not in self.queries or index not in self.keys:
            return
        if index in self._reads.rows:
            self.rows[index] = cls_row(self.queries[index], self.keys[index], self._anatomy.heads)
        if index not in self._reads.keys:
            del self.queries[index], self.keys[index]


def look(
    tower: nn.Module,
    pixels: Float[Tensor, "units channels height width"],
    reads: Reads,
    layers: int | Sequence[int] = -2,
) -> View:
    """Run a tower up to the hidden state that is used, and read what a selector asks for.

    Args:
        tower: A CLIP or DINOv2 vision model of transformers.
        pixels: Pixel values as the model's processor makes them.
        reads: Which blocks to read.
        layers: Index into `hidden_states` of the features, as in a model's `vision_feature_layer`; several are
            concatenated along the width.

    Returns:
        A view with one unit per image in `pixels`.

    Raises:
        ConfigError: If the tower is unknown, or a block is asked for that does not exist or is not run.
        ShapeError: If `pixels` are not images of whole patches.
    """
    anatomy = _anatomy(tower)
    depth = len(anatomy.blocks)
    wanted = [_blocks_for(depth, layer) for layer in _listed(layers)]
    run = max(wanted)
    for index in reads.rows:
        if not 0 <= index < run:
            raise ConfigError(f"block {index} is to be scored, but blocks 0…{run - 1} of {depth} are run")
    for index in reads.keys:
        if not 0 <= index <= min(run, depth - 1):
            raise ConfigError(f"keys of block {index} are to be read; expected a block of 0…{min(run, depth - 1)}")
    height, width = pixels.shape[-2:]
    if height % anatomy.patch or width % anatomy.patch:
        raise ShapeError(f"pixels are {height} × {width}; expected multiples of the patch size {anatomy.patch}")

    states: dict[int, Tensor] = {}
    early = Reads(
        rows=tuple(block for block in reads.rows if block < run - 1),
        keys=tuple(block for block in reads.keys if block < run - 1),
    )
    with _Listener(anatomy, early) as heard:
        state = anatomy.embed(pixels)
        for index in range(run - 1):
            state = anatomy.blocks[index](state, None)
            if index + 1 in wanted:
                states[index + 1] = state
    start = _Start(anatomy, anatomy.blocks[run - 1], state)
    starts = {run - 1: start}
    features = _features(anatomy, start, [states.get(count) for count in wanted])
    if run in reads.keys:
        starts[run] = _Start(anatomy, anatomy.blocks[run], start.output)
    for index, begun in starts.items():
        if index in reads.rows:
            heard.rows[index] = cls_row(begun.query.detach(), begun.keys.detach(), anatomy.heads)
        if index in reads.keys:
            heard.keys[index], heard.queries[index] = begun.keys.detach(), begun.query.detach()
    return View(
        features=features,
        rows=heard.rows,
        keys=heard.keys,
        queries=heard.queries,
        grid=(height // anatomy.patch, width // anatomy.patch),
        heads=anatomy.heads,
        depth=depth,
        run=run,
        pixels=pixels,
    )


class _Start:
    """A block with its input, run only as far as somebody asks."""

    def __init__(self, anatomy: _Anatomy, block: nn.Module, state: Tensor) -> None:
        self.block: Any = block
        self.state = state
        self.attention = getattr(block, anatomy.attention)
        self._norm = getattr(block, anatomy.norm)

    @cached_property
    def normed(self) -> Tensor:
        """The input as the attention sees it, (units, tokens, width)."""
        normed: Tensor = self._norm(self.state)
        return normed

    @cached_property
    def keys(self) -> Tensor:
        """Key projections, (units, tokens, inner)."""
        keys: Tensor = self.attention.k_proj(self.normed)
        return keys

    @property
    def query(self) -> Tensor:
        """Query projection of [CLS], (units, inner)."""
        query: Tensor = self.attention.q_proj(self.normed[:, :1])
        return query[:, 0]

    @cached_property
    def output(self) -> Tensor:
        """What the block makes of all tokens, (units, tokens, width)."""
        output: Tensor = self.block(self.state, None)
        return output


def _features(anatomy: _Anatomy, start: _Start, others: Sequence[Tensor | None]) -> Features:
    """Features that run the last block when they are looked at.

    Args:
        anatomy: The tower's parts.
        start: The last block with its input.
        others: Hidden states to concatenate; None stands for the output of the last block.
    """

    def make() -> Tensor:
        states = [start.output if state is None else state for state in others]
        return states[0] if len(states) == 1 else torch.cat(states, dim=-1)

    def make_some(mask: Tensor) -> Tensor:
        last = start.output[mask] if anatomy.some is None else anatomy.some(start, mask)
        states = [last if state is None else state[mask] for state in others]
        return states[0] if len(states) == 1 else torch.cat(states, dim=-1)

    return Features(make, make_some)


def _clip_block_for_some(start: _Start, mask: Tensor) -> Tensor:
    """Run a CLIP block for the tokens in a mask: they attend to all tokens, the others are not computed.

    Args:
        start: A `CLIPEncoderLayer` with its input.
        mask: True for the tokens to compute, (units, tokens).

    Returns:
        The block's output for them, unit by unit, (true, width).
    """
    block, attention = start.block, start.attention
    counts = mask.sum(-1)
    order = mask.long().argsort(dim=-1, descending=True, stable=True)[:, : int(counts.max())]

    def some(tensor: Tensor) -> Tensor:
        return tensor.gather(1, order[..., None].expand(-1, -1, tensor.shape[-1]))

    def split(projected: Tensor) -> Tensor:
        return projected.view(*projected.shape[:2], attention.num_heads, attention.head_dim).transpose(1, 2)

    query, value = attention.q_proj(some(start.normed)), attention.v_proj(start.normed)
    mixed = scaled_dot_product_attention(split(query), split(start.keys), split(value), scale=attention.scale)
    state = some(start.state) + attention.out_proj(mixed.transpose(1, 2).flatten(2))
    state = state + block.mlp(block.layer_norm2(state))
    present = torch.arange(order.shape[1], device=mask.device) < counts[:, None]
    computed: Tensor = state[present]
    return computed
