from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.vision.small import FAMILIES, IMAGE, PATCHES, VIDEO, build, collate, sample
from torch import Tensor

from tamis.core.budget import Budget
from tamis.core.errors import BudgetError, ConfigError, InputError
from tamis.vision.baselines.simple import All, Random, TextOnly, Uniform
from tamis.vision.config import Layout
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.prepare import Prepared
from tamis.vision.vtccls import VTCCLS

GREEDY: dict[str, Any] = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 2, "suppress_tokens": [IMAGE, VIDEO]}
SELECTORS = [FasterVLM(0.25), VTCCLS(5), Random(3, seed=1), Uniform(6)]


def batch_of(model: Any, side: str = "left") -> tuple[list[Any], dict[str, Tensor]]:
    """Three samples with 1, 0 and 2 pictures; for Video-LLaVA a picture, no picture and two videos of three frames."""
    samples = [sample(model, images, seed) for images, seed in ((1, 2), (0, 4), (2, 7))]
    return samples, collate(samples, side)


def tokens(model: Any, batch: Any, **how: Any) -> list[list[int]]:
    """Greedy continuations, without the prompt."""
    prompt = batch["input_ids"].shape[1]
    return model.generate(**batch, **{**GREEDY, **how})[:, prompt:].tolist()


@pytest.mark.parametrize("side", ["left", "right"])
def test_keeping_everything_gives_the_stock_models_logits_and_tokens_bit_for_bit(model: Any, side: str) -> None:
    _, batch = batch_of(model, side)
    for selector in (FasterVLM(1.0), VTCCLS("100%"), All()):
        prepared = selector.prepare(model, **batch)
        with torch.no_grad():
            assert torch.equal(model(**prepared).logits, model(**batch).logits)
        assert torch.equal(model.generate(**prepared, **GREEDY), model.generate(**batch, **GREEDY))


def test_keeping_everything_of_one_sample_without_a_mask_is_bit_identical(model: Any) -> None:
    batch = collate([sample(model, 1, 3)])
    del batch["attention_mask"]
    prepared = FasterVLM(1.0).prepare(model, **batch)
    with torch.no_grad():
        assert torch.equal(model(**prepared).logits, model(**batch).logits)


@pytest.mark.parametrize("selector", SELECTORS, ids=lambda selector: selector.name)
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_equals_its_samples_one_by_one(model: Any, selector: Any, side: str) -> None:
    samples, batch = batch_of(model, side)
    prepared = selector.prepare(model, **batch)
    with torch.no_grad():
        together = model(**prepared).logits
        for row, one in enumerate(samples):
            alone = selector.prepare(model, **collate([one]))
            where = prepared["attention_mask"][row].bool()
            assert torch.equal(prepared["input_ids"][row][where], alone["input_ids"][0])
            assert torch.allclose(together[row][where], model(**alone).logits[0], atol=2e-4)


@pytest.mark.parametrize(
    "how",
    [
        {"prefill_chunk_size": 7},
        {"use_cache": False},
        {"cache_implementation": "static"},
        {"num_beams": 3, "num_return_sequences": 1},
    ],
    ids=lambda how: next(iter(how)),
)
def test_every_way_of_generating_equals_the_plain_run(model: Any, how: dict[str, Any]) -> None:
    samples, batch = batch_of(model)
    prepared = FasterVLM(0.25).prepare(model, **batch)
    if "num_beams" in how:  # the plain run of a batch with beams is its samples with beams, one by one
        plain = [tokens(model, FasterVLM(0.25).prepare(model, **collate([one])), **how)[0] for one in samples]
    else:
        plain = tokens(model, prepared)
    assert tokens(model, prepared, **how) == plain


def test_several_returned_sequences_are_those_of_each_sample(model: Any) -> None:
    samples, batch = batch_of(model)
    how = {"num_beams": 3, "num_return_sequences": 2}
    together = tokens(model, VTCCLS(4).prepare(model, **batch), **how)
    alone = [row for one in samples for row in tokens(model, VTCCLS(4).prepare(model, **collate([one])), **how)]
    assert together == alone


def test_a_prepared_batch_can_be_used_again_after_beams(model: Any) -> None:
    _, batch = batch_of(model)
    prepared = FasterVLM(4).prepare(model, **batch)
    first = tokens(model, prepared)
    beams = tokens(model, prepared, num_beams=2)
    assert tokens(model, prepared, num_beams=2) == beams
    assert tokens(model, prepared) == first


