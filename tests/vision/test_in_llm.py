from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
import torch
from tests.vision import naive_llm
from tests.vision.small import FAMILIES, IMAGE, VIDEO, collate, sample
from torch import nn
from transformers import DynamicCache

from tamis.core.errors import ConfigError
from tamis.vision.baselines.fastv import FastV
from tamis.vision.baselines.sparsevlm import SparseVLM
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.in_llm import InLLMPruner

model = cache(naive_llm.deep)
PRUNERS = [FastV(0.25), FastV(3, layer=1), SparseVLM(0.4)]
GREEDY: dict[str, Any] = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 2, "suppress_tokens": [IMAGE, VIDEO]}
each_pruner = pytest.mark.parametrize("pruner", PRUNERS, ids=lambda pruner: f"{pruner.name}-{pruner.keep}")
each_family = pytest.mark.parametrize("family", FAMILIES)


def samples_of(stock: Any) -> list[Any]:
    """Three samples with 1, 0 and 2 images; for Video-LLaVA an image, none and two videos."""
    return [sample(stock, images, seed) for images, seed in ((1, 2), (0, 4), (2, 7))]


def continued(stock: Any, batch: Any, **how: Any) -> list[list[int]]:
    return stock.generate(**batch, **{**GREEDY, **how})[:, batch["input_ids"].shape[1] :].tolist()


def trimmed(tokens: list[int]) -> list[int]:
    """Without what comes after the end of a sequence."""
    return tokens[: tokens.index(2)] if 2 in tokens else tokens


def dictionaries(stock: nn.Module) -> Iterator[tuple[int, dict[str, Any]]]:
    for module in stock.modules():
        yield (
            id(module),
            {name: dict(value) if isinstance(value, dict) else value for name, value in vars(module).items()},
        )


@each_family
@pytest.mark.parametrize("pruner", [FastV(1.0), FastV("100%", layer=3), SparseVLM(1.0)], ids=str)
def test_keeping_everything_is_the_stock_model_bit_for_bit(family: str, pruner: InLLMPruner) -> None:
    stock = model(family)
    batch = collate(samples_of(stock))
    with torch.no_grad():
        logits, tokens = stock(**batch).logits, stock.generate(**batch, **GREEDY)
        with pruner.installed(stock):
            assert torch.equal(stock(**batch).logits, logits)
            assert torch.equal(stock.generate(**batch, **GREEDY), tokens)


@each_family
@each_pruner
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_equals_its_samples_one_by_one(family: str, pruner: InLLMPruner, side: str) -> None:
    stock = model(family)
    samples = samples_of(stock)
    width = max(len(one.ids) for one in samples)
    with pruner.installed(stock), torch.no_grad():
        together = stock(**collate(samples, side)).logits
        for row, one in enumerate(samples):
            last = len(one.ids) - width - 1 if side == "right" else -1
            assert torch.allclose(together[row, last], stock(**collate([one])).logits[0, -1], atol=1e-4)


@each_family
@each_pruner
def test_a_batch_generates_what_its_samples_generate_one_by_one(family: str, pruner: InLLMPruner) -> None:
    stock = model(family)
    samples = samples_of(stock)
    with pruner.installed(stock):
        together = continued(stock, collate(samples))
        alone = [continued(stock, collate([one]))[0] for one in samples]
    assert list(map(trimmed, together)) == list(map(trimmed, alone))


@each_family
@each_pruner
def test_recomputing_without_a_cache_gives_the_same_tokens(family: str, pruner: InLLMPruner) -> None:
    stock = model(family)
    batch = collate(samples_of(stock))
    with pruner.installed(stock):
        assert continued(stock, batch, use_cache=False) == continued(stock, batch)


@each_pruner
def test_beams_of_a_batch_equal_those_of_its_samples(pruner: InLLMPruner) -> None:
    stock = model("llava")
    samples = samples_of(stock)
    beams = {"num_beams": 3, "num_return_sequences": 2}
    with pruner.installed(stock):
        together = continued(stock, collate(samples), **beams)
        alone = [tokens for one in samples for tokens in continued(stock, collate([one]), **beams)]
        recomputed = continued(stock, collate(samples), **beams, use_cache=False)
    assert list(map(trimmed, together)) == list(map(trimmed, alone)) == list(map(trimmed, recomputed))


