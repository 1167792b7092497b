"""The small model as LLaVA-NeXT, which sees a canvas in tiles, and as Video-LLaVA, which sees the frames of a clip.

Both are stock classes of transformers, with the weights of a LLaVA as `tamis.vision.tiny` makes it. What each of them
sees of a picture are units of 96 × 96 pixels: a small copy of the canvas and its two tiles, or three frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    VideoLlavaConfig,
    VideoLlavaForConditionalGeneration,
    VideoLlavaImageProcessor,
)
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from tamis.core.errors import ConfigError
from tamis.vision.canvases import TILES
from tamis.vision.clips import FRAMES
from tamis.vision.config import Layout
from tamis.vision.scenes import SIDE
from tamis.vision.tiles import packed_order
from tamis.vision.tiny import FITTED, IMAGE, TEMPLATE, TOKENS, wording
from tamis.vision.tiny_data import Kind, follow
from tamis.vision.vocabulary import VIDEO, tokenizer, vocabulary

FAMILIES: dict[Kind, str] = {
    "scenes": "llava",
    "sprites": "llava",
    "scenes-tiles": "llava_next",
    "scenes-video": "video_llava",
}
"""Kind of scenes → the `model_type` that is shown them."""
UNITS = {"llava": 1, "llava_next": 1 + TILES, "video_llava": FRAMES}
"""`model_type` → how many pictures of 96 × 96 pixels it sees of one."""
_Model = TypeVar("_Model")
_WHOLE = (SIDE, TILES * SIDE)


def as_next(tiny: Any) -> LlavaNextForConditionalGeneration:
    """Make a LLaVA-NeXT of the small model's weights; its newline token starts at random.

    Args:
        tiny: A LLaVA as `tamis.vision.tiny.build` makes it.
    """
    config = LlavaNextConfig(**_parts(tiny), image_grid_pinpoints=[list(_WHOLE)])
    model = _made(LlavaNextForConditionalGeneration, config)
    _take(model, tiny.state_dict(), "model.image_newline")
    return model


def as_video(tiny: Any) -> VideoLlavaForConditionalGeneration:
    """Make a Video-LLaVA of the small model's weights, in both of its towers; words of motion start at random.

    Args:
        tiny: A LLaVA as `tamis.vision.tiny.build` makes it.
    """
    words = vocabulary(video=True)
    config = VideoLlavaConfig(
        **_parts(tiny, vocab_size=len(words)),
        video_token_index=words.index(VIDEO),
        video_seq_length=FRAMES * (TOKENS + 1),
    )
    model = _made(VideoLlavaForConditionalGeneration, config)
    made = model.state_dict()
    weights: dict[str, Tensor] = {}
    for name, tensor in tiny.state_dict().items():
        if name.startswith("model.vision_tower."):
            weights[name.replace("vision_tower", "image_tower", 1)] = tensor
            weights[name.replace("vision_tower", "video_tower", 1)] = tensor
        elif tensor.shape != made[name].shape:
            weights[name] = torch.cat([tensor, made[name][len(tensor) :]])
        else:
            weights[name] = tensor
    _take(model, weights)
    return model


def _parts(tiny: Any, **changes: int) -> dict[str, Any]:
    """Give what the configurations of both have in common, with changes to that of the language model."""
    return {
        "vision_config": CLIPVisionConfig(**tiny.config.vision_config.to_dict()),
        "text_config": LlamaConfig(**tiny.config.text_config.to_dict() | changes),
        "image_token_index": IMAGE,
        "image_seq_length": TOKENS,
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "tie_word_embeddings": True,
    }


def _made(kind: Callable[[Any], _Model], config: Any) -> _Model:
    """Make a model whose new weights are the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(config)


def _take(model: Any, weights: Mapping[str, Tensor], *new: str) -> None:
    """Load weights; all but the `new` ones have to be there.

    Raises:
        ConfigError: If they are not: what came was no LLaVA of ours.
    """
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if unexpected or set(missing) != set(new):
        raise ConfigError(f"weights do not fit: {sorted({*missing, *unexpected} - set(new))[:3]}; give tiny")
    model.eval()


def prepares(family: str) -> list[Any]:
    """Make what turns pictures and questions into inputs, in the parts that are saved beside the weights.

    Video-LLaVA's whole processor needs torchvision, so it comes as image processor and tokenizer.

    Args:
        family: "llava_next" or "video_llava".
    """
    if family == "video_llava":
        words = tokenizer(video=True)
        words.chat_template = TEMPLATE
        return [VideoLlavaImageProcessor(**FITTED), words]
    images = LlavaNextImageProcessorPil(**FITTED, image_grid_pinpoints=[list(_WHOLE)])
    return [LlavaNextProcessor(images, **wording())]  # type: ignore[no-untyped-call]


