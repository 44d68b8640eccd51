"""Candles of crypto exchanges through ccxt.

Symbols. A market is written with a dash: ccxt's ``ETH/BTC`` is ``ETH-BTC``. ``BTC-USD``, as Yahoo and our
universes write it, is ``BTC/USD`` where the exchange has that market; where it has none, as Binance, the
option ``dollar`` (USDT) stands in, and the log says so: a price in USDT is not quite one in dollars.

Candles are the exchange's: times are opens in UTC, volume is counted in the base currency. The one that has
not ended yet is left out.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import pandas as pd
from pydantic import Field

from marketgpt_core.candles import FIELDS, Candles, CandleSeries
from marketgpt_core.errors import ConfigError, DataError, FetchError, FetchReason, hint
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category, check_symbol
from marketgpt_core.times import Moment, to_datetime64
from marketgpt_data_sources.pacing.network import NetworkConfig, NetworkSource
from marketgpt_data_sources.pacing.retry import retry_after_s
from marketgpt_example_ccxt.client import candles, make_client, reason_of, spot_markets

logger = logging.getLogger(__name__)

# No exchange is older.
_FIRST = "2010-01-01"
_CANDLES_A_PAGE = 500


class CcxtSource(NetworkSource):
    """Candles of a crypto exchange's spot markets through ccxt: BTC-USDT; needs the network."""

    class Config(NetworkConfig):
        """Options of the source."""

        exchange: str | None = Field(default=None, description="As ccxt calls it: binance, kraken.")
        dollar: str | None = Field(
            default="USDT",
            pattern="^[A-Z]{3,6}$",
            description="What stands in for USD where an exchange has no such market.",
        )
        requests_per_s: float = Field(
            default=1.0, ge=0, le=1000, description="Pace; Kraken bears 1, Binance 20. 0 for none."
        )
        mirror: str | None = Field(
            default=None,
            pattern=r"^https?://[^\s/?#]+$",
            description="Address to ask instead of the exchange's hosts: a proxy of yours, a test's server.",
        )

    location_field: ClassVar[str | None] = "exchange"
    location_hint: ClassVar[str] = "EXCHANGE"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config: CcxtSource.Config = config
        self._markets: dict[str, dict[str, Any]] | None = None
        self._loading = threading.Lock()
        # A client keeps the answer it is at in itself: one for each thread.
        self._clients = threading.local()

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        """Return the active spot markets, sorted; () at an interval the exchange does not have."""
        if interval not in self._client().timeframes:
            return ()
        pairs = (name for name, market in self._spot().items() if market.get("active") is not False)
        return tuple(sorted(filter(_is_symbol, (pair.replace("/", "-") for pair in pairs))))

    def fetch(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Candles:
        """Return the candles with ``start <= time < end``; see :meth:`DataSource.fetch`."""
        series: list[CandleSeries] = []
        for where, frame in self.raw(symbols, start=start, end=end, interval=interval):
            series += Candles.from_frame(frame, interval=interval, where=where).values()
        return Candles(series, interval=interval)

    def raw(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield one frame a symbol; without rows when the exchange has no candle in the range."""
        asked = [check_symbol(symbol, where=self.where) for symbol in dict.fromkeys(symbols)]
        if interval not in self._client().timeframes:
            has = ", ".join(one for one in Interval if one in self._client().timeframes)
            raise DataError(f"{self.where} has no candles at {interval}; it has {has}")
        pairs = [self._pair(symbol) for symbol in asked]
        for symbol, pair in zip(asked, pairs, strict=True):
            yield f"{self.where} {symbol}", self._frame(symbol, pair, start, end, interval)

    def classify(self, symbol: str, error: Exception) -> FetchError | None:
        """Say what an error of ccxt means."""
        reason = reason_of(error)
        if reason is None:
            return super().classify(symbol, error)
        wait_s = None
        if reason is FetchReason.THROTTLED:
            wait_s = retry_after_s(self._client().last_response_headers or {}, self.clock.now())
        text = " ".join(str(error).split())[:160]
        return FetchError(f"{symbol}: {type(error).__name__}: {text}", reason=reason, retry_after_s=wait_s)

    @property
    def where(self) -> str:
        """What the user wrote: ``ccxt:binance``."""
        return f"ccxt:{self.config.exchange}"

    def _frame(
        self, symbol: str, pair: str, start: Moment | None, end: Moment | None, interval: Interval
    ) -> pd.DataFrame:
        step_ms = int(interval.duration.total_seconds() * 1000)
        since = _ms(_FIRST if start is None else start)
        until = _ms(self.clock.now() if end is None else end)
        rows: list[list[float]] = []
        while since < until:
            page = self.ask(
                symbol,
                partial(candles, self._client(), pair, str(interval), since, self._page()),
            )
            # After the answer: waiting for it may have taken minutes, in which a candle ended.
            ended = _ms(self.clock.now()) - step_ms
            fresh = [row for row in page if since <= row[0] < until and row[0] <= ended]
            rows += fresh
            if not fresh:
                break
            last = int(fresh[-1][0])
            if last + step_ms >= until or last + step_ms > ended:
                break
            since = last + 1
        frame = pd.DataFrame(rows, columns=["time", *FIELDS], dtype="float64")
        time = pd.to_datetime(frame["time"].astype("int64"), unit="ms").astype("datetime64[ns]")
        return frame.assign(symbol=symbol, category=str(Category.CRYPTO), time=time)

    def _pair(self, symbol: str) -> str:
        """Return ccxt's name of a symbol's market."""
        markets = self._spot()
        base, _, quote = symbol.rpartition("-")
        if (pair := f"{base}/{quote}") in markets:
            return pair
        if quote == "USD" and self.config.dollar and (other := f"{base}/{self.config.dollar}") in markets:
            logger.info("%s has no %s: %s stands in", self.where, pair, other)
            return other
        known = hint(symbol, (name.replace("/", "-") for name in markets))
        raise FetchError(f"unknown symbol {symbol!r} in {self.where}; {known}", reason=FetchReason.DELISTED)

    def _spot(self) -> dict[str, dict[str, Any]]:
        with self._loading:
            if self._markets is None:
                client = self._client()
                self._markets = self.ask(f"markets of {self.where}", partial(spot_markets, client))
            return self._markets

    def _page(self) -> int:
        spot = (self._client().features or {}).get("spot") or {}
        return int((spot.get("fetchOHLCV") or {}).get("limit") or _CANDLES_A_PAGE)

    def _client(self) -> Any:  # noqa: ANN401 - ccxt has no types
        if self.config.exchange is None:
            raise ConfigError("source 'ccxt' needs an EXCHANGE: write ccxt:binance")
        client = getattr(self._clients, "client", None)
        if client is None:
            config = self.config
            client = make_client(config.exchange, timeout_s=config.timeout_s, mirror=config.mirror)
            self._clients.client = client
        if client.markets is None and self._markets is not None:
            client.set_markets(self._markets)
        return client


def _is_symbol(text: str) -> bool:
    try:
        return check_symbol(text) == text
    except DataError:
        return False


def _ms(moment: Moment) -> int:
    """Return the first whole millisecond at or after a moment."""
    return -int(-to_datetime64(moment).astype("int64") // 1_000_000)
