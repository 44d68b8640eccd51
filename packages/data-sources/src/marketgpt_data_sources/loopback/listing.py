"""What the loopback Yahoo knows of a symbol, and how Yahoo's chart API tells it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

# Open, high, low, close, adjusted close, volume; None where Yahoo sends null.
Candle = tuple[float | None, float | None, float | None, float | None, float | None, float | None]
_NAMES = ("open", "high", "low", "close", "adjclose", "volume")
_STEPS = {"1m": timedelta(minutes=1), "5m": timedelta(minutes=5), "1h": timedelta(hours=1)}
_SATURDAY = 5


@dataclass
class Listing:
    """What the server knows of one symbol.

    Attributes:
        days: Sessions, by the exchange's own date, increasing.
        candles: One a day.
        kind: Yahoo's ``instrumentType``.
        zone: The exchange's time zone.
        opens: Local time of a session's open.
        hours: Length of a session; 24 for crypto.
        session: The trading period Yahoo describes as current; None for that of the last day.
        bars: Candles by interval and stamp, ``{"5m": {seconds since 1970: candle}}``.
    """

    days: list[date]
    candles: list[Candle]
    kind: str = "EQUITY"
    zone: str = "America/New_York"
    opens: time = time(9, 30)
    hours: float = 6.5
    session: tuple[datetime, datetime] | None = None
    bars: dict[str, dict[int, Candle]] = field(default_factory=dict)

    def session_of(self, day: date) -> tuple[int, int]:
        """Return open and close of a day's session, seconds since 1970."""
        start = int(datetime.combine(day, self.opens, ZoneInfo(self.zone)).timestamp())
        return start, start + int(self.hours * 3600)

    def add_bars(self, interval: str, *, seed: int) -> dict[int, Candle]:
        """Give it a random walk of ``1m``, ``5m`` or ``1h`` candles through all its sessions.

        The last candle of a session may be cut short, as New York's hour from 15:30 is.

        Returns:
            The candles by stamp; a test may change them.
        """
        step_s = int(_STEPS[interval].total_seconds())
        sessions = (self.session_of(day) for day in self.days)
        stamps = [at for opened, closed in sessions for at in range(opened, closed, step_s)]
        self.bars[interval] = dict(zip(stamps, walk(len(stamps), seed=seed), strict=True))
        return self.bars[interval]

    def rescale(self, ratio: float, *, before: date | None, dividend: bool) -> None:
        """Multiply the prices of days before ``before`` (None: of all) as a split or a dividend does."""
        for row, day in enumerate(self.days):
            if before is None or day < before:
                self.candles[row] = _rescaled(self.candles[row], ratio, dividend)
        zone = ZoneInfo(self.zone)
        for bars in self.bars.values():
            for at, candle in bars.items():
                if before is None or datetime.fromtimestamp(at, zone).date() < before:
                    bars[at] = _rescaled(candle, ratio, dividend)

    def chart(self, symbol: str, interval: str, start: float, end: float) -> tuple[int, str]:
        """Return status and body of the answer for the candles with ``start <= stamp < end``."""
        first = self.session_of(self.days[0])[0]
        if end <= first:
            reason = f"Data doesn't exist for startDate = {start:.0f}, endDate = {end:.0f}"
            return 400, refusal("Bad Request", reason)
        candles = self._by_stamp(interval)
        stamps = [at for at in candles if start <= at < end]
        columns = zip(*(candles[at] for at in stamps), strict=True)
        values = dict(zip(_NAMES, columns, strict=True)) if stamps else {}
        adjusted = values.pop("adjclose", None)
        indicators: dict[str, Any] = {"quote": [values]}
        if interval not in _STEPS:
            indicators["adjclose"] = [{"adjclose": adjusted}] if stamps else [{}]
        result: dict[str, Any] = {"meta": self._meta(symbol, interval, stamps), "indicators": indicators}
        if stamps:
            result["timestamp"] = stamps
        return 200, json.dumps({"chart": {"result": [result], "error": None}})

    def _by_stamp(self, interval: str) -> dict[int, Candle]:
        if interval in _STEPS:
            return self.bars.get(interval, {})
        return {self.session_of(day)[0]: candle for day, candle in zip(self.days, self.candles, strict=True)}

    def _meta(self, symbol: str, interval: str, stamps: Sequence[int]) -> dict[str, Any]:
        opened, closed = self.session_of(self.days[-1])
        if self.session is not None:
            opened, closed = (int(moment.timestamp()) for moment in self.session)
        meta = {
            "currency": "USD",
            "symbol": symbol,
            "instrumentType": self.kind,
            "exchangeTimezoneName": self.zone,
            "firstTradeDate": self.session_of(self.days[0])[0],
            "validRanges": ["1d", "5d", "max"],
            "currentTradingPeriod": {name: _period(opened, closed) for name in ("pre", "regular", "post")},
        }
        if interval in _STEPS:
            zone = ZoneInfo(self.zone)
            seen = {datetime.fromtimestamp(at, zone).date() for at in stamps}
            meta["tradingPeriods"] = [[_period(*self.session_of(day))] for day in self.days if day in seen]
        return meta


def refusal(code: str, description: str) -> str:
    """Return the body of an answer that refuses."""
    return json.dumps({"chart": {"result": None, "error": {"code": code, "description": description}}})


def weekdays(first: date, count: int) -> list[date]:
    """Return so many days from Monday to Friday from ``first`` on."""
    days = (first + timedelta(days=offset) for offset in range(2 * count + 7))
    return list(islice((day for day in days if day.weekday() < _SATURDAY), count))


def walk(count: int, *, seed: int = 0, adjusted: float = 1.0) -> list[Candle]:
    """Return so many possible candles of a random walk; the same for the same seed.

    Args:
        count: How many.
        seed: Of the walk.
        adjusted: Adjusted close as a ratio of the close.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    price, candles = 100.0, list[Candle]()
    for _ in range(count):
        open_ = price * rng.uniform(0.99, 1.01)
        close = open_ * rng.uniform(0.98, 1.02)
        high, low = max(open_, close) * rng.uniform(1, 1.01), min(open_, close) * rng.uniform(0.99, 1)
        candles.append((open_, high, low, close, close * adjusted, rng.randrange(1000, 100_000)))
        price = close
    return candles


def _rescaled(candle: Candle, ratio: float, dividend: bool) -> Candle:
    *prices, adjusted, volume = candle
    scaled = [price if price is None or dividend else price * ratio for price in prices]
    shares = volume if volume is None or dividend else volume / ratio
    return (*scaled, None if adjusted is None else adjusted * ratio, shares)  # type: ignore[return-value]


def _period(opened: int, closed: int) -> dict[str, Any]:
    return {"timezone": "EST", "gmtoffset": -18000, "start": opened, "end": closed}
