"""ClST: the convolution-linked signal transformer (arXiv 2312.17446), as far as its description goes.

The paper names three modifications of a transformer: a hierarchy that contains convolution, a convolution-transformer
projection (CTP) and a parallel spatial-channel attention (PSCA). Its sentences follow CvT (arXiv 2103.15808) almost
word for word, so CvT is taken as the parent. Sizes, formulae and training are not specified by what is public of the
paper: they are our choice, and each is a field of `ClSTConfig`.

- Tokens are (batch, tokens, channels); a stage's convolutions see them as pictures of height one.
- Keys and values are squeezed to half the tokens, as in CvT.
- PSCA runs a spatial branch (attention over tokens) and a channel branch in parallel and mixes them by a learnt gate.
- No positional embedding: the convolutions know the order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

from tamis.radio.config import ClSTConfig
from tamis.radio.network import Network

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class ClST(Network, paper_url="https://arxiv.org/abs/2312.17446"):
    """Convolutional embedding and blocks, stage after stage; mean of the last tokens; a linear head.

    Source:
        arXiv 2312.17446, abstract; everything that it leaves open is a field of `ClSTConfig`.
    """

    config: ClSTConfig

    def __init__(self, config: ClSTConfig = ClSTConfig()) -> None:
        super().__init__(config)
        blocks = sum(config.depths)
        skip = [config.drop_path * i / max(1, blocks - 1) for i in range(blocks)]
        self.embeddings = nn.ModuleList()
        self.stages = nn.ModuleList()
        before = 2
        for stage, (dim, depth, heads) in enumerate(zip(config.dims, config.depths, config.heads, strict=True)):
            self.embeddings.append(_Embedding(config, stage, before))
            first = sum(config.depths[:stage])
            self.stages.append(nn.ModuleList(_Block(config, dim, heads, skip[first + i]) for i in range(depth)))
            before = dim
        self.token = nn.Parameter(torch.zeros(1, 1, before)) if config.pool == "cls" else None
        self.norm = _norm(config, before)
        self.head = nn.Linear(before, len(config.classes))

    def embed(self, iq: Float[Tensor, "batch 2 samples"]) -> Float[Tensor, "batch features"]:
        """Turn scaled frames into the mean token, or the class token, of the last stage."""
        tokens = iq.transpose(1, 2)
        extra = 0
        for stage, (embedding, blocks) in enumerate(zip(self.embeddings, self.stages, strict=True)):
            tokens = embedding(tokens)
            if self.token is not None and stage == len(self.stages) - 1:
                tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], dim=1)
                extra = 1
            for block in cast(nn.ModuleList, blocks):
                tokens = block(tokens, extra)
        tokens = self.norm(tokens)
        features: Tensor = tokens[:, 0] if extra else tokens.mean(dim=1)
        return features


class _Embedding(nn.Module):
    """Convolve the tokens of the stage before into fewer and wider ones, normalise them, cut off what is negative."""

    def __init__(self, config: ClSTConfig, stage: int, before: int) -> None:
        super().__init__()
        dim, kernel, stride = config.dims[stage], config.kernels[stage], config.strides[stage]
        self.rows = config.layout == "2d" and stage == 0
        height = 2 if self.rows else 1
        self.conv = nn.Conv2d(1 if self.rows else before, dim, (height, kernel), (1, stride), (0, kernel // 2))
        self.norm = _norm(config, dim)
        self.activation = nn.ReLU() if config.activation == "relu" else nn.Identity()

    def forward(self, tokens: Float[Tensor, "batch tokens channels"]) -> Float[Tensor, "batch fewer wider"]:
        picture = tokens.transpose(1, 2).unsqueeze(1) if self.rows else _picture(tokens)
        embedded: Tensor = self.activation(self.norm(_tokens(self.conv(picture))))
        return embedded


class _Block(nn.Module):
    """A CTP block: PSCA, then a two-layer perceptron; each normalised before and added to what came in."""

    def __init__(self, config: ClSTConfig, dim: int, heads: int, skip: float) -> None:
        super().__init__()
        self.norm1 = _norm(config, dim)
        self.attention = PSCA(config, dim, heads)
        self.norm2 = _norm(config, dim)
        hidden = config.mlp_ratio * dim
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.skip = skip

    def forward(
        self, tokens: Float[Tensor, "batch tokens channels"], extra: int
    ) -> Float[Tensor, "batch tokens channels"]:
        tokens = tokens + self._drop(self.attention(self.norm1(tokens), extra))
        out: Tensor = tokens + self._drop(self.mlp(self.norm2(tokens)))
        return out

    def _drop(self, branch: Tensor) -> Tensor:
        if not self.training or not self.skip:
            return branch
        kept = torch.rand(len(branch), 1, 1, device=branch.device) >= self.skip
        return branch * kept / (1 - self.skip)


class PSCA(nn.Module):
    """Parallel spatial-channel attention: one branch weighs tokens, the other channels, and both are mixed.

    Source:
        arXiv 2312.17446 names it; the formulae are not public: our choice, see `channel` and `fusion` of `ClSTConfig`.
    """

    def __init__(self, config: ClSTConfig, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.channel, self.fusion = heads, config.channel, config.fusion
        self.query = _Projection(config, dim, 1)
        self.key = _Projection(config, dim, config.kv_stride)
        self.value = _Projection(config, dim, config.kv_stride)
        if config.channel == "se":
            squeezed = max(8, dim // 8)
            self.excite = nn.Sequential(nn.Linear(dim, squeezed), nn.ReLU(), nn.Linear(squeezed, dim), nn.Sigmoid())
        if config.channel == "xca":
            self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        if config.channel != "none" and config.fusion == "gate":
            self.gate = nn.Parameter(torch.zeros(dim))
        both = config.channel != "none" and config.fusion == "concat"
        self.out = nn.Linear(2 * dim if both else dim, dim)

    def forward(
        self, tokens: Float[Tensor, "batch tokens channels"], extra: int = 0
    ) -> Float[Tensor, "batch tokens channels"]:
        """Attend.

        Args:
            tokens: Normalised tokens.
            extra: How many tokens at the front are no part of the signal; they are not convolved.
        """
        q, k, v = (self._split(project(tokens, extra)) for project in (self.query, self.key, self.value))
        spatial = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        if self.channel == "none":
            return self._out(spatial)
        if self.channel == "se":
            channel = tokens * self.excite(tokens.mean(dim=1, keepdim=True))
        else:
            affinity = functional.normalize(k, dim=2).transpose(2, 3) @ functional.normalize(q, dim=2)
            channel = (v @ (affinity / self.temperature).softmax(dim=2)).transpose(1, 2).flatten(2)
        if self.fusion == "gate":
            gate = self.gate.sigmoid()
            return self._out(gate * spatial + (1 - gate) * channel)
        if self.fusion == "sum":
            return self._out(spatial + channel)
        return self._out(torch.cat([spatial, channel], dim=2))

    def _split(self, tokens: Tensor) -> Tensor:
        return torch.unflatten(tokens, 2, (self.heads, -1)).transpose(1, 2)

    def _out(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.out(tokens)
        return out


class _Projection(nn.Module):
    """Project tokens to queries, keys or values: depth-wise convolution, batch normalisation, linear (CTP)."""

    def __init__(self, config: ClSTConfig, dim: int, stride: int) -> None:
        super().__init__()
        self.convolution: nn.Module | None = None
        if config.projection == "conv":
            depthwise = nn.Conv2d(dim, dim, (1, 3), (1, stride), (0, 1), groups=dim, bias=False)
            self.convolution = nn.Sequential(depthwise, nn.BatchNorm2d(dim))
        self.linear = nn.Linear(dim, dim)

    def forward(
        self, tokens: Float[Tensor, "batch tokens channels"], extra: int
    ) -> Float[Tensor, "batch fewer channels"]:
        if self.convolution is not None:
            signal = _tokens(self.convolution(_picture(tokens[:, extra:])))
            tokens = torch.cat([tokens[:, :extra], signal], dim=1) if extra else signal
        projected: Tensor = self.linear(tokens)
        return projected


class _BatchNorm(nn.BatchNorm1d):
    """Normalise each channel over all tokens of the batch, so that the strength of a token is kept."""

    def forward(self, tokens: Float[Tensor, "batch tokens channels"]) -> Float[Tensor, "batch tokens channels"]:
        normalised: Tensor = super().forward(tokens.flatten(0, 1))
        return normalised.view_as(tokens)


def _norm(config: ClSTConfig, dim: int) -> nn.Module:
    made: nn.Module = {"layer": nn.LayerNorm, "rms": nn.RMSNorm, "batch": _BatchNorm}[config.norm](dim)
    return made


def _picture(tokens: Tensor) -> Tensor:
    """View tokens as a picture of height one, channels last in memory."""
    return tokens.transpose(1, 2).unsqueeze(2)


def _tokens(picture: Tensor) -> Tensor:
    return picture.squeeze(2).transpose(1, 2)
