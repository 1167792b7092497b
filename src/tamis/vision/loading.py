"""Find a model by name, directory or Hub id, and prepare pictures for it. Runs no code that a model brings along."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageTextToText,
    AutoTokenizer,
)
from transformers.utils import logging as transformers_logging

from tamis.core.errors import ConfigError, FileError, TamisError, one_line
from tamis.core.models import installed
from tamis.vision.models import MODELS

if TYPE_CHECKING:
    from PIL.Image import Image

TOWERS = ("clip", "clip_vision_model", "dinov2")
FAMILIES = ("llava", "llava_next", "video_llava")
_HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")
SHIPPED = Path(__file__).parent / "weights"
"""Models that come with the package, a directory each: `tiny` answers questions about composed scenes."""
DINOV2_SIDE = 336
"""Side of the square that a DINOv2 tower is shown, in pixels: with patches of 14, the 576 tokens of LLaVA-1.5."""


@dataclass(frozen=True)
class Loaded:
    """A vision tower with its image processor, and the vision-language model around it if there is one."""

    name: str
    """What the user called it."""
    family: str
    """Its `model_type`."""
    tower: nn.Module
    processor: Any
    """transformers' image processor."""
    layers: int | Sequence[int]
    """Index into `hidden_states` of the features."""
    model: Any | None = None
    """The vision-language model."""
    tokenizer: Any | None = None

    @property
    def device(self) -> torch.device:
        """Where the tower is."""
        return next(self.tower.parameters()).device

    @property
    def bytes_per_token(self) -> int:
        """Bytes that an image token takes: in the language model's key–value cache, or as a feature of the tower."""
        size = next(self.tower.parameters()).element_size()
        if self.model is None:
            config: Any = getattr(self.tower.config, "vision_config", self.tower.config)
            return int(config.hidden_size) * size
        text: Any = self.model.config.get_text_config()
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        return int(2 * text.num_hidden_layers * text.num_key_value_heads * head * size)

    def pixels(self, pictures: Sequence[Image]) -> Tensor:
        """Prepare pictures as the tower takes them, one unit each (LLaVA-NeXT: the small copy of the whole)."""
        prepared = self.processor(images=list(pictures), return_tensors="pt")
        pixels: Tensor = next(value for key, value in prepared.items() if key.startswith("pixel_values"))
        if pixels.ndim == 5:
            pixels = pixels[:, 0]
        return pixels.to(self.device)

    def shown(self, pixels: Tensor) -> NDArray[np.uint8]:
        """Turn pixel values back into what the tower saw, (units, height, width, 3)."""
        mean, std = (
            torch.tensor(values).view(1, 3, 1, 1) for values in (self.processor.image_mean, self.processor.image_std)
        )
        seen = (pixels.detach().float().cpu() * std + mean).clamp(0, 1) * 255
        return seen.round().byte().permute(0, 2, 3, 1).numpy()


def shipped() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.name for path in SHIPPED.iterdir() if path.is_dir())


def load(name: str, device: str = "cpu") -> Loaded:
    """Load a model.

    Args:
        name: `tiny`, a name that `tamis models list` shows, a directory, or the id of a Hub repository.
        device: Where to put it, as torch names devices.

    Raises:
        ConfigError: If the name is unknown or the Hub does not give it, the model is of an unknown family or wants to
            run its own code, or the device cannot be used.
        FileError: If the directory holds no such model.
    """
    source, place = _find(name), _device(device)
    try:
        with _quiet():
            config = AutoConfig.from_pretrained(source, trust_remote_code=False)
            family = config.model_type
            if family not in (*TOWERS, *FAMILIES):
                raise ConfigError(
                    f"{name} is a {family!r} model; expected a vision-language model ({', '.join(FAMILIES)}) "
                    f"or a vision tower with a [CLS] token ({', '.join(TOWERS)})"
                )
            kind = AutoModelForImageTextToText if family in FAMILIES else AutoModel
            loaded: Any = kind.from_pretrained(
                source, trust_remote_code=False, use_safetensors=True, dtype="auto", output_loading_info=True
            )
            model, report = loaded
            if missing := sorted(report["missing_keys"]) or sorted(map(str, report["mismatched_keys"])):
                raise FileError(f"{name}: {len(missing)} weights are missing or misshapen, the first {missing[0]}")
            model = model.to(place).eval()
            processor = AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
                source, trust_remote_code=False, backend="pil"
            )
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False) if family in FAMILIES else None
    except TamisError:
        raise
    except Exception as error:  # transformers raises whatever a damaged or foreign directory leads it to
        if source == name and not Path(source).is_dir():
            raise ConfigError(f"{name}: not here, and the Hub did not give it ({one_line(error)[:200]})") from error
        raise FileError(
            f"{name}: cannot be loaded as a model ({one_line(error)[:200]}); check the directory"
        ) from error
    if family == "dinov2":
        processor.size = {"shortest_edge": DINOV2_SIDE}
        processor.crop_size = {"height": DINOV2_SIDE, "width": DINOV2_SIDE}
    if family not in FAMILIES:
        return Loaded(name, family, model, processor, layers=-2)
    tower = model.model.video_tower if family == "video_llava" else model.model.vision_tower
    return Loaded(name, family, tower, processor, config.vision_feature_layer, model, tokenizer)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the notes and progress bars of transformers, which are for those who call it themselves."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # the meta device has no numbers to give
    except Exception as error:  # RuntimeError or AssertionError, as the back end likes
        raise ConfigError(f"device {name!r} cannot be used here ({one_line(error)[:200]}); cpu always can") from error
    return device


def _find(name: str) -> str:
    """Turn a name into a directory or a Hub id, and check the directory before anything reads it."""
    if name in shipped():
        return str(SHIPPED / name)
    if name in MODELS:
        folder = installed(MODELS[name])
        if folder is None:
            raise ConfigError(f"{name} is not on this machine yet; run: tamis models pull {name}")
        return str(folder)
    path = Path(name).expanduser()
    if not path.is_dir():
        if not _HUB_ID.fullmatch(name) or path.exists():
            known = ", ".join([*shipped(), *MODELS])
            raise ConfigError(f"no model {name!r}; expected {known}, a model directory, or a Hub id such as org/name")
        return name
    settings = path / "config.json"
    if not settings.is_file():
        raise FileError(f"{name}: no config.json; expected a model directory of transformers")
    try:
        config = json.loads(settings.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(f"{settings}: not readable as JSON ({one_line(error)[:200]})") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise FileError(f"{settings}: no model_type; expected a model directory of transformers")
    if "auto_map" in config:
        raise ConfigError(f"{name} wants to run code of its own (auto_map in config.json), which is refused")
    if "/" in str(config.get("attn_implementation", "")) or (path / "adapter_config.json").exists():
        raise ConfigError(
            f"{name} names a kernel or an adapter to fetch from elsewhere, which is refused; merge it first"
        )
    _check_weights(name, path)
    return str(path)


def _check_weights(name: str, path: Path) -> None:
    """See to it that the weights are safetensors files of this very directory: an index may name others.

    Raises:
        FileError: If they are not.
    """
    if not any(path.glob("*.safetensors")):
        raise FileError(f"{name}: no weights; expected model.safetensors (pickled .bin and .pt files are not read)")
    here = {file.name for file in path.glob("*.safetensors")}
    for index in path.glob("*.index.json"):
        try:
            named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FileError(f"{index}: not an index of weights ({one_line(error)[:200]})") from error
        if foreign := sorted(str(file) for file in named if file not in here):
            raise FileError(f"{index}: names {foreign[0]!r}; expected safetensors files of the same directory only")
