"""Encoders of other people: agreement with their own outputs, on tiny models in the layouts that the Hub has."""

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor, RobertaTokenizerFast

from tamis.audio.adapters import (
    CallableSentences,
    CallableSounds,
    ClapSentences,
    ClapSounds,
    SentenceTransformerSentences,
    ZeroShot,
)
from tamis.audio.encoders import load_sound_encoder, load_text_encoder
from tamis.audio.latents import Described, encode
from tamis.audio.sound import Sound, resample
from tamis.core.errors import ConfigError, FileError, InputError, MissingExtraError, ShapeError

RATE, WIDTH, WINDOW = 8_000, 6, 2
MERGES = [("d", "o"), ("do", "g"), ("r", "a"), ("Ġ", "dog")]
WORDS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet()), *map("".join, MERGES)]


def small_model(*, fusion: bool = False) -> Any:
    torch.manual_seed(0)
    layers = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 8}
    audio = {
        "num_mel_bins": 16,
        "spec_size": 64,
        "window_size": 4,
        "patch_size": 4,
        "patch_stride": [4, 4],
        "depths": [1, 1],
        "num_attention_heads": [1, 2],
        "hidden_size": 16,
        "patch_embeds_hidden_size": 8,
        "enable_fusion": fusion,
        "fusion_type": "aff_2d" if fusion else None,
    }
    text = {**layers, "vocab_size": len(WORDS), "max_position_embeddings": 90}
    return ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=WIDTH)).eval()


def small_extractor(*, fusion: bool = False) -> Any:
    return ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=RATE,
        hop_length=80,
        max_length_s=WINDOW,
        fft_window_size=256,
        frequency_max=4_000,
        truncation="fusion" if fusion else "rand_trunc",
    )


def small_tokenizer() -> Any:
    return RobertaTokenizerFast(vocab={word: i for i, word in enumerate(WORDS)}, merges=MERGES)


