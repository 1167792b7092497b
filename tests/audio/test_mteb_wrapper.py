"""mteb's interface: with a stand-in for its metadata, and with mteb itself where it is installed."""

import importlib.util
import sys
import types
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from tamis.audio.mteb_wrapper import MtebEncoder
from tamis.audio.sound import Sound
from tamis.core.errors import ConfigError, InputError, MissingExtraError

KINDS = ("low", "middle", "high")
TASK: dict[str, Any] = {"task_metadata": None, "hf_split": "test", "hf_subset": "default", "batch_size": 2}


class Bands:
    """Hears how much of a sound is low, middle and high, and reads the same of a sentence."""

    def encode_audio(self, sounds: list[Sound]) -> np.ndarray:
        rows = []
        for sound in sounds:
            assert sound.samples.ndim == 1
            power = np.abs(np.fft.rfft(sound.samples)) ** 2
            hz = np.fft.rfftfreq(len(sound.samples), 1 / sound.rate)
            rows.append([power[(hz >= low) & (hz < low + 1000)].sum() for low in (0, 1000, 2000)])
        return np.array(rows, np.float32) / np.linalg.norm(rows, axis=1, keepdims=True)

    def encode_text(self, sentences: list[str]) -> np.ndarray:
        return np.array([[kind in one for kind in KINDS] for one in sentences], np.float32).reshape(-1, 3)


def tone(hz: float, rate: int = 8000) -> dict[str, Any]:
    return {"array": np.sin(2 * np.pi * hz * np.arange(rate) / rate), "sampling_rate": rate}


def test_batches_of_sounds_and_of_texts_are_put_together_in_order() -> None:
    encoder = MtebEncoder(Bands(), "me/bands")
    stereo = {"array": np.stack([tone(1500)["array"]] * 2), "sampling_rate": 8000}
    heard = encoder.encode([{"audio": [tone(500), tone(2500)]}, {"audio": [stereo]}], **TASK)
    assert heard.dtype == np.float32
    np.testing.assert_allclose(heard, [[1, 0, 0], [0, 0, 1], [0, 1, 0]], atol=1e-3)
    said = encoder.encode([{"text": ["a high tone", " "], "id": ["1", "2"]}, {"text": ["low"]}], **TASK)
    np.testing.assert_array_equal(said, [[0, 0, 1], [0, 0, 0], [1, 0, 0]])
    both = encoder.encode([{"text": ["low"], "audio": [tone(2500)]}], **TASK)
    np.testing.assert_allclose(both, [[1, 0, 1]], atol=1e-3)


def test_similarities_are_cosines() -> None:
    encoder = MtebEncoder(Bands(), "me/bands")
    first, second = np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(encoder.similarity(first, torch.tensor(second)), [[0.6, 0], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(encoder.similarity_pairwise(first, second), [0.6, 0], atol=1e-6)
    assert encoder.similarity(first[0], second[0]).shape == (1, 1)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([{"image": [1]}], "a batch holds image; expected audio or text"),
        ([], "mteb gave nothing to encode"),
        ([{"audio": ["file.wav"]}], "a sound came as str; expected array and sampling_rate"),
        ([{"audio": [{"bytes": b""}]}], "a sound came as dict"),
    ],
)
def test_what_is_neither_sound_nor_text_is_refused(inputs: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        MtebEncoder(Bands(), "me/bands").encode(inputs, **TASK)
    with pytest.raises(ConfigError, match="name is 'bands'; mteb wants one such as me/effects"):
        MtebEncoder(Bands(), "bands")


class Field(types.SimpleNamespace):
    def is_required(self) -> bool:
        return bool(self.required)


class ModelMeta(types.SimpleNamespace):
    """As mteb's, a pydantic model whose fields are mostly required, and may be None."""

    model_fields: ClassVar = {
        "name": Field(required=True),
        "license": Field(required=True),
        "citation": Field(required=False),
    }


def test_unknown_metadata_is_told_as_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mteb", types.ModuleType("mteb"))
    fake = types.ModuleType("mteb.models")
    fake.ModelMeta = ModelMeta  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mteb.models", fake)
    meta = MtebEncoder(Bands(), "me/bands", revision="7").mteb_model_meta
    assert (meta.name, meta.revision, meta.license) == ("me/bands", "7", None)
    assert meta.modalities == ["audio", "text"]
    assert not hasattr(meta, "citation")


def test_without_mteb_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(
        MissingExtraError, match=r"evaluating with mteb needs more packages: pip install 'mteb\[audio\]'$"
    ):
        _ = MtebEncoder(Bands(), "me/bands").mteb_model_meta


@pytest.mark.skipif(importlib.util.find_spec("mteb") is None, reason="mteb is not installed: pip install mteb")
@pytest.mark.filterwarnings("ignore")
def test_mteb_itself_evaluates_retrieval_both_ways() -> None:
    mteb: Any = importlib.import_module("mteb")
    datasets: Any = importlib.import_module("datasets")
    protocols: Any = importlib.import_module("mteb.models.models_protocols")
    retrieval: Any = importlib.import_module("mteb.abstasks.retrieval")
    encoder = MtebEncoder(Bands(), "me/bands")
    assert isinstance(encoder, protocols.EncoderProtocol)

    sounds = datasets.Dataset.from_dict({"id": ["a", "b", "c"], "audio": [tone(hz) for hz in (500, 1500, 2500)]})
    texts = datasets.Dataset.from_dict({"id": ["1", "2", "3"], "text": ["a high tone", "a low one", "a middle one"]})
    right = {"1": {"c": 1}, "2": {"a": 1}, "3": {"b": 1}}
    back = {clip: {text: 1} for text, clips in right.items() for clip in clips}
    for category, data in {"t2a": (texts, sounds, right), "a2t": (sounds, texts, back)}.items():
        queries, corpus, relevant = data
        split = {"corpus": corpus, "queries": queries, "relevant_docs": relevant, "top_ranked": None}
        task_metadata = mteb.TaskMetadata(
            name=f"Bands{category}",
            description="Tones and what they are.",
            reference=None,
            dataset={"path": "none", "revision": "1"},
            type="Any2AnyRetrieval",
            category=category,
            modalities=["audio", "text"],
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )

        class Task(retrieval.AbsTaskRetrieval):  # type: ignore[misc]
            metadata = task_metadata

            def load_data(self, **kwargs: Any) -> None:
                """Nothing is fetched."""

        task = Task()
        task.dataset, task.data_loaded = {"default": {"test": split}}, True
        result = mteb.evaluate(encoder, task, cache=None, show_progress_bar=False)
        assert result.task_results[0].scores["test"][0]["ndcg_at_1"] == 1.0
