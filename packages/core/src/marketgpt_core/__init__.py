"""The small core every MarketGPT package shares.

Importing this module is cheap on purpose: it loads neither numpy, pandas, pydantic nor torch, so that
``marketgpt --help`` answers at once. The names below are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.lazy import lazy_front

if TYPE_CHECKING:
    from marketgpt_core.candles import Candles, CandleSeries
    from marketgpt_core.clock import Clock, FixedClock, SystemClock
    from marketgpt_core.config import Config, load_config
    from marketgpt_core.errors import (
        CandleError,
        ConfigError,
        DataError,
        MarketGPTError,
        PluginError,
        RunError,
    )
    from marketgpt_core.forecast import QUANTILE_LEVELS, Forecast, Forecaster
    from marketgpt_core.interval import Interval
    from marketgpt_core.plugins import Registry, hookimpl, hookspec, registries, registry
    from marketgpt_core.run import Run
    from marketgpt_core.signal import Bands, Outcome, Side, Signal, SignalReader
    from marketgpt_core.tokens import Tokenizer, TokenSeries

_HOME = {
    "Bands": "signal",
    "CandleError": "errors",
    "CandleSeries": "candles",
    "Candles": "candles",
    "Clock": "clock",
    "Config": "config",
    "ConfigError": "errors",
    "DataError": "errors",
    "FixedClock": "clock",
    "Forecast": "forecast",
    "Forecaster": "forecast",
    "Interval": "interval",
    "MarketGPTError": "errors",
    "Outcome": "signal",
    "PluginError": "errors",
    "QUANTILE_LEVELS": "forecast",
    "Registry": "plugins",
    "Run": "run",
    "RunError": "errors",
    "Side": "signal",
    "Signal": "signal",
    "SignalReader": "signal",
    "SystemClock": "clock",
    "TokenSeries": "tokens",
    "Tokenizer": "tokens",
    "hookimpl": "plugins",
    "hookspec": "plugins",
    "load_config": "config",
    "registries": "plugins",
    "registry": "plugins",
}

__all__ = [
    "QUANTILE_LEVELS",
    "Bands",
    "CandleError",
    "CandleSeries",
    "Candles",
    "Clock",
    "Config",
    "ConfigError",
    "DataError",
    "FixedClock",
    "Forecast",
    "Forecaster",
    "Interval",
    "MarketGPTError",
    "Outcome",
    "PluginError",
    "Registry",
    "Run",
    "RunError",
    "Side",
    "Signal",
    "SignalReader",
    "SystemClock",
    "TokenSeries",
    "Tokenizer",
    "hookimpl",
    "hookspec",
    "load_config",
    "registries",
    "registry",
]

__getattr__, __dir__ = lazy_front(__name__, _HOME)