def test_embeddings_in_place_of_ids_give_the_same_logits(model: Any) -> None:
    _, batch = batch_of(model)
    embedded = dict(batch)
    embedded["inputs_embeds"] = model.get_input_embeddings()(embedded.pop("input_ids")).detach()
    with torch.no_grad():
        by_ids = model(**FasterVLM(4).prepare(model, **batch)).logits
        by_embeddings = model(**FasterVLM(4).prepare(model, **embedded)).logits
    assert torch.allclose(by_ids, by_embeddings, atol=1e-5)


def test_labels_follow_their_tokens_and_the_loss_flows_back() -> None:
    model = build("llava")
    _, batch = batch_of(model)
    labels = batch["input_ids"].masked_fill(batch["input_ids"] == IMAGE, -100)
    labels = labels.masked_fill(batch["attention_mask"] == 0, -100)
    prepared = FasterVLM(4).prepare(model, **batch, labels=labels)
    ids, short = prepared["input_ids"], prepared["labels"]
    assert torch.equal(short, ids.masked_fill((ids == IMAGE) | (prepared["attention_mask"] == 0), -100))
    loss = model(**prepared).loss
    assert torch.isfinite(loss)
    loss.backward()
    for part in (model.model.multi_modal_projector.linear_1, model.model.vision_tower.encoder.layers[0].mlp.fc1):
        assert float(part.weight.grad.abs().sum()) > 0


def test_kept_patches_of_every_unit_are_reported(model: Any) -> None:
    _, batch = batch_of(model)
    prepared = FasterVLM(0.25).prepare(model, **batch)
    if model.config.model_type == "llava_next":  # a tile may be all padding
        assert all(1 <= len(unit) <= 4 for unit in prepared.kept[:1])
    else:
        assert [len(unit) for unit in prepared.kept] == [4] * len(prepared.kept)
    assert all(torch.equal(unit, unit.sort().values) for unit in prepared.kept)


def test_a_text_only_batch_passes_unchanged(model: Any) -> None:
    batch = collate([sample(model, 0, 1), sample(model, 0, 2)])
    assert dict(FasterVLM(4).prepare(model, **batch)) == batch


def test_text_only_removes_every_image_token(model: Any) -> None:
    samples, batch = batch_of(model)
    prepared = TextOnly().prepare(model, **batch)
    assert not ((prepared["input_ids"] == IMAGE) | (prepared["input_ids"] == VIDEO)).any()
    assert "mm_encoder_outputs" not in prepared
    words = [token for token in samples[2].ids if token not in (IMAGE, VIDEO)]
    assert prepared["input_ids"][2][prepared["attention_mask"][2].bool()].tolist() == words
    assert len(tokens(model, prepared)[0]) == GREEDY["max_new_tokens"]


def naive_llava(model: Any, one: Any, kept: list[Tensor]) -> Tensor:
    """Logits of one LLaVA sample by hand: embed, put projected features in a Python list, run the language model."""
    inner = model.model
    states = inner.vision_tower(one.pixels["pixel_values"], output_hidden_states=True).hidden_states[-2][:, 1:]
    row, image, place = [], -1, PATCHES
    for token in one.ids:
        if token != IMAGE:
            row.append(inner.get_input_embeddings()(torch.tensor(token)))
            continue
        if place == PATCHES:
            image, place = image + 1, 0
        if place in kept[image].tolist():
            row.append(inner.multi_modal_projector(states[image, place]))
        place += 1
    return model.lm_head(inner.language_model(inputs_embeds=torch.stack(row)[None]).last_hidden_state)


