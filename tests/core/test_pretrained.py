"""Models of transformers: names, directories, silence and errors. What a vision model needs is tested with vision."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from transformers.utils import logging

from tamis.core.errors import ConfigError, FileError, InputError
from tamis.core.pretrained import find, loading


def folder(path: Path, config: object) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (path / "model.safetensors").write_bytes(b"")
    return path


def test_a_name_is_a_checked_directory_or_a_hub_id(tmp_path: Path) -> None:
    place = folder(tmp_path / "model", {"model_type": "clap"})
    assert find(str(place)) == str(place)
    assert find("org/some-name.v1") == "org/some-name.v1"
    with pytest.raises(ConfigError, match=r"no model 'nothing'; expected a model directory or a Hub id"):
        find("nothing")
    with pytest.raises(ConfigError, match=r"expected tiny, a model directory, or a Hub id"):
        find("nothing", "tiny")


def test_code_pickles_and_parts_from_elsewhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="code of its own"):
        find(str(folder(tmp_path / "a", {"model_type": "clap", "auto_map": {}})))
    with pytest.raises(ConfigError, match="a kernel or an adapter"):
        find(str(folder(tmp_path / "b", {"model_type": "clap", "attn_implementation": "org/kernel"})))
    place = folder(tmp_path / "c", {"model_type": "clap"})
    (place / "model.safetensors").rename(place / "pytorch_model.bin")
    with pytest.raises(FileError, match="no weights"):
        find(str(place))


def test_loading_is_silent_and_leaves_the_settings_as_they_were() -> None:
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    assert before[1]
    with loading("x", "org/x"):
        assert not logging.is_progress_bar_enabled()
        assert logging.get_verbosity() == logging.ERROR
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


@pytest.mark.parametrize(
    ("hub", "error", "said"), [(True, ConfigError, "the Hub did not"), (False, FileError, "check")]
)
def test_an_error_of_transformers_is_one_line(tmp_path: Path, hub: bool, error: type[InputError], said: str) -> None:
    with pytest.raises(error, match=said) as caught, loading("mine", "org/x" if hub else tmp_path):
        raise OSError("no\nsuch\nthing")
    assert "mine" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(FileError, match="ours"), loading("mine", tmp_path):
        raise FileError("ours")
    with pytest.raises(KeyboardInterrupt), loading("mine", tmp_path):
        raise KeyboardInterrupt


def test_the_module_is_importable_without_transformers() -> None:
    code = "import sys; sys.modules['transformers'] = None; import tamis.core.pretrained"
    subprocess.run([sys.executable, "-c", code], check=True)
