"""Which moments to ask Yahoo for, and how far back it goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from marketgpt_core.errors import ConfigError
from marketgpt_core.interval import Interval
from marketgpt_core.times import Moment, iso, to_datetime

# Yahoo's error texts: "The requested range must be within the last 30 days" (60 for 5m, 730 for 1h), and
# "Only 8 days worth of 1m granularity data are allowed to be fetched per request" (7 until 2024).
_DAYS_BACK = {Interval.MINUTE: 30, Interval.FIVE_MINUTES: 60, Interval.HOUR: 730}
_MOST_A_REQUEST = {Interval.MINUTE: timedelta(days=7)}
# Yahoo compares with its own clock when the request arrives.
_MARGIN = timedelta(minutes=10)
_FIRST_DAY = datetime(1925, 1, 1, tzinfo=UTC)
_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)


def ranges(
    start: Moment | None, end: Moment | None, interval: Interval, now: datetime
) -> list[tuple[datetime, datetime]]:
    """Return the half-open ranges of moments to ask for, one a request, oldest first; none if it is empty.

    A daily candle is stamped with the exchange's own date, which begins up to 14 hours before or after UTC's:
    a day more is asked for on either side, and what lies outside must be cut off. For weeks, whole weeks of
    days are asked for.

    Args:
        start: First stamp; None for as far back as Yahoo goes.
        end: Stamp after the last; None for now.
        interval: Length of a candle.
        now: The current time.

    Raises:
        ConfigError: when ``start`` is further back than Yahoo keeps candles that short.
    """
    limit = earliest(interval, now)
    first = (limit or _FIRST_DAY) if start is None else to_datetime(start)
    last = now if end is None else to_datetime(end)
    if start is not None and end is not None and first >= last:
        return []
    if interval.is_intraday:
        _refuse_too_early(first, interval, now)
        # Whole seconds: Yahoo's stamps are, and a request drops the rest.
        return list(_pieces(_ceil(first), min(_ceil(last), _ceil(now)), interval))
    after = _WEEK + _DAY if interval is Interval.WEEK else _DAY
    first, last = max(first - _DAY, _FIRST_DAY), min(last + after, now)
    return [(first, last)] if first < last else []


def earliest(interval: Interval, now: datetime) -> datetime | None:
    """Return how far back Yahoo has candles that short, with some minutes to spare; None without limit."""
    days = _DAYS_BACK.get(interval)
    return None if days is None else now - timedelta(days=days) + _MARGIN


def _refuse_too_early(first: datetime, interval: Interval, now: datetime) -> None:
    days = _DAYS_BACK[interval]
    limit = now - timedelta(days=days)
    if first < limit:
        raise ConfigError(
            f"start {iso(first)} is too early: Yahoo keeps {interval} candles for {days} days, "
            f"now back to {limit:%Y-%m-%dT%H:%M}Z"
        )


def _pieces(first: datetime, last: datetime, interval: Interval) -> Iterator[tuple[datetime, datetime]]:
    most = _MOST_A_REQUEST.get(interval, last - first)
    while first < last:
        yield first, min(first + most, last)
        first += most


def _ceil(moment: datetime) -> datetime:
    whole = moment.replace(microsecond=0)
    return whole if whole == moment else whole + timedelta(seconds=1)
