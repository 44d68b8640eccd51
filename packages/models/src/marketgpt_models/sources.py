"""Candles for the command line, from a source written as ``name`` or ``name:location``.

The source comes through the core's registry, so this package needs none of the packages that provide one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from marketgpt_core.errors import ConfigError
from marketgpt_core.interval import Interval
from marketgpt_core.sources import open_source

if TYPE_CHECKING:
    from marketgpt_core.candles import Candles
    from marketgpt_core.times import Moment


def fetch_candles(
    source: str,
    symbols: Sequence[str],
    *,
    interval: Interval,
    end: Moment | None = None,
    whole_market: bool = False,
) -> Candles:
    """Fetch the history of some symbols, or of all a source lists.

    Args:
        source: ``sample``, ``yfinance``, ``parquet:DIR``, or what a plugin adds.
        symbols: Symbols; empty for all.
        interval: Length of a candle.
        end: First moment left out; None for as late as there is.
        whole_market: Also whatever else the source lists, to tell the market's state by.

    Raises:
        PluginError: for an unknown source, or when no package that provides sources is installed.
        ConfigError: for a location that does not fit, or when the source cannot list its symbols.
        DataError: for a symbol the source does not have, or a place that cannot be read.
    """
    opened = open_source(source)
    wanted = list(symbols)
    if whole_market or not wanted:
        wanted = list(dict.fromkeys((*wanted, *opened.symbols(interval))))
    if not wanted:
        raise ConfigError(f"source {source!r} lists no symbols at {interval}: name them, for example AAPL")
    candles: Candles = opened.fetch(wanted, start=None, end=end, interval=interval)
    return candles
