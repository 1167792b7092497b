"""The joint space: unit vectors, the same for the same sound, kept with what they were trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.audio.encoding import RATE, SENTENCES, SOUNDS, described, encoded

from tamis.audio.adapters import CallableSentences
from tamis.audio.config import JointConfig
from tamis.audio.encoders import positions
from tamis.audio.latents import encode
from tamis.audio.sound import Sound
from tamis.audio.space import Head, JointSpace, audible, averaged, new_space
from tamis.core.errors import ConfigError, InputError

SIZES = JointConfig(joint=8, hidden=16, heads=2)


def space() -> JointSpace:
    return new_space(encoded(20), SIZES).use(SOUNDS).use(SENTENCES).eval()


def test_vectors_have_length_one_and_similarity_is_their_cosine() -> None:
    made = space()
    audio = made.encode_audio([one.sound for one in described(5)])
    text = made.encode_text(["low then high", "high"])
    np.testing.assert_allclose(np.linalg.norm(audio, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(text, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(made.similarity(audio, text)[3, 1], float(audio[3] @ text[1]), rtol=1e-6)


def test_the_same_sound_gets_the_same_vector_in_any_company() -> None:
    made, sounds = space(), [one.sound for one in described(6)]
    together = made.encode_audio(sounds)
    for i in (0, 5):
        assert np.array_equal(made.encode_audio([sounds[i]])[0], together[i])
    assert np.array_equal(made.encode_audio(sounds[::-1])[::-1], together)


def test_a_set_is_embedded_as_its_sounds_are() -> None:
    made, sounds = space(), described(7)
    audio, text = made.embed(encode(sounds, "tones", SOUNDS, SENTENCES))
    np.testing.assert_allclose(audio, made.encode_audio([one.sound for one in sounds]), atol=1e-6)
    np.testing.assert_allclose(text, made.encode_text([c for one in sounds for c in one.captions]), atol=1e-6)


def test_a_long_sound_is_the_mean_of_its_stretches() -> None:
    made = new_space(encoded(20), JointConfig(joint=8, hidden=16, heads=2, stretch=4)).use(SOUNDS).use(SENTENCES).eval()
    samples = np.concatenate([one.sound.samples for one in described(2)])[: round(1.0 * RATE)]
    stretches = [samples[:3200], samples[3200:6400], samples[4800:8000]]
    mean = made.encode_audio([Sound(part, RATE) for part in stretches]).mean(axis=0)
    np.testing.assert_allclose(made.encode_audio([Sound(samples, RATE)])[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_a_head_sees_the_order_unless_it_has_no_layers() -> None:
    torch.manual_seed(0)
    rows, mask = torch.randn(1, 6, 4), torch.ones(1, 6, dtype=torch.bool)
    for layers in (0, 1):
        head = Head(4, JointConfig(joint=8, hidden=16, heads=2, layers=layers)).eval()
        same = torch.allclose(head(rows, mask), head(rows.flip(1), mask), atol=1e-6)
        assert same == (layers == 0)


def test_what_is_filled_up_does_not_count() -> None:
    torch.manual_seed(0)
    head = Head(4, SIZES).eval()
    rows = torch.randn(1, 5, 4)
    filled = torch.cat([rows, torch.full((1, 3, 4), 9.0)], dim=1)
    mask = torch.arange(8)[None] < 5
    torch.testing.assert_close(head(filled, mask), head(rows, mask[:, :5]))
    torch.testing.assert_close(averaged(filled, mask), rows.mean(dim=1))


def test_positions_are_those_of_the_transformer() -> None:
    table = positions(7, 6)
    assert table[3, 4] == pytest.approx(np.sin(3 / 10_000 ** (4 / 6)), abs=1e-6)
    assert table[5, 3] == pytest.approx(np.cos(5 / 10_000 ** (2 / 6)), abs=1e-6)


def test_latents_are_standardised_by_the_training_set() -> None:
    made, data = space(), encoded(20)
    seen = made.sound_head.standardised(torch.from_numpy(data.sounds.values))
    torch.testing.assert_close(seen.mean(dim=0), torch.zeros(4), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(seen.std(dim=0, correction=0), torch.ones(4), atol=1e-3, rtol=0.0)


def test_moments_name_the_window_that_is_nearest() -> None:
    made = space()
    one = described(1)[0]
    moments = made.locate(one.sound, "low")
    assert len(moments) == 8
    assert [m.score for m in moments] == sorted((m.score for m in moments), reverse=True)
    windows = [made.encode_audio([Sound(one.sound.samples[i * 800 : (i + 1) * 800], RATE)])[0] for i in range(8)]
    scores = np.array(windows) @ made.encode_text(["low"])[0]
    best = int(np.argmax(scores))
    assert (moments[0].start_s, moments[0].end_s) == (pytest.approx(best * 0.1), pytest.approx(best * 0.1 + 0.1))


def test_silence_is_no_moment() -> None:
    one = described(1)[0].sound.samples
    samples = np.concatenate([np.zeros(2400, np.float32), 0.01 * one[:800], one[:1600]])
    assert audible(samples, SOUNDS, 6).tolist() == [False, False, False, False, True, True]
    moments = space().locate(Sound(samples, RATE), "low")
    assert {round(moment.start_s, 6) for moment in moments[:2]} == {0.4, 0.5}
    assert len(moments) == 6


def test_complete_silence_has_no_moments() -> None:
    made = space()
    assert made.locate(Sound(np.zeros(4000, np.float32), RATE), "low") == []
    assert made.locate(Sound(np.full(4000, 1e-40, np.float32), RATE), "low") == []
    assert len(made.locate(Sound(np.full(4000, 2.0**-15, np.float32), RATE), "low")) == 5


def test_one_sound_in_place_of_several_is_refused() -> None:
    with pytest.raises(InputError, match=r"door.wav is one sound; give a list of them"):
        space().encode_audio("door.wav")


def test_a_space_is_the_same_after_it_was_kept(tmp_path: Path) -> None:
    made = space()
    made.save_pretrained(tmp_path / "kept")
    again = JointSpace.from_pretrained(tmp_path / "kept").use(SOUNDS).use(SENTENCES)
    sounds = [one.sound for one in described(3)]
    assert np.array_equal(again.encode_audio(sounds), made.encode_audio(sounds))


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    other = CallableSentences(lambda s: np.ones((len(s), 4), np.float32), name="tone-words", width=4, version="2")
    made = space()
    with pytest.raises(ConfigError, match="the text encoder tone-words has fingerprint"):
        made.use(other)
    with pytest.raises(ConfigError, match="was encoded by tone-words"):
        made.embed(encode(described(2), "x", SOUNDS, other))


def test_what_is_no_sound_and_no_sentence_is_refused() -> None:
    made = space()
    with pytest.raises(InputError, match="holds no sample"):
        made.encode_audio([Sound(np.zeros(0, np.float32), RATE)])
    with pytest.raises(InputError, match="give some words"):
        made.encode_text(["low", " "])
    with pytest.raises(InputError, match="sentence 1 is 'a \\\\udcff', which is no Unicode text"):
        made.encode_text(["low", "a \udcff"])
    with pytest.raises(InputError, match="give a list"):
        made.encode_text("low")  # type: ignore[arg-type]
    assert made.encode_text([]).shape == (0, 8)


@pytest.mark.parametrize(
    "changes",
    [
        {"joint": 0},
        {"hidden": 10, "heads": 4},
        {"dropout": 1.0},
        {"stretch": -1},
        {"vocabulary": (1, -1)},
        {"layers": 10**7},
    ],
)
def test_what_makes_no_space_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        JointConfig(**changes)  # type: ignore[arg-type]
