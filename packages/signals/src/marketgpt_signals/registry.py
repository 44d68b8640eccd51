"""The registry of signal strategies."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from marketgpt_core.plugins.registry import Registry

if TYPE_CHECKING:
    from marketgpt_signals.base import SignalStrategy


@cache
def strategies() -> Registry[SignalStrategy]:
    """Return the one registry of signal strategies in this process."""
    return Registry(
        kind="signal-strategy",
        group="marketgpt.signals",
        specs="marketgpt_signals.hookspecs",
        hook="marketgpt_signal_strategies",
        base="marketgpt_signals.base:SignalStrategy",
        conformance="marketgpt_signals.testing:SignalStrategyConformance",
    )
