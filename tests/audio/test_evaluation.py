"""What a space finds, against hand-worked cases and a naive count."""

from dataclasses import replace

import numpy as np
import pytest
from tests.audio.encoding import SENTENCES, SOUNDS, encoded
from tests.audio.test_space import SIZES

from tamis.audio.evaluation import against, chance, classes, evaluate, file_names, moments, order, retrieval
from tamis.audio.space import new_space
from tamis.core.errors import ConfigError, InputError


def test_a_hand_worked_case() -> None:
    sounds = np.eye(3)
    sentences = np.array([[0.9, 0.1, 0.0], [0.2, 0.9, 0.0], [0.3, 0.8, 0.1], [0.0, 0.0, 1.0]])
    found = retrieval(sounds, sentences, np.array([0, 0, 1, 2]))
    # captions: 0 first; 1 has its sound second; 2 first; 3 first
    assert found.t2a.rank.tolist() == [1, 2, 1, 1]
    np.testing.assert_allclose(found.t2a.average_precision, [1, 1 / 2, 1, 1])
    # sound 0 ranks captions 0, 2, 1: hits at 1 and 3; sound 1 ranks 1, 2, 0: hit at 2; sound 2 ranks 3 first
    assert found.a2t.rank.tolist() == [1, 2, 1]
    np.testing.assert_allclose(found.a2t.average_precision, [(1 + 2 / 3) / 2, 1 / 2, 1])
    assert found.metrics()["t2a_recall_at_1"] == 0.75


def test_ranks_are_those_of_a_naive_count() -> None:
    rng = np.random.default_rng(0)
    sounds, sentences, owners = rng.normal(size=(30, 5)), rng.normal(size=(60, 5)), np.repeat(np.arange(30), 2)
    found = retrieval(sounds, sentences, owners)
    for i, sentence in enumerate(sentences):
        scores = [float(sentence @ sound) for sound in sounds]
        assert found.t2a.rank[i] == 1 + sum(score > scores[owners[i]] for score in scores)
    for i, sound in enumerate(sounds):
        scores = [float(sentence @ sound) for sentence in sentences]
        best = max(scores[2 * i], scores[2 * i + 1])
        assert found.a2t.rank[i] == 1 + sum(score > best for score in scores)


def test_chance_finds_what_theory_says() -> None:
    owners = np.repeat(np.arange(400), 3)
    found = chance(400, owners)
    assert found.t2a.recall[10].mean() == pytest.approx(10 / 400, abs=0.015)
    harmonic = sum(1 / k for k in range(1, 11)) / 400
    assert found.t2a.average_precision.mean() == pytest.approx(harmonic, abs=0.006)


def test_the_baseline_is_the_mean_of_many_rankings() -> None:
    owners = np.repeat(np.arange(40), 2)
    found = chance(40, owners).metrics()
    assert found["t2a_recall_at_10"] == pytest.approx(10 / 40, abs=0.02)
    assert found["a2t_recall_at_1"] == pytest.approx(2 / 80, abs=0.01)
    assert found != chance(40, owners, draws=1).metrics()
    assert len(chance(40, owners, draws=3).t2a.rank) == len(chance(40, owners, draws=3).owners) == 3 * 80


def test_names_of_files_are_read_without_suffix_and_with_their_folder() -> None:
    data = replace(encoded(2), ids=("001 - Low/1-2-A.ogg", "002 - High/1-3-A.ogg"))
    data = replace(data, captions=("low", "an ogg", "high", "an ogg"))
    found = file_names(data)
    assert found.t2a.rank.tolist()[::2] == [1, 1]
    assert found.t2a.average_precision.tolist() == [1, 1, 1, 0.5]  # no name has what all names end with


def test_file_names_find_what_they_say() -> None:
    data = encoded(12)  # ids are "low-3": the first tone, and every caption names it
    found = file_names(data)
    for i, caption in enumerate(data.captions):
        named = [one for one in data.ids if one.split("-")[0] in caption.split()]
        assert found.t2a.rank[i] <= len(named)


