from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import torch
from tests.vision import naive_llm
from tests.vision.small import IMAGE, PATCHES, collate, sample
from torch import Tensor
from transformers import AutoConfig, DynamicCache, LlavaConfig, LlavaForConditionalGeneration

from tamis.core.errors import BudgetError, ConfigError
from tamis.vision.baselines.fastv import FastV

model = cache(naive_llm.deep)


def reference(ids: list[int], keep: int, at: int) -> naive_llm.Prune:
    """The paper's rule for one prompt, by sorting."""
    last = len(ids) - 1

    def prune(layer: int, attention: Tensor, states: Tensor, left: list[int]) -> tuple[Tensor, list[int]]:
        if layer != at:
            return states, left
        image = [index for index in range(len(ids)) if ids[index] == IMAGE]
        score = {index: float(attention[:, last, index].mean()) for index in image}
        dropped = set(sorted(image, key=lambda index: (-score[index], index))[keep:])
        stay = [index for index in left if index not in dropped]
        return states[stay], stay

    return prune


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("keep", [1, 5, 15])
def test_the_last_logits_equal_those_of_a_naive_reading(layer: int, keep: int) -> None:
    one = sample(model("llava"), 1, 3)
    with FastV(keep, layer=layer).installed(model("llava")), torch.no_grad():
        ours = model("llava")(**collate([one])).logits
    assert ours.shape[1] == len(one.ids) - PATCHES + keep
    naive = naive_llm.logits(model("llava"), one.ids, one.pixels, reference(one.ids, keep, layer))
    assert torch.allclose(ours[0, -1], naive, atol=1e-4)


@pytest.mark.parametrize("seed", [2, 3, 5])
def test_generated_tokens_equal_a_naive_computation_of_each(seed: int) -> None:
    one = sample(model("llava"), 1, seed)
    batch = collate([one])
    with FastV(0.25).installed(model("llava")):
        tokens = model("llava").generate(**batch, max_new_tokens=6, do_sample=False, suppress_tokens=[IMAGE])
    prune = reference(one.ids, 4, 2)
    assert tokens[0, len(one.ids) :].tolist() == naive_llm.greedy(
        model("llava"), one.ids, one.pixels, prune, 6, [IMAGE]
    )


def test_the_budget_is_a_share_of_all_images_of_a_sample() -> None:
    one = sample(model("llava"), 2, 3)
    with FastV(0.25).installed(model("llava")), torch.no_grad():
        ours = model("llava")(**collate([one])).logits
    assert ours.shape[1] == len(one.ids) - 2 * PATCHES + 8
    naive = naive_llm.logits(model("llava"), one.ids, one.pixels, reference(one.ids, 8, 2))
    assert torch.allclose(ours[0, -1], naive, atol=1e-4)


@pytest.mark.parametrize("kind", ["mistral", "qwen2"])
def test_other_language_models_of_the_kind_agree_with_full_attention_maps(kind: str) -> None:
    stock = model("llava").config
    text = AutoConfig.for_model(
        kind,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=120,
        initializer_range=0.3,
        **({"sliding_window": None} if kind == "mistral" else {}),
    )
    torch.manual_seed(0)
    other = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=stock.vision_config, text_config=text, image_token_id=IMAGE)
    ).eval()
    one = sample(other, 1, 4)
    with FastV(5).installed(other), torch.no_grad():
        ours = other(**collate([one])).logits[0, -1]
    assert torch.allclose(ours, naive_llm.logits(other, one.ids, one.pixels, reference(one.ids, 5, 2)), atol=1e-4)


def test_several_new_tokens_on_top_of_a_copied_cache_equal_a_naive_reading() -> None:
    stock: Any = model("llava")
    one, past, new = sample(stock, 1, 3), DynamicCache(), [7, 11, 5]
    with FastV(4).installed(stock), torch.no_grad():
        stock(**collate([one]), past_key_values=past, use_cache=True)
        ours = stock(input_ids=torch.tensor([new]), past_key_values=deepcopy(past)).logits[0, -1]
    prune = reference(one.ids, 4, 2)
    assert torch.allclose(ours, naive_llm.logits(stock, one.ids + new, one.pixels, prune), atol=1e-4)


def test_tokens_are_counted_from_the_layer_on() -> None:
    assert FastV(keep="50%", layer=3).tokens(576, 5) == [576, 576, 576, 288, 288]


@pytest.mark.parametrize("layer", [-1, 0, 4])
def test_a_layer_that_cannot_drop_tokens_is_refused(layer: int) -> None:
    with (
        pytest.raises(ConfigError, match=rf"layer is {layer}; expected 1…3"),
        FastV(5, layer=layer).installed(model("llava")),
    ):
        pass


def test_a_count_above_the_image_tokens_is_refused() -> None:
    stock: Any = model("llava")
    with pytest.raises(BudgetError, match="only 16"), FastV(17).installed(stock):
        stock(**collate([sample(stock, 1, 3)]))
