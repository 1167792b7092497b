"""MiniLM: a small encoder of English sentences, from the wheel that `tamis models pull minilm` fetches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tamis.audio.encoders import TextEncoder, pulled
from tamis.core.errors import MissingExtraError
from tamis.core.pretrained import loading

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

_LONGEST = 128  # tokens, of which the sentence-transformers model takes 256 at the most


class MiniLM(TextEncoder):
    """all-MiniLM-L6-v2: 384 numbers for each token; their mean says what the sentence means.

    Source:
        sentence-transformers/all-MiniLM-L6-v2: 6 layers, distilled and tuned on pairs of sentences; Apache-2.0.
    """

    name, width = "minilm", 384

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__()
        self.model, self.tokenizer = model.eval(), tokenizer

    @classmethod
    def load(cls) -> MiniLM:
        """Load the weights that `tamis models pull minilm` fetched.

        Raises:
            FileError: If they are not here.
            MissingExtraError: If transformers is not installed.
        """
        try:
            from transformers import AutoModel, AutoTokenizer
        except ModuleNotFoundError as error:
            raise MissingExtraError("encoding sentences with MiniLM", "audio") from error
        from tamis.audio.models import MODELS

        folder = pulled(MODELS["minilm"])
        with loading(cls.name, folder):
            model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        return cls(model, tokenizer)

    def prepare(self, sentence: str) -> Int[np.ndarray, " tokens"]:
        """Give the numbers of a sentence's word pieces."""
        return np.array(self.tokenizer(sentence, truncation=True, max_length=_LONGEST)["input_ids"])

    def forward(
        self, tokens: Int[Tensor, "sentences tokens"], mask: Bool[Tensor, "sentences tokens"]
    ) -> Float[Tensor, "sentences tokens width"]:
        """Encode word pieces."""
        states: Tensor = self.model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        return states
