"""A model of sounds and sentences as mteb 2.8 or newer evaluates them, for numbers beside those of other people.

    mteb.evaluate(MtebEncoder(space, "me/effects"), mteb.get_tasks(["ClothoT2ARetrieval", "ESC50"]))

mteb is not a part of tamis: `pip install 'mteb[audio]'` brings it, with what decodes its recordings.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from tamis.audio.sound import Sound
from tamis.core.errors import ConfigError, InputError, MissingExtraError

if TYPE_CHECKING:
    from jaxtyping import Float, Float32
    from torch import Tensor


class MtebEncoder:
    """The `EncoderProtocol` of mteb over a model that embeds sounds and sentences into one space.

    What is both sound and text gets the sum of both, as with mteb's own CLAP. A blank text, which some tasks hold, gets
    zeros and so is found by nothing.

    Source:
        mteb 2.26, `models/models_protocols.py` and `types/_encoder_io.py`.
    """

    def __init__(self, model: Any, name: str, *, revision: str = "1") -> None:
        """Take a model.

        Args:
            model: A `JointSpace`, a `ZeroShot`, or what has their `encode_audio`, of `Sound` of any rate, and
                `encode_text`.
            name: Under which mteb keeps results, as org/name.
            revision: Another one whenever the model changes: results are kept by it.

        Raises:
            ConfigError: If the name has another form.
        """
        if name.count("/") != 1:
            raise ConfigError(f"name is {name!r}; mteb wants one such as me/effects")
        self.model, self.name, self.revision = model, name, revision

    @functools.cached_property
    def mteb_model_meta(self) -> Any:
        """What mteb writes beside the results: name, revision and modalities; the rest is told as unknown.

        Raises:
            MissingExtraError: If mteb is not installed.
        """
        try:
            meta = importlib.import_module("mteb.models").ModelMeta
        except ModuleNotFoundError as error:
            raise MissingExtraError("evaluating with mteb", package="'mteb[audio]'") from error
        told = {
            "name": self.name,
            "revision": self.revision,
            "modalities": ["audio", "text"],
            "framework": ["PyTorch"],
            "similarity_fn_name": "cosine",
        }
        unknown = {key: None for key, field in meta.model_fields.items() if field.is_required()}
        return meta(**(unknown | told))

    def encode(
        self,
        inputs: Iterable[Mapping[str, Sequence[Any]]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> Float32[np.ndarray, "items joint"]:
        """Embed what a task gives.

        Args:
            inputs: Batches with "audio", mappings of "array" and "sampling_rate", or "text", or both.
            task_metadata: Not looked at, as are the following: the model is the same for all tasks.
            hf_split: Of the task.
            hf_subset: Of the task.
            prompt_type: Query or document.
            kwargs: Such as batch_size.

        Raises:
            InputError: If a batch has neither sound nor text, or a sound is none.
        """
        rows = [self._batch(batch) for batch in inputs]
        if not rows:
            raise InputError("mteb gave nothing to encode; check the task's data")
        return np.concatenate(rows)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Float[Tensor, "first second"]:
        """Give the cosine of each of the first and each of the second."""
        return _unit(embeddings1) @ _unit(embeddings2).T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Float[Tensor, " pairs"]:
        """Give the cosine of each of the first and its counterpart."""
        return (_unit(embeddings1) * _unit(embeddings2)).sum(dim=1)

    def _batch(self, batch: Mapping[str, Sequence[Any]]) -> Float32[np.ndarray, "items joint"]:
        parts = []
        if "audio" in batch:
            parts.append(self.model.encode_audio([_sound(item) for item in batch["audio"]]))
        if "text" in batch:
            texts = list(batch["text"])
            spoken = [i for i, text in enumerate(texts) if text.strip()]
            said = np.asarray(self.model.encode_text([texts[i] for i in spoken]), np.float32)
            parts.append(np.zeros((len(texts), said.shape[1]), np.float32))
            parts[-1][spoken] = said
        if not parts:
            raise InputError(f"a batch holds {', '.join(batch) or 'nothing'}; expected audio or text")
        return np.asarray(sum(parts[1:], parts[0]), np.float32)


def _sound(item: Any) -> Sound:
    try:
        samples, rate = np.asarray(item["array"], np.float32), int(item["sampling_rate"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"a sound came as {type(item).__name__}; expected array and sampling_rate") from error
    return Sound(samples.mean(axis=0) if samples.ndim > 1 else samples, rate)


def _unit(embeddings: Any) -> Float[Tensor, "rows joint"]:
    rows = torch.as_tensor(embeddings).float()
    return functional.normalize(rows.reshape(-1, rows.shape[-1]), dim=1)
