from __future__ import annotations

from contextlib import suppress
from typing import Any

import jaxtyping
import pytest
import torch
from tests.vision.small import IMAGE, VIDEO, collate, sample
from transformers import GenerationConfig

from tamis import vision
from tamis.core.errors import ConfigError
from tamis.vision.baselines.simple import All
from tamis.vision.fastervlm import FasterVLM

GREEDY: dict[str, Any] = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 2, "suppress_tokens": [IMAGE, VIDEO]}


def batch_of(model: Any) -> dict[str, Any]:
    return collate([sample(model, images, seed) for images, seed in ((1, 2), (0, 4), (2, 7))])


def test_generate_within_the_block_gives_the_full_prompt_and_the_pruned_continuation(model: Any) -> None:
    batch, pruner = batch_of(model), FasterVLM(0.25)
    prepared = pruner.prepare(model, **batch)
    expected = model.generate(**prepared, **GREEDY)[:, prepared["input_ids"].shape[1] :]
    with vision.pruned(model, pruner) as same:
        output = model.generate(**batch, **GREEDY)
    assert same is model
    width = batch["input_ids"].shape[1]
    assert torch.equal(output[:, :width], batch["input_ids"])
    assert torch.equal(output[:, width:], expected)


def test_keeping_everything_within_the_block_is_the_stock_model(model: Any) -> None:
    batch = batch_of(model)
    stock = model.generate(**batch, **GREEDY)
    with torch.no_grad():
        logits = model(**batch).logits
        with vision.pruned(model, All()):
            assert torch.equal(model.generate(**batch, **GREEDY), stock)
            assert torch.equal(model(**batch).logits, logits)


def test_forward_within_the_block_prunes_too(model: Any) -> None:
    batch, pruner = batch_of(model), FasterVLM(4)
    with torch.no_grad():
        expected = model(**pruner.prepare(model, **batch)).logits
        with vision.pruned(model, pruner):
            assert torch.equal(model(**batch).logits, expected)
            ids = batch.pop("input_ids")
            assert torch.equal(model(ids, **batch).logits, expected)


def test_beams_several_sequences_and_dictionaries_are_put_back_together(model: Any) -> None:
    batch, pruner = batch_of(model), FasterVLM(4)
    how = {**GREEDY, "num_beams": 3, "num_return_sequences": 2}
    prepared = pruner.prepare(model, **batch)
    expected = model.generate(**prepared, **how)[:, prepared["input_ids"].shape[1] :]
    with vision.pruned(model, pruner):
        output = model.generate(**batch, **how, return_dict_in_generate=True)
    width = batch["input_ids"].shape[1]
    assert torch.equal(output.sequences[:, :width], batch["input_ids"].repeat_interleave(2, dim=0))
    assert torch.equal(output.sequences[:, width:], expected)


def test_a_length_that_counts_the_prompt_gives_as_many_new_tokens_as_unpruned(model: Any) -> None:
    batch = batch_of(model)
    how = {**GREEDY, "max_length": batch["input_ids"].shape[1] + 4, "min_length": batch["input_ids"].shape[1] + 4}
    del how["max_new_tokens"]
    with vision.pruned(model, FasterVLM(4)):
        assert model.generate(**batch, **how).shape[1] == how["max_length"]


def test_a_length_in_a_generation_config_counts_the_same(models: Any) -> None:
    model = models("llava")
    batch = batch_of(model)
    length = batch["input_ids"].shape[1] + 4
    how = {name: value for name, value in GREEDY.items() if name != "max_new_tokens"}
    settings = GenerationConfig(**how, max_length=length, eos_token_id=None)
    with vision.pruned(model, FasterVLM(4)):
        assert model.generate(**batch, generation_config=settings).shape[1] == length
    assert settings.max_length == length


