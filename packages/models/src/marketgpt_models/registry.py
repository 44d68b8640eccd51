"""The registry of model variants."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from marketgpt_core.plugins.registry import Registry

if TYPE_CHECKING:
    from marketgpt_models.base import ModelVariant


@cache
def models() -> Registry[ModelVariant]:
    """Return the one registry of model variants in this process."""
    return Registry(
        kind="model",
        group="marketgpt.models",
        specs="marketgpt_models.hookspecs",
        hook="marketgpt_model_variants",
        base="marketgpt_models.base:ModelVariant",
        conformance="marketgpt_models.testing:ModelVariantConformance",
    )
