"""From the text a user writes (``parquet:DIR``, ``sample``) to an open source and its candles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from marketgpt_core import sources
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.interval import Interval
from marketgpt_core.sources import parse_source

__all__ = ["all_symbols", "load_candles", "open_source", "parse_source"]

if TYPE_CHECKING:
    from marketgpt_core.candles import Candles
    from marketgpt_core.times import Moment
    from marketgpt_data_sources.base import DataSource


def open_source(text: str, options: Mapping[str, Any] | None = None) -> DataSource:
    """Open a source from the text a user writes; see :func:`marketgpt_core.sources.open_source`."""
    opened: DataSource = sources.open_source(text, options)
    return opened


def load_candles(
    source: str,
    symbols: Sequence[str] | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    interval: Interval = Interval.DAY,
    *,
    options: Mapping[str, Any] | None = None,
) -> Candles:
    """Return candles of a source in one call.

    Args:
        source: See :func:`parse_source`.
        symbols: Symbols; None for all the source has at this interval.
        start: First moment, inclusive.
        end: Last moment, exclusive.
        interval: Length of a candle.
        options: More options of the source's ``Config``.

    Raises:
        ConfigError: when symbols are left out and the source cannot list its own.
        DataError: see :meth:`marketgpt_data_sources.base.DataSource.fetch`.
    """
    opened = open_source(source, options)
    wanted = all_symbols(opened, source, interval) if symbols is None else symbols
    return opened.fetch(wanted, start=start, end=end, interval=interval)


def all_symbols(opened: DataSource, text: str, interval: Interval = Interval.DAY) -> tuple[str, ...]:
    """Return the symbols of an open source, or ask the user to name some.

    Args:
        opened: The source.
        text: What the user wrote for it, for the message.
        interval: Length of a candle.

    Raises:
        ConfigError: when the source cannot list symbols.
        DataError: when it lists symbols at other intervals only.
    """
    known = opened.symbols(interval)
    if known:
        return known
    others = [str(one) for one in Interval if one is not interval and opened.symbols(one)]
    if others:
        raise DataError(f"source {text!r} has nothing at {interval}; it has {', '.join(others)}")
    raise ConfigError(f"source {text!r} lists no symbols at {interval}: name them, for example AAPL,MSFT")
