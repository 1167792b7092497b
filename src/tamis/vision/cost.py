"""What pruning saves, counted: operations and cache bytes of stock models that are built without being allocated.

The models are those of transformers, made from a `Shape` on the meta device, where tensors have shapes and no memory;
torch's own counter listens to them. The layers of a language model are equal, so one is counted and multiplied. Nothing
is estimated by formula; the tests compare the counts with formulas, with all layers counted and with real runs.

- One multiplication with its addition is two operations (FLOP), as torch counts; papers often count it as one.
- Matrix products, convolutions and attention are counted; norms, activations, softmax and sorting are not.
- Attention is counted as the full square, although a causal kernel may skip half of it. That adds 1.3 % to the unpruned
  prefill of LLaVA-1.5-7B (636 tokens) and 5.7 % to that of LLaVA-NeXT-7B (2988), and so flatters pruning by as much.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    DynamicCache,
    LlamaConfig,
    LlavaConfig,
    LlavaNextConfig,
    VideoLlavaConfig,
)

from tamis.core.budget import Keep
from tamis.core.results import Run, dataset_hash
from tamis.vision.baselines.simple import TextOnly
from tamis.vision.config import Shape
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.tower import look
from tamis.vision.view import Reads

TEXT_TOKENS = 60
"""Words of the prompt around the image, in tokens."""


def build(shape: Shape, *, device: str = "meta", dtype: torch.dtype = torch.bfloat16) -> Any:
    """Make a stock model of transformers from its shape, with random weights.

    Args:
        shape: What to build.
        device: Where; on "meta" nothing is allocated.
        dtype: Type of the weights.

    Returns:
        A `LlavaForConditionalGeneration`, `LlavaNext…` or `VideoLlava…` for inference.
    """
    vision = CLIPVisionConfig(
        hidden_size=shape.tower_width,
        intermediate_size=shape.tower_inner,
        num_hidden_layers=shape.tower_depth,
        num_attention_heads=shape.tower_heads,
        image_size=shape.side,
        patch_size=shape.patch,
    )
    text = LlamaConfig(
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        vocab_size=shape.vocabulary,
        max_position_embeddings=4096,
    )
    parts: dict[str, Any] = {
        "vision_config": vision,
        "text_config": text,
        "image_token_id": shape.vocabulary - 2,
    }
    configs: dict[str, Any] = {"llava": LlavaConfig, "llava_next": LlavaNextConfig, "video_llava": VideoLlavaConfig}
    if shape.family == "llava_next":
        grids = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))
        parts["image_grid_pinpoints"] = [[shape.side * rows, shape.side * columns] for rows, columns in grids]
    if shape.family == "video_llava":
        parts["video_token_id"] = shape.vocabulary - 1
    auto: Any = AutoModelForImageTextToText
    with torch.device(device):
        return auto.from_config(configs[shape.family](**parts), dtype=dtype).eval().requires_grad_(False)


def tower_of(model: Any) -> Any:
    """The vision tower that sees a shape's pictures."""
    inner = model.model
    return inner.video_tower if hasattr(inner, "video_tower") else inner.vision_tower


