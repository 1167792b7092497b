from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from tamis.core.errors import BudgetError, ConfigError
from tamis.core.results import Run
from tamis.vision.baselines.simple import TextOnly
from tamis.vision.bench import random_batch
from tamis.vision.config import SHAPES, Shape, shape_named
from tamis.vision.cost import TEXT_TOKENS, build, count, flops
from tamis.vision.fastervlm import FasterVLM

SMALL = Shape(
    "small",
    side=32,
    patch=8,
    tower_width=32,
    tower_inner=64,
    tower_depth=4,
    tower_heads=4,
    width=48,
    inner=96,
    depth=3,
    heads=4,
    vocabulary=120,
)
FAMILIES = {
    "llava": SMALL,
    "llava_next": replace(SMALL, family="llava_next", pictures=5),
    "video_llava": replace(SMALL, family="video_llava", pictures=3),
}


def tower_formula(shape: Shape, blocks: int) -> int:
    """Patch embedding, four projections and the MLP of every token, and the full square of attention twice."""
    tokens, width = shape.patches + 1, shape.tower_width
    embed = 2 * shape.patches * 3 * shape.patch**2 * width
    linear = 2 * tokens * (4 * width**2 + 2 * width * shape.tower_inner)
    return shape.pictures * (embed + blocks * (linear + 4 * tokens**2 * width))


def last_block_formula(shape: Shape, kept: int) -> int:
    """Keys and values of every token; query, attention, output projection and MLP of those that are kept."""
    tokens, width = shape.patches + 1, shape.tower_width
    return 2 * tokens * 2 * width**2 + kept * (2 * 2 * width**2 + 4 * tokens * width + 4 * width * shape.tower_inner)


def language_formula(shape: Shape, tokens: int, past: int = 0) -> int:
    """Four projections and three MLP matrices of every token, attention to all tokens, the head on the last token."""
    linear = 2 * tokens * (4 * shape.width**2 + 3 * shape.width * shape.inner)
    attention = 4 * tokens * (past + tokens) * shape.width
    return shape.depth * (linear + attention) + 2 * shape.width * shape.vocabulary


@pytest.fixture(scope="module")
def llava() -> list[Run]:
    return count(SHAPES["llava-1.5-7b"], ["10%"])


def test_counts_of_llava_7b_equal_the_closed_formulas(llava: list[Run]) -> None:
    shape = SHAPES["llava-1.5-7b"]
    stock, pruned, text = llava
    row = 2 * 1024**2 + 2 * 577 * 1024  # the query of [CLS], against every key
    for run, tokens in ((stock, 576), (pruned, 58), (text, 0)):
        assert run.config["tokens"] == tokens
        prompt = tokens + 60
        assert run.metrics["projector_flops"] == 2 * tokens * (1024 * 4096 + 4096**2)
        assert run.metrics["prefill_flops"] == language_formula(shape, prompt)
        assert run.metrics["decode_flops"] == language_formula(shape, 1, past=prompt)
        assert run.metrics["kv_bytes"] == 524_288 * prompt
    assert stock.metrics["tower_flops"] == tower_formula(shape, 24)
    assert pruned.metrics["tower_flops"] == tower_formula(shape, 22) + row + last_block_formula(shape, 58)
    assert text.metrics["tower_flops"] == tower_formula(shape, 22) + last_block_formula(shape, 0)


def test_counts_of_llava_7b_are_those_that_people_quote(llava: list[Run]) -> None:
    # Quoted in whole GFLOP and whole MFLOP, of which 42 has two digits: hence 0.5 %.
    shape = SHAPES["llava-1.5-7b"]
    stock, pruned, _ = llava
    assert stock.metrics["tower_flops"] / 1e9 == pytest.approx(382, rel=5e-3)
    assert tower_formula(shape, 23) / 1e9 == pytest.approx(366, rel=5e-3)
    assert pruned.metrics["tower_flops"] < tower_formula(shape, 23)
    assert stock.metrics["projector_flops"] / 576 / 1e6 == pytest.approx(42, rel=5e-3)
    # The quadratic part of the count is the full square, 0.524e6 n²; what remains is 12.952 GFLOP a token and the head.
    square = 524_288 * (636**2 - 118**2)
    linear = stock.metrics["prefill_flops"] - pruned.metrics["prefill_flops"] - square
    assert linear / 518 / 1e9 == pytest.approx(12.952, abs=5e-4)
    # A causal kernel computes half of the square: then the prefill is the 8.344 TFLOP that causal tables show.
    assert (stock.metrics["prefill_flops"] - 524_288 * 636**2 / 2) / 1e12 == pytest.approx(8.344, abs=5e-4)


def test_one_layer_times_the_depth_is_all_layers_counted() -> None:
    shape = replace(SHAPES["llava-1.5-7b"], tower_depth=3, depth=4)
    model = build(shape)
    prompt = torch.empty(1, 118, shape.width, dtype=torch.bfloat16, device="meta")
    all_layers = flops(lambda: model(inputs_embeds=prompt, logits_to_keep=1))
    assert count(shape, [58])[1].metrics["prefill_flops"] == all_layers


@cache
def counted_and_built(family: str) -> tuple[list[Run], Any]:
    shape = FAMILIES[family]
    return count(shape, [5, 1.0]), build(shape, device="cpu", dtype=torch.float32)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("row", [0, 1, 2, 3], ids=["all", "kept", "everything-kept", "text-only"])
def test_counts_equal_those_of_real_runs(family: str, row: int) -> None:
    runs, model = counted_and_built(family)
    batch = random_batch(FAMILIES[family])
    selector = [None, FasterVLM(5), FasterVLM(1.0), TextOnly()][row]

    def run() -> Any:
        inputs = batch if selector is None else selector.prepare(model, **batch)
        return model(**inputs, use_cache=True, logits_to_keep=1)

    counted = runs[row]
    assert counted.metrics["first_token_flops"] == flops(run)
    assert counted.config["tokens"] + TEXT_TOKENS == run().past_key_values.get_seq_length()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_attention_on_the_cpu_is_counted(dtype: torch.dtype) -> None:
    query = torch.randn(2, 4, 10, 8, dtype=dtype)
    attend = torch.nn.functional.scaled_dot_product_attention
    assert flops(lambda: attend(query, query, query)) == 2 * 4 * (2 * 2 * 10 * 10 * 8)


def test_a_smaller_budget_costs_less_and_no_budget_beats_text_alone() -> None:
    runs = count(SMALL, [16, 4, 1])
    assert [run.method for run in runs] == ["all", *["fastervlm"] * 3, "text-only"]
    for metric in ("first_token_flops", "first_token_ratio", "decode_flops", "kv_bytes"):
        values = [run.metrics[metric] for run in runs]
        assert values == sorted(values, reverse=True), metric
    assert runs[0].metrics["first_token_ratio"] == 1.0
    assert [run.config["keep"] for run in runs] == [1.0, 1.0, 0.25, 1 / 16, 0.0]


def test_the_shapes_have_the_prompts_of_their_models() -> None:
    tokens = {name: shape.tokens for name, shape in SHAPES.items()}
    assert tokens["llava-1.5-7b"] == tokens["llava-1.5-13b"] == 576
    assert tokens["llava-next-7b"] == 576 + 48 * (48 + 1)
    assert tokens["video-llava"] == 8 * 257


def test_budgets_and_names_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BudgetError, match="only 16"):
        count(SMALL, [17])
    with pytest.raises(ConfigError, match=r"no shape 'llava-7b'; did you mean 'llava-1.5-7b'"):
        shape_named("llava-7b")
    assert shape_named("video-llava").pictures == 8
