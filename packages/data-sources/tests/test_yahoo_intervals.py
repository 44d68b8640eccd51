"""Candles of every length from Yahoo: stamps over changes of the clock, ranges, Yahoo's limits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import CandleError, ConfigError, FetchError, FetchReason
from marketgpt_core.interval import Interval
from marketgpt_data_sources.loopback.yahoo import walk, weekdays
from marketgpt_data_sources.sources.yahoo import YFinance
from marketgpt_data_sources.sources.yahoo_ranges import ranges

Opener = Callable[..., YFinance]
INTRADAY = (Interval.MINUTE, Interval.FIVE_MINUTES, Interval.HOUR)
# The Friday before and the Monday after the clocks change: New York on 10 March, Berlin on 27 October 2024.
SPRING, AUTUMN = [date(2024, 3, 8), date(2024, 3, 11)], [date(2024, 10, 25), date(2024, 10, 28)]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _stamps(values: Any) -> list[str]:
    return [str(value)[:16] for value in values]


@pytest.fixture
def opened(open_yahoo: Opener, yahoo) -> Callable[..., YFinance]:
    """The source at a moment; the server's clock shows the same."""

    def opened(now: str, **options: Any) -> YFinance:
        source = open_yahoo(**options)
        source.clock = FixedClock(_moment(now))
        yahoo.now = _moment(now)
        return source

    return opened


