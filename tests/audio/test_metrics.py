"""Rankings against a hand-worked case, loops, and theory."""

import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.audio import metrics
from tamis.audio.metrics import caption_relevance, paired_bootstrap, rank
from tamis.core.errors import InputError, ShapeError


def test_a_case_worked_by_hand() -> None:
    """Two clips with five captions each: captions 0 to 4 are of clip 0, 5 to 9 of clip 1."""
    scores = np.array(
        [
            [9, 1, 8, 2, 3, 7, 6, 5, 4, 0],  # of clip 0, its captions come at places 1, 2, 7, 8 and 9
            [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],  # of clip 1, at places 6 to 10
        ],
        dtype=np.float64,
    )
    _, relevant = caption_relevance(np.repeat([0, 1], 5), 2)
    found = rank(scores, relevant)
    assert found.rank.tolist() == [1, 6]
    first = (1 / 1 + 2 / 2 + 3 / 7 + 4 / 8 + 5 / 9) / 5
    second = (1 / 6 + 2 / 7 + 3 / 8 + 4 / 9 + 5 / 10) / 5
    assert found.average_precision.tolist() == pytest.approx([first, second])
    assert found.summary() == pytest.approx(
        {
            "recall_at_1": 0.5,
            "recall_at_5": 0.5,
            "recall_at_10": 1.0,
            "map_at_10": (first + second) / 2,
            "median_rank": 3.0,
        }
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 25), st.integers(1, 20))
def test_a_ranking_is_what_a_loop_over_sorted_items_finds(seed: int, queries: int, items: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, (queries, items)).astype(np.float64)  # with ties
    relevant = rng.random((queries, items)) < 0.3
    relevant[np.arange(queries), rng.integers(items, size=queries)] = True
    found = rank(scores, relevant, cutoffs=(1, 3), depth=depth)
    for q in range(queries):
        order = sorted(range(items), key=lambda item: (-scores[q, item], item))
        places = [place for place, item in enumerate(order, start=1) if relevant[q, item]]
        assert found.rank[q] == places[0]
        assert found.recall[3][q] == (places[0] <= 3)
        precise = [number / place for number, place in enumerate(places, start=1) if place <= depth]
        assert found.average_precision[q] == pytest.approx(sum(precise) / min(len(places), depth))


def test_many_queries_are_ranked_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    scores, relevant = rng.random((50, 20)), rng.random((50, 20)) < 0.5
    relevant[:, 0] = True
    whole = rank(scores, relevant, depth=16)
    monkeypatch.setattr(metrics, "_QUERIES", 7)
    parts = rank(scores, relevant, depth=16)
    np.testing.assert_array_equal(whole.rank, parts.rank)
    np.testing.assert_array_equal(whole.average_precision, parts.average_precision)
    assert "map_at_16" in parts.summary()


def test_a_model_that_scores_everything_alike_finds_what_stands_first() -> None:
    found = rank(np.zeros((100, 100)), np.eye(100, dtype=bool))
    assert found.rank.tolist() == list(range(1, 101))


def test_bad_matrices_are_refused() -> None:
    good, relevant = np.zeros((2, 3)), np.ones((2, 3), dtype=bool)
    with pytest.raises(ShapeError, match=r"\(2, 3\) and relevant \(3, 2\)"):
        rank(good, relevant.T)
    with pytest.raises(InputError, match="1 queries have scores that are NaN"):
        rank(np.array([[0, np.nan, 0], [0, 0, 0]]), relevant)
    with pytest.raises((InputError, jaxtyping.TypeCheckError), match="bool"):
        rank(good, 2 * relevant)
    with pytest.raises(InputError, match=r"depth is 10 and cutoffs \(0, 1\); expected at least 1"):
        rank(good, relevant, cutoffs=(0, 1))
    with pytest.raises(InputError, match="query 1 has no relevant item"):
        rank(good, np.array([[True, False, False], [False, False, False]]))


def test_a_bootstrap_of_one_seed_is_as_wide_as_the_normal_theory_says() -> None:
    rng = np.random.default_rng(0)
    worse = rng.random((1, 2000))
    better = worse + rng.normal(0.02, 0.3, (1, 2000))
    found = paired_bootstrap(better, worse, resamples=4000)
    error = float((better - worse).std() / np.sqrt(2000))
    assert found.mean == pytest.approx(float((better - worse).mean()))
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_seeds_that_disagree_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (5, 500))
    steady = paired_bootstrap(noise + 0.05, np.zeros((5, 500)), resamples=2000)
    shaky = paired_bootstrap(noise + 0.05 + np.linspace(-0.1, 0.1, 5)[:, None], np.zeros((5, 500)), resamples=2000)
    assert steady.low > 0
    assert steady.probability == 0
    assert shaky.high - shaky.low > 3 * (steady.high - steady.low)


def test_queries_of_one_group_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    of_groups = rng.normal(0.1, 0.3, (2, 200))
    copies = np.repeat(of_groups, 5, axis=1)  # five queries that always agree say no more than one
    zero = np.zeros_like
    single = paired_bootstrap(of_groups, zero(of_groups), resamples=4000)
    grouped = paired_bootstrap(copies, zero(copies), groups=np.repeat(np.arange(200), 5), resamples=4000)
    alone = paired_bootstrap(copies, zero(copies), resamples=4000)
    assert grouped.mean == pytest.approx(single.mean)
    assert grouped.high - grouped.low == pytest.approx(single.high - single.low, rel=0.1)
    assert alone.high - alone.low < 0.7 * (grouped.high - grouped.low)
    with pytest.raises(ShapeError, match="3 groups of 1000 queries"):
        paired_bootstrap(copies, zero(copies), groups=["a", "b", "c"])


def test_groups_of_different_sizes_count_by_their_queries() -> None:
    better = np.array([[1.0, 1.0, 1.0, 0.0]])
    found = paired_bootstrap(better, np.zeros((1, 4)), groups=["a", "a", "a", "b"], resamples=2000)
    assert (found.mean, found.low, found.high) == (0.75, 0.0, 1.0)
    pairs = [("a", 0), ("a", 0), ("a", 0), ("b", 1)]
    assert paired_bootstrap(better, np.zeros((1, 4)), groups=pairs, resamples=2000) == found


def test_a_method_is_no_better_than_itself() -> None:
    same = np.random.default_rng(0).random((3, 50))
    assert paired_bootstrap(same, same, resamples=100) == (0.0, 0.0, 0.0, 1.0)
    with pytest.raises(ShapeError, match="for both"):
        paired_bootstrap(same, same[:, :10])


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int64, bool])
def test_scores_of_any_kind_are_ranked(kind: type) -> None:
    scores = np.array([[1, 0, 0]]).astype(kind) * (100 if kind is not bool else True)
    assert rank(scores, np.array([[True, False, False]])).rank.tolist() == [1]  # type: ignore[arg-type]


def test_nothing_is_compared_with_nothing() -> None:
    none = np.zeros((2, 0))
    with pytest.raises(ShapeError, match="shapes"):
        paired_bootstrap(none, none)
    with pytest.raises(ShapeError, match="expected"):
        rank(np.zeros((0, 3)), np.zeros((0, 3), bool))
    some = np.ones((1, 2))
    with pytest.raises(InputError, match="resamples is 0"):
        paired_bootstrap(some, some, resamples=0)
    with pytest.raises(InputError, match="is NaN"):
        paired_bootstrap(some * np.nan, some)
    with pytest.raises(InputError, match="depth is 0"):
        rank(some, some > 0, depth=0)
