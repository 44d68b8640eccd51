"""Candles from Yahoo through yfinance, at a pace Yahoo bears, and honest about what did not come.

One request for candles a symbol (two or more only where Yahoo limits a request: 1m goes by seven days), plus
two in the life of a source, for a cookie and a crumb. :mod:`marketgpt_data_sources.sources.yahoo_client` says
what yfinance does by itself and what is done about it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeVar

import pandas as pd
from pydantic import Field

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError, FetchError, FetchReason
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import check_symbol
from marketgpt_core.times import Moment
from marketgpt_data_sources import shapes
from marketgpt_data_sources.pacing.breaker import CircuitOpenError
from marketgpt_data_sources.pacing.network import NetworkConfig, NetworkSource
from marketgpt_data_sources.sources.yahoo_answers import meaning
from marketgpt_data_sources.sources.yahoo_client import Transport, YahooClient
from marketgpt_data_sources.sources.yahoo_frames import cut, long_frame, no_candles
from marketgpt_data_sources.sources.yahoo_ranges import earliest, ranges

T = TypeVar("T")
# Weeks are made of days: see marketgpt_data_sources.sources.yahoo_frames.weeks.
_YAHOO_INTERVALS = {interval: str(interval) for interval in Interval} | {Interval.WEEK: "1d"}


class YFinance(NetworkSource):
    """Yahoo's candles through yfinance, adjusted for splits and dividends; needs the network.

    It cannot list symbols: name them as Yahoo does (AAPL, ^GSPC, EURUSD=X, GC=F, BTC-USD, SAP.DE). Yahoo
    keeps 1m for 30 days, 5m for 60 days and 1h for two years.

    Attributes:
        session: HTTP session of curl_cffi or requests that yfinance shall use, set before the first request
            and used by this source only; None for what yfinance would use.
    """

    paced_by_transport = True

    class Config(NetworkConfig):
        """Options of the Yahoo client.

        Yahoo publishes no limits. yfinance's documentation paces its example at 2 requests in 5 seconds; its
        users report bans of hours after some 950 symbols in one go (issues 312, 2128).
        """

        requests_per_s: float = Field(
            default=0.4, ge=0, le=1000, description="Pace of all HTTP requests together; 0 for none."
        )
        mirror: str | None = Field(
            default=None,
            pattern=r"^https?://[^\s/?#]+",
            description="Address to ask instead of Yahoo's hosts: a caching proxy of yours, a test's server.",
        )
        adjust: bool = Field(default=True, description="Adjust for dividends; splits always are.")
        impossible: Literal["refuse", "drop"] = Field(
            default="refuse", description="What to do with impossible candles; 'drop' logs how many."
        )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config: YFinance.Config = config
        self.session: Any = None
        self._client: YahooClient | None = None
        self._connecting = threading.Lock()

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:  # noqa: ARG002
        """Return (): Yahoo has no list."""
        return ()

    def fetch(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Candles:
        """Return the candles with ``start <= time < end``; see :meth:`DataSource.fetch`.

        Raises:
            ConfigError: when Yahoo does not keep candles that short that long.
            FetchError: it names every symbol that failed and why; no candles are returned then.
            CandleError: for impossible candles of the only symbol asked for.
        """

        def one(symbol: str) -> Candles:
            return self._candles(symbol, self._frame(symbol, start, end, interval), interval)

        found = (candles for _, candles in self._each(symbols, one))
        return Candles((series for candles in found for series in candles.values()), interval=interval)

    def raw(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield one unadjusted frame a symbol, as :meth:`DataSource.raw` says, with all optional columns.

        A frame without rows means that Yahoo knows the symbol and has no candle in the range.

        Raises:
            ConfigError: when Yahoo does not keep candles that short that long.
            FetchError: after the frames that came, it names every symbol that failed and why.
        """

        def one(symbol: str) -> pd.DataFrame:
            return self._frame(symbol, start, end, interval)

        for symbol, frame in self._each(symbols, one):
            yield f"yfinance {symbol}", frame

    def earliest(self, interval: Interval) -> datetime | None:
        """Return how far back Yahoo has candles that short: 30 days of 1m, 60 of 5m, 730 of 1h."""
        return earliest(interval, self.clock.now())

    def classify(self, symbol: str, error: Exception) -> FetchError | None:
        """Say what an error of yfinance, of its session or of Yahoo means."""
        if isinstance(error, FetchError):
            return error
        found = meaning(error)
        if found is None:
            return None
        reason, words = found
        wait_s = getattr(error, "retry_after_s", None)
        return FetchError(f"{symbol}: {words}", reason=reason, retry_after_s=wait_s)

    def _each(self, symbols: Sequence[str], function: Callable[[str], T]) -> Iterator[tuple[str, T]]:
        """Yield what a function makes of each symbol; raise at the end what failed."""
        asked = [check_symbol(symbol, where="yfinance") for symbol in dict.fromkeys(symbols)]
        failed: list[DataError] = []
        for symbol in asked:
            try:
                result = function(symbol)
            except DataError as error:
                if len(asked) == 1:
                    raise
                failed.append(error)
                if isinstance(error, CircuitOpenError):
                    break
            else:
                yield symbol, result
        if failed:
            raise _together(failed, len(asked))

    def _frame(
        self, symbol: str, start: Moment | None, end: Moment | None, interval: Interval
    ) -> pd.DataFrame:
        pieces = []
        for first, last in ranges(start, end, interval, self.clock.now()):
            ask = partial(
                self._connected().candles,
                symbol,
                start=first,
                end=last,
                interval=_YAHOO_INTERVALS[interval],
                timeout_s=self.config.timeout_s,
            )
            frame, about = self.ask(symbol, ask)
            # After the answer: waiting for it may have taken minutes, in which a candle ended.
            pieces.append(long_frame(frame, about, symbol, interval=interval, now=self.clock.now()))
        filled = [piece for piece in pieces if len(piece)]
        if not filled:
            return no_candles()
        return cut(pd.concat(filled, ignore_index=True), start, end)

    def _candles(self, symbol: str, frame: pd.DataFrame, interval: Interval) -> Candles:
        where = f"yfinance {symbol}"
        frame = shapes.adjusted(frame, where=where) if self.config.adjust else frame
        if self.config.impossible == "drop":
            frame = shapes.without_impossible(frame, where=where)
        return Candles.from_frame(frame.drop(columns="adj_close"), interval=interval, where=where)

    def _connected(self) -> YahooClient:
        with self._connecting:
            if self._client is None:
                now = lambda: self.clock.now()  # noqa: E731, PLW0108 - a test may set another clock later
                self._client = YahooClient(self.session, Transport(self.limiter, self.config.mirror, now))
            return self._client


def _together(failed: Sequence[DataError], asked: int) -> FetchError:
    text = f"yfinance: {len(failed)} of {asked} symbols failed: {'; '.join(map(str, failed))}"
    first, last = failed[0], failed[-1]
    if isinstance(last, CircuitOpenError):
        return CircuitOpenError(text, reason=last.reason, retry_after_s=last.retry_after_s)
    return FetchError(text, reason=first.reason if isinstance(first, FetchError) else FetchReason.BAD_DATA)