def units(images: Tensor, family: str) -> Float[Tensor, "units 3 side side"]:
    """Cut pictures into what a tower sees of them, as pixel values.

    Args:
        images: (pictures, 3, 96, 96 · n) in bytes, n pictures side by side.
        family: The model's `model_type`.
    """
    parts = list(torch.split(images.float(), SIDE, dim=3))
    if family == "llava_next":
        small = functional.interpolate(images.float(), (SIDE, SIDE), mode="bicubic", antialias=True)
        parts.insert(0, small.round().clamp(0, 255))
    return torch.stack(parts, dim=1).flatten(0, 1) / 127.5 - 1


def batch_of(pixels: Float[Tensor, "units 3 side side"], family: str) -> dict[str, Tensor]:
    """Write pixel values as the stock model takes them.

    Args:
        pixels: As `units` makes them.
        family: The model's `model_type`.
    """
    if family == "llava":
        return {"pixel_values": pixels}
    of_pictures = pixels.view(-1, UNITS[family], *pixels.shape[1:])
    if family == "video_llava":
        return {"pixel_values_videos": of_pictures}
    return {"pixel_values": of_pictures, "image_sizes": torch.tensor([_WHOLE]).expand(len(of_pictures), -1)}


def order_of(model: Any) -> Int[Tensor, " tokens"]:
    """Say which token stands where in the full prompt: unit · 145 + token, [CLS] being token 0; −1 is a newline.

    `read_units` puts the newline behind all tokens, where −1 finds it.

    Args:
        model: A small LLaVA, LLaVA-NeXT or Video-LLaVA.
    """
    family = model.config.model_type
    if family == "video_llava":
        return torch.arange(FRAMES * (TOKENS + 1))
    if family == "llava":
        return torch.arange(1, TOKENS + 1)
    packed = packed_order(model.model, TOKENS, UNITS[family], _WHOLE)
    return torch.where(packed < 0, -1, packed + packed // TOKENS + 1)


def stays_of(
    mask: Bool[Tensor, "units patches"], order: Int[Tensor, " tokens"], family: str, layout: Layout
) -> Bool[Tensor, "pictures tokens"]:
    """Say which tokens of the full prompt stay when some patches of each unit are kept.

    Args:
        mask: The kept patches.
        order: As `order_of` gives it.
        family: The model's `model_type`.
        layout: What becomes of newlines and [CLS]; newlines stay all or none here.

    Raises:
        ConfigError: If newlines are to stay in some rows.
    """
    if layout.newline == "nonempty" and family == "llava_next":
        raise ConfigError("layout has newline='nonempty'; pictures are read together here, so give 'all' or 'none'")
    known = functional.pad(mask, (1, 0), value=layout.cls == "keep").view(-1, UNITS[family] * (TOKENS + 1))
    return functional.pad(known, (0, 1), value=layout.newline == "all")[:, order.to(mask.device)]


def read_units(
    model: Any,
    features: Float[Tensor, "units tokens width"],
    order: Int[Tensor, " order"],
    packed: dict[str, Tensor],
    kept: Bool[Tensor, "pictures order"] | None = None,
    *,
    contiguous: bool = False,
) -> Float[Tensor, "pictures room vocabulary"]:
    """Run projector and language model over the units of pictures and their packed questions.

    Args:
        model: A small LLaVA, LLaVA-NeXT or Video-LLaVA.
        features: Of the tower, [CLS] first.
        order: As `order_of` gives it.
        packed: As `tamis.vision.tiny_data.pack` returns it.
        kept: Which tokens the language model sees, as many of each picture; None: all.
        contiguous: Whether position ids are 0, 1, 2 … instead of those of the full prompt.

    Returns:
        Logits of what follows each text token.
    """
    projected: Tensor = model.model.multi_modal_projector(features)
    bank = projected.view(-1, UNITS[model.config.model_type] * (TOKENS + 1), projected.shape[-1])
    if model.config.model_type == "llava_next":
        newline = model.model.image_newline.expand(len(bank), 1, -1)
        bank = torch.cat([bank, newline.to(bank.dtype)], dim=1)
    return follow(model, bank[:, order.to(bank.device)], packed, kept, contiguous=contiguous)
