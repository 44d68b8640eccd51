"""The contract of a data source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import DataError, hint
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category, check_symbol

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from marketgpt_core.candles import Candles
    from marketgpt_core.times import Moment


@dataclass(frozen=True)
class SymbolSummary:
    """What a source has of one symbol at one interval.

    Attributes:
        category: Market the symbol belongs to.
        candles: How many.
        first, last: Stamps of the first and the last candle.
    """

    category: Category
    candles: int
    first: np.datetime64
    last: np.datetime64


class DataSource(ABC):
    """A place candles come from.

    A subclass has a nested ``Config``; a source that reads a place names, in ``location_field``, the field of
    its ``Config`` that the text after the colon in ``name:location`` becomes.

    Attributes:
        Config: Pydantic class of its options.
        location_field: Field of ``Config`` the location fills; None when the source takes no location.
        location_hint: What stands for the location in help: ``DIR``, ``FILE``.
        max_concurrency: How many threads may fetch from one instance side by side.
        config: The options of this instance.

    Args:
        config: An instance of its ``Config``.
    """

    Config: ClassVar[type[BaseConfig]]
    location_field: ClassVar[str | None] = None
    location_hint: ClassVar[str] = "LOCATION"
    max_concurrency: int = 1

    def __init__(self, config: BaseConfig) -> None:
        self.config = config

    @abstractmethod
    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        """Return the symbols it has at an interval, in a stable order; () when it cannot know.

        Raises:
            ConfigError: when it was given no location and needs one.
            DataError: when the place cannot be read.
        """

    @abstractmethod
    def fetch(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Candles:
        """Return the candles with ``start <= time < end``: UTC, oldest first, in the order asked for.

        A symbol without a candle in the range is left out, so an empty range gives empty candles. No candle
        is returned before it has ended.

        Args:
            symbols: Symbols.
            start: First moment; None for as far back as there is.
            end: Moment after the last; None for as late as there is.
            interval: Length of a candle.

        Raises:
            ConfigError: when it was given no location and needs one.
            DataError: for an unknown symbol, with the close match, or a place that cannot be read; a
                :class:`marketgpt_core.errors.FetchError` from a source that asks somebody else.
            CandleError: for candles that cannot be, naming where and which rows.
        """

    def raw(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield (where, long frame) as it lies there, before any check.

        What ``data verify`` looks at, and ``data fetch`` stores after moving bad rows aside. A frame has
        ``symbol, time, open, high, low, close, volume``; ``adj_close`` and ``category`` where the place has
        them; and ``row`` if rows of the place are numbered. Times are naive UTC. A source that asks somebody
        else leaves out candles that have not ended. The default yields what :meth:`fetch` returns, which has
        been checked.

        Args:
            symbols: Symbols.
            start: First moment; None for as far back as there is. Rows outside may come too.
            end: Moment after the last; None for as late as there is.
            interval: Length of a candle.
        """
        frame = self.fetch(symbols, start=start, end=end, interval=interval).to_frame()
        yield type(self).__name__, frame.assign(time=frame["time"].dt.tz_localize(None))

    def summary(self, interval: Interval = Interval.DAY) -> Mapping[str, SymbolSummary] | None:  # noqa: ARG002 - for those who know
        """Return what there is of each symbol, in the order of :meth:`symbols`, without reading the candles.

        None, the default, where only the candles themselves would tell; ``data list --source`` then fetches.

        Args:
            interval: Length of a candle.

        Raises:
            ConfigError: when it was given no location and needs one.
            DataError: when the place cannot be read.
        """
        return None


def check_known(symbols: Sequence[str], known: Sequence[str], *, where: str) -> list[str]:
    """Return the symbols without repetitions, or refuse the first that is not known.

    Args:
        symbols: What was asked for.
        known: What there is.
        where: Where there is, for the message: ``parquet:../data``.

    Raises:
        DataError: for an unknown symbol, with the close match.
    """
    asked = list(dict.fromkeys(symbols))
    there = set(known)
    for symbol in asked:
        if symbol not in there:
            raise DataError(f"unknown symbol {check_symbol(symbol)!r} in {where}; {hint(symbol, known)}")
    return asked
