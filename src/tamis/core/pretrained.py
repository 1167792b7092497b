"""Models of transformers, from a folder or the Hub: nothing of theirs is run, and what goes wrong is one line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tamis.core.errors import ConfigError, FileError, TamisError, one_line

_HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")


def find(name: str, known: str = "") -> str:
    """Turn a name into a directory, which is checked before anything reads it, or a Hub id.

    Args:
        name: A directory, or the id of a Hub repository.
        known: Other names that would have been understood, for the message.

    Raises:
        ConfigError: If it is neither, or the model wants to run its own code or fetch parts from elsewhere.
        FileError: If the directory holds no model, or weights that are not safetensors.
    """
    path = Path(name).expanduser()
    if not path.is_dir():
        if not _HUB_ID.fullmatch(name) or path.exists():
            expected = f"{known}, a model directory," if known else "a model directory"
            raise ConfigError(f"no model {name!r}; expected {expected} or a Hub id such as org/name")
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


@contextmanager
def loading(name: str, place: str | Path) -> Iterator[None]:
    """Load a model quietly, and put the errors of transformers on one line.

    Args:
        name: What the user called the model.
        place: Its directory, or the Hub id.

    Raises:
        ConfigError: If the Hub does not give the model.
        FileError: If it cannot be loaded from the directory.
    """
    try:
        with quietly():
            yield
    except TamisError:
        raise
    except Exception as error:  # transformers raises whatever a damaged or foreign directory leads it to
        if not Path(place).is_dir():
            raise ConfigError(f"{name}: not here, and the Hub did not give it ({one_line(error)[:200]})") from error
        raise FileError(
            f"{name}: cannot be loaded as a model ({one_line(error)[:200]}); check the directory"
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Hold back the notes and progress bars of transformers."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


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
