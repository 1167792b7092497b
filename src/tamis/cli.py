"""The command line: `tamis <domain> <verb>`, and the verbs of the whole library.

Results go to stdout, everything else to stderr. Nothing heavy is imported before a command needs it. Exit codes:

    0     done
    1     the work found problems
    2     bad usage or bad input
    3     a limit was refused
    4     an extra is missing
    70    a bug in tamis
    130   interrupted
    141   the reader of the output went away
"""

from __future__ import annotations

import importlib
import io
import json as json_format
import os
import platform
import re
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App, CycloptsError

import tamis
from tamis.core.errors import ConfigError, FileError, MissingExtraError, TamisError, nearest, one_line
from tamis.core.options import Json

if TYPE_CHECKING:
    from tamis.core.models import WheelModel

DOMAINS = ("audio", "language", "radio", "vision")
_TRAPS = ("torchvision", "torchaudio")


app = App(
    name="tamis",
    help="Keep what matters: set a budget, keep the best of it, get a receipt for what was lost.",
    version=tamis.__version__,
    help_epilogue="Example: tamis demo",
    suppress_keyboard_interrupt=False,
)
app.command(
    "tamis.vision.commands:app",
    name="vision",
    help="Make vision-language models fast by keeping only the image tokens that matter.",
)
app.command(
    "tamis.radio.commands:app",
    name="radio",
    help="Tell what modulation a radio signal carries, on devices as small as a microcontroller.",
)
app.command(
    "tamis.language.commands:app",
    name="language",
    help="Pick the names that matter grammatically: the fewest with which a sentence meets all that grammar asks.",
)
app.command(
    "tamis.audio.commands:app",
    name="audio",
    help="Find the sound that a sentence describes, and the second at which it happens.",
)
models = App(
    name="models",
    help="Real weights, downloaded once into the cache when you ask for them.",
    help_epilogue="Example: tamis models list",
)
app.command(models)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        arguments: What follows `tamis`; by default that of this process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    _open_streams()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = app(given, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        command = " ".join(("tamis", *(error.command_chain or ())))
        return _fail(f"{one_line(error)} See {command} --help", 2)
    except TamisError as error:
        return _fail(one_line(error), error.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "tamis").partition(".")[0] == "tamis":
            return _unexpected(error)
        extra = given[0] if given[0] in DOMAINS else "all"
        missing = MissingExtraError(f"{error.name} is not installed: tamis {given[0]}", extra)
        return _fail(one_line(missing), missing.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains again at exit
        return 141
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(one_line(FileError(f"{where}{error.strerror or error}")), FileError.exit_code)
    except Exception as error:
        return _unexpected(error)


def _open_streams() -> None:
    """Write UTF-8 whatever the locale, escape what it cannot hold, and let closed streams swallow what is written."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - lives as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8" if name == "stdout" else None, errors="backslashreplace")


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"tamis: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _fail(message: str, code: int) -> int:
    print(f"tamis: error: {message}", file=sys.stderr)
    return code


def _unexpected(error: Exception) -> int:
    if os.environ.get("TAMIS_DEBUG") == "1":
        traceback.print_exception(error)
    return _fail(f"unexpected {type(error).__name__}: {one_line(error)}; set TAMIS_DEBUG=1 to see where", 70)


@app.command(help_epilogue="Example: tamis demo --out tamis-demo")
def demo(*, out: Path = Path("tamis-demo")) -> None:
    """Run every domain on input that comes with the package, offline, and write a report to look at.

    Args:
        out: Folder of the report.
    """
    from tamis.core.report import Links, Report

    pages = {}
    for domain in DOMAINS:
        start = time.perf_counter()
        part = importlib.import_module(f"tamis.{domain}.demo")
        print(part.run(out / domain))
        pages[domain] = (f"{domain}/index.html", part.SAYS)
        print(f"tamis: {domain}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
    front = Report("tamis demo", "Every domain on input that comes with the package.")
    front.add(Links(pages))
    print(front.write(out / "index.html"))


@app.command(help_epilogue="Example: tamis results results/vision.jsonl")
def results(path: Path = Path("results"), /, *, json: Json = False) -> None:
    """Print measured results as tables.

    Args:
        path: A file of result lines, or a folder of such files.
        json: Print the lines as one JSON array, published ones included.
    """
    from tamis.core.results import json_array, read_runs

    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise FileError(f"{path}: holds no .jsonl file; give a file or folder of result lines")
    runs = [run for file in files for run in read_runs(file)]
    if json:
        print(json_array(runs))
        return
    from tamis.core.tables import results_tables

    tables = results_tables(runs)
    for table in tables:
        table.print()
    if not tables:
        print(f"tamis: {path}: no line was measured from a clean tree, so there is no table", file=sys.stderr)


@app.command(help_epilogue="Example: tamis doctor --json")
def doctor(*, json: Json = False) -> None:
    """Say what is installed, what is missing and what would break.

    Args:
        json: Print one JSON object.
    """
    from tamis.core.models import cache_dir, installed

    facts: dict[str, Any] = {
        "tamis": tamis.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "extras": _extras(),
        "traps": {name: version for name in _TRAPS if (version := _version(name))},
        "cache": str(cache_dir()),
        "models": {model.name: installed(model) is not None for model in _models()},
        "network": "used only by `tamis models pull`, and by transformers to fetch a Hub id that you name",
    }
    if json:
        print(json_format.dumps(facts, indent=2))
        return
    for name in ("tamis", "python", "platform", "cores", "memory_gb", "cache", "network"):
        print(f"{name:10} {facts[name]}")
    for name, found in facts["models"].items():
        print(f"{'model':10} {name}: {'in the cache' if found else f'not here; tamis models pull {name}'}")
    for extra, packages in facts["extras"].items():
        missing = [package for package, version in packages.items() if version is None]
        print(
            f"{'extra':10} {extra}: "
            + (f"lacks {', '.join(missing)}; pip install 'tamis[{extra}]'" if missing else "ok")
        )
        for package, version in packages.items():
            if version:
                print(f"{'':10}   {package} {version}")
    for name in facts["traps"]:
        print(f"{'trap':10} {name} is installed and not needed; if transformers fails to import: pip uninstall {name}")


@models.command(name="list", help_epilogue="Example: tamis models list --json")
def models_list(*, json: Json = False) -> None:
    """List the models that can be had, and which are here.

    Args:
        json: Print one JSON array.
    """
    known = [_describe(model) for model in _models()]
    if json:
        print(json_format.dumps(known, indent=2))
        return
    for facts in known:
        here = facts["path"] or f"not here; {facts['size_bytes'] / 1e6:.0f} MB: tamis models pull {facts['name']}"
        print(f"{facts['name']:16} {facts['provenance']}\n{'':16} {here}")


@models.command(name="pull", help_epilogue="Example: tamis models pull vit-s14-focus")
def models_pull(name: str, /, *, json: Json = False) -> None:
    """Download the pinned wheel of a model, check its hash, convert it, and print the directory.

    Args:
        name: Which model, from `tamis models list`.
        json: Print one JSON object.
    """
    from tamis.core.models import installed, pull

    model = _model(name)
    if not installed(model):
        print(f"tamis: downloading {model.package} {model.version}, {model.size_bytes / 1e6:.0f} MB", file=sys.stderr)
    folder = pull(model)
    print(json_format.dumps(_describe(model), indent=2) if json else folder)


@models.command(name="show", help_epilogue="Example: tamis models show vit-s14-focus")
def models_show(name: str, /, *, json: Json = False) -> None:
    """Show what is known about a model: origin, licence, hash, size and where it is.

    Args:
        name: Which model, from `tamis models list`.
        json: Print one JSON object.
    """
    facts = _describe(_model(name))
    if json:
        print(json_format.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        print(f"{key:12} {'not here' if value is None else value}")


@models.command(name="remove", help_epilogue="Example: tamis models remove vit-s14-focus")
def models_remove(name: str, /) -> None:
    """Delete a model from the cache.

    Args:
        name: Which model, from `tamis models list`.
    """
    from tamis.core.models import remove

    if not remove(_model(name)):
        print(f"tamis: {name} was not in the cache", file=sys.stderr)


def _models() -> Iterator[WheelModel]:
    """Give the models of the domains that have any."""
    for domain in DOMAINS:
        if find_spec(f"tamis.{domain}.models"):
            yield from importlib.import_module(f"tamis.{domain}.models").MODELS.values()


def _model(name: str) -> WheelModel:
    known = {model.name: model for model in _models()}
    if name in known:
        return known[name]
    raise ConfigError(f"{name!r} is no model that tamis can pull; {nearest(name, known)}")


def _describe(model: WheelModel) -> dict[str, Any]:
    from tamis.core.models import installed

    folder = installed(model)
    return {
        "name": model.name,
        "package": f"{model.package}=={model.version}",
        "sha256": model.sha256,
        "size_bytes": model.size_bytes,
        "licence": model.licence,
        "provenance": model.provenance,
        "path": str(folder) if folder else None,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _extras() -> dict[str, dict[str, str | None]]:
    """Packages of each domain's extra with their installed versions; None where one is missing."""
    extras: dict[str, dict[str, str | None]] = {}
    requirements = metadata.requires("tamis") if _version("tamis") else None
    for requirement in requirements or ():
        extra = re.search(r"""extra == ['"]([\w-]+)['"]""", requirement)
        package = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        if extra and extra[1] in DOMAINS:
            extras.setdefault(extra[1], {})[package] = _version(package)
    return extras


def _memory_gb() -> float | None:
    """Physical memory in GB, None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, OSError, ValueError):
        return None
