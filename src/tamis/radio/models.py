"""Weights that the package index carries: none for radio, the trained networks come with the package."""

from __future__ import annotations

from tamis.core.models import WheelModel

MODELS: dict[str, WheelModel] = {}