def test_sampled_sequences_of_one_prompt_start_from_the_same_logits() -> None:
    stock = model("llava")
    batch = collate([sample(stock, 1, 3)])
    how = {"do_sample": True, "num_return_sequences": 3, "output_logits": True, "return_dict_in_generate": True}
    with FastV(4).installed(stock):
        first = stock.generate(**batch, **{**GREEDY, **how}).logits[0]
        greedy = stock.generate(**batch, **GREEDY, output_logits=True, return_dict_in_generate=True).logits[0]
    assert torch.allclose(first, greedy.expand(3, -1), atol=1e-5)


@each_pruner
def test_pruning_changes_the_tokens_of_some_prompt(pruner: InLLMPruner) -> None:
    stock = model("llava")
    batch = collate([sample(stock, 1, seed) for seed in range(5)])
    with pruner.installed(stock):
        tokens = continued(stock, batch)
    assert tokens != continued(stock, batch)


@each_pruner
def test_the_cache_is_shorter_from_each_stage_on(pruner: InLLMPruner) -> None:
    stock = model("llava", 6)
    one, past = sample(stock, 1, 3), DynamicCache()
    with pruner.installed(stock):
        stock.generate(**collate([one]), **{**GREEDY, "max_new_tokens": 1}, past_key_values=past)
    assert [layer.keys.shape[2] - len(one.ids) + 16 for layer in past.layers] == pruner.tokens(16, 6)


def test_a_prompt_without_images_is_left_alone() -> None:
    stock = model("llava")
    batch = collate([sample(stock, 0, 3)])
    with FastV(4).installed(stock), torch.no_grad():
        logits = stock(**batch).logits
    with torch.no_grad():
        assert torch.equal(logits, stock(**batch).logits)


def test_a_prompt_of_embeddings_is_pruned_alike() -> None:
    stock = model("llava")
    batch = collate([sample(stock, 1, 3)])
    embeds = stock.get_input_embeddings()(batch["input_ids"])
    with FastV(4).installed(stock), torch.no_grad():
        expected = stock(**batch).logits
        given = stock(inputs_embeds=embeds, pixel_values=batch["pixel_values"]).logits
    assert torch.equal(given, expected)


def test_a_cache_that_is_emptied_forgets_what_was_pruned() -> None:
    stock = model("llava")
    past, text = DynamicCache(), collate([sample(stock, 0, 3), sample(stock, 0, 5)])
    new = torch.tensor([[5], [6]])
    mask = torch.cat([text["attention_mask"], torch.ones_like(new)], dim=1)
    with FastV(4).installed(stock), torch.no_grad():
        stock(**collate([sample(stock, 1, 3), sample(stock, 2, 4)]), past_key_values=past)
        past.reset()
        stock(**text, past_key_values=past)
        after = stock(input_ids=new, attention_mask=mask, past_key_values=past).logits
    with torch.no_grad():
        whole = stock(input_ids=torch.cat([text["input_ids"], new], dim=1), attention_mask=mask).logits
    assert torch.allclose(after[:, -1], whole[:, -1], atol=1e-5)


def test_a_generated_placeholder_is_a_word_like_any_other() -> None:
    stock = model("llava")
    batch = collate([sample(stock, 1, 3)])
    how = {**GREEDY, "suppress_tokens": None, "prefix_allowed_tokens_fn": lambda *_: [IMAGE]}
    with FastV(4).installed(stock):
        assert continued(stock, batch, **how) == [[IMAGE] * 6]


def test_a_token_selector_before_the_language_model_combines_with_a_pruner_inside() -> None:
    stock = model("llava")
    one = sample(stock, 1, 3)
    prepared = FasterVLM(8).prepare(stock, **collate([one]))
    with FastV(0.25).installed(stock), torch.no_grad():
        assert stock(**prepared).logits.shape[1] == len(one.ids) - 16 + 2
        assert stock.generate(**prepared, **GREEDY).shape[1] > len(one.ids) - 16 + 8


def test_half_precision_runs_on_the_way_of_every_stage() -> None:
    stock = naive_llm.deep("llava").to(torch.bfloat16)
    batch = collate([sample(stock, 1, 3)])
    batch["pixel_values"] = batch["pixel_values"].to(torch.bfloat16)
    with SparseVLM(0.4).installed(stock), torch.no_grad():
        assert stock(**batch).logits.isfinite().all()


