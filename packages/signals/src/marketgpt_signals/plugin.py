"""The strategies that come with this package, registered like a third party's."""

from __future__ import annotations

from marketgpt_core.plugins.markers import hookimpl


@hookimpl
def marketgpt_signal_strategies() -> dict[str, str]:
    """Return our own strategies."""
    return {"threshold": "marketgpt_signals.threshold:ProbabilityThreshold"}
