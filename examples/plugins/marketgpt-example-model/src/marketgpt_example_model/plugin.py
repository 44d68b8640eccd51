"""Registers the variant; imports nothing heavy, so that listing plugins stays fast."""

from __future__ import annotations

from marketgpt_core.plugins import hookimpl


@hookimpl
def marketgpt_model_variants() -> dict[str, str]:
    """Return our variants by name."""
    return {"tcn": "marketgpt_example_model.variant:TCNVariant"}
