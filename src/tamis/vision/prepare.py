"""Turn a processor's batch into a shorter one: encode, select, project what is kept, drop the other placeholders.

Nothing in the model is patched. The pruned features go in through `mm_encoder_outputs`, the argument that stock
transformers models (5.18 and newer) take for features encoded beforehand, so beams, static caches, chunked prefill
and training all stay transformers' own code.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches

from tamis.core.errors import ConfigError, InputError
from tamis.vision.prompt import Prompt, Stretch
from tamis.vision.selector import Selection, Selector, choose, kept_indices
from tamis.vision.tiles import arrange, choose_per_image, inside, packed_order, padded_order, staying
from tamis.vision.tower import extent, look
from tamis.vision.view import View

_CONSUMED = (
    "pixel_values",
    "pixel_values_videos",
    "image_sizes",
    "vision_feature_layer",
    "vision_feature_select_strategy",
)
"""Arguments that the encoding uses up."""


class Prepared(UserDict[str, Any]):
    """A batch for `model.generate(**prepared)` and `model(**prepared)`, reusable any number of times.

    transformers' beam search writes into the features it is given, so each look-up of them hands out fresh containers.
    """

    kept: list[Int[Tensor, " _"]]
    """The kept patches of each unit (image, tile or frame), ascending, images before videos."""

    def __init__(self, data: Mapping[str, Any], kept: Sequence[Tensor] = ()) -> None:
        super().__init__(data)
        self.kept = list(kept)

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        return _fresh(value) if key == "mm_encoder_outputs" else value

    def to(self, device: torch.device | str) -> Prepared:
        """Move every tensor to a device."""
        data = {key: value.to(device) if isinstance(value, Tensor) else value for key, value in self.data.items()}
        if "mm_encoder_outputs" in data:
            data["mm_encoder_outputs"] = _fresh(self.data["mm_encoder_outputs"], device)
        return Prepared(data, self.kept)


def _fresh(
    outputs: dict[str, BaseModelOutputWithPooling], device: torch.device | str | None = None
) -> dict[str, BaseModelOutputWithPooling]:
    """Copy the containers of features, and move the features where a device is named."""
    fresh = {}
    for modality, output in outputs.items():
        features: Any = output.pooler_output
        moved: Any = features.to(device) if isinstance(features, Tensor) else [image.to(device) for image in features]
        fresh[modality] = BaseModelOutputWithPooling(pooler_output=moved)
    return fresh


@dataclass(frozen=True)
class _Encoded:
    """One modality of a batch, encoded and pruned."""

    modality: Literal["image", "video"]
    features: Tensor | list[Tensor]
    """Projected features in the container that the model's class expects."""
    stretches: list[Stretch]
    kept: list[Tensor]


def prepare(selector: Selector, model: nn.Module, inputs: Mapping[str, Any]) -> Prepared:
    """Apply a selector to a batch; see `Selector.prepare`.

    Raises:
        BudgetError: If the budget does not fit the number of patches.
        ConfigError: If the model is of an unknown family, or the layout does not fit it.
        InputError: If the prompt's placeholders and the images do not match.
    """
    kind, model = family_of(model)
    if "pixel_values_images" in inputs:  # Video-LLaVA's name for them before transformers 5.23, and its processor's
        inputs = {("pixel_values" if name == "pixel_values_images" else name): of for name, of in inputs.items()}
    if inputs.get("mm_encoder_outputs") is not None:
        raise InputError("the batch has mm_encoder_outputs already; give the processor's batch, with its pixel_values")
    inner: Any = model.model if hasattr(model, "model") else model
    prompt = Prompt.read(inner, inputs)
    with torch.set_grad_enabled(torch.is_grad_enabled() and _trains(model, inputs)):
        encoded = _FAMILIES[kind](selector, inner, inputs, prompt)
    if not encoded:
        return Prepared(inputs)
    data = {key: value for key, value in inputs.items() if key not in _CONSUMED}
    data.update(prompt.shorten({part.modality: part.stretches for part in encoded}, selector.layout.positions))
    outputs = {
        part.modality: BaseModelOutputWithPooling(pooler_output=part.features)  # type: ignore[arg-type]
        for part in encoded
        if any(stretch.tokens for stretch in part.stretches)
    }
    if outputs:
        data["mm_encoder_outputs"] = outputs
    return Prepared(data, kept=[unit for part in encoded for unit in part.kept])


