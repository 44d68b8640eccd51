"""Candles from a source written as ``name`` or ``name:location``, whoever provides it."""

from __future__ import annotations

from collections.abc import Sequence

from marketgpt_core.candles import Candles
from marketgpt_core.interval import Interval
from marketgpt_core.sources import open_source


def fetch_candles(
    source: str, symbols: Sequence[str], interval: Interval, *, skip_unknown: bool = False
) -> Candles:
    """Fetch all the candles a source has of some symbols.

    Args:
        source: ``sample``, ``yfinance``, ``parquet:DIR``, or what a plugin adds.
        symbols: Symbols.
        interval: Length of a candle.
        skip_unknown: Leave out symbols the source says it does not have, rather than refuse.

    Raises:
        PluginError: for an unknown source, or when no package that provides sources is installed.
        ConfigError: for a location given to a source that takes none.
        DataError: for a symbol the source does not have, or a place that cannot be read.
    """
    opened = open_source(source)
    if skip_unknown:
        known = set(opened.symbols(interval))
        symbols = [symbol for symbol in symbols if not known or symbol in known]
    if not symbols:
        return Candles([], interval=interval)
    candles: Candles = opened.fetch(symbols, start=None, end=None, interval=interval)
    return candles
