"""The registry of training engines."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from marketgpt_core.plugins import Registry

if TYPE_CHECKING:
    from marketgpt_training.base import TrainingEngine


@cache
def engines() -> Registry[TrainingEngine]:
    """Return the registry of training engines."""
    return Registry(
        kind="training-engine",
        group="marketgpt.training",
        specs="marketgpt_training.hookspecs",
        hook="marketgpt_training_engines",
        base="marketgpt_training.base:TrainingEngine",
        conformance="marketgpt_training.testing:TrainingEngineConformance",
    )