@pytest.mark.parametrize("interval", INTRADAY)
@pytest.mark.parametrize(
    "case",
    [
        (
            SPRING,
            {"zone": "America/New_York", "opens": time(9, 30), "hours": 6.5},
            ["2024-03-08T14:30", "2024-03-11T13:30"],
        ),
        (
            AUTUMN,
            {"zone": "Europe/Berlin", "opens": time(9), "hours": 8.5},
            ["2024-10-25T07:00", "2024-10-28T08:00"],
        ),
        (
            SPRING,
            {"zone": "Asia/Tokyo", "opens": time(9), "hours": 6.0},
            ["2024-03-08T00:00", "2024-03-11T00:00"],
        ),
        (
            SPRING,
            {"zone": "Australia/Sydney", "opens": time(10), "hours": 6.0},
            ["2024-03-07T23:00", "2024-03-10T23:00"],
        ),
    ],
)
def test_intraday_stamps_are_the_opens_in_utc_over_a_change_of_the_clocks(
    yahoo, opened, interval: Interval, case: tuple[list[date], dict[str, Any], list[str]]
) -> None:
    days, exchange, expected = case
    yahoo.list("ACME", days, walk(2), **exchange)
    bars = yahoo.list_intraday("ACME", str(interval), seed=5)
    source = opened(f"{days[1] + timedelta(days=2)}T12:00")
    series = source.fetch(["ACME"], start=days[0] - timedelta(days=1), interval=interval)["ACME"]
    assert series.time.astype("datetime64[s]").astype(int).tolist() == list(bars)
    assert series.close.tolist() == [candle[3] for candle in bars.values()]
    a_day = -(-int(exchange["hours"] * 60) // int(interval.duration.total_seconds() / 60))
    assert _stamps(series.time[[0, a_day]]) == expected
    assert len(series) == 2 * a_day
    assert yahoo.charts("ACME") == 1


def test_crypto_trades_through_the_change(yahoo, opened) -> None:
    days = [date(2024, 3, 9) + timedelta(days=k) for k in range(3)]
    yahoo.list("BTC-USD", days, walk(3), zone="UTC", opens=time(0), hours=24, kind="CRYPTOCURRENCY")
    yahoo.list_intraday("BTC-USD", "1h")
    series = opened("2024-03-13T00:00").fetch(["BTC-USD"], interval=Interval.HOUR)["BTC-USD"]
    assert len(series) == 72
    assert (np.diff(series.time) == np.timedelta64(1, "h")).all()


@pytest.mark.parametrize("interval", INTRADAY)
def test_intraday_range_is_half_open(yahoo, opened, interval: Interval) -> None:
    yahoo.list("ACME", SPRING, walk(2))
    yahoo.list_intraday("ACME", str(interval))
    source = opened("2024-03-12T00:00")
    whole = source.fetch(["ACME"], interval=interval)["ACME"].time
    for start, end in [
        (whole[1], whole[4]),
        (whole[1] + np.timedelta64(1, "ms"), whole[4] + np.timedelta64(1, "ms")),
    ]:
        part = source.fetch(["ACME"], start=start, end=end, interval=interval)["ACME"].time
        inside = whole[(whole >= start) & (whole < end)]
        assert part.tolist() == inside.tolist()
        assert len(inside) == 3
        ((_, frame),) = source.raw(["ACME"], start=start, end=end, interval=interval)
        assert frame["time"].to_numpy().tolist() == inside.tolist()


@pytest.mark.parametrize(
    ("interval", "now", "last"),
    [
        (Interval.MINUTE, "2024-03-11T14:00:59", "2024-03-11T13:59"),
        (Interval.MINUTE, "2024-03-11T14:01:00", "2024-03-11T14:00"),
        (Interval.FIVE_MINUTES, "2024-03-11T14:04:59", "2024-03-11T13:55"),
        (Interval.HOUR, "2024-03-11T14:29:00", "2024-03-08T20:30"),
        (Interval.HOUR, "2024-03-11T14:30:00", "2024-03-11T13:30"),
        (Interval.HOUR, "2024-03-11T23:00:00", "2024-03-11T19:30"),
    ],
)
def test_a_bar_waits_for_its_end(yahoo, opened, interval: Interval, now: str, last: str) -> None:
    yahoo.list("ACME", SPRING, walk(2))
    yahoo.list_intraday("ACME", str(interval))
    series = opened(now).fetch(["ACME"], interval=interval)["ACME"]
    assert _stamps(series.time[-1:]) == [last]


def test_minutes_go_by_seven_days_and_none_comes_twice(yahoo, opened) -> None:
    days = [date(2024, 4, 30) + timedelta(days=k) for k in range(36)]
    yahoo.list("BTC-USD", days, walk(36), zone="UTC", opens=time(0), hours=24, kind="CRYPTOCURRENCY")
    bars = yahoo.list_intraday("BTC-USD", "1m")
    source = opened("2024-06-03T12:00")
    series = source.fetch(["BTC-USD"], interval=Interval.MINUTE)["BTC-USD"]
    first = _moment("2024-05-04T12:10").timestamp()  # 30 days back and ten minutes to spare
    last = _moment("2024-06-03T12:00").timestamp()
    assert series.time.astype("datetime64[s]").astype(int).tolist() == [
        at for at in bars if first <= at < last
    ]
    assert yahoo.charts("BTC-USD") == 5
    yahoo.requests.clear()
    source.fetch(["BTC-USD"], start="2024-06-01", interval=Interval.MINUTE)
    assert yahoo.charts("BTC-USD") == 1


@pytest.mark.parametrize("interval", list(Interval))
def test_nothing_is_asked_of_the_future(yahoo, opened, interval: Interval) -> None:
    yahoo.list("ACME", weekdays(date(2024, 5, 20), 10), walk(10))
    source = opened("2024-06-03T12:00")
    source.fetch(["ACME"], start="2024-06-01", end="2030-01-01", interval=interval)
    assert [parse_qs(urlsplit(path).query)["period2"] for path in yahoo.requests[2:]] == [["1717416000"]]


def test_minutes_before_the_listing_are_no_error(yahoo, opened) -> None:
    yahoo.list("NEW", [date(2024, 5, 31)], walk(1))
    yahoo.list_intraday("NEW", "1m")
    assert len(opened("2024-06-03T12:00").fetch(["NEW"], interval=Interval.MINUTE)["NEW"]) == 390


@pytest.mark.parametrize(("interval", "days"), [("1m", 30), ("5m", 60), ("1h", 730)])
def test_a_start_before_what_yahoo_keeps_is_one_clear_line(yahoo, opened, interval: str, days: int) -> None:
    yahoo.list("ACME", SPRING, walk(2))
    source = opened("2024-06-03T12:00")
    limit = _moment("2024-06-03T12:00") - timedelta(days=days)
    expected = (
        f"start 2020-01-01 is too early: Yahoo keeps {interval} candles for {days} days, "
        f"now back to {limit:%Y-%m-%dT%H:%M}Z"
    )
    with pytest.raises(ConfigError) as refused:
        source.fetch(["ACME"], start="2020-01-01", interval=Interval(interval))
    assert str(refused.value) == expected
    assert yahoo.requests == []
    earliest = source.earliest(Interval(interval))
    assert earliest == limit + timedelta(minutes=10)
    # What it says it has, Yahoo gives: the server refuses what is older.
    assert len(source.fetch(["ACME"], start=earliest, interval=Interval(interval))) == 0
    assert source.earliest(Interval.DAY) is None


def test_yahoo_may_refuse_an_age_we_thought_it_has(yahoo, opened) -> None:
    yahoo.list("ACME", SPRING, walk(2))
    source = opened("2024-06-03T12:00")
    yahoo.now = _moment("2024-06-03T15:00")
    with pytest.raises(
        FetchError, match=r"ACME: Yahoo says: 5m data not available .* within the last 60 days"
    ) as failed:
        source.fetch(["ACME"], interval=Interval.FIVE_MINUTES)
    assert failed.value.reason is FetchReason.EMPTY
    assert yahoo.charts("ACME") == 1


@pytest.mark.parametrize(
    ("zone", "opens"),
    [
        ("America/New_York", time(9, 30)),
        ("Pacific/Auckland", time(10)),
        ("Pacific/Honolulu", time(9)),
        ("Asia/Tokyo", time(9)),
    ],
)
def test_a_day_is_the_exchanges_date_and_ranges_follow_it(yahoo, opened, zone: str, opens: time) -> None:
    days = weekdays(date(2024, 3, 1), 30)  # Auckland's clocks change on 7 April
    yahoo.list("ACME", days, walk(30), zone=zone, opens=opens)
    source = opened("2024-06-03T12:00")
    whole = source.fetch(["ACME"])["ACME"]
    assert whole.time.astype("datetime64[D]").astype(object).tolist() == days
    part = source.fetch(["ACME"], start=days[3], end=days[7])["ACME"]
    assert part.time.astype("datetime64[D]").astype(object).tolist() == days[3:7]
    later = source.fetch(["ACME"], start=f"{days[3]}T00:01", end=f"{days[7]}T00:01")["ACME"]
    assert later.time.astype("datetime64[D]").astype(object).tolist() == days[4:8]


def test_a_week_is_made_of_its_days(yahoo, opened) -> None:
    # Three weeks: one from its Wednesday (the first trade), one without its Monday (a holiday), a whole one.
    days = [date(2024, 5, day) for day in (22, 23, 24, 28, 29, 30, 31)] + [
        date(2024, 6, day) for day in range(3, 8)
    ]
    candles = [
        (10.0 + k, 40.0 + (k * 7) % 5, 5.0 + (k * 3) % 4, 11.0 + k, 11.0 + k, 100.0 + k) for k in range(12)
    ]
    yahoo.list("ACME", days, candles)
    series = opened("2024-06-12T12:00").fetch(["ACME"], interval=Interval.WEEK)["ACME"]
    assert _stamps(series.time) == ["2024-05-20T00:00", "2024-05-27T00:00", "2024-06-03T00:00"]
    for row, part in enumerate((candles[:3], candles[3:7], candles[7:])):
        assert series.open[row] == part[0][0]
        assert series.high[row] == max(candle[1] for candle in part)
        assert series.low[row] == min(candle[2] for candle in part)
        assert series.close[row] == part[-1][3]
        assert series.volume[row] == sum(candle[5] for candle in part)
    assert yahoo.charts("ACME") == 1
    assert parse_qs(urlsplit(yahoo.requests[-1]).query)["interval"] == ["1d"]


def test_a_dividend_within_a_week_lowers_what_came_before_it(yahoo, opened) -> None:
    days = weekdays(date(2024, 6, 3), 5)
    candles = [(10.0, 12.0, 8.0, 10.0, 9.0, 1.0)] * 2 + [(9.0, 9.5, 8.5, 9.0, 9.0, 1.0)] * 3
    yahoo.list("ACME", days, candles)
    week = opened("2024-06-12T12:00").fetch(["ACME"], interval=Interval.WEEK)["ACME"]
    assert [week.open[0], week.high[0], week.low[0], week.close[0]] == pytest.approx([9.0, 10.8, 7.2, 9.0])
    # Adjusted days make the same week.
    days_ = opened("2024-06-12T12:00").fetch(["ACME"])["ACME"]
    assert week.high[0] == pytest.approx(days_.high.max())
    assert week.open[0] == pytest.approx(days_.open[0])


@pytest.mark.parametrize(
    ("now", "expected"),
    [("2024-06-09T23:00", 1), ("2024-06-10T03:59", 1), ("2024-06-10T04:00", 2)],  # midnight in New York
)
def test_a_week_waits_for_its_end(yahoo, opened, now: str, expected: int) -> None:
    yahoo.list("ACME", weekdays(date(2024, 5, 27), 10), walk(10))
    assert len(opened(now).fetch(["ACME"], interval=Interval.WEEK)["ACME"]) == expected


def test_weekly_ranges_hold_whole_weeks(yahoo, opened) -> None:
    yahoo.list("ACME", weekdays(date(2024, 3, 4), 40), walk(40))
    source = opened("2024-06-03T12:00")
    whole = source.fetch(["ACME"], interval=Interval.WEEK)["ACME"]
    for start, end in [
        ("2024-03-11", "2024-04-01"),
        ("2024-03-06", "2024-03-26"),
        ("2024-03-12", "2024-03-19"),
    ]:
        part = source.fetch(["ACME"], start=start, end=end, interval=Interval.WEEK)["ACME"]
        cut = whole.between(start, end)
        assert len(cut) > 0
        assert part.time.tolist() == cut.time.tolist()
        assert part.high.tolist() == cut.high.tolist()
        assert part.volume.tolist() == cut.volume.tolist()


def test_a_week_with_an_impossible_day_is_not_mended(yahoo, opened) -> None:
    candles = walk(10, seed=2)
    candles[7] = (10.0, 9.0, 8.0, 9.5, 9.5, 1.0)  # opened above its high
    yahoo.list("ACME", weekdays(date(2024, 5, 20), 10), candles)
    with pytest.raises(CandleError, match=r"ACME.*2024-05-27"):
        opened("2024-06-12T12:00").fetch(["ACME"], interval=Interval.WEEK)
    dropped = opened("2024-06-12T12:00", impossible="drop").fetch(["ACME"], interval=Interval.WEEK)["ACME"]
    assert _stamps(dropped.time) == ["2024-05-20T00:00"]


@pytest.mark.parametrize("interval", list(Interval))
def test_an_empty_range_needs_no_request(yahoo, opened, interval: Interval) -> None:
    source = opened("2024-06-03T12:00")
    for start, end in [("2024-06-01", "2024-06-01"), ("2024-06-02", "2024-06-01"), ("2024-06-05", None)]:
        assert len(source.fetch(["ACME"], start=start, end=end, interval=interval)) == 0
    assert yahoo.requests == []


@pytest.mark.parametrize("interval", list(Interval))
def test_ranges_are_whole_seconds_in_order_and_touch(interval: Interval) -> None:
    now = _moment("2024-06-03T12:00:00.250")
    found = ranges(now - timedelta(days=20, microseconds=7), None, interval, now)
    assert all(first < last for first, last in found)
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert found[0][0] <= now - timedelta(days=20) + timedelta(seconds=1)
    if interval.is_intraday:
        assert all(moment.microsecond == 0 for pair in found for moment in pair)
        assert found[-1][1] >= now
