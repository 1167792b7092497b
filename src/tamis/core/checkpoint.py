"""A model as a directory: `model.safetensors`, `config.json` and `README.md`; written whole, read strictly.

    class Toy(nn.Module, Checkpoint, license="apache-2.0"):
        shipped = Path(__file__).parent / "weights"

        def __init__(self, config: ToyConfig) -> None:
            super().__init__()
            self.config = config

    Toy(ToyConfig()).save_pretrained("runs/toy")
    model = Toy.from_pretrained("runs/toy")

Built on the mixin of huggingface_hub, which gives `push_to_hub` and the model card, but which would accept a file that
lacks tensors, a configuration with unknown keys, a model of another class and pickled weights. Here none of them loads.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import os
import shutil
import tempfile
import typing
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import safetensors.torch
import torch
from huggingface_hub import PyTorchModelHubMixin, snapshot_download
from safetensors import SafetensorError
from torch import nn

from tamis.core.errors import ConfigError, FileError, TamisError, nearest, one_line
from tamis.core.files import CARD, CONFIG, WEIGHTS, what_is

FORMAT = 1
_MAX_CONFIG_BYTES = 10_000_000
_JSON_KINDS: dict[Any, tuple[type, ...]] = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}
_CARD_TEMPLATE = """---
{{ card_data }}
---

# {{ model_name }}

