"""Registers the strategy; imports nothing heavy, so that listing plugins stays fast."""

from __future__ import annotations

from marketgpt_core.plugins import hookimpl


@hookimpl
def marketgpt_signal_strategies() -> dict[str, str]:
    """Return our strategies by name."""
    return {"unanimous": "marketgpt_example_strategy.unanimous:Unanimous"}
