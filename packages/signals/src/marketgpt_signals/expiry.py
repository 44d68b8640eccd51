"""Until when a signal may be acted on: the end of the bar its horizon ends in."""

from __future__ import annotations

import re
from datetime import datetime

from marketgpt_core.calendars import trading_calendar
from marketgpt_core.exchanges import exchange_of
from marketgpt_core.interval import Interval
from marketgpt_core.times import to_datetime, to_datetime64

# Yahoo writes crypto pairs BTC-USD, ETH-EUR; share classes (BRK-B) have another tail.
_CRYPTO_PAIR = re.compile(r"-(USD[CT]?|EUR|GBP|JPY|AUD|CAD|KRW|INR|BTC|ETH|BNB)$", re.IGNORECASE)
_FIRST_WEEKEND_DAY = 5


def trades_daily(symbol: str, as_of: datetime) -> bool:
    """Whether a symbol's daily candles run through weekends.

    A forecast carries no market category, so the row itself must tell: a candle stamped on a weekend, or
    a crypto pair in Yahoo's spelling.
    """
    return as_of.weekday() >= _FIRST_WEEKEND_DAY or _CRYPTO_PAIR.search(symbol, pos=1) is not None


def expires_at(symbol: str, as_of: datetime, horizon_bars: int, interval: Interval) -> datetime:
    """Return the end of the bar ``horizon_bars`` after the one stamped ``as_of``.

    A stamp is the *open* of a candle (midnight of the session for a daily one), so the bar the horizon
    ends in is over one interval after its stamp. Daily bars are counted in sessions of the exchange the
    symbol's mark names (``SAP.DE``, ``^GSPC``, ``GC=F``), or in calendar days where the market never closes.
    A plain symbol (``AAPL``) names no exchange and a forecast carries no market: its weekdays are counted, so
    over a holiday it expires a session early, never late. Intraday bars are counted in wall time, as if the
    market never closed, for the same reason.

    Args:
        symbol: The symbol; see :func:`trades_daily`.
        as_of: Stamp of the last candle used; aware.
        horizon_bars: Bars ahead, at least 1.
        interval: Length of a bar.

    Returns:
        Aware, UTC, later than ``as_of``.
    """
    if interval is Interval.DAY and not trades_daily(symbol, as_of):
        moment = to_datetime64(as_of)
        day = moment.astype("datetime64[D]")
        sessions = trading_calendar(exchange_of(symbol).calendar).next_sessions(day, horizon_bars)
        last = sessions[-1].astype("datetime64[ns]")
        return to_datetime(last + (moment - day)) + interval.duration
    return to_datetime(as_of) + (horizon_bars + 1) * interval.duration
