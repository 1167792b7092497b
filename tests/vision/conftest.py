from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from tests.vision.small import FAMILIES, build, vision_config
from transformers import CLIPVisionModel


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def models() -> Callable[[str], Any]:
    return cache(build)


@pytest.fixture
def model(family: str, models: Callable[[str], Any]) -> Any:
    return models(family)


@pytest.fixture(scope="session")
def tower() -> CLIPVisionModel:
    torch.manual_seed(1)
    return CLIPVisionModel(vision_config(initializer_range=0.2)).eval()
