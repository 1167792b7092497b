from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from tests.vision import naive_llm
from tests.vision.small import IMAGE, collate, sample
from torch import Tensor

from tamis.core.errors import BudgetError, ConfigError
from tamis.vision.baselines.sparsevlm import SparseVLM, cluster, recycled, relevant_words

model = cache(naive_llm.deep)


def naive_clusters(states: Tensor, count: int) -> tuple[list[int], list[int]]:
    """Density peaks by loops."""
    tokens, width = states.shape
    far = [[float((states[i] - states[j]).norm()) / math.sqrt(width) for j in range(tokens)] for i in range(tokens)]
    density = [math.exp(-sum(d * d for d in sorted(row)[:count]) / count) for row in far]
    farthest = max(max(row) for row in far)
    score = []
    for i in range(tokens):
        denser = [j for j in range(tokens) if (density[j], -j) > (density[i], -i)]
        score.append(density[i] * min((far[i][j] for j in denser), default=farthest))
    centres = sorted(range(tokens), key=lambda i: (-score[i], i))[:count]
    member = [min(range(count), key=lambda c: (far[i][centres[c]], c)) for i in range(tokens)]
    for number, centre in enumerate(centres):
        member[centre] = number
    return centres, member


def reference(embeds: Tensor, ids: list[int], schedule: dict[int, int]) -> naive_llm.Prune:
    """The method for one prompt, by loops. It remembers which original tokens are images still."""
    image = [index for index in range(len(ids)) if ids[index] == IMAGE]
    words = list(range(image[-1] + 1, len(ids)))
    share = torch.zeros(len(words))
    for index in image:
        share += (embeds[words] @ embeds[index]).softmax(0) / len(image)
    raters = [word for word, value in zip(words, share.tolist(), strict=True) if value > float(share.mean())] or words

    def prune(layer: int, attention: Tensor, states: Tensor, left: list[int]) -> tuple[Tensor, list[int]]:
        here = [place for place, index in enumerate(left) if ids[index] == IMAGE]
        if layer not in schedule or schedule[layer] >= len(here):
            return states, left
        rows = [left.index(rater) for rater in raters]
        score = {place: float(sum(attention[:, row, place].mean() for row in rows)) for place in here}
        order = sorted(here, key=lambda place: (-score[place], place))
        kept, rest = order[: schedule[layer]], order[schedule[layer] :]
        best = sorted(rest[: int(len(rest) * 0.3) + 1])
        centres, member = naive_clusters(states[best], int(len(best) / 10) + 1)
        merged = states.clone()
        for number, centre in enumerate(centres):
            merged[best[centre]] = states[[best[i] for i in range(len(best)) if member[i] == number]].mean(0)
        stay = {*kept, *(best[centre] for centre in centres)}
        stays = [place for place in range(len(left)) if place not in here or place in stay]
        return merged[stays], [left[place] for place in stays]

    return prune


@pytest.mark.parametrize("layers", [4, 6])
@pytest.mark.parametrize(("keep", "images"), [(0.2, 1), (0.5, 1), (0.3, 2), (0.3, 3)])
def test_the_last_logits_equal_those_of_a_naive_reading(layers: int, keep: float, images: int) -> None:
    pruner, stock = SparseVLM(keep), model("llava", layers)
    one = sample(stock, images, 3)
    schedule = dict(zip(pruner.layers(layers), pruner.schedule(16 * images, layers), strict=True))
    prune = reference(naive_llm.embed(stock, one.ids, one.pixels).detach(), one.ids, schedule)
    with pruner.installed(stock), torch.no_grad():
        ours = stock(**collate([one])).logits
    assert ours.shape[1] == len(one.ids) - 16 * images + pruner.tokens(16 * images, layers)[-1]
    assert torch.allclose(ours[0, -1], naive_llm.logits(stock, one.ids, one.pixels, prune), atol=1e-4)


def test_the_last_image_token_rates_where_no_word_follows() -> None:
    image = torch.tensor([False, True, True])
    assert SparseVLM(0.5).raters(torch.randn(3, 4), image, torch.ones(3).bool()).tolist() == [False, False, True]


def test_relevant_words_are_those_that_image_tokens_choose_more_than_others() -> None:
    words = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert relevant_words(words, torch.tensor([[9.0, 0.0], [8.0, 1.0]])).tolist() == [True, False, False]
    assert relevant_words(words[:1], torch.randn(4, 2)).tolist() == [True]
    assert relevant_words(torch.zeros(2, 2), torch.randn(4, 2)).tolist() == [True, True]


@pytest.mark.parametrize("seed", range(4))
def test_clusters_equal_those_found_by_loops(seed: int) -> None:
    states = torch.randn(25, 6, generator=torch.Generator().manual_seed(seed))
    centres, member = cluster(states, 3)
    assert (centres.tolist(), member.tolist()) == naive_clusters(states, 3)


def test_clusters_of_equal_tokens_are_deterministic() -> None:
    centres, member = cluster(torch.ones(5, 3), 2)
    assert centres.tolist() == [0, 1]
    assert member.tolist() == [0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("keep", "schedule"), [(192, (300, 200, 110)), (128, (303, 110, 36)), (64, (66, 30, 17)), (576, (576, 576, 576))]
)
def test_the_authors_budgets_have_the_authors_schedules(keep: int, schedule: tuple[int, ...]) -> None:
    assert SparseVLM(keep).schedule(576, 32) == schedule


@pytest.mark.parametrize("depth", [4, 8, 24, 32, 40])
@pytest.mark.parametrize("total", [144, 576, 2880])
def test_the_tokens_that_leave_a_layer_average_the_budget(depth: int, total: int) -> None:
    for percent in range(15, 101, 5):
        entering = SparseVLM(f"{percent}%").tokens(total, depth)
        leaving = [*entering[1:], entering[-1]]
        assert sum(leaving) / depth == pytest.approx(total * percent / 100, rel=0.03)


def test_the_authors_schedule_leaves_what_its_name_says() -> None:
    entering = SparseVLM(192).tokens(576, 32)
    assert entering == [576] * 3 + [309] * 4 + [204] * 9 + [113] * 16
    assert round((sum(entering) - 576 + 113) / 32) == 192


def test_stages_are_those_of_the_authors_and_distinct_at_any_depth() -> None:
    assert SparseVLM(0.5).layers(32) == (3, 7, 16)
    for depth in range(4, 100):
        layers = SparseVLM(0.5).layers(depth)
        assert sorted(set(layers)) == list(layers)
        assert layers[0] >= 1
        assert layers[-1] < depth


def test_recycled_tokens_are_counted_as_they_are_made() -> None:
    for dropped in range(1, 200):
        best = int(dropped * 0.3) + 1
        assert recycled(dropped) == int(best / 10) + 1 <= best <= dropped
    assert recycled(0) == 0


def test_budgets_below_the_full_layers_are_refused_with_the_least_that_is_possible() -> None:
    with pytest.raises(BudgetError, match=r"keep is 29 of 576 .* give at least 40"):
        SparseVLM("5%").schedule(576, 32)
    assert SparseVLM(40).tokens(576, 32)[-1] < 5


def test_a_language_model_of_three_layers_is_refused() -> None:
    with pytest.raises(ConfigError, match="3 layers"):
        SparseVLM(0.5).layers(3)
