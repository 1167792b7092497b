from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPVisionModel, Dinov2Config, Dinov2Model, SiglipVisionConfig, SiglipVisionModel

from tamis.core.errors import ConfigError, ShapeError
from tamis.vision.selector import keep_tokens
from tamis.vision.tower import extent, look
from tamis.vision.view import Reads


def eager(tower: torch.nn.Module) -> torch.nn.Module:
    """The same weights with full attention maps: the published route."""
    slow = copy.deepcopy(tower)
    slow.set_attn_implementation("eager")
    return slow


def dinov2() -> Dinov2Model:
    torch.manual_seed(2)
    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=5, num_attention_heads=4, image_size=32, patch_size=8, initializer_range=0.1
    )
    return Dinov2Model(config).eval()


@pytest.mark.parametrize("kind", ["clip", "dinov2"])
@pytest.mark.parametrize("layer", [-2, -1, 3])
def test_rows_and_features_equal_those_of_eager_attention(tower: CLIPVisionModel, kind: str, layer: int) -> None:
    vit = tower if kind == "clip" else dinov2()
    pixels = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        reference = eager(vit)(pixels, output_attentions=True, output_hidden_states=True)
        depth, run = extent(vit, layer)
    assert depth == len(reference.attentions)
    with torch.no_grad():
        view = look(vit, pixels, Reads(rows=tuple(range(run))), layer)
    assert view.run == run
    assert sorted(view.rows) == list(range(run))
    for block in range(run):
        assert torch.allclose(view.rows[block], reference.attentions[block][:, :, 0, 1:], atol=1e-5, rtol=0)
    assert torch.allclose(view.patches, reference.hidden_states[layer][:, 1:], atol=1e-4)
    assert torch.allclose(view.cls, reference.hidden_states[layer][:, 0], atol=1e-4)


def test_features_are_bit_identical_to_the_stock_tower(tower: CLIPVisionModel) -> None:
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        stock = tower(pixels, output_hidden_states=True).hidden_states[-2]
        view = look(tower, pixels, Reads(rows=(0, 4)))
    assert torch.equal(view.patches, stock[:, 1:])


def test_a_block_whose_output_nobody_uses_is_not_run(tower: CLIPVisionModel) -> None:
    ran = []
    hooks = [block.register_forward_hook(lambda *_, i=i: ran.append(i)) for i, block in enumerate(tower.encoder.layers)]
    with torch.no_grad():
        look(tower, torch.randn(1, 3, 32, 32), Reads(rows=(4,), keys=(5,)))
    for hook in hooks:
        hook.remove()
    assert ran == [0, 1, 2, 3, 4]


def test_the_last_block_is_not_run_until_somebody_looks_at_the_features(tower: CLIPVisionModel) -> None:
    ran = []
    hooks = [block.register_forward_hook(lambda *_, i=i: ran.append(i)) for i, block in enumerate(tower.encoder.layers)]
    with torch.no_grad():
        view = look(tower, torch.randn(1, 3, 32, 32), Reads(rows=(2, 4)))
        assert ran == [0, 1, 2, 3]
        assert view.patches.shape == (1, 16, 32)
    assert ran == [0, 1, 2, 3, 4]
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("layers", [-2, (2, -2)])
@pytest.mark.parametrize("kind", ["clip", "dinov2"])
def test_features_of_some_tokens_equal_those_of_all(tower: CLIPVisionModel, kind: str, layers: Any) -> None:
    vit = tower if kind == "clip" else dinov2()
    pixels, generator = torch.randn(3, 3, 32, 32), torch.Generator().manual_seed(0)
    with torch.no_grad():
        whole = look(vit, pixels, Reads(rows=(3,)), layers).features.whole
        for share in (0.1, 0.5, 1.0):
            mask = torch.rand(3, 17, generator=generator) < share
            mask[1] = False
            some = look(vit, pixels, Reads(rows=(3,)), layers).features.some(mask)
            torch.testing.assert_close(some, whole[mask], atol=1e-4, rtol=1e-4)