def family_of(model: nn.Module) -> tuple[str, nn.Module]:
    """Tell a model's family, and unwrap it where adapters are wrapped around it.

    Raises:
        ConfigError: If the family is unknown.
    """
    unwrap = getattr(model, "get_base_model", None)  # peft's; the adapters stay inside
    model = unwrap() if unwrap else model
    kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    if kind not in _FAMILIES:
        raise ConfigError(
            f"model is {kind!r}; expected one of {', '.join(_FAMILIES)}: vision-language models of transformers whose "
            "vision tower has a [CLS] token"
        )
    return kind, model


def _trains(model: nn.Module, inputs: Mapping[str, Any]) -> bool:
    """Whether somebody will ask for gradients; if not, none of the tower's activations need to be held for them."""
    pixels = [value for name in ("pixel_values", "pixel_values_videos") if (value := inputs.get(name)) is not None]
    return model.training or inputs.get("labels") is not None or any(value.requires_grad for value in pixels)


def _view(selector: Selector, tower: nn.Module, pixels: Tensor, inner: Any, inputs: Mapping[str, Any]) -> View:
    """Run a tower for a selector, with the model's own choice of hidden state."""
    layers = inputs.get("vision_feature_layer")
    layers = inner.config.vision_feature_layer if layers is None else layers
    reads = selector.reads(*extent(tower, layers))
    return replace(look(tower, pixels, reads, layers), project=inner.multi_modal_projector)


def _strategy(inner: Any, inputs: Mapping[str, Any]) -> str:
    strategy: str = inputs.get("vision_feature_select_strategy") or inner.config.vision_feature_select_strategy
    return strategy


def _with_question(selector: Selector, view: View, prompt: Prompt, owners: Sequence[int]) -> View:
    """Tell a selector that asks for it what text surrounds each unit."""
    if not selector.reads(view.depth, view.run).question:
        return view
    return replace(view, question=[prompt.words(owner) for owner in owners])


def _project(
    inner: Any, view: View, selection: Selection, with_cls: bool
) -> tuple[Tensor, Bool[Tensor, "units tokens"]]:
    """Project the kept tokens only; all of them at once if all are kept, which is bit for bit what the model does.

    Returns:
        Projected features, (tokens kept, language_width), and where they are in each unit, [CLS] first.
    """
    mask = torch.nn.functional.pad(selection.mask, (1, 0), value=with_cls)
    if bool((selection.mask == view.allowed).all()):
        projected = inner.multi_modal_projector(view.features.whole if with_cls else view.patches)
        return projected[mask if with_cls else selection.mask], mask
    if selection.patches is None:
        return inner.multi_modal_projector(view.features.some(mask)), mask
    return inner.multi_modal_projector(torch.cat([view.cls[:, None], selection.patches], dim=1)[mask]), mask


def _llava(selector: Selector, inner: Any, inputs: Mapping[str, Any], prompt: Prompt) -> list[_Encoded]:
    """LLaVA-1.5: each image is one unit."""
    pixels = inputs.get("pixel_values")
    if pixels is None:
        return []
    view = _view(selector, inner.vision_tower, pixels, inner, inputs)
    return [_plain("image", selector, inner, view, prompt, full=_strategy(inner, inputs) == "full", frames=1)]


def _video_llava(selector: Selector, inner: Any, inputs: Mapping[str, Any], prompt: Prompt) -> list[_Encoded]:
    """Video-LLaVA: each image and each frame is one unit; frames keep their [CLS], as in the stock model."""
    encoded = []
    if (pixels := inputs.get("pixel_values")) is not None:
        view = _view(selector, inner.image_tower, pixels, inner, inputs)
        full = _strategy(inner, inputs) == "full"
        encoded.append(_plain("image", selector, inner, view, prompt, full=full, frames=1))
    if (pixels := inputs.get("pixel_values_videos")) is not None:
        view = _view(selector, inner.video_tower, pixels.flatten(0, 1), inner, inputs)
        encoded.append(_plain("video", selector, inner, view, prompt, full=True, frames=pixels.shape[1]))
    return [replace(part, features=_stacked(part)) for part in encoded]


