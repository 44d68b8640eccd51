"""The small core every MarketGPT package shares.

Importing this module is cheap on purpose: it loads neither numpy, pandas, pydantic nor torch, so that
``marketgpt --help`` answers at once. The names below are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.lazy import lazy_front

if TYPE_CHECKING:
    from marketgpt_core.alignment import Aligned, decision_times
    from marketgpt_core.calendars import TradingCalendar, known_at, trading_calendar
    from marketgpt_core.candles import Candles, CandleSeries
    from marketgpt_core.clock import Clock, FixedClock, SystemClock
    from marketgpt_core.config import Config, load_config
    from marketgpt_core.errors import (
        CandleError,
        ConfigError,
        DataError,
        FetchError,
        FetchReason,
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
    from marketgpt_core.universe import Instrument, Universe, open_universe

_HOME = {
    "Aligned": "alignment",
    "Bands": "signal",
    "CandleError": "errors",
    "CandleSeries": "candles",
    "Candles": "candles",
    "Clock": "clock",
    "Config": "config",
    "ConfigError": "errors",
    "DataError": "errors",
    "FetchError": "errors",
    "FetchReason": "errors",
    "FixedClock": "clock",
    "Forecast": "forecast",
    "Forecaster": "forecast",
    "Instrument": "universe",
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
    "TradingCalendar": "calendars",
    "Universe": "universe",
    "decision_times": "alignment",
    "hookimpl": "plugins",
    "hookspec": "plugins",
    "known_at": "calendars",
    "load_config": "config",
    "open_universe": "universe",
    "registries": "plugins",
    "registry": "plugins",
    "trading_calendar": "calendars",
}

__all__ = [
    "QUANTILE_LEVELS",
    "Aligned",
    "Bands",
    "CandleError",
    "CandleSeries",
    "Candles",
    "Clock",
    "Config",
    "ConfigError",
    "DataError",
    "FetchError",
    "FetchReason",
    "FixedClock",
    "Forecast",
    "Forecaster",
    "Instrument",
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
    "TradingCalendar",
    "Universe",
    "decision_times",
    "hookimpl",
    "hookspec",
    "known_at",
    "load_config",
    "open_universe",
    "registries",
    "registry",
    "trading_calendar",
]

__getattr__, __dir__ = lazy_front(__name__, _HOME)
