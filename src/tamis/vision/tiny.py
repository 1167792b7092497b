"""A small vision-language model in the stock classes of transformers: a CLIP tower, a projector and a Llama.

It is LLaVA-1.5 made small: 96 × 96 pixels in patches of 8 give 144 image tokens, which are taken from the output of
the block before the last. Nothing in it is our own code, so what holds for it holds for the route that real models
take.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tamis.core.pretrained import quietly
from tamis.core.seed import derive
from tamis.vision.config import TinyConfig
from tamis.vision.scenes import GRID, PATCH, SIDE
from tamis.vision.vocabulary import SPECIAL, tokenizer, vocabulary

if TYPE_CHECKING:
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

PAD, BOS, EOS, _, IMAGE = range(len(SPECIAL))
"""Token ids of the special tokens."""
TOKENS = GRID * GRID
"""Image tokens of a picture."""
TEMPLATE = (
    "{% for message in messages %}{{ '<s> ' if message['role'] == 'user' else ' ' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %} {{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}{{ '' if message['role'] == 'user' else ' </s>' }}{% endfor %}"
)
"""How a chat is written as a prompt."""
FITTED: dict[str, Any] = {
    "size": {"shortest_edge": SIDE},
    "crop_size": {"height": SIDE, "width": SIDE},
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}
"""How an image processor makes 96 × 96 pixel values of any picture."""


def build(config: TinyConfig = TinyConfig(), seed: int = 0) -> LlavaForConditionalGeneration:
    """Make the model with random weights.

    Args:
        config: Its sizes.
        seed: Of the weights.
    """
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    tower = CLIPVisionConfig(
        hidden_size=config.tower_width,
        intermediate_size=4 * config.tower_width,
        num_hidden_layers=config.tower_blocks,
        num_attention_heads=config.tower_heads,
        image_size=SIDE,
        patch_size=PATCH,
        hidden_act="gelu",
    )
    language = LlamaConfig(
        vocab_size=len(vocabulary()),
        hidden_size=config.language_width,
        intermediate_size=config.language_hidden,
        num_hidden_layers=config.language_blocks,
        num_attention_heads=config.language_heads,
        num_key_value_heads=config.language_heads,
        max_position_embeddings=1024,
        initializer_range=0.04,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    whole = LlavaConfig(
        vision_config=tower,
        text_config=language,
        image_token_index=IMAGE,
        image_seq_length=TOKENS,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, "tiny"))
        return LlavaForConditionalGeneration(whole)


def processor() -> LlavaProcessor:
    """Make what turns pictures and questions into the model's inputs.

    A picture is scaled so that its shorter side has 96 pixels, and its centre is cut out.
    """
    from transformers import CLIPImageProcessor, LlavaProcessor

    return LlavaProcessor(CLIPImageProcessor(**FITTED), **wording())  # type: ignore[no-untyped-call]


def wording() -> dict[str, Any]:
    """Give what a processor is told beside its image processor."""
    return {
        "tokenizer": tokenizer(),
        "patch_size": PATCH,
        "vision_feature_select_strategy": "default",
        "chat_template": TEMPLATE,
        "image_token": SPECIAL[IMAGE],
        "num_additional_image_tokens": 1,
    }


def save(model: Any, folder: str | Path, prepares: Sequence[Any] = ()) -> None:
    """Write the model with its processor, so that transformers' auto classes load them.

    The weights are written as 16-bit numbers and read back as 32-bit ones.

    Args:
        model: The model, as `build` makes it; it is not changed.
        folder: Where to.
        prepares: What turns pictures and questions into its inputs; nothing given: `processor()`.
    """
    import copy

    import torch

    small = copy.deepcopy(model).to("cpu", torch.float16)
    Path(folder).mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as scratch, quietly():
        small.save_pretrained(scratch)
        small.config.dtype = torch.float32
        small.config.save_pretrained(scratch)
        for part in prepares or [processor()]:
            part.save_pretrained(scratch)
        for file in sorted(Path(scratch).iterdir(), key=lambda file: file.name == "config.json"):  # that one last
            os.replace(file, Path(folder) / file.name)