def test_pruned_logits_equal_a_prompt_built_by_hand(models: Any) -> None:
    model = models("llava")
    one = sample(model, 2, 7)
    prepared = FasterVLM(5).prepare(model, **collate([one]))
    with torch.no_grad():
        assert torch.allclose(model(**prepared).logits, naive_llava(model, one, prepared.kept), atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_original_positions_are_those_of_the_full_prompt(models: Any, name: str) -> None:
    model = models(name)
    one = sample(model, 1, 3)
    prepared = FasterVLM(4, Layout(positions="original")).prepare(model, **collate([one]))
    where = prepared["attention_mask"][0].bool()
    positions = prepared["position_ids"][0][where]
    assert torch.equal(torch.tensor(one.ids)[positions], prepared["input_ids"][0][where])
    assert bool((positions.diff() > 0).all())
    assert int(positions[-1]) == len(one.ids) - 1
    cached = tokens(model, prepared)
    assert tokens(model, prepared, use_cache=False) == cached
    assert tokens(model, prepared, num_beams=2) == tokens(model, prepared, num_beams=2)


def test_original_positions_keep_the_logits_of_a_masked_full_prompt(models: Any) -> None:
    """Dropping a token and masking it are the same when the others keep their positions."""
    model = models("llava")
    one = sample(model, 1, 3)
    batch = collate([one])
    prepared = FasterVLM(4, Layout(positions="original")).prepare(model, **batch)
    places = [i for i, token in enumerate(one.ids) if token == IMAGE]
    seen = [i for i, token in enumerate(one.ids) if token != IMAGE] + [places[i] for i in prepared.kept[0].tolist()]
    mask = torch.zeros_like(batch["attention_mask"]).index_fill_(1, torch.tensor(seen), 1)
    with torch.no_grad():
        masked = model(**{**batch, "attention_mask": mask}, position_ids=torch.arange(len(one.ids))[None]).logits
        short = model(**prepared).logits
    assert torch.allclose(short[0, -1], masked[0, -1], atol=1e-4)


def test_full_strategy_keeps_cls_and_prunes_the_rest() -> None:
    model = build("llava", vision_feature_select_strategy="full")
    ids = torch.tensor([[5] + [IMAGE] * (PATCHES + 1) + [6]])
    batch = {"input_ids": ids, "pixel_values": torch.randn(1, 3, 32, 32)}
    with torch.no_grad():
        assert torch.equal(model(**FasterVLM(1.0).prepare(model, **batch)).logits, model(**batch).logits)
    assert FasterVLM(4).prepare(model, **batch)["input_ids"].shape[1] == 2 + 1 + 4
    assert FasterVLM(4, Layout(cls="drop")).prepare(model, **batch)["input_ids"].shape[1] == 2 + 4


def test_video_frames_have_a_budget_each(models: Any) -> None:
    model = models("video_llava")
    one = sample(model, 2, 7)
    prepared = FasterVLM(4).prepare(model, **collate([one]))
    assert [len(unit) for unit in prepared.kept] == [4] * 6
    assert int((prepared["input_ids"] == VIDEO).sum()) == 2 * 3 * (4 + 1)
    paper = FasterVLM(4, Layout.paper()).prepare(model, **collate([one]))
    assert int((paper["input_ids"] == VIDEO).sum()) == 2 * 3 * 4


def test_several_feature_layers_stay_bit_identical() -> None:
    model = build("llava", vision_feature_layer=[2, -2])
    batch = collate([sample(model, 1, 2)])
    with torch.no_grad():
        assert torch.equal(model(**FasterVLM(1.0).prepare(model, **batch)).logits, model(**batch).logits)


def test_moving_a_prepared_batch_keeps_everything(models: Any) -> None:
    model = models("llava")
    prepared = FasterVLM(4).prepare(model, **collate([sample(model, 1, 2)]))
    moved = prepared.to("cpu")
    assert isinstance(moved, Prepared)
    assert tokens(model, moved) == tokens(model, prepared)


@pytest.mark.parametrize("keep", [0, 0.0, -1, float("nan"), float("inf"), 1.5, "0%", "many", True])
def test_a_budget_that_means_nothing_is_refused_when_the_selector_is_made(keep: Any) -> None:
    with pytest.raises(BudgetError, match="budget is"):
        FasterVLM(keep)


def test_a_budget_above_what_there_is_is_refused(model: Any) -> None:
    with pytest.raises(BudgetError, match=f"there are only {PATCHES}"):
        FasterVLM(PATCHES + 1).prepare(model, **collate([sample(model, 1, 2)]))


def test_a_budget_of_bytes_is_refused(models: Any) -> None:
    model = models("llava")
    with pytest.raises(BudgetError, match="bytes"):
        FasterVLM("5KB").prepare(model, **collate([sample(model, 1, 2)]))
    assert Budget.parse("5KB").kind == "bytes"


def test_a_prompt_without_a_placeholder_is_refused(model: Any) -> None:
    batch = {**collate([sample(model, 1, 2)]), "input_ids": torch.tensor([[5, 6, 7]])}
    batch["attention_mask"] = torch.ones(1, 3, dtype=torch.long)
    with pytest.raises(InputError, match="no image placeholder"):
        FasterVLM(4).prepare(model, **batch)


@pytest.mark.parametrize("cut", [1, -1])
def test_a_prompt_that_was_cut_or_holds_the_token_itself_is_refused(models: Any, cut: int) -> None:
    model = models("llava")
    ids = torch.tensor([[5] + [IMAGE] * (PATCHES - cut) + [6]])
    with pytest.raises(InputError, match="placeholders"):
        FasterVLM(4).prepare(model, input_ids=ids, pixel_values=torch.randn(1, 3, 32, 32))


def test_an_image_split_over_two_samples_is_refused(models: Any) -> None:
    model = models("llava")
    ids = torch.full((2, PATCHES // 2), IMAGE)
    with pytest.raises(InputError, match="placeholders"):
        FasterVLM(4).prepare(model, input_ids=ids, pixel_values=torch.randn(1, 3, 32, 32))


def test_a_model_that_is_no_vision_language_model_is_refused(tower: Any) -> None:
    with pytest.raises(ConfigError, match=r"clip_vision_model.*llava"):
        FasterVLM(4).prepare(tower, input_ids=torch.tensor([[1]]), pixel_values=torch.randn(1, 3, 32, 32))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"mm_encoder_outputs": {"image": None}}, "mm_encoder_outputs"),
        ({"position_ids": torch.arange(3)[None]}, "position_ids"),
        ({"inputs_embeds": torch.zeros(1, 3, 32)}, "exactly one"),
    ],
)
def test_a_batch_that_was_prepared_before_is_refused(models: Any, extra: dict[str, Any], message: str) -> None:
    model = models("llava")
    with pytest.raises(InputError, match=message):
        FasterVLM(4).prepare(model, **collate([sample(model, 1, 2)]), **extra)


