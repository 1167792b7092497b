"""FasterVLM and VTC-CLS against the published route, written out naively from full attention maps."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPVisionConfig, CLIPVisionModel

from tamis.core.budget import Budget
from tamis.core.errors import ConfigError
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.selector import Selector, choose
from tamis.vision.tower import look
from tamis.vision.vtccls import VTCCLS


def naive_kept(attentions: Any, blocks: range, keep: int) -> list[tuple[list[int], float]]:
    """Loop over images, blocks, heads and patches; return the kept patches and the gap at the cut."""
    kept = []
    for image in range(attentions[0].shape[0]):
        scores = []
        for patch in range(1, attentions[0].shape[-1]):
            total = 0.0
            for block in blocks:
                heads = [attentions[block][image, head, 0, patch].item() for head in range(attentions[block].shape[1])]
                total += sum(heads) / len(heads)
            scores.append(total)
        order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
        gap = scores[order[keep - 1]] - scores[order[keep]] if keep < len(order) else 1.0
        kept.append((sorted(order[:keep]), gap))
    return kept


def kept(selector: Selector, tower: CLIPVisionModel, pixels: torch.Tensor) -> list[list[int]]:
    depth = len(tower.encoder.layers)
    with torch.no_grad():
        view = look(tower, pixels, selector.reads(depth, depth - 1))
        return [unit.nonzero().flatten().tolist() for unit in choose(selector, view).mask]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), depth=st.integers(2, 5), keep=st.integers(1, 9), start=st.integers(0, 4))
def test_kept_sets_equal_those_of_the_published_route(seed: int, depth: int, keep: int, start: int) -> None:
    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=depth,
        num_attention_heads=2,
        image_size=24,
        patch_size=8,
        initializer_range=0.5,
        attn_implementation="eager",
    )
    slow = CLIPVisionModel(config).eval()
    fast = copy.deepcopy(slow)
    fast.set_attn_implementation("sdpa")
    pixels = torch.randn(2, 3, 24, 24)
    with torch.no_grad():
        attentions = slow(pixels, output_attentions=True).attentions
    last = depth - 2  # hidden_states[-2] is the output of this block
    for selector, blocks in (
        (FasterVLM(keep), range(last, last + 1)),
        (VTCCLS(keep, start_layer=min(start, last)), range(min(start, last), last + 1)),
    ):
        for ours, (theirs, gap) in zip(kept(selector, fast, pixels), naive_kept(attentions, blocks, keep), strict=True):
            assert ours == theirs or gap < 1e-6


def test_of_patches_that_look_the_same_the_earlier_ones_are_kept(tower: CLIPVisionModel) -> None:
    flat = copy.deepcopy(tower)
    torch.nn.init.zeros_(flat.embeddings.position_embedding.weight)
    assert kept(FasterVLM(5), flat, torch.ones(1, 3, 32, 32)) == [[0, 1, 2, 3, 4]]
    assert kept(VTCCLS(5), flat, torch.ones(1, 3, 32, 32)) == [[0, 1, 2, 3, 4]]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), keep=st.integers(1, 15))
def test_vtc_cls_that_starts_at_the_selected_block_equals_fastervlm(
    tower: CLIPVisionModel, seed: int, keep: int
) -> None:
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    assert kept(VTCCLS(keep, start_layer=4), tower, pixels) == kept(FasterVLM(keep), tower, pixels)


def test_ratios_give_the_papers_counts() -> None:
    kept_fractions = (0.75, 0.5, 0.25, 0.1, 0.05)
    assert [Budget.parse(fraction).of(576) for fraction in kept_fractions] == [432, 288, 144, 58, 29]


def test_the_default_ensemble_of_a_24_block_tower_is_16_to_22() -> None:
    assert VTCCLS(64).reads(depth=24, run=23).rows == tuple(range(16, 23))
    assert FasterVLM(64).reads(depth=24, run=23).rows == (22,)


@pytest.mark.parametrize("start", [-1, 23, 24])
def test_a_start_layer_outside_of_the_blocks_that_are_run_is_refused(start: int) -> None:
    with pytest.raises(ConfigError, match=r"start_layer is .*0…22"):
        VTCCLS(64, start_layer=start).reads(depth=24, run=23)