def pixels_of(shape: Shape, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Pixel values of a shape's pictures, without content, (pictures, 3, side, side)."""
    return torch.empty(shape.pictures, 3, shape.side, shape.side, dtype=dtype, device="meta")


def flops(call: Callable[[], object]) -> int:
    """Count the operations of a call, two for a multiply-add, on any device.

    torch's counter does not know the CPU's fused attention and would leave it out, so attention runs as plain matrix
    products here, which are the same operations.

    Args:
        call: What to count; it is run once.
    """
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def count(shape: Shape, keeps: Sequence[Keep]) -> list[Run]:
    """Count what a shape costs unpruned, with each budget, and with no image token at all, which is the limit.

    Unpruned means the stock model: all blocks of the tower, every token projected. Pruned means `FasterVLM.prepare`:
    no last block, the one before it for the kept tokens only, these projected, a shorter prompt in the default layout.
    Other rules that go by [CLS] rows alone cost the same to within a ten-thousandth.

    Args:
        shape: The model and its picture.
        keeps: Budgets of each picture.

    Returns:
        Lines of task `vision/cost`: `all`, `fastervlm` for each budget, `text-only`. Metrics: `tower_flops`,
        `projector_flops`, `prefill_flops`, their sum `first_token_flops` and its fraction `first_token_ratio` of the
        stock model, `decode_flops` of the step after the prompt, `kv_bytes` of the prompt in 16 bits.

    Raises:
        BudgetError: If a budget does not fit the shape.
    """
    kept = dict.fromkeys(shape.kept(keep) for keep in keeps)
    start = time.perf_counter()
    model = build(replace(shape, depth=1))
    rows = FasterVLM(1.0).reads(shape.tower_depth, shape.tower_depth - 1)
    routes = [
        ("all", shape.patches, shape.tokens, flops(lambda: tower_of(model)(pixels_of(shape)))),
        *(
            (FasterVLM.name, patches, shape.pictures * patches + shape.fixed, _count_tower(model, shape, rows, patches))
            for patches in kept
        ),
        (TextOnly.name, 0, 0, _count_tower(model, shape, Reads(), 0)),
    ]
    counts = [_count_route(model, shape, tokens, of_tower) for _, _, tokens, of_tower in routes]
    seconds = time.perf_counter() - start
    full = counts[0]["first_token_flops"]
    return [
        Run.measured(
            "vision/cost",
            method,
            dataset=dataset_hash(shape.name, json.dumps(asdict(shape), sort_keys=True).encode()),
            split="test",
            n=1,
            metrics={**metrics, "first_token_ratio": metrics["first_token_flops"] / full},
            seconds=seconds,
            config={
                "keep": patches / shape.patches,
                "model": shape.name,
                "tokens": tokens,
                "text_tokens": TEXT_TOKENS,
            },
        )
        for (method, patches, tokens, _), metrics in zip(routes, counts, strict=True)
    ]


def _count_tower(model: Any, shape: Shape, reads: Reads, patches: int) -> int:
    """Count a look at the pictures that makes the features of some of their patches."""
    mask = torch.zeros(shape.pictures, 1 + shape.patches, dtype=torch.bool)  # how many are kept matters, not which
    mask[:, 1 : 1 + patches] = True
    mask[:, 0] = shape.family == "video_llava" and patches > 0

    def run() -> None:
        features = look(tower_of(model), pixels_of(shape), reads).features
        _ = features.whole if patches == shape.patches else features.some(mask)

    return flops(run)


def _count_route(model: Any, shape: Shape, tokens: int, of_tower: int) -> dict[str, int]:
    """Count projector and language model for some image tokens; the model has one of the shape's equal layers."""
    projected = tokens - shape.fixed if shape.family == "llava_next" and tokens else tokens  # newlines are not
    features = torch.empty(projected, shape.tower_width, dtype=torch.bfloat16, device="meta")
    of_projector = flops(lambda: model.model.multi_modal_projector(features))

    cache: Any = DynamicCache(config=model.config.text_config)
    prompt = torch.empty(1, tokens + TEXT_TOKENS, shape.width, dtype=torch.bfloat16, device="meta")
    word = prompt[:, :1]

    def run(embeddings: Tensor) -> int:
        return flops(lambda: model.model.language_model(inputs_embeds=embeddings, past_key_values=cache))

    of_head = flops(lambda: model.lm_head(word))
    of_prefill = run(prompt) * shape.depth + of_head
    kv_bytes = sum(part.nbytes for layer in cache.layers for part in (layer.keys, layer.values)) * shape.depth
    return {
        "tower_flops": of_tower,
        "projector_flops": of_projector,
        "prefill_flops": of_prefill,
        "first_token_flops": of_tower + of_projector + of_prefill,
        "decode_flops": run(word) * shape.depth + of_head,
        "kv_bytes": kv_bytes,
    }
