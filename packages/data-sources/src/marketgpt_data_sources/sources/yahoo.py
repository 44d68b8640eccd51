"""Candles from Yahoo through yfinance, with the pace, the retries and the honesty it leaves to its caller.

What yfinance does that one must know, and what is done about it:

* It swallows errors and logs them: ``hide_exceptions`` is off while we ask.
* It does not retry a 429; we do, waiting longer each time, and we keep a least distance between requests.
* It may answer from a cache of 64 URLs, bad answers included; we empty it before every attempt.
* Its client is one object in the process (session, cookie, crumb); we ask under a lock.
* ``auto_adjust`` leaves closes one bit outside [low, high]; we adjust all four prices by one ratio.
* The last candle may not have ended; it is left out until its session has.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from json import JSONDecodeError
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pandas as pd
import requests
import yfinance as yf
from pydantic import Field
from yfinance.data import YfData
from yfinance.exceptions import (
    YFDataException,
    YFException,
    YFPricesMissingError,
    YFRateLimitError,
    YFTickerMissingError,
)

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.clock import Clock, SystemClock
from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import DataError
from marketgpt_core.exchanges import guess_category
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category, check_symbol
from marketgpt_core.times import Moment, to_datetime, to_datetime64
from marketgpt_data_sources import shapes
from marketgpt_data_sources.base import DataSource

logger = logging.getLogger(__name__)

_YAHOO_INTERVALS = {interval: str(interval) for interval in Interval} | {Interval.WEEK: "1wk"}
_CATEGORIES = {
    "ETF": Category.ETF,
    "INDEX": Category.INDEX,
    "CURRENCY": Category.FX,
    "CRYPTOCURRENCY": Category.CRYPTO,
    "FUTURE": Category.COMMODITY,
}
# What Yahoo says for a known symbol that has no candle in the range.
_NOTHING_THERE = "Data doesn't exist for startDate"
_ABOUT = ("exchangeTimezoneName", "instrumentType", "currentTradingPeriod")
_CLIENT = threading.Lock()


class YFinance(DataSource):
    """Yahoo's candles through yfinance, adjusted for splits and dividends; needs the network.

    It cannot list symbols: name them as Yahoo does (AAPL, ^GSPC, EURUSD=X, GC=F, BTC-USD, SAP.DE). Yahoo
    keeps 1m for about a week, 5m for 60 days and 1h for two years.

    Attributes:
        session: HTTP session yfinance shall use; None for its own. A test mounts its adapter here.
        clock: Tells whether the last candle has ended.
        sleep: Waits so many seconds.
    """

    class Config(BaseConfig):
        """Options of the Yahoo client."""

        timeout_s: float = Field(default=10.0, gt=0, le=300, description="Of one request.")
        max_attempts: int = Field(default=4, ge=1, le=20, description="For one symbol.")
        backoff_s: float = Field(default=2.0, ge=0, le=600, description="First wait; doubles each time.")
        max_backoff_s: float = Field(default=60.0, ge=0, le=3600, description="Longest wait.")
        min_interval_s: float = Field(default=0.5, ge=0, le=600, description="Least time between symbols.")
        adjust: bool = Field(default=True, description="Adjust for dividends; splits always are.")
        impossible: Literal["refuse", "drop"] = Field(
            default="refuse", description="What to do with impossible candles; 'drop' logs how many."
        )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config: YFinance.Config = config
        self.session: requests.Session | None = None
        self.clock: Clock = SystemClock()
        self.sleep: Callable[[float], None] = time.sleep
        self._last_request: datetime | None = None

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
            DataError: it names every symbol that failed and why; no candles are returned then.
        """
        asked = [check_symbol(symbol, where="yfinance") for symbol in dict.fromkeys(symbols)]
        if start is not None and end is not None and to_datetime64(start) >= to_datetime64(end):
            return Candles([], interval=interval)
        series: list[CandleSeries] = []
        failed: list[str] = []
        for symbol in asked:
            try:
                series += self._one(symbol, start, end, interval).values()
            except DataError as error:
                failed.append(str(error))
        if failed:
            raise DataError(f"yfinance: {len(failed)} of {len(asked)} symbols failed: {'; '.join(failed)}")
        return Candles(series, interval=interval).between(start, end)

    def _one(self, symbol: str, start: Moment | None, end: Moment | None, interval: Interval) -> Candles:
        frame, about = self._with_retries(symbol, start, end, interval)
        if frame.empty:
            return Candles([], interval=interval)
        where = f"yfinance {symbol}"
        frame = self._ended(frame, about, interval)
        frame = frame.rename_axis(index="time")
        long = shapes.long_form(frame, interval=interval, where=where, symbol=symbol)
        long = shapes.adjusted(long, where=where) if self.config.adjust else long
        if self.config.impossible == "drop":
            long = shapes.without_impossible(long, where=where)
        return Candles.from_frame(
            long.drop(columns=["row", "adj_close"]),
            interval=interval,
            category=_category(symbol, about),
            where=where,
        )

    def _with_retries(
        self, symbol: str, start: Moment | None, end: Moment | None, interval: Interval
    ) -> tuple[pd.DataFrame, dict[str, Any]]:
        for attempt in range(1, self.config.max_attempts + 1):
            self._keep_pace()
            try:
                return self._ask(symbol, start, end, interval)
            except (YFRateLimitError, YFDataException, JSONDecodeError, OSError) as error:
                # Rate limit, maintenance, an error page instead of JSON, transport: these pass. Every
                # transport error of requests and of curl_cffi is an OSError.
                if attempt == self.config.max_attempts:
                    raise DataError(f"{symbol}: {_reason(error)} ({attempt} attempts)") from error
                wait_s = min(self.config.backoff_s * 2 ** (attempt - 1), self.config.max_backoff_s)
                logger.info("%s: %s; attempt %d in %g s", symbol, _reason(error), attempt + 1, wait_s)
                self.sleep(wait_s)
            except (YFException, ValueError, LookupError, TypeError, AttributeError) as error:
                # No such symbol, or an answer yfinance did not expect: asking again brings the same.
                raise DataError(f"{symbol}: {_reason(error)}") from error
        raise AssertionError("the last attempt returns or raises")

    def _keep_pace(self) -> None:
        now = self.clock.now()
        if self._last_request is not None:
            rest_s = self.config.min_interval_s - (now - self._last_request).total_seconds()
            if rest_s > 0:
                self.sleep(rest_s)
        self._last_request = self.clock.now()

    def _ask(
        self, symbol: str, start: Moment | None, end: Moment | None, interval: Interval
    ) -> tuple[pd.DataFrame, dict[str, Any]]:
        # Without a start yfinance means the last month unless told otherwise.
        span = {"period": "max"} if start is None else {"start": _bound(start, interval)}
        with _CLIENT, _errors_shown():
            YfData.cache_get.cache_clear()
            ticker = yf.Ticker(symbol, session=self.session)
            try:
                frame = ticker.history(
                    **span,
                    end=None if end is None else _bound(end, interval),
                    interval=_YAHOO_INTERVALS[interval],
                    auto_adjust=False,
                    actions=False,
                    timeout=self.config.timeout_s,
                )
            except YFPricesMissingError as error:
                if not _is_empty_range(error, ticker):
                    raise
                return pd.DataFrame(), {}
            # Only these keys: another one, tradingPeriods, would be fetched when looked at.
            return frame, {key: ticker.history_metadata.get(key) for key in _ABOUT}

    def _ended(self, frame: pd.DataFrame, about: dict[str, Any], interval: Interval) -> pd.DataFrame:
        now = self.clock.now()
        while len(frame) and not _has_ended(frame.index[-1], about, interval, now):
            logger.info("yfinance: candle of %s left out, it has not ended", frame.index[-1])
            frame = frame.iloc[:-1]
        return frame