def _stacked(part: _Encoded) -> Tensor:
    """Video-LLaVA takes a tensor, (units, tokens, language_width)."""
    features = torch.cat(list(part.features))
    return features.view(len(part.kept), -1, features.shape[-1])


def _plain(
    modality: Literal["image", "video"],
    selector: Selector,
    inner: Any,
    view: View,
    prompt: Prompt,
    *,
    full: bool,
    frames: int,
) -> _Encoded:
    """Units whose tokens enter the prompt in raster order, `frames` units to a run of placeholders.

    Args:
        modality: Which placeholders are filled.
        selector: The rule that chooses.
        inner: The model without its head.
        view: All units of the batch.
        prompt: The text side.
        full: Whether the stock model feeds [CLS] as well.
        frames: Units of one image or video.
    """
    per_unit = view.total + full
    owners = prompt.owners(modality, [per_unit * frames] * (view.units // frames))
    view = _with_question(selector, view, prompt, [owner for owner in owners for _ in range(frames)])
    selection = choose(selector, view)
    features, mask = _project(inner, view, selection, with_cls=full and selector.layout.cls == "keep")
    mask = mask if full else mask[:, 1:]
    stays = [run.flatten().nonzero().squeeze(1) for run in torch.split(mask, frames)]
    return _Encoded(
        modality,
        features=list(torch.split(features, [len(stay) for stay in stays])),
        stretches=[Stretch(per_unit * frames, stay, len(stay)) for stay in stays],
        kept=kept_indices(selection.mask),
    )


def _llava_next(selector: Selector, inner: Any, inputs: Mapping[str, Any], prompt: Prompt) -> list[_Encoded]:
    """LLaVA-NeXT: an image is a small copy of itself and a grid of tiles, each a unit, interleaved row by row."""
    pixels, sizes = inputs.get("pixel_values"), inputs.get("image_sizes")
    if pixels is None or pixels.shape[0] == 0:
        return []
    if sizes is None:
        raise InputError("the batch has pixel_values without image_sizes; LLaVA-NeXT's processor gives both")
    if _strategy(inner, inputs) == "full":
        raise ConfigError(
            "LLaVA-NeXT lays tokens out as a grid, without [CLS]; vision_feature_select_strategy is 'full'"
        )
    layout, config = selector.layout, inner.config
    side = config.vision_config.image_size
    tiles = [image_size_to_num_patches(size, config.image_grid_pinpoints, side) for size in sizes]
    if pixels.ndim == 5:
        pixels = torch.cat([image[:count] for image, count in zip(pixels, tiles, strict=True)])
    view = _view(selector, inner.vision_tower, pixels, inner, inputs)
    images = list(zip(tiles, sizes, strict=True))
    stock = [packed_order(inner, view.total, count, size) for count, size in images]
    owners = prompt.owners("image", [len(order) for order in stock])
    view = _with_question(
        selector, view, prompt, [owner for owner, count in zip(owners, tiles, strict=True) for _ in range(count)]
    )
    if layout.unpad:
        orders, view = stock, replace(view, valid=inside(stock, tiles, view))
    else:
        orders = [padded_order(inner, view.total, count, size) for count, size in images]
    selection = choose(selector, view) if layout.budget == "per_tile" else choose_per_image(selector, view, tiles)
    projected, mask = _project(inner, view, selection, with_cls=False)
    masks = torch.split(mask[:, 1:], tiles)
    features, stretches = [], []
    for part, kept, order, full in zip(
        torch.split(projected, [int(kept.sum()) for kept in masks]), masks, orders, stock, strict=True
    ):
        stays = staying(kept.flatten().cpu(), order, layout.newline)
        features.append(arrange(part, inner.image_newline, kept.flatten().cpu(), order[stays]))
        stretches.append(Stretch(len(full), stays if layout.unpad else None, len(stays)))
    return [_Encoded("image", features, stretches, kept_indices(selection.mask))]


_FAMILIES: dict[str, Callable[[Selector, Any, Mapping[str, Any], Prompt], list[_Encoded]]] = {
    "llava": _llava,
    "llava_next": _llava_next,
    "video_llava": _video_llava,
}
