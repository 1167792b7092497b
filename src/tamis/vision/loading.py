"""Find a model by name, directory or Hub id, and prepare pictures for it. Runs no code that a model brings along."""

from __future__ import annotations

from collections.abc import Sequence
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

from tamis.core.errors import ConfigError, FileError, one_line
from tamis.core.models import installed
from tamis.core.pretrained import find, loading
from tamis.vision.models import MODELS

if TYPE_CHECKING:
    from PIL.Image import Image

TOWERS = ("clip", "clip_vision_model", "dinov2")
FAMILIES = ("llava", "llava_next", "video_llava")
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
    with loading(name, source):
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
    if family == "dinov2":
        processor.size = {"shortest_edge": DINOV2_SIDE}
        processor.crop_size = {"height": DINOV2_SIDE, "width": DINOV2_SIDE}
    if family not in FAMILIES:
        return Loaded(name, family, model, processor, layers=-2)
    tower = model.model.video_tower if family == "video_llava" else model.model.vision_tower
    return Loaded(name, family, tower, processor, config.vision_feature_layer, model, tokenizer)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # the meta device has no numbers to give
    except Exception as error:  # RuntimeError or AssertionError, as the back end likes
        raise ConfigError(f"device {name!r} cannot be used here ({one_line(error)[:200]}); cpu always can") from error
    return device


def _find(name: str) -> str:
    """Turn a name into a directory, checked before anything reads it, or a Hub id."""
    if name in shipped():
        return str(SHIPPED / name)
    if name in MODELS:
        folder = installed(MODELS[name])
        if folder is None:
            raise ConfigError(f"{name} is not on this machine yet; run: tamis models pull {name}")
        return str(folder)
    return find(name, ", ".join([*shipped(), *MODELS]))