@contextmanager
def _errors_shown() -> Iterator[None]:
    before = yf.config.debug.hide_exceptions
    yf.config.debug.hide_exceptions = False
    try:
        yield
    finally:
        yf.config.debug.hide_exceptions = before


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:120]
    if isinstance(error, YFTickerMissingError):
        said = getattr(error, "yahoo_reason", None)
        return f"Yahoo says: {said}" if said else f"unknown to Yahoo or delisted ({error.rationale})"
    if isinstance(error, YFException):
        return text
    if isinstance(error, JSONDecodeError):
        return "Yahoo answered with a page, not with JSON"
    if isinstance(error, OSError):
        return f"Yahoo cannot be reached ({type(error).__name__}: {text})"
    return f"Yahoo's answer has an unknown form ({type(error).__name__}: {text})"


def _is_empty_range(error: YFPricesMissingError, ticker: yf.Ticker) -> bool:
    if error.yahoo_reason is not None:
        return _NOTHING_THERE in error.yahoo_reason
    # Yahoo described the symbol and sent no candles; without the description it did not answer at all.
    return "exchangeTimezoneName" in ticker.history_metadata


def _bound(moment: Moment, interval: Interval) -> date | datetime:
    at = to_datetime(moment)
    if interval.is_intraday:
        return at
    # Both bounds are dates of the exchange to yfinance. One that is no midnight excludes that day's candle as
    # a start and includes it as an end; either way the bound is the next day.
    is_midnight = at.timetz().replace(tzinfo=None) == datetime.min.time()
    return at.date() if is_midnight else at.date() + timedelta(days=1)


def _has_ended(stamp: pd.Timestamp, about: dict[str, Any], interval: Interval, now: datetime) -> bool:
    if interval.is_intraday:
        return bool(stamp + interval.duration <= now)
    zone = ZoneInfo(str(about.get("exchangeTimezoneName") or "UTC"))
    today = now.astimezone(zone).date()
    last_day = stamp.date() + interval.duration - timedelta(days=1)
    if last_day != today:
        return bool(last_day < today)
    session = (about.get("currentTradingPeriod") or {}).get("regular", {})
    opens, closes = _moment(session.get("start")), _moment(session.get("end"))
    if opens is None or closes is None:
        return False
    # The period described is the current one or, once it is over, the next.
    return opens.astimezone(zone).date() > today or closes <= now


def _moment(value: object) -> datetime | None:
    if isinstance(value, pd.Timestamp):
        return value.tz_convert(UTC).to_pydatetime()
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else None


def _category(symbol: str, about: dict[str, Any]) -> Category:
    known = _CATEGORIES.get(str(about.get("instrumentType")))
    return known or guess_category(symbol, plain=Category.US)