def test_the_prompt_as_first_argument_and_text_alone_work(models: Any) -> None:
    model = models("llava")
    batch = batch_of(model)
    with vision.pruned(model, FasterVLM(4)):
        named = model.generate(**batch, **GREEDY)
        ids = batch.pop("input_ids")
        assert torch.equal(model.generate(ids, **batch, **GREEDY), named)
        text = collate([sample(model, 0, 3)])
        inside = model.generate(**text, **GREEDY)
    assert torch.equal(model.generate(**text, **GREEDY), inside)


def test_the_instance_is_left_as_it_was_even_after_an_error(models: Any) -> None:
    model = models("llava")
    before = dict(vars(model))
    with suppress(KeyboardInterrupt), vision.pruned(model, FasterVLM(4)):
        assert "generate" in vars(model)
        with vision.pruned(model, FasterVLM(2)):
            pass
        raise KeyboardInterrupt
    assert vars(model) == before
    assert vars(model).keys() == before.keys()


def test_an_instance_attribute_that_was_there_before_is_put_back(models: Any) -> None:
    model = models("llava")
    mine = model.forward
    model.forward = mine
    try:
        with vision.pruned(model, FasterVLM(4)):
            assert vars(model)["forward"] is not mine
        assert vars(model)["forward"] is mine
    finally:
        del model.forward


def test_other_instances_are_not_touched(models: Any) -> None:
    model, other = models("llava"), models("llava_next")
    with vision.pruned(model, FasterVLM(4)):
        assert "generate" not in vars(other)
        assert type(model).generate is type(other).generate


def test_something_that_is_no_pruner_is_refused(models: Any) -> None:
    with pytest.raises((ConfigError, jaxtyping.TypeCheckError), match="pruner"), vision.pruned(models("llava"), 0.1):
        pass


def test_blocks_that_end_out_of_order_leave_the_model_as_it_was(models: Any) -> None:
    model = models("llava")
    before, batch = dict(vars(model)), batch_of(model)
    first, second = vision.pruned(model, FasterVLM(4)), vision.pruned(model, FasterVLM(8))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with torch.no_grad():
        assert torch.equal(model(**batch).logits, model(**FasterVLM(8).prepare(model, **batch)).logits)
    second.__exit__(None, None, None)
    assert vars(model) == before


def test_pixel_values_as_second_argument_are_pruned_too(models: Any) -> None:
    model = models("llava")
    batch = collate([sample(model, 1, 2)])
    with torch.no_grad(), vision.pruned(model, FasterVLM(4)):
        named = model(**batch).logits
        assert torch.equal(model(batch["input_ids"], batch["pixel_values"]).logits, named)


@pytest.mark.parametrize("part", [lambda model: torch.nn.Linear(1, 1), lambda model: model.model])
def test_a_model_that_cannot_answer_is_refused_before_anything_is_set(models: Any, part: Any) -> None:
    thing = part(models("llava"))
    before = dict(vars(thing))
    with pytest.raises(ConfigError), vision.pruned(thing, FasterVLM(4)):
        pass
    assert vars(thing) == before


def test_a_model_with_adapters_around_it_is_unwrapped(models: Any) -> None:
    class Adapted(torch.nn.Module):
        """As peft wraps a model: the call and the configuration are passed on."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.base_model = torch.nn.Module()
            self.base_model.model = model
            self.config, self.generate = model.config, model.generate

        def get_base_model(self) -> Any:
            return self.base_model.model

        def forward(self, **batch: Any) -> Any:
            return self.base_model.model(**batch)

    model = models("llava")
    batch = collate([sample(model, 1, 2)])
    with torch.no_grad():
        expected = model(**FasterVLM(4).prepare(model, **batch)).logits
        assert torch.equal(model(**FasterVLM(4).prepare(Adapted(model), **batch)).logits, expected)


def test_an_in_llm_pruner_has_nothing_to_prepare_and_says_where_it_works(models: Any) -> None:
    with pytest.raises(ConfigError, match=r"vision\.pruned"):
        vision.FastV(4).prepare(models("llava"))
