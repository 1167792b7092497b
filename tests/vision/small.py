"""Stock vision-language models of transformers, built small from their configurations, and batches for them."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    PreTrainedTokenizerFast,
    VideoLlavaConfig,
    VideoLlavaForConditionalGeneration,
)
from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches

IMAGE, VIDEO = 100, 101
PATCHES = 16
"""Patches of a picture of the small towers: 32 × 32 pixels in patches of 8."""
FAMILIES = ("llava", "llava_next", "video_llava")


def vision_config(**changes: Any) -> CLIPVisionConfig:
    return CLIPVisionConfig(
        **{
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "image_size": 32,
            "patch_size": 8,
            **changes,
        }
    )


def text_config(**changes: Any) -> LlamaConfig:
    return LlamaConfig(
        **{
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 120,
            "max_position_embeddings": 1024,
            "initializer_range": 0.2,
            **changes,
        }
    )


def build(family: str, seed: int = 0, **changes: Any) -> Any:
    """A stock model with random weights."""
    torch.manual_seed(seed)
    parts = {
        "vision_config": vision_config(initializer_range=0.2),
        "text_config": text_config(),
        "image_token_id": IMAGE,
    }
    match family:
        case "llava":
            model: Any = LlavaForConditionalGeneration(LlavaConfig(**parts, **changes))
        case "llava_next":
            grid = [[32, 64], [64, 32], [64, 64], [96, 32], [32, 96]]
            model = LlavaNextForConditionalGeneration(LlavaNextConfig(**parts, image_grid_pinpoints=grid, **changes))
        case "video_llava":
            model = VideoLlavaForConditionalGeneration(VideoLlavaConfig(**parts, video_token_id=VIDEO, **changes))
    return model.eval()


@dataclass
class Sample:
    """One sample before it is padded: its prompt and its pixels."""

    ids: list[int]
    pixels: dict[str, Tensor]


def sample(model: Any, images: int, seed: int, frames: int = 3) -> Sample:
    """A prompt with `images` pictures (videos for Video-LLaVA when the seed is odd) between random words."""
    generator = torch.Generator().manual_seed(seed)

    def words() -> list[int]:
        count = int(torch.randint(1, 5, (1,), generator=generator))
        return torch.randint(3, 90, (count,), generator=generator).tolist()

    ids, pixels = words(), {}
    family = model.config.model_type
    if images and family == "llava_next":
        sizes = torch.tensor([[(40, 60), (64, 20), (33, 90), (50, 50)][(seed + i) % 4] for i in range(images)])
        side = model.config.vision_config.image_size
        counts = [image_size_to_num_patches(size, model.config.image_grid_pinpoints, side) for size in sizes]
        pixels["pixel_values"] = torch.zeros(images, 5, 3, side, side)
        for i, count in enumerate(counts):
            pixels["pixel_values"][i, :count] = torch.randn(count, 3, side, side, generator=generator)
        pixels["image_sizes"] = sizes
        features = model.model.get_image_features(pixels["pixel_values"], sizes).pooler_output
        lengths = [len(feature) for feature in features]
    elif images and family == "video_llava" and seed % 2:
        pixels["pixel_values_videos"] = torch.randn(images, frames, 3, 32, 32, generator=generator)
        lengths = [frames * (PATCHES + 1)] * images
    elif images:
        known = inspect.signature(model.forward).parameters
        name = "pixel_values" if "pixel_values" in known else "pixel_values_images"  # Video-LLaVA before 5.23
        pixels[name] = torch.randn(images, 3, 32, 32, generator=generator)
        lengths = [PATCHES] * images
    else:
        lengths = []
    token = VIDEO if "pixel_values_videos" in pixels else IMAGE
    for length in lengths:
        ids += [token] * length + words()
    return Sample(ids, pixels)


def collate(samples: list[Sample], side: str = "left") -> dict[str, Tensor]:
    """Pad samples into a batch, as a processor does."""
    width = max(len(one.ids) for one in samples)
    ids = torch.full((len(samples), width), 2)
    mask = torch.zeros_like(ids)
    for row, one in enumerate(samples):
        where = slice(0, len(one.ids)) if side == "right" else slice(width - len(one.ids), width)
        ids[row, where] = torch.tensor(one.ids)
        mask[row, where] = 1
    batch = {"input_ids": ids, "attention_mask": mask}
    for key in ("pixel_values", "pixel_values_images", "pixel_values_videos", "image_sizes"):
        parts = [one.pixels[key] for one in samples if key in one.pixels]
        if parts:
            batch[key] = torch.cat(parts)
    return batch


def save(model: Any, folder: Path) -> Path:
    """Write a model directory as the Hub's are laid out: weights, configuration, image processor, tokenizer."""
    model.save_pretrained(folder)
    next_tiles = {"image_grid_pinpoints": getattr(model.config, "image_grid_pinpoints", None)}
    processor = {
        "llava": "CLIPImageProcessor",
        "llava_next": "LlavaNextImageProcessor",
        "video_llava": "VideoLlavaImageProcessor",
    }.get(model.config.model_type, "CLIPImageProcessor")
    settings = {
        "image_processor_type": processor,
        "size": {"shortest_edge": 32},
        "crop_size": {"height": 32, "width": 32},
        "do_center_crop": True,
        "do_resize": True,
        "do_normalize": True,
        "do_rescale": True,
        "image_mean": [0.48, 0.46, 0.41],
        "image_std": [0.27, 0.26, 0.28],
        **({key: value for key, value in next_tiles.items() if value is not None}),
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    words = ["<unk>", "<s>", "</s>", *(f"w{i}" for i in range(3, 100)), "<image>", "<video>", "USER:", "ASSISTANT:"]
    words += ["What", "is", "this", "?"]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        additional_special_tokens=["<image>", "<video>"],
    )
    fast.save_pretrained(folder)
    return folder
