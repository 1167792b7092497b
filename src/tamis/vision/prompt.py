"""The text side of a batch: where the placeholders of images are, and how they are dropped.

A processor writes one placeholder into the prompt for every image token, and transformers fills them in order over
(batch, sequence). When tokens are dropped, so are their placeholders, in everything that runs along the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tamis.core.errors import ConfigError, InputError

_PADDING = {"attention_mask": 0, "labels": -100, "token_type_ids": 0, "position_ids": 0}
"""What runs along the prompt beside the tokens themselves, with the value that pads it."""


@dataclass(frozen=True)
class Stretch:
    """The placeholders of one image or video, and what becomes of them."""

    length: int
    """Placeholders that the processor wrote for it."""
    stay: Int[Tensor, " tokens"] | None
    """Which of them stay; None: the layout has tokens that the full prompt has no place for."""
    tokens: int
    """Tokens in the shorter prompt."""

    def repeats(self) -> Int[Tensor, " length"]:
        """How many tokens of the shorter prompt each placeholder stands for."""
        counts = torch.zeros(self.length, dtype=torch.long)
        if self.stay is not None:
            counts[self.stay.cpu()] = 1
            return counts
        counts[: self.tokens] = 1
        counts[-1] += max(0, self.tokens - self.length)
        return counts


@dataclass(frozen=True)
class Prompt:
    """The text side of a batch: where the placeholders are, and everything that runs along them."""

    rows: dict[str, Tensor]
    """What runs along the prompt, (batch, length, …)."""
    placeholders: dict[str, Bool[Tensor, "batch length"]]
    """Modality → where its placeholders are."""
    mask: Bool[Tensor, "batch length"]
    """False where a token is padding."""
    embed: nn.Module
    """The language model's token embedding."""
    pad: int
    """Token id to pad with; it is masked, so any id serves that is no placeholder."""

    @classmethod
    def read(cls, inner: Any, inputs: Mapping[str, Any]) -> Prompt:
        """Find the placeholders in a batch.

        Raises:
            InputError: If there is no prompt or two of them, or position ids for the full prompt.
        """
        ids, embeds = inputs.get("input_ids"), inputs.get("inputs_embeds")
        if (ids is None) == (embeds is None):
            raise InputError("the batch needs a prompt: exactly one of input_ids and inputs_embeds")
        if inputs.get("position_ids") is not None:
            raise InputError("the batch has position_ids; leave them out, they are made for the shorter prompt")
        main: Tensor = inputs["inputs_embeds" if ids is None else "input_ids"]
        rows = {key: inputs[key] for key in ("input_ids", "inputs_embeds", *_PADDING) if inputs.get(key) is not None}
        if not isinstance(main, Tensor) or main.ndim != (2 if embeds is None else 3) or main.shape[0] == 0:
            raise InputError("the prompt is no batch of tokens; give the processor's tensors, return_tensors='pt'")
        for key, row in rows.items():
            if row.shape[:2] != main.shape[:2]:
                raise InputError(
                    f"{key} is {tuple(row.shape)}, the prompt {tuple(main.shape[:2])}; expected one entry for each "
                    "token of this prompt (a pruned prompt starts with an empty cache)"
                )
        config, embed = inner.config, inner.get_input_embeddings()
        tokens = {modality: getattr(config, f"{modality}_token_id", None) for modality in ("image", "video")}
        tokens = {modality: token for modality, token in tokens.items() if token is not None}
        placeholders = {}
        for modality, token in tokens.items():
            if ids is not None:
                placeholders[modality] = ids == token
            else:  # as transformers itself finds them: by their embedding
                placeholders[modality] = (main == embed(torch.tensor(token, device=main.device))).all(-1)
        text = config.get_text_config()
        options = (text.pad_token_id, getattr(config, "pad_token_id", None), text.bos_token_id, 0)
        pad = next(option for option in options if isinstance(option, int) and option not in tokens.values())
        mask = rows["attention_mask"].bool() if "attention_mask" in rows else main.new_ones(main.shape[:2]).bool()
        return cls(rows, placeholders, mask, embed, pad)

    def owners(self, modality: str, lengths: Sequence[int]) -> list[int]:
        """Tell which sample each image belongs to: placeholders are filled in order over (batch, sequence).

        Args:
            modality: "image" or "video".
            lengths: Placeholders that each image fills in the full prompt.

        Raises:
            InputError: If the placeholders are not just what the images fill.
        """
        counts = self.placeholders[modality].sum(-1).tolist()
        if sum(counts) == 0:
            raise InputError(
                f"the prompt has no {modality} placeholder, but {len(lengths)} {modality}(s) came; write the "
                f"processor's {modality} token, often <{modality}>, where the {modality} belongs"
            )
        owners, sample, unfilled = [], 0, list(counts)
        for length in lengths:
            while unfilled[sample] == 0 and sample + 1 < len(counts):
                sample += 1
            owners.append(sample)
            unfilled[sample] -= length
        if any(unfilled):
            raise InputError(
                f"the samples have {counts} {modality} placeholders, but the {len(lengths)} {modality}(s) fill "
                f"{list(lengths)} of them; was the text cut, or does it contain the {modality} token by itself?"
            )
        return owners

    def words(self, sample: int) -> Float[Tensor, "words language_width"]:
        """Embeddings of the words of one sample: all that is neither placeholder nor padding."""
        where = self.mask[sample].clone()
        for placeholder in self.placeholders.values():
            where &= ~placeholder[sample]
        if "inputs_embeds" in self.rows:
            return self.rows["inputs_embeds"][sample][where].detach()
        embedded: Tensor = self.embed(self.rows["input_ids"][sample][where])
        return embedded.detach()

    def shorten(
        self, stretches: Mapping[str, Sequence[Stretch]], positions: Literal["contiguous", "original"]
    ) -> dict[str, Tensor]:
        """Drop the placeholders of the tokens that were not kept, from everything that runs along the prompt.

        Args:
            stretches: Modality → what becomes of the placeholders of each of its images, in prompt order.
            positions: Whether position ids are left to the model, or are those of the full prompt.

        Returns:
            The rows of the shorter prompt, padded on the side on which the full prompt is (left if it is on none).

        Raises:
            ConfigError: If original positions are asked for where they do not exist.
        """
        repeats = self.mask.new_ones(self.mask.shape, dtype=torch.long)
        for modality, of_images in stretches.items():
            repeats[self.placeholders[modality]] = torch.cat([one.repeats() for one in of_images]).to(repeats.device)
        rows = dict(self.rows)
        if bool((repeats == 1).all()):
            return rows
        if positions == "original":
            if any(one.stay is None for of_images in stretches.values() for one in of_images):
                raise ConfigError(
                    "layout has positions='original' without unpad, where they do not exist; set unpad=True"
                )
            rows["position_ids"] = (self.mask.cumsum(-1) - 1).clamp(min=0)
        right = bool((~self.mask[:, -1]).any())
        sources = []
        for mask, counts in zip(self.mask, repeats, strict=True):
            source = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
            inside = mask[source].nonzero().squeeze(1)
            sources.append(source[inside[0] : inside[-1] + 1] if len(inside) else source[:0])
        width = max(len(source) for source in sources)
        if positions == "original" and all(len(source) == width for source in sources):
            width += 1  # without any padding transformers drops the mask, and may then read gaps as packed samples
        if any(len(source) < width for source in sources):
            rows.setdefault("attention_mask", self.mask.long())
        return {key: self._gather(key, row, sources, width, right) for key, row in rows.items()}

    def _gather(self, key: str, row: Tensor, sources: Sequence[Tensor], width: int, right: bool) -> Tensor:
        fill: Tensor = torch.tensor(_PADDING.get(key, self.pad), device=row.device)
        if key == "inputs_embeds":
            fill = self.embed(fill).detach()
        short = fill.to(row.dtype).expand(row.shape[0], width, *row.shape[2:]).clone()
        for sample, source in enumerate(sources):
            where = slice(0, len(source)) if right else slice(width - len(source), width)
            short[sample, where] = row[sample][source]
        return short
