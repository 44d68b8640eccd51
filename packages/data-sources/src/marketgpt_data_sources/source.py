"""From the text a user writes (``parquet:DIR``, ``sample``) to an open source and its candles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.interval import Interval
from marketgpt_data_sources.registry import data_sources

if TYPE_CHECKING:
    from marketgpt_core.candles import Candles
    from marketgpt_core.times import Moment
    from marketgpt_data_sources.base import DataSource


def parse_source(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``name`` or ``name:location`` into the source's name and the options it stands for.

    Args:
        text: ``sample``, ``yfinance``, ``parquet:DIR``, ``csv:DIR``, ``synthetic:garch_t`` or what a plugin
            adds.

    Returns:
        (name, options): ``("parquet", {"location": "DIR"})``.

    Raises:
        PluginError: for an unknown name, with the close match.
        ConfigError: for a location given to a source that takes none, or an empty one.
    """
    name, colon, location = text.strip().partition(":")
    cls = data_sources().load(name)
    if not colon:
        return name, {}
    if cls.location_field is None:
        raise ConfigError(f"source {name!r} takes no location, got {location!r}: write {name}")
    if not location:
        raise ConfigError(f"source {text!r} has an empty location: write {name}:{cls.location_hint}")
    return name, {cls.location_field: location}


def open_source(text: str, options: Mapping[str, Any] | None = None) -> DataSource:
    """Open a source from the text a user writes.

    Args:
        text: See :func:`parse_source`.
        options: More options of the source's ``Config``; a location in the text wins.

    Raises:
        PluginError: for an unknown source.
        ConfigError: for an option or location that does not fit.
    """
    name, located = parse_source(text)
    return data_sources().create(name, {**(options or {}), **located}, where=f"source {text}")


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
