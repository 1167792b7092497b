import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "numpy", "PIL", "av", "matplotlib", "huggingface_hub", "scipy", "onnxruntime")
REPORT = f"import sys; print(*sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"


def heavy_imports(code: str) -> str:
    command = [sys.executable, "-c", f"{code}\n{REPORT}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr.strip()


@pytest.mark.parametrize(
    "module",
    [
        "tamis",
        "tamis.vision",
        "tamis.vision.models",
        "tamis.language",
        "tamis.language.corpus",
        "tamis.audio",
        "tamis.audio.models",
        "tamis.radio",
        "tamis.radio.methods",
        "tamis.core.results",
        "tamis.core.readers",
        "tamis.core.training",
    ],
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert heavy_imports(f"import {module}") == ""


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "--version",
        "audio --help",
        "audio train --help",
        "vision --help",
        "language --help",
        "language cover --help",
        "language data info open",
        "radio --help",
        "radio data --help",
        "radio distill --help",
        "vision train-tiny --help",
        "doctor",
        "models list",
        "demo --help",
    ],
)
def test_help_and_the_small_commands_load_nothing_heavy(command: str) -> None:
    assert heavy_imports(f"from tamis.cli import main\nassert main({command.split()!r}) == 0") == ""


def test_the_check_itself_sees_a_heavy_import() -> None:
    assert heavy_imports("import tamis, numpy") == "numpy"