@pytest.fixture(scope="module", params=["one file", "several files"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in a directory, its processor as transformers 5 writes it, or as older ones did."""
    place = tmp_path_factory.mktemp("models") / "clap"
    small_model().save_pretrained(place)
    if request.param == "one file":
        ClapProcessor(small_extractor(), small_tokenizer()).save_pretrained(place)
    else:
        small_extractor().save_pretrained(place)
        small_tokenizer().save_pretrained(place)
    return place


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(RATE * seconds)).astype(np.float32)


def pooled(features: Any) -> Any:
    """transformers 5 gives an object, 4 gave the tensor."""
    return getattr(features, "pooler_output", features).detach().numpy()


def stock_audio(model: Any, extractor: Any, samples: np.ndarray) -> np.ndarray:
    inputs = extractor(samples, sampling_rate=RATE, return_tensors="pt")
    return pooled(model.get_audio_features(inputs["input_features"], torch.zeros(1, 1, dtype=torch.bool)))[0]


def test_a_short_sound_gets_the_vector_that_the_model_itself_gives(folder: Path, capfd: Any) -> None:
    encoder = load_sound_encoder(f"clap:{folder}")
    assert (encoder.rate, encoder.width, encoder.window_s, encoder.hop_s) == (RATE, WIDTH, 2.0, 2.0)
    for seconds in (0.3, 1.0, 2.0):
        samples = noise(seconds)
        ours, theirs = encoder.encode(samples), stock_audio(small_model(), small_extractor(), samples)
        assert ours.shape == (1, WIDTH)
        np.testing.assert_allclose(ours[0], theirs, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)
    assert capfd.readouterr().err == ""


def test_a_long_sound_is_cut_and_what_is_left_is_a_second_at_the_least() -> None:
    model, extractor = small_model(), small_extractor()
    encoder, samples = ClapSounds(model, extractor), noise(5.2)
    whole = encoder.encode(samples)
    pieces = [samples[: 2 * RATE], samples[2 * RATE : 4 * RATE], samples[4 * RATE :]]
    np.testing.assert_allclose(whole, [stock_audio(model, extractor, piece) for piece in pieces], atol=1e-6)
    last = encoder.encode(samples[: 4 * RATE + 100])[-1]
    np.testing.assert_allclose(last, stock_audio(model, extractor, samples[3 * RATE + 100 : 4 * RATE + 100]), atol=1e-6)
    half = ClapSounds(model, extractor, hop_s=1.0).encode(samples)
    assert len(half) == 5
    np.testing.assert_allclose(half[::2], whole, atol=1e-6)


@pytest.mark.parametrize("fusion", [False, True])
def test_a_sound_gets_the_same_vector_in_any_order_and_whatever_the_state_of_chance(fusion: bool) -> None:
    encoder = ClapSounds(small_model(fusion=fusion), small_extractor(fusion=fusion))
    sounds = [noise(seconds, seed) for seed, seconds in enumerate((0.5, 7.0, 2.0))]
    np.random.seed(0)
    first = [encoder.encode(sound) for sound in sounds]
    np.random.seed(1)
    again = [encoder.encode(sound) for sound in reversed(sounds)][::-1]
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_the_last_window_starts_where_it_was_cut() -> None:
    encoder = ClapSounds(small_model(), small_extractor())
    samples = np.random.default_rng(0).normal(0, 0.1, round(4.3 * RATE)).astype(np.float32)
    rows = encoder.encode(samples)
    starts = encoder.starts_s(len(rows), len(samples) / RATE)
    np.testing.assert_allclose(starts, [0.0, 2.0, 3.3])  # two seconds each; the last one is left a second
    for row, start in zip(rows, starts, strict=True):
        alone = encoder.encode(samples[round(start * RATE) : round((start + 2.0) * RATE)])
        np.testing.assert_allclose(row, alone[0], atol=1e-5)


def test_a_model_with_fusion_sees_a_window_as_a_whole_sound() -> None:
    model, extractor = small_model(fusion=True), small_extractor(fusion=True)
    samples = noise(2.0)
    ours = ClapSounds(model, extractor).encode(samples)[0]
    np.testing.assert_allclose(ours, stock_audio(model, extractor, samples), atol=1e-6)
    by_itself = extractor(samples, sampling_rate=RATE, return_tensors="pt")
    assert by_itself["is_longer"].all()  # transformers marks one of the short sounds as long, at random
    assert np.abs(pooled(model.get_audio_features(**by_itself))[0] - ours).max() > 1e-3


def test_sentences_get_the_vectors_that_the_model_itself_gives(folder: Path) -> None:
    encoder = load_text_encoder(f"clap:{folder}")
    sentences = ["a dog barks", "rain", "rain falls", "a dog barks", "dog " * 200]
    ours = encoder.encode(sentences)
    assert [rows.shape for rows in ours] == [(1, WIDTH)] * 5
    assert np.array_equal(ours[0], ours[3])
    model, tokenizer = small_model(), small_tokenizer()
    assert len(tokenizer("a dog barks")["input_ids"]) == 2 + len("a") + 1 + len(" barks")
    for sentence, rows in zip(sentences, ours, strict=True):
        inputs = tokenizer([sentence], return_tensors="pt", truncation=True, max_length=77)
        theirs = pooled(model.get_text_features(inputs["input_ids"], inputs["attention_mask"]))
        np.testing.assert_allclose(rows, theirs, atol=1e-6)
    for sentence, rows in zip(reversed(sentences), reversed(ours), strict=True):
        np.testing.assert_allclose(encoder.encode([sentence])[0], rows, atol=1e-6)
    with pytest.raises(InputError, match="sentence 1 is ' '"):
        encoder.encode(["a", " "])


def test_a_fingerprint_is_of_weights_and_windows_and_not_of_the_place(folder: Path, tmp_path: Path) -> None:
    sounds, moved = ClapSounds.load(str(folder)), ClapSounds(small_model(), small_extractor())
    assert sounds.name == f"clap:{folder}"
    assert sounds.fingerprint == moved.fingerprint
    assert ClapSounds.load(str(folder), hop_s=1.0).fingerprint != sounds.fingerprint
    other = small_extractor()
    other.padding = "pad"
    assert ClapSounds(small_model(), other).fingerprint != sounds.fingerprint
    changed = small_model()
    with torch.no_grad():
        changed.audio_projection.linear1.bias += 1
    assert ClapSounds(changed, small_extractor()).fingerprint != sounds.fingerprint
    text = ClapSentences(changed, small_tokenizer()).fingerprint
    assert text == ClapSentences.load(str(folder)).fingerprint != sounds.fingerprint
    longer = small_tokenizer()
    longer.add_tokens(["woofwoof"])
    assert ClapSentences(changed, longer).fingerprint != text


def test_zero_shot_is_the_cosine_that_the_model_itself_gives(folder: Path) -> None:
    zero_shot = ZeroShot(load_sound_encoder(f"clap:{folder}"), load_text_encoder(f"clap:{folder}"))
    sounds, sentences = [noise(1.0), noise(2.0, 1)], ["a dog", "rain falls", "sound"]
    scores = zero_shot.similarity(
        zero_shot.encode_audio([Sound(samples, RATE) for samples in sounds]), zero_shot.encode_text(sentences)
    )
    model = small_model()
    mels = torch.cat(
        [small_extractor()(one, sampling_rate=RATE, return_tensors="pt")["input_features"] for one in sounds]
    )
    tokens = small_tokenizer()(sentences, padding=True, return_tensors="pt")
    theirs = model(tokens["input_ids"], mels, torch.zeros(2, 1, dtype=torch.bool), tokens["attention_mask"])
    scale = float(model.logit_scale_a.detach().exp())
    np.testing.assert_allclose(scores, theirs.logits_per_audio.detach().numpy() / scale, atol=1e-5)


def test_zero_shot_takes_the_mean_of_windows_and_the_same_from_encoded_sets() -> None:
    sounds, sentences = ClapSounds(small_model(), small_extractor()), ClapSentences(small_model(), small_tokenizer())
    zero_shot = ZeroShot(sounds, sentences)
    long = Sound(noise(5.0), RATE)
    (vector,) = zero_shot.encode_audio([long])
    mean = sounds.encode(long.samples).mean(axis=0)
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)
    faster = resample(long, 16_000)
    assert zero_shot.encode_audio([faster]) @ vector > 0.99
    encoded = encode([Described("x", long, ("a dog", "rain"))], "set", sounds, sentences)
    audio, text = zero_shot.embed(encoded)
    np.testing.assert_allclose(audio, [vector], atol=1e-6)
    np.testing.assert_allclose(text, zero_shot.encode_text(["a dog", "rain"]), atol=1e-6)
    assert zero_shot.encode_audio([]).shape == zero_shot.encode_text([]).shape == (0, WIDTH)
    with pytest.raises(ConfigError, match=r"set was encoded by clap .*; expected clap .*; encode it again"):
        ZeroShot(ClapSounds(small_model(), small_extractor(), hop_s=1.0), sentences).embed(encoded)
    with pytest.raises(InputError, match="one text, 'a dog'"):
        zero_shot.encode_text("a dog")


def test_encoders_of_two_spaces_are_no_zero_shot() -> None:
    with pytest.raises(ConfigError, match="clap gives 6 numbers and f gives 3, so they share no space"):
        ZeroShot(ClapSounds(small_model(), small_extractor()), CallableSentences(len, name="f", width=3, version="1"))


def test_what_is_no_clap_or_not_here_is_one_line(folder: Path, tmp_path: Path) -> None:
    for load in (load_sound_encoder, load_text_encoder):
        with pytest.raises(ConfigError, match=r"^org/nothing: not here, and the Hub did not give it"):
            load("clap:org/nothing")
        with pytest.raises(ConfigError, match=r"no model 'nothing'; expected a model directory or a Hub id"):
            load("clap:nothing")
    small_model().save_pretrained(tmp_path / "bare")
    with pytest.raises(FileError, match=r"bare: cannot be loaded as a model"):
        load_sound_encoder(f"clap:{tmp_path / 'bare'}")
    small_model().text_model.save_pretrained(tmp_path / "other")
    with pytest.raises(ConfigError, match="is a 'clap_text_model' model; expected a CLAP"):
        load_sound_encoder(f"clap:{tmp_path / 'other'}")
    lacking = small_model()
    lacking.text_projection = None
    lacking.save_pretrained(tmp_path / "lacking")
    with pytest.raises(FileError, match=r"4 weights are missing or misshapen, the first text_projection\.linear1"):
        load_text_encoder(f"clap:{tmp_path / 'lacking'}")


@pytest.mark.parametrize("hop_s", [0.0, -1.0, 2.5])
def test_a_hop_that_leaves_gaps_or_stands_still_is_refused(hop_s: float) -> None:
    with pytest.raises(ConfigError, match="expected seconds above 0, up to the window's 2"):
        ClapSounds(small_model(), small_extractor(), hop_s=hop_s)
    with pytest.raises(InputError, match="holds no sample"):
        ClapSounds(small_model(), small_extractor()).encode(np.zeros(0, np.float32))


class FakeSentenceTransformer(torch.nn.Module):
    """Takes what sentence-transformers 6 takes: a row is the number of letters, and of words."""

    def __init__(self, name: str, *, device: str, trust_remote_code: bool, model_kwargs: dict[str, Any]) -> None:
        super().__init__()
        if name == "org/nothing":
            raise OSError("no\nsuch model")
        assert not trust_remote_code
        assert model_kwargs == {"use_safetensors": True}
        self.scale = torch.nn.Parameter(torch.ones(2))

    def encode(self, inputs: list[str], *, show_progress_bar: bool) -> np.ndarray:
        assert not show_progress_bar
        return np.array([[len(text), len(text.split())] for text in inputs], np.float64)


def test_a_model_of_sentence_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("sentence_transformers")
    fake.SentenceTransformer = FakeSentenceTransformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", fake)
    encoder = load_text_encoder("st:org/model")
    assert (encoder.name, encoder.width) == ("st:org/model", 2)
    first, second = encoder.encode(["a dog", "rain"])
    assert first.dtype == np.float32
    assert (first.tolist(), second.tolist()) == ([[5, 2]], [[4, 1]])
    assert encoder.fingerprint == SentenceTransformerSentences.load("org/other").fingerprint
    with pytest.raises(ConfigError, match=r"org/nothing: not here, and the Hub did not give it \(no such model\)"):
        load_text_encoder("st:org/nothing")


def test_without_sentence_transformers_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"needs more packages: pip install sentence-transformers$"):
        load_text_encoder("st:org/model")


def loudness(samples: np.ndarray) -> np.ndarray:
    return np.array([[np.abs(part).max(), part.std()] for part in np.split(samples, 2)])


def test_a_function_is_an_encoder() -> None:
    told: dict[str, Any] = {"name": "loudness", "rate": 100, "width": 2, "window_s": 1.0, "hop_s": 1.0}
    encoder = CallableSounds(loudness, **told, version="1")
    samples = np.arange(200, dtype=np.float32)
    rows = encoder.encode(samples)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows[:, 0], [99, 199])
    assert encoder.fingerprint == CallableSounds(np.sin, **told, version="1").fingerprint
    assert encoder.fingerprint != CallableSounds(loudness, **told, version="2").fingerprint
    text = CallableSentences(lambda texts: torch.ones(len(texts), 3), name="ones", width=3, version="1")
    assert [rows.tolist() for rows in text.encode(["a", "b"])] == [[[1, 1, 1]]] * 2
    assert text.fingerprint != CallableSentences(len, name="ones", width=3, version="2").fingerprint


@pytest.mark.parametrize(
    ("result", "error", "said"),
    [
        (np.ones(2), ShapeError, r"^f gave an array of shape \(2,\); expected \(windows, 2\)$"),
        (np.ones((3, 4)), ShapeError, r"shape \(3, 4\)"),
        (np.ones((0, 2)), ShapeError, r"shape \(0, 2\)"),
        (np.array([[1, 2], [3, np.nan]]), InputError, "f gave NaN or infinity in row 1"),
        (np.array([[1, np.inf]]), InputError, "f gave NaN or infinity in row 0"),
        ([[1, 2], [3]], InputError, "f gave no array of numbers"),
        (None, InputError, "f gave no array of numbers|shape"),
        (torch.ones(1, 2, requires_grad=True), InputError, "f gave no array of numbers .*detach"),
    ],
)
def test_what_a_function_gives_is_checked(result: Any, error: type[InputError], said: str) -> None:
    encoder = CallableSounds(lambda _: result, name="f", rate=8, width=2, window_s=1.0, hop_s=1.0, version="1")
    with pytest.raises(error, match=said) as caught:
        encoder.encode(np.zeros(8, np.float32))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes", [{"rate": 0}, {"width": 0}, {"window_s": 0.0}, {"hop_s": -1.0}, {"hop_s": np.inf}])
def test_windows_of_a_function_have_a_length(changes: dict[str, Any]) -> None:
    told = {"rate": 8, "width": 2, "window_s": 1.0, "hop_s": 1.0, **changes}
    with pytest.raises(ConfigError, match=f"{next(iter(changes))} is .*; expected more than 0"):
        CallableSounds(loudness, name="f", version="1", **told)


def test_a_function_of_sentences_gives_one_row_for_each_and_has_a_version() -> None:
    encoder = CallableSentences(lambda texts: np.ones((1, 2)), name="f", width=2, version="1")
    with pytest.raises(ShapeError, match=r"f gave an array of shape \(1, 2\); expected \(2, 2\)"):
        encoder.encode(["a", "b"])
    with pytest.raises(InputError, match="sentence 0 is ''"):
        encoder.encode([""])
    with pytest.raises(ConfigError, match="version is ''"):
        CallableSentences(len, name="f", width=2, version="")


def test_a_folder_that_wants_to_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", types.ModuleType("sentence_transformers"))
    (tmp_path / "modules.json").write_text('[{"idx": 0, "type": "evil.Module"}]', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"wants to run code of its own \(evil.Module in modules.json\)"):
        SentenceTransformerSentences.load(str(tmp_path))
    (tmp_path / "modules.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(FileError, match="not the parts of a model"):
        SentenceTransformerSentences.load(str(tmp_path))


def test_no_sentences_have_no_vectors() -> None:
    width: dict[str, Any] = {"name": "f", "width": 3, "version": "1"}
    sounds = CallableSounds(loudness, rate=8, window_s=1.0, hop_s=1.0, **width)
    space = ZeroShot(sounds, CallableSentences(lambda texts: np.ones((len(texts), 3)), **width))
    assert space.encode_text([]).shape == (0, 3)
