"""tamis's own encoders, and how they are taught."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tests.audio.encoding import described
from transformers import BertConfig, BertModel, BertTokenizerFast

from tamis.audio.aisfx import AisfxSounds, EffectsCNN
from tamis.audio.config import JointConfig, TrainConfig
from tamis.audio.distillation import Lessons, invented, table, teach_sentences, teach_sounds
from tamis.audio.latents import encode
from tamis.audio.mel import log_mel
from tamis.audio.melcnn import FRAMES, HOP, MEL, MelCNN
from tamis.audio.minilm import MiniLM
from tamis.audio.space import JointSpace, new_space
from tamis.audio.training import train
from tamis.audio.words import TABLE, Words
from tamis.core.errors import ConfigError

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "dog", "bark", "##s", "rain", "falls", ",", "then", "[MASK]"]


@pytest.fixture
def teacher(tmp_path: Path) -> MiniLM:
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES), encoding="utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(PIECES), hidden_size=384, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64
    )
    return MiniLM(BertModel(config).eval(), BertTokenizerFast(str(tmp_path / "vocab.txt")))


def words(pieces: int = 6) -> Words:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    return Words.of(
        ["[UNK]", "dog", "bark", "##s", "rain", "a"][:pieces], rng.normal(size=(pieces, TABLE)).astype(np.float32)
    ).eval()


def test_the_sound_encoder_is_small() -> None:
    count = sum(p.numel() for p in MelCNN().parameters())
    convolutions = 9 * (1 * 32 + 32 * 64 + 64 * 128 + 128 * 128 + 128 * 256)
    assert count == convolutions + 2 * (32 + 64 + 128 + 128 + 256) + 512 * 512 + 512
    assert count < 1_000_000


def test_windows_are_stretches_of_the_spectrogram() -> None:
    samples = np.random.default_rng(0).normal(size=MEL.rate * 3).astype(np.float32)
    windows = MelCNN().prepare(samples)
    mel = log_mel(samples / np.abs(samples).max(), MEL)
    for number, window in enumerate(windows[:-1]):
        np.testing.assert_allclose(window, mel[number * HOP : number * HOP + FRAMES], rtol=1e-5)
    last = len(windows) - 1
    rest = mel[last * HOP :]
    np.testing.assert_allclose(windows[-1][: len(rest)], rest, rtol=1e-5)
    assert not windows[-1][len(rest) :].any()
    assert MelCNN().prepare(samples[:100]).shape == (1, FRAMES, MEL.bands)


def test_a_sentence_is_cut_into_the_longest_pieces() -> None:
    encoder = words()
    assert encoder.prepare("A dog barks").tolist() == [5, 1, 2, 3]
    assert encoder.prepare("Dög").tolist() == [1]
    assert encoder.prepare("helicopter").tolist() == [0]
    assert encoder.prepare("\u200b").tolist() == [0]
    assert len(encoder.prepare("rain " * 500)) == 64


def test_a_sentence_gets_the_same_rows_in_any_company_and_its_order_counts() -> None:
    encoder = words()
    alone, beside = encoder.encode(["a dog"])[0], encoder.encode(["rain", "a dog", "a dog barks"])[1]
    np.testing.assert_array_equal(alone, beside)
    one, other = encoder.encode(["dog rain", "rain dog"])
    assert not np.allclose(one.mean(axis=0), other.mean(axis=0), atol=1e-4)


def test_the_table_is_rounded_to_a_hundredth_of_its_range() -> None:
    vectors = np.random.default_rng(1).normal(size=(3, TABLE)).astype(np.float32)
    made = Words.of(["[UNK]", "dog", "rain"], vectors)
    np.testing.assert_allclose((made.table * made.scale).numpy(), vectors, atol=float(np.abs(vectors).max()) / 250)


def test_the_table_is_the_teachers_in_its_main_directions(teacher: MiniLM) -> None:
    pieces = ["dog", "bark", "rain", "falls", "then"]
    small = table(teacher, pieces)
    with torch.inference_mode():
        rows = [
            teacher(torch.tensor([[2, PIECES.index(p), 3]]), torch.ones(1, 3, dtype=torch.bool)).mean(dim=1)[0]
            for p in pieces
        ]
    whole = torch.stack(rows).numpy()
    whole = whole - whole.mean(axis=0)
    np.testing.assert_allclose(small @ small.T, whole @ whole.T, atol=1e-3)  # five points span four directions


def test_sentences_are_learnt_and_a_lesson_goes_on(teacher: MiniLM, tmp_path: Path) -> None:
    said = ["a dog barks", "rain falls", "a dog, then rain", "rain, then a dog"] * 16
    _, curves = teach_sentences(teacher, said, Lessons(epochs=6, batch=16), out=tmp_path / "words")
    assert curves["loss"][6] < 0.7 * curves["loss"][1]
    again, resumed = teach_sentences(teacher, said, Lessons(epochs=6, batch=16), out=tmp_path / "words")
    assert resumed == curves
    assert again.prepare("dogs")[0] != again.prepare("rain")[0]
    with pytest.raises(ConfigError, match="another training: data is"):
        teach_sentences(teacher, [*said[:-1], "a dog and rain"], Lessons(epochs=6, batch=16), out=tmp_path / "words")


def test_sounds_are_learnt() -> None:
    torch.manual_seed(0)
    sounds = [one.sound for one in described(12)]
    pupil, curves = teach_sounds(AisfxSounds(EffectsCNN().eval()), sounds, Lessons(epochs=4, batch=8))
    assert curves["loss"][4] < curves["loss"][1]
    assert not pupil.training


def test_invented_descriptions_are_of_the_words_given() -> None:
    made = invented(["zither", "quail"], 50, seed=1)
    assert len(made) == 50
    assert all("zither" in one or "quail" in one for one in made)
    assert made != invented(["zither", "quail"], 50, seed=2)


def test_a_space_holds_its_own_encoders(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sound, text = MelCNN().eval(), words()
    data = encode([one._replace(captions=("a dog", "rain")) for one in described(4)], "own", sound, text)
    made = new_space(data, JointConfig(joint=8, hidden=16, heads=2), own=(sound, text)).eval()
    made.save_pretrained(tmp_path / "own")
    again = JointSpace.from_pretrained(tmp_path / "own")
    sounds = [one.sound for one in described(2)]
    assert np.array_equal(again.encode_audio(sounds), made.encode_audio(sounds))
    assert np.array_equal(again.encode_text(["a dog barks"]), made.encode_text(["a dog barks"]))
    assert again.text_encoder.fingerprint == text.fingerprint
    again.embed(data)
    again.train()
    assert not again.sound_encoder.training
    other = encode([one._replace(captions=("rain",)) for one in described(2)], "x", MelCNN().eval(), text)
    with pytest.raises(ConfigError, match="was encoded by mel-cnn"):
        again.embed(other)


def test_words_need_their_pieces() -> None:
    with pytest.raises(ConfigError, match="0 word pieces of 0 bytes"):
        JointSpace(JointConfig(text="words"))


def test_a_network_with_other_weights_has_another_fingerprint() -> None:
    sound, other = MelCNN().eval(), MelCNN().eval()
    before = sound.fingerprint
    sound.load_state_dict(other.state_dict())
    assert sound.fingerprint == other.fingerprint != before


def test_a_space_is_trained_on_encoders_that_are_given(tmp_path: Path) -> None:
    sound, text = MelCNN().eval(), words()
    pairs: list[tuple[str | Path, str]] = []
    for number, one in enumerate(described(6)):
        soundfile.write(tmp_path / f"{number}.wav", one.sound.samples, one.sound.rate)
        pairs.append((tmp_path / f"{number}.wav", "a dog" if number % 2 else "rain"))
    recipe, sizes = TrainConfig(epochs=1, batch=4), JointConfig(joint=8, hidden=16, heads=2)
    made, _ = train(pairs, config=recipe, sizes=sizes, sound=sound, text=text, out=tmp_path / "space")
    assert made.sound_encoder.fingerprint == sound.fingerprint
    with pytest.raises(ConfigError, match="another training: encoders is"):
        train(pairs, config=recipe, sizes=sizes, sound=MelCNN().eval(), text=text, out=tmp_path / "space")
