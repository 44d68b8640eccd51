"""Candles from a source written as ``name`` or ``name:location``, whoever provides it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marketgpt_core.candles import Candles
from marketgpt_core.errors import FetchError, FetchReason
from marketgpt_core.interval import Interval
from marketgpt_core.sources import open_source

# Tomorrow the same question may be answered.
_PASSING = (FetchReason.THROTTLED, FetchReason.UNREACHABLE, FetchReason.BAD_ANSWER)


def fetch_candles(source: str, symbols: Sequence[str], interval: Interval) -> Candles:
    """Fetch all the candles a source has of some symbols.

    Args:
        source: ``sample``, ``yfinance``, ``parquet:DIR``, or what a plugin adds.
        symbols: Symbols.
        interval: Length of a candle.

    Raises:
        PluginError: for an unknown source, or when no package that provides sources is installed.
        ConfigError: for a location given to a source that takes none.
        DataError: for a symbol the source does not have, or a place that cannot be read.
    """
    return _fetch(open_source(source), symbols, interval)


def fetch_what_there_is(
    source: str, symbols: Sequence[str], interval: Interval
) -> tuple[Candles, dict[str, str], dict[str, str]]:
    """Fetch candles symbol by symbol where need be: one that is gone takes no other with it.

    Args:
        source: See :func:`fetch_candles`.
        symbols: Symbols.
        interval: Length of a candle.

    Returns:
        (candles, gone, unreached): the candles there are; by symbol, in one line, why there are none; and the
        same of those that could not be asked for just now.

    Raises:
        PluginError, ConfigError, DataError: as :func:`fetch_candles`, but for what concerns a symbol.
    """
    opened = open_source(source)
    listed = set(opened.symbols(interval))  # empty when the source cannot list what it has
    gone = {symbol: f"{source} does not have it" for symbol in symbols if listed and symbol not in listed}
    unreached: dict[str, str] = {}
    wanted = [symbol for symbol in symbols if symbol not in gone]
    try:
        return _fetch(opened, wanted, interval), gone, unreached
    except FetchError:
        found = []
        for symbol in wanted:
            try:
                found += list(_fetch(opened, [symbol], interval).values())
            except FetchError as error:
                why = unreached if error.reason in _PASSING else gone
                why[symbol] = f"{error.reason}: {error}"
        return Candles(found, interval=interval), gone, unreached


def _fetch(opened: Any, symbols: Sequence[str], interval: Interval) -> Candles:  # noqa: ANN401 - a DataSource; its class lives above
    if not symbols:
        return Candles([], interval=interval)
    candles: Candles = opened.fetch(symbols, start=None, end=None, interval=interval)
    return candles