def test_nothing_is_held_for_gradients_that_nobody_asks_for(models: Any) -> None:
    model = models("llava")
    batch = collate([sample(model, 1, 2)])
    selector = FasterVLM(4)
    assert not selector.prepare(model, **batch)["mm_encoder_outputs"]["image"].pooler_output[0].requires_grad
    pixels = batch["pixel_values"].clone().requires_grad_()
    asked = selector.prepare(model, **{**batch, "pixel_values": pixels})
    model(**asked).logits.sum().backward()
    assert float(pixels.grad.abs().sum()) > 0
    model.zero_grad()


def test_selectors_that_keep_the_same_are_equal_and_one_token_is_not_everything() -> None:
    assert FasterVLM(0.1) == FasterVLM("10%")
    assert FasterVLM(1) != FasterVLM(1.0)
    assert len({FasterVLM(1), FasterVLM(1.0), FasterVLM("1"), FasterVLM("100%")}) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_ids": torch.tensor([5, 6])}, "no batch of tokens"),
        ({"input_ids": [[5, 6]]}, "no batch of tokens"),
        ({"input_ids": torch.zeros(0, 5, dtype=torch.long)}, "no batch of tokens"),
        ({"attention_mask": torch.ones(1, 99)}, "attention_mask is"),
        ({"labels": torch.ones(1, 3)}, "labels is"),
    ],
)
def test_rows_that_do_not_fit_the_prompt_are_refused(models: Any, change: dict[str, Any], message: str) -> None:
    model = models("llava")
    with pytest.raises(InputError, match=message):
        FasterVLM(4).prepare(model, **{**collate([sample(model, 1, 2)]), **change})


def test_the_older_name_of_pictures_is_understood(models: Any) -> None:
    model = models("video_llava")
    batch = collate([sample(model, 1, 2)])
    name = next(key for key in batch if key.startswith("pixel_values"))
    older = {("pixel_values_images" if key == name else key): value for key, value in batch.items()}
    with torch.no_grad():
        assert torch.equal(
            model(**FasterVLM(4).prepare(model, **older)).logits, model(**FasterVLM(4).prepare(model, **batch)).logits
        )