def test_keys_of_the_block_that_is_not_run_equal_its_projection(tower: CLIPVisionModel) -> None:
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        view = look(tower, pixels, Reads(keys=(3, 5)))
        states = tower(pixels, output_hidden_states=True).hidden_states
        for index in (3, 5):
            block = tower.encoder.layers[index]
            normed = block.layer_norm1(states[index])
            assert torch.allclose(view.keys[index], block.self_attn.k_proj(normed), atol=1e-5)
            assert torch.allclose(view.queries[index], block.self_attn.q_proj(normed)[:, 0], atol=1e-5)
    assert view.rows == {}


def test_no_hook_is_left_behind_even_after_an_error(tower: CLIPVisionModel) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("boom")

    before = [len(module._forward_hooks) for module in tower.modules()]
    bomb = tower.encoder.layers[2].register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="boom"):
        look(tower, torch.randn(1, 3, 32, 32), Reads(rows=(1, 4)))
    bomb.remove()
    assert [len(module._forward_hooks) for module in tower.modules()] == before


def test_several_feature_layers_are_concatenated_as_the_model_does(tower: CLIPVisionModel) -> None:
    pixels = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        states = tower(pixels, output_hidden_states=True).hidden_states
        view = look(tower, pixels, Reads(rows=(4,)), (2, -2))
    assert torch.equal(view.patches, torch.cat([states[2], states[-2]], dim=-1)[:, 1:])


def test_a_tower_without_cls_is_refused_by_name() -> None:
    siglip = SiglipVisionModel(
        SiglipVisionConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32
        )
    )
    with pytest.raises(ConfigError, match=r"siglip_vision_model.*CLS"):
        look(siglip, torch.randn(1, 3, 32, 32), Reads())


@pytest.mark.parametrize(
    ("reads", "layer"),
    [(Reads(rows=(5,)), -2), (Reads(rows=(-1,)), -2), (Reads(keys=(7,)), -2), (Reads(), 0), (Reads(), 9)],
)
def test_blocks_that_do_not_exist_or_are_not_run_are_refused(tower: CLIPVisionModel, reads: Reads, layer: int) -> None:
    with pytest.raises(ConfigError, match=r"block|hidden state"):
        look(tower, torch.randn(1, 3, 32, 32), reads, layer)


def test_a_picture_of_broken_patches_is_refused() -> None:
    with pytest.raises(ShapeError, match="multiples of the patch size 8"):
        look(dinov2(), torch.randn(1, 3, 30, 32), Reads())


def naive_keep(scores: list[float], keep: int, valid: list[bool]) -> list[int]:
    order = sorted((i for i in range(len(scores)) if valid[i]), key=lambda i: (-scores[i], i))
    return sorted(order[:keep])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_kept_tokens_are_the_best_with_ties_broken_by_position(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 24))
    keep = data.draw(st.integers(1, total))
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, -1.0]), min_size=total, max_size=total))
    valid = data.draw(st.lists(st.booleans(), min_size=total, max_size=total))
    mask = keep_tokens(torch.tensor([scores]), keep, torch.tensor([valid]))
    assert mask[0].nonzero().flatten().tolist() == naive_keep(scores, keep, valid)


def test_scores_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match="NaN"):
        keep_tokens(torch.tensor([[0.1, float("nan")]]), keep=1)


def test_a_unit_has_the_same_fingerprint_in_every_batch(tower: CLIPVisionModel) -> None:
    pixels = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        together = look(tower, pixels, Reads()).fingerprints
        alone = tuple(look(tower, pixels[i : i + 1], Reads()).fingerprints[0] for i in range(3))
    assert together == alone
    assert len(set(together)) == 3


def test_half_precision_towers_give_float32_rows(tower: CLIPVisionModel) -> None:
    half = copy.deepcopy(tower).to(torch.bfloat16)
    with torch.no_grad():
        view = look(half, torch.randn(1, 3, 32, 32), Reads(rows=(4,)))
    assert view.rows[4].dtype == torch.float32
    assert view.patches.dtype == torch.bfloat16


def test_gradients_reach_the_pixels_through_kept_features(tower: CLIPVisionModel) -> None:
    pixels = torch.randn(1, 3, 32, 32, requires_grad=True)
    look(tower, pixels, Reads(rows=(4,))).patches.sum().backward()
    assert pixels.grad is not None
