"""The strategies that come with this package, registered like a third party's."""

from __future__ import annotations

from marketgpt_core.plugins.markers import hookimpl


@hookimpl
def marketgpt_signal_strategies() -> dict[str, str]:
    """Return our own strategies."""
    rules = "marketgpt_signals.rules"
    return {
        "threshold": f"{rules}.threshold:ProbabilityThreshold",
        "consensus": f"{rules}.consensus:Consensus",
        "volatility_target": f"{rules}.volatility_target:VolatilityTarget",
        "kelly": f"{rules}.kelly:Kelly",
        "rank": f"{rules}.rank:Rank",
        "bollinger": f"{rules}.bollinger:Bollinger",
    }
