"""tamis's own encoder of sentences: a table of word pieces, small integers, under a small transformer."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tamis.audio.encoders import TextEncoder, positions
from tamis.core.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float32, Int
    from torch import Tensor

WIDTH, TABLE, HIDDEN, LAYERS = 384, 64, 128, 2
_LONGEST, _UNKNOWN = 64, "[UNK]"


class Words(TextEncoder):
    """64 numbers a word piece, then two transformer layers of width 128; 384 numbers a token.

    The pieces and their table belong to the weights: `vocabulary` holds the pieces, separated by line feeds, and
    `table` a row of small integers for each, `scale` times which they count. The table is not trained.

    Source:
        Our choice; static embeddings out of a sentence encoder as Model2Vec makes them.
    """

    name, width = "words", WIDTH
    vocabulary: Tensor
    table: Tensor
    scale: Tensor

    def __init__(self, pieces: int, size: int) -> None:
        """Make an encoder whose pieces are to be loaded or given.

        Args:
            pieces: How many.
            size: Bytes of all of them, separated by line feeds.
        """
        super().__init__()
        if pieces < 1 or size < 1:
            raise ConfigError(f"{pieces} word pieces of {size} bytes; a space on 'words' says how many there are")
        self.register_buffer("vocabulary", torch.zeros(size, dtype=torch.uint8))
        self.register_buffer("table", torch.zeros(pieces, TABLE, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(TABLE))
        self.enter = nn.Linear(TABLE, HIDDEN)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(HIDDEN, 4, 2 * HIDDEN, 0.1, "gelu", batch_first=True, norm_first=True)
            for _ in range(LAYERS)
        )
        self.norm, self.leave = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, WIDTH)

    @classmethod
    def of(cls, pieces: Sequence[str], vectors: Float32[np.ndarray, "pieces table"]) -> Words:
        """Make an untrained encoder of word pieces and their vectors, which are rounded to 8 bits.

        Args:
            pieces: As WordPiece writes them, "[UNK]" among them.
            vectors: A row for each.
        """
        text = "\n".join(pieces).encode()
        made = cls(len(pieces), len(text))
        scale = np.abs(vectors).max(axis=0).clip(min=1e-6) / 127
        made.vocabulary.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        made.table.copy_(torch.from_numpy(np.round(vectors / scale).astype(np.int8)))
        made.scale.copy_(torch.from_numpy(scale.astype(np.float32)))
        return made

    @functools.cached_property
    def tokenizer(self) -> Any:
        """WordPiece over the pieces, in lower case and without accents, as BERT splits English."""
        try:
            from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
        except ModuleNotFoundError as error:
            raise MissingExtraError("encoding sentences", "audio") from error
        pieces = bytes(self.vocabulary.tolist()).decode().split("\n")
        tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token=_UNKNOWN))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return tokenizer

    def prepare(self, sentence: str) -> Int[np.ndarray, " tokens"]:
        """Give the numbers of a sentence's word pieces, the first 64 at most."""
        return np.array(self.tokenizer.encode(sentence).ids[:_LONGEST] or self.tokenizer.encode(_UNKNOWN).ids[:1])

    def forward(
        self, tokens: Int[Tensor, "sentences tokens"], mask: Bool[Tensor, "sentences tokens"]
    ) -> Float[Tensor, "sentences tokens width"]:
        """Encode word pieces."""
        states = self.enter(self.table[tokens] * self.scale)
        states = states + positions(states.shape[1], states.shape[2]).to(states)
        for layer in self.layers:
            states = layer(states, src_key_padding_mask=~mask)
        features: Tensor = self.leave(self.norm(states))
        return features
