"""What MarketGPT finds: names and where their classes are. It imports nothing heavy."""

from __future__ import annotations

from marketgpt_core.plugins import hookimpl


@hookimpl
def marketgpt_data_sources() -> dict[str, str]:
    """Return the source this plugin adds."""
    return {"ccxt": "marketgpt_example_ccxt.source:CcxtSource"}