@each_family
@each_pruner
def test_leaving_restores_every_attribute_of_every_module(family: str, pruner: InLLMPruner) -> None:
    stock = model(family)
    continued(stock, collate([sample(stock, 1, 3)]))  # transformers itself adds attributes on the first run
    before = dict(dictionaries(stock))
    with suppress(ZeroDivisionError), pruner.installed(stock):
        assert dict(dictionaries(stock)) != before
        continued(stock, collate([sample(stock, 1, 3)]))
        raise ZeroDivisionError
    assert dict(dictionaries(stock)) == before


def test_an_attribute_that_was_there_comes_back() -> None:
    stock = naive_llm.deep("llava")
    stock.generate = own = stock.generate
    with FastV(4).installed(stock):
        assert stock.generate is not own
    assert vars(stock)["generate"] is own


def test_of_nested_pruners_the_innermost_prunes_and_the_outer_comes_back() -> None:
    stock = model("llava")
    one = sample(stock, 1, 3)
    batch, text = collate([one]), len(one.ids) - 16
    with FastV(8).installed(stock), torch.no_grad():
        outer = continued(stock, batch)
        with FastV(2).installed(stock):
            assert stock(**batch).logits.shape[1] == text + 2
            inner = continued(stock, batch)
        assert stock(**batch).logits.shape[1] == text + 8
        assert continued(stock, batch) == outer
    with FastV(2).installed(stock):
        assert continued(stock, batch) == inner
    assert stock(**batch).logits.shape[1] == len(one.ids)


def test_an_error_inside_a_layer_leaves_nothing_behind() -> None:
    stock = model("llava")
    one = sample(stock, 1, 3)
    batch = collate([one])
    with FastV(4).installed(stock):
        tokens = continued(stock, batch)
        handle = stock.model.language_model.layers[3].register_forward_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            continued(stock, batch)
        handle.remove()
        assert continued(stock, batch) == tokens


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"cache_implementation": "static", "disable_compile": True}, "StaticCache"),
        ({"prefill_chunk_size": 5}, "prefill_chunk_size"),
        ({"prompt_lookup_num_tokens": 2}, "prompt_lookup_num_tokens"),
    ],
)
def test_ways_of_generating_that_cannot_be_pruned_are_refused(how: dict[str, Any], what: str) -> None:
    stock = model("llava")
    with FastV(4).installed(stock), pytest.raises(ConfigError, match=what) as error:
        continued(stock, collate([sample(stock, 1, 3)]), **how)
    assert "\n" not in str(error.value)


def test_settings_of_a_generation_config_are_refused_too() -> None:
    stock = naive_llm.deep("llava")
    stock.generation_config.prefill_chunk_size = 4
    with FastV(4).installed(stock), pytest.raises(ConfigError, match="prefill_chunk_size"):
        continued(stock, collate([sample(stock, 1, 3)]))


def test_images_on_top_of_cached_tokens_are_refused() -> None:
    stock = model("llava")
    batch, past = collate([sample(stock, 1, 3)]), DynamicCache()
    with FastV(4).installed(stock), torch.no_grad():
        stock(**batch, past_key_values=past)
        with pytest.raises(ConfigError, match="image tokens come on top of"):
            stock(input_ids=batch["input_ids"], pixel_values=batch["pixel_values"], past_key_values=past)


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"_attn_implementation": "flex_attention"}, "flex_attention"), ({"sliding_window": 4}, "sliding")],
)
def test_attention_that_cannot_be_pruned_is_refused(changes: dict[str, Any], what: str) -> None:
    stock = naive_llm.deep("llava")
    for name, value in changes.items():
        setattr(stock.model.language_model.config, name, value)
    with pytest.raises(ConfigError, match=what), FastV(4).installed(stock):
        pass
    assert "generate" not in vars(stock)


@pytest.mark.parametrize("part", [lambda stock: nn.Linear(2, 2), lambda stock: stock.model])
def test_models_of_another_kind_are_refused(part: Any) -> None:
    with pytest.raises(ConfigError, match="needs a LLaVA"), FastV(4).installed(part(model("llava"))):
        pass