def test_classes_count_every_sound_of_the_kind() -> None:
    sounds = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    found = classes(sounds, ["dog", "rain", "dog"], np.array([[1.0, 0.0]]), ["dog"])
    np.testing.assert_allclose(found.average_precision, [(1 + 2 / 3) / 2])


def test_a_moment_counts_within_the_tolerance_only() -> None:
    data = encoded(2)
    one, two = data.events[0][0].label, data.events[0][1].label  # from 0.0 to 0.4 s, and from 0.4 to 0.8 s
    centres = [np.arange(8) * 0.1 + 0.05]
    at = np.zeros((8, 2))
    at[0] = [1, 0]
    at[7] = [0, 1]
    windows = [at]
    labels = {event.label for events in data.events for event in events}
    first, last = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    queries = dict.fromkeys(labels, first)
    sounding = [np.ones(8, dtype=bool)]
    single = data.subset([0], "one")
    right = moments(windows, centres, single, {**queries, two: last}, sounding, tolerance_s=0.1)
    assert right.within.tolist() == [1.0, 1.0]
    assert right.sounds.tolist() == [0, 0]
    wrong = moments(windows, centres, single, {**queries, one: last}, sounding, tolerance_s=0.1)
    assert wrong.within.tolist() == [0.0, 0.0]
    assert right.by_chance == pytest.approx((5 / 8 + 5 / 8) / 2)
    hushed = moments(windows, centres, single, {**queries, two: last}, [np.arange(8) != 7], tolerance_s=0.1)
    assert hushed.within.tolist() == [1.0, 0.0]  # the seven others are all as near, and the first of them is taken


def test_order_is_told_by_the_nearer_sentence() -> None:
    sounds = np.eye(3)
    right, wrong = np.eye(3)[[0, 0, 2]], np.eye(3)[[1, 1, 2]]
    assert order(sounds, right, wrong).tolist() == [1.0, 0.0, 0.5]


def test_gains_are_the_differences_of_means() -> None:
    owners = np.repeat(np.arange(50), 2)
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(50, 8))
    near = [retrieval(truth, truth[owners] + 0.1 * rng.normal(size=(100, 8)), owners) for _ in range(3)]
    far = [retrieval(truth, truth[owners] + 2.0 * rng.normal(size=(100, 8)), owners) for _ in range(3)]
    gains = against(near, far, resamples=200)
    for side in ("t2a", "a2t"):
        mean = np.mean(
            [
                n.metrics()[f"{side}_map_at_10"] - f.metrics()[f"{side}_map_at_10"]
                for n, f in zip(near, far, strict=True)
            ]
        )
        gain, low, high = gains[f"{side}_map_at_10"]
        assert gain == pytest.approx(mean)
        assert 0 < low < gain < high
    with pytest.raises(ConfigError, match="3 seeds against 2"):
        against(near, far[:2])


def test_a_result_line_says_what_was_judged() -> None:
    data = encoded(12)
    made = new_space(data, SIZES).use(SOUNDS).use(SENTENCES).eval()
    run = evaluate(made, data, method="untrained", config={"epochs": 0})
    assert (run.task, run.n, run.metrics["sounds"]) == ("audio/retrieval", 24, 12)
    assert run.config == {"sound": "tones", "text": "tone-words", "epochs": 0}
    low, high = run.intervals["t2a_recall_at_1"]
    assert low <= run.metrics["t2a_recall_at_1"] <= high


def test_a_set_without_any_caption_is_refused() -> None:
    data = encoded(3)
    silent = type(data)(
        **{**vars(data), "sentences": data.sentences.take([0]), "owners": data.owners[:0], "captions": ()}
    )
    made = new_space(data, SIZES).use(SOUNDS).use(SENTENCES)
    with pytest.raises(InputError, match="no sound has a caption"):
        evaluate(made, silent, method="x")
