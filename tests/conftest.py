"""What every test stands on: no network, no shared cache, one thread."""

import os

import pytest

# Read once, when huggingface_hub or torch is imported, so a fixture would come too late.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache out of the tests, and the tests out of the user's cache."""
    monkeypatch.setenv("TAMIS_CACHE", str(tmp_path_factory.mktemp("cache")))