A model of tamis. Load it with `{{ model_name }}.from_pretrained(directory)`.
{% if paper_url %}
Paper: {{ paper_url }}
{% endif %}"""


Model = TypeVar("Model", bound="Checkpoint")


def fingerprint(module: nn.Module, told: str = "") -> str:
    """Hash the weights of a module, and what else decides on its numbers, in 64 hexadecimal digits.

    Args:
        module: Anywhere.
        told: What else, such as its configuration.
    """
    digest = hashlib.sha256(told.encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def read_config(path: Path) -> dict[str, Any]:
    """Read the `config.json` of a model directory, which may be anything.

    Raises:
        FileError: If it is missing, no regular file, larger than 10 MB, or no JSON object.
    """
    try:
        if what_is(path) == "no file":
            raise ValueError("it is no regular file")
        with path.open("rb") as file:
            content = file.read(_MAX_CONFIG_BYTES + 1)
        if len(content) > _MAX_CONFIG_BYTES:
            raise ValueError(f"it is larger than {_MAX_CONFIG_BYTES} bytes")
        return dict(json.loads(content.decode("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise FileError(
            f"{path}: not the configuration of a tamis model ({one_line(error)[:200]}); save the model again"
        ) from error


class Checkpoint(PyTorchModelHubMixin, library_name="tamis", model_card_template=_CARD_TEMPLATE):
    """Give an `nn.Module` whose `__init__` is `(self, config)` a strict `from_pretrained` and `save_pretrained`.

    `config` is a frozen dataclass, which the module keeps as `self.config`; its `__post_init__` checks the values.
    Lists of `config.json` come back as tuples. Class keywords such as `license`, `paper_url` and `tags` reach the card.
    """

    shipped: ClassVar[Path | None] = None
    """The folder of the models that come with the package, one directory each; None if there are none."""
    config: Any
    """What the network is; becomes `config.json`."""

    def __init_subclass__(cls, **card: Any) -> None:
        """Refuse a class that could not be rebuilt from `config.json`."""
        super().__init_subclass__(**card)
        if list(inspect.signature(cls.__init__).parameters) != ["self", "config"]:
            raise ConfigError(f"{cls.__name__}.__init__ must be (self, config): other arguments would not be saved")

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls: type[Model], name: str | Path, *, revision: str | None = None
    ) -> Model:
        """Load a model, in evaluation mode, on the CPU.

        Args:
            name: Without a slash, a model that comes with the package; with one, a directory if it exists, else the id
                of a model on the Hugging Face Hub. A Path is always a directory.
            revision: Commit, tag or branch on the Hub.

        Raises:
            ConfigError: If there is no such model, or its configuration does not fit this class.
            FileError: If the directory or a file in it is missing, damaged or lacks tensors.
        """
        folder = cls._find(name, revision)
        config, weights = cls._read_config(folder / CONFIG), folder / WEIGHTS
        if not weights.is_file():
            raise FileError(f"{weights}: no such file; a model directory holds {WEIGHTS} and {CONFIG}")
        cls._check_size(config, weights)
        model = cls(config)
        assert isinstance(model, nn.Module)
        try:
            safetensors.torch.load_model(model, weights, strict=True)
        except (SafetensorError, RuntimeError, OSError) as error:
            raise FileError(f"{weights}: does not fit {cls.__name__}: {one_line(error)}") from error
        model.eval()
        return model

    @classmethod
    def _check_size(cls, config: Any, weights: Path) -> None:
        """Refuse a configuration of a larger model than the file holds, before memory is taken for it."""
        with torch.device("meta"):
            model = cls(config)
        assert isinstance(model, nn.Module)
        wanted = sum(one.numel() for one in model.parameters())
        if wanted > weights.stat().st_size:  # bytes, and a number has at least one
            raise FileError(
                f"{weights}: does not fit {cls.__name__}: {CONFIG} tells of {wanted} weights, and it holds fewer"
            )

    @classmethod
    def _find(cls, name: str | Path, revision: str | None) -> Path:
        try:
            folder = Path(name).expanduser()
            folder.is_dir()
        except (OSError, RuntimeError, ValueError) as error:  # a name that is too long, or of nobody's home
            raise FileError(f"{str(name)[:80]!r}: no such directory ({one_line(error)})") from error
        text = os.fspath(name)
        if not text:
            raise ConfigError("the name of the model is empty; give a shipped name or a directory")
        if isinstance(name, str) and "/" not in text and os.sep not in text:
            folder = (cls.shipped or Path("no shipped models")) / text
            if folder.is_dir():
                return folder
            names = sorted(path.parent.name for path in cls.shipped.glob(f"*/{CONFIG}")) if cls.shipped else []
            raise ConfigError(
                f"{text!r}: no {cls.__name__} of this name comes with tamis ({', '.join(names) or 'none does'}); "
                f"write a directory with a slash: './{text}'"
            )
        if folder.is_dir():
            return folder
        owner = text.split("/")[0]
        if isinstance(name, Path) or text.count("/") != 1 or owner in ("", ".", "..", "~") or Path(owner).exists():
            raise FileError(f"{text}: no such directory; expected one that holds {WEIGHTS} and {CONFIG}")
        try:
            return Path(snapshot_download(text, revision=revision, allow_patterns=[WEIGHTS, CONFIG, CARD]))
        except Exception as error:  # of huggingface_hub, or of whatever it downloads with
            raise ConfigError(
                f"{text}: no such directory, and not loaded from the Hub ({one_line(error)}); "
                "check the id and the network"
            ) from error

    @classmethod
    def _read_config(cls, path: Path) -> Any:
        saved = read_config(path)
        try:
            kind, name, values = saved["format"], saved["class"], dict(saved["config"])
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(
                f"{path}: not the configuration of a tamis model ({error!r}); save the model again"
            ) from error
        if kind != FORMAT:
            raise ConfigError(
                f"{path}: format {kind!r}; this tamis reads format {FORMAT}; install the version that wrote it"
            )
        if name != cls.__name__:
            raise ConfigError(f"{path}: a {name}; expected a {cls.__name__}; load it with {name}.from_pretrained")
        config = typing.get_type_hints(cls.__init__)["config"]
        kinds = typing.get_type_hints(config)
        known = [f.name for f in dataclasses.fields(config)]
        for key, value in values.items():
            if key not in known:
                raise ConfigError(f"{path}: unknown key {key!r}; {nearest(key, known)}")
            if kinds[key] in _JSON_KINDS and type(value) not in _JSON_KINDS[kinds[key]]:
                raise ConfigError(f"{path}: {key} is {value!r}; expected type {kinds[key].__name__}")
        try:
            return config(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
        except TamisError as error:
            raise ConfigError(f"{path}: {error}") from error
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{path}: does not make a {config.__name__}: {one_line(error)}") from error

    def save_pretrained(  # type: ignore[override]
        self,
        save_directory: str | Path,
        *,
        config: None = None,
        model_card_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Write the model directory; each file appears whole or not at all, and an existing README.md is kept.

        Args:
            save_directory: Where to; made if need be.
            config: Always None: the model's own configuration is saved. It is here because `push_to_hub` passes it.
            model_card_kwargs: More values for the template of the model card.

        Raises:
            FileError: If the directory cannot be written.
        """
        assert config is None
        target = Path(save_directory)
        card = {"model_name": type(self).__name__, **(model_card_kwargs or {})}
        try:
            target.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".saving-", dir=target) as scratch:
                super().save_pretrained(scratch, model_card_kwargs=card)
                shutil.copymode(Path(scratch) / CONFIG, Path(scratch) / WEIGHTS)  # which only its owner could read
                for name in (WEIGHTS, CONFIG, CARD):
                    if name != CARD or not (target / CARD).exists():
                        os.replace(Path(scratch) / name, target / name)
        except (OSError, SafetensorError) as error:
            raise FileError(f"{target}: cannot be written ({one_line(error)}); give a directory that can") from error

    def _save_pretrained(self, save_directory: Path) -> None:
        super()._save_pretrained(save_directory)
        saved = {"format": FORMAT, "class": type(self).__name__, "config": dataclasses.asdict(self.config)}
        (save_directory / CONFIG).write_text(json.dumps(saved, indent=2, sort_keys=True) + "\n", encoding="utf-8")
