"""Trading calendars against facts anyone can look up."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketgpt_core import exchanges
from marketgpt_core.calendars import TradingCalendar, calendar_of, known_at, trading_calendar
from marketgpt_core.candles import CandleSeries
from marketgpt_core.errors import ConfigError
from marketgpt_core.exchanges import exchange_of
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category

DAY = np.timedelta64(1, "D")
PLACES = [folder / "shared" / "data" for folder in Path(__file__).parents]
SHARED = next((place for place in PLACES if place.is_dir()), PLACES[0])


def days(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[D]")


def stamps(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[ns]")


def closes(name: str, *texts: str) -> list[str]:
    return [str(one.astype("datetime64[m]")) for one in trading_calendar(name).hours(days(*texts))[1]]


def opens(name: str, *texts: str) -> list[str]:
    return [str(one.astype("datetime64[m]")) for one in trading_calendar(name).hours(days(*texts))[0]]


def daily(symbol: str, *texts: str, interval: Interval = Interval.DAY, category: Category = Category.UNKNOWN):
    one = np.ones(len(texts))
    return CandleSeries(symbol, interval, stamps(*texts), one, one, one, one, one, category)


# --- hours ------------------------------------------------------------------------------------------------


def test_new_york_closes_early_before_independence_day_and_after_thanksgiving():
    assert closes("XNYS", "2024-07-02", "2024-07-03", "2024-11-27", "2024-11-29", "2024-12-24") == [
        "2024-07-02T20:00", "2024-07-03T17:00", "2024-11-27T21:00", "2024-11-29T18:00", "2024-12-24T18:00",
    ]  # fmt: skip
    assert opens("XNYS", "2024-07-03", "2024-11-29") == ["2024-07-03T13:30", "2024-11-29T14:30"]


def test_tokyo_closes_half_an_hour_later_since_5_november_2024():
    assert closes("XTKS", "2024-11-01", "2024-11-05", "2025-06-02") == [
        "2024-11-01T06:00", "2024-11-05T06:30", "2025-06-02T06:30",
    ]  # fmt: skip


def test_weeks_in_which_only_one_side_of_the_atlantic_has_changed_its_clocks():
    # The United States change on 10 March 2024, Britain on 31 March; back on 3 November and 27 October.
    new_york = closes("XNYS", "2024-03-08", "2024-03-11", "2024-04-02", "2024-10-28", "2024-11-04")
    london = closes("XLON", "2024-03-08", "2024-03-11", "2024-04-02", "2024-10-28", "2024-11-04")
    assert [one[11:] for one in new_york] == ["21:00", "20:00", "20:00", "20:00", "21:00"]
    assert [one[11:] for one in london] == ["16:30", "16:30", "15:30", "16:30", "16:30"]


def test_a_sydney_session_opens_on_the_evening_before_in_utc():
    assert opens("XASX", "2024-01-15") == ["2024-01-14T23:00"]
    moments = stamps("2024-01-14T22:59", "2024-01-14T23:00", "2024-01-15T04:59", "2024-01-15T05:00")
    assert trading_calendar("XASX").session_of(moments).tolist() == [
        None, np.datetime64("2024-01-15").item(), np.datetime64("2024-01-15").item(), None,
    ]  # fmt: skip


def test_a_date_without_a_session_has_the_hours_of_a_whole_day():
    assert opens("XNYS", "2024-07-04", "2024-07-06") == ["2024-07-04T00:00", "2024-07-06T00:00"]
    assert closes("XNYS", "2024-07-04", "2024-07-06") == ["2024-07-05T00:00", "2024-07-07T00:00"]


# --- sessions ---------------------------------------------------------------------------------------------


def test_sessions_skip_holidays_and_weekends_and_the_end_is_excluded():
    found = trading_calendar("XNYS").sessions("2024-07-01", "2024-07-09")
    assert (
        found.tolist() == days("2024-07-01", "2024-07-02", "2024-07-03", "2024-07-05", "2024-07-08").tolist()
    )
    assert len(trading_calendar("XNYS").sessions("2024-07-04", "2024-07-05")) == 0
    assert len(trading_calendar("XNYS").sessions("2024-07-05", "2024-07-01")) == 0


def test_sessions_between_moments_within_days_take_both_days():
    found = trading_calendar("XNYS").sessions("2024-07-02T15:00", "2024-07-05T15:00")
    assert found.tolist() == days("2024-07-02", "2024-07-03", "2024-07-05").tolist()


def test_next_sessions_pass_over_golden_weeks():
    assert (
        trading_calendar("XTKS").next_sessions("2019-04-26", 2).tolist()
        == days("2019-05-07", "2019-05-08").tolist()
    )
    assert trading_calendar("XSHG").next_sessions("2024-09-30", 1).tolist() == days("2024-10-08").tolist()
    assert trading_calendar("XNYS").next_sessions("2001-09-10", 1).tolist() == days("2001-09-17").tolist()
    assert (
        trading_calendar("24/7").next_sessions("2024-07-05", 3).tolist()
        == days("2024-07-06", "2024-07-07", "2024-07-08").tolist()
    )
    assert trading_calendar("XNYS").next_sessions("2024-07-05T12:00", 0).tolist() == []


@pytest.mark.parametrize("name", ["XNYS", "XSHG", "CMES", "24/5", "24/7", "weekdays"])
def test_many_next_sessions_are_that_many_and_go_beyond_what_is_published(name):
    found = trading_calendar(name).next_sessions("2026-11-20", 3_000)
    assert len(found) == 3_000
    assert (np.diff(found) > np.timedelta64(0, "D")).all()
    assert trading_calendar(name).is_session(found).all()


def test_beyond_what_is_published_the_usual_days_of_the_week_are_sessions():
    bombay = trading_calendar("XBOM")
    assert (str(bombay.first), str(bombay.last)) == ("1997-01-01", "2026-12-31")
    # 26 January is Republic Day: known within the published years, not after.
    assert bombay.is_session(days("2026-01-26", "2028-01-26", "2028-01-29")).tolist() == [False, True, False]
    assert closes("XBOM", "2026-01-27", "2028-01-26") == ["2026-01-27T10:00", "2028-01-27T00:00"]
    shanghai = trading_calendar("XSHG")
    assert str(shanghai.last) == "2026-12-31"
    assert shanghai.is_session(days("2027-01-04", "2027-01-09")).tolist() == [True, False]
    riyadh = trading_calendar("XSAU")
    assert str(riyadh.first) == "2021-01-03"
    # 1 March 2015 was a Sunday, a session there; 27 February a Friday, none.
    assert riyadh.is_session(days("2015-03-01", "2015-02-27", "2032-02-29", "2032-02-27")).tolist() == [
        True, False, True, False,
    ]  # fmt: skip


def test_weekdays_know_no_holiday_and_no_closing_time():
    weekdays = trading_calendar("weekdays")
    assert weekdays.first is None
    assert weekdays.last is None
    assert weekdays.is_session(days("2024-07-04", "2024-07-06")).tolist() == [True, False]
    assert weekdays.session_of(stamps("2024-07-05T23:59", "2024-07-06T00:00")).tolist() == [
        np.datetime64("2024-07-05").item(), None,
    ]  # fmt: skip
    assert closes("weekdays", "2024-07-04") == ["2024-07-05T00:00"]


@pytest.mark.parametrize("name", ["24/5", "24/7"])
def test_markets_without_a_place_are_as_the_library_has_them(name):
    import exchange_calendars as library

    schedule = library.get_calendar(name, start="1990-01-01", end="2035-12-31", side="left").schedule
    ours = trading_calendar(name)
    assert np.array_equal(ours.days, schedule.index.to_numpy().astype("datetime64[D]"))
    for column, theirs in (("open", ours.opens), ("close", ours.closes)):
        assert np.array_equal(
            theirs, schedule[column].dt.tz_convert(None).to_numpy().astype("datetime64[ns]")
        )


# --- futures ----------------------------------------------------------------------------------------------


def test_a_futures_session_opens_on_the_day_before_and_closes_at_five_in_chicago():
    assert opens("CMES", "2024-07-01", "2024-12-02") == ["2024-06-30T22:00", "2024-12-01T23:00"]
    assert closes("CMES", "2024-07-01", "2024-12-02") == ["2024-07-01T22:00", "2024-12-02T23:00"]
    moments = stamps("2024-06-30T21:59", "2024-06-30T22:00", "2024-07-01T21:59", "2024-07-01T22:00")
    # Saturday and Sunday until the evening: shut; then Monday's session, then Tuesday's at once.
    assert trading_calendar("CMES").session_of(moments).astype(str).tolist() == [
        "NaT", "2024-07-01", "2024-07-01", "2024-07-02",
    ]  # fmt: skip


def test_futures_traded_on_a_holiday_count_to_the_next_trade_date():
    chicago = trading_calendar("CMES")
    # Thanksgiving 2024-11-28: gold trades until 13:30 without a settlement.
    assert chicago.is_session(days("2024-11-27", "2024-11-28", "2024-11-29")).tolist() == [True, False, True]
    assert opens("CMES", "2024-11-29") == ["2024-11-27T23:00"]
    assert chicago.session_of(stamps("2024-11-28T15:00"))[0] == np.datetime64("2024-11-29")


def test_futures_close_no_earlier_than_any_product_does():
    # On Black Friday the library has 12:00 in Chicago (18:00 UTC); gold trades until 12:45.
    assert closes("CMES", "2024-11-29") == ["2024-11-29T23:00"]
    assert closes("IEPA", "2024-11-29") == ["2024-11-29T23:00"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="no private evaluation data in ../shared/data")
def test_real_futures_have_candles_on_the_sessions():
    import pandas as pd

    frame = pd.read_parquet(SHARED / "commodity.parquet", columns=["symbol", "date"])
    chicago = trading_calendar("CMES")
    for symbol, limit in (("GC=F", 0), ("HG=F", 0), ("SI=F", 0), ("CL=F", 3)):
        dates = frame.loc[frame["symbol"] == symbol, "date"].to_numpy().astype("datetime64[D]")
        assert (~chicago.is_session(dates)).sum() <= limit, symbol


# --- session_of -------------------------------------------------------------------------------------------


def test_a_session_is_half_open():
    moments = stamps(
        "2024-07-03T13:29:59.999999999", "2024-07-03T13:30", "2024-07-03T16:59:59.999999999",
        "2024-07-03T17:00", "2024-07-04T15:00",
    )  # fmt: skip
    found = trading_calendar("XNYS").session_of(moments).astype(str).tolist()
    assert found == ["NaT", "2024-07-03", "2024-07-03", "NaT", "NaT"]


def test_every_moment_of_a_crypto_day_is_in_its_session():
    moments = stamps("2024-07-06T00:00", "2024-07-06T23:59:59", "2040-01-01T12:00", "1985-01-01T12:00")
    found = trading_calendar("24/7").session_of(moments).astype(str).tolist()
    assert found == ["2024-07-06", "2024-07-06", "2040-01-01", "1985-01-01"]


def test_no_moments_have_no_sessions():
    for name in ("XNYS", "weekdays", "24/7"):
        calendar = trading_calendar(name)
        assert len(calendar.session_of(stamps())) == 0
        assert len(calendar.known_at(stamps(), Interval.WEEK)) == 0
        assert len(calendar.is_session(days())) == 0


@given(
    seconds=st.lists(st.integers(0, 60 * 365 * 86_400), min_size=1, max_size=50),
    name=st.sampled_from(["XNYS", "CMES", "XBOM"]),
)
@settings(max_examples=60, deadline=None)
def test_session_of_agrees_with_a_search_through_all_sessions(seconds, name):
    calendar = trading_calendar(name)
    moments = np.datetime64("1980-01-01T00:00:00", "ns") + np.array(seconds, dtype="timedelta64[s]")
    for moment, session in zip(moments, calendar.session_of(moments), strict=True):
        holding = calendar.days[(calendar.opens <= moment) & (moment < calendar.closes)]
        if calendar.opens[0] <= moment < calendar.closes[-1]:
            assert [session] == list(holding) if len(holding) else np.isnat(session)
        else:
            day = moment.astype("datetime64[D]")
            assert session == day if np.is_busday(day) else np.isnat(session)


# --- known_at ---------------------------------------------------------------------------------------------


def known(name: str, interval: Interval, *texts: str) -> list[str]:
    return [
        str(one.astype("datetime64[m]")) for one in trading_calendar(name).known_at(stamps(*texts), interval)
    ]


def test_a_daily_candle_is_known_at_its_sessions_close():
    assert known("XNYS", Interval.DAY, "2024-07-02", "2024-07-03") == ["2024-07-02T20:00", "2024-07-03T17:00"]
    assert known("24/7", Interval.DAY, "2024-07-03") == ["2024-07-04T00:00"]
    assert known("24/5", Interval.DAY, "2024-07-03") == ["2024-07-04T00:00"]
    # On a day the exchange did not trade, as some vendors have: when the day is over.
    assert known("XNYS", Interval.DAY, "2024-07-04") == ["2024-07-05T00:00"]


def test_an_intraday_candle_ends_with_its_session():
    assert known("XNYS", Interval.HOUR, "2024-07-02T18:30", "2024-07-02T19:30", "2024-07-03T16:30") == [
        "2024-07-02T19:30", "2024-07-02T20:00", "2024-07-03T17:00",
    ]  # fmt: skip
    # Before the open and after the close there is no session to end with.
    assert known("XNYS", Interval.HOUR, "2024-07-02T12:30", "2024-07-02T20:00") == [
        "2024-07-02T13:30",
        "2024-07-02T21:00",
    ]
    assert known("XNYS", Interval.MINUTE, "2024-07-02T13:30") == ["2024-07-02T13:31"]
    assert known("24/7", Interval.HOUR, "2024-07-06T23:00") == ["2024-07-07T00:00"]


def test_a_weekly_candle_is_known_at_the_close_of_the_weeks_last_session():
    assert known("XNYS", Interval.WEEK, "2024-07-01", "2024-11-25") == [
        "2024-07-05T20:00",
        "2024-11-29T18:00",
    ]
    # Good Friday 2024-03-29: the week ends on Thursday.
    assert known("XNYS", Interval.WEEK, "2024-03-25") == ["2024-03-28T20:00"]
    assert known("24/7", Interval.WEEK, "2024-07-01") == ["2024-07-08T00:00"]
    # Stamped with a Friday, as some vendors do: the seven days from there on.
    assert known("XNYS", Interval.WEEK, "2024-07-05") == ["2024-07-11T20:00"]


def test_a_week_without_a_session_is_known_when_it_is_over():
    # Tokyo was shut from 2019-04-27 to 2019-05-06.
    assert known("XTKS", Interval.WEEK, "2019-04-29") == ["2019-05-06T00:00"]


def test_a_series_is_known_by_the_calendar_of_its_symbol():
    texts = ("2024-07-03", "2024-07-05")
    tokyo, new_york = known_at(daily("7203.T", *texts)), known_at(daily("SPY", *texts, category=Category.ETF))
    crypto, unknown = known_at(daily("BTC-USD", *texts)), known_at(daily("SPY", *texts))
    assert tokyo[0] < new_york[0] < crypto[0]
    assert np.array_equal(crypto, unknown)
    chosen = known_at(daily("SPY", *texts), {"SPY": "XLON"})
    assert str(chosen[0]) == "2024-07-03T15:30:00.000000000"


@given(
    name=st.sampled_from(["XNYS", "XTKS", "CMES", "24/7", "weekdays"]),
    interval=st.sampled_from(list(Interval)),
    steps=st.lists(st.integers(1, 300), min_size=1, max_size=60),
    start=st.integers(0, 13_000),
)
@settings(max_examples=100, deadline=None)
def test_no_candle_is_known_before_its_stamp_nor_later_than_a_day_after_its_span(
    name, interval, steps, start
):
    unit = {Interval.WEEK: 7 * DAY, Interval.DAY: DAY}.get(interval, np.timedelta64(interval.duration))
    first = np.datetime64("1990-01-01", "ns") + start * DAY
    time = first + np.cumsum(steps) * unit
    at = trading_calendar(name).known_at(time, interval)
    assert (at > time).all()
    assert (at <= time + np.timedelta64(interval.duration) + DAY).all()
    assert (np.diff(at) >= np.timedelta64(0, "ns")).all()


# --- building ---------------------------------------------------------------------------------------------


def test_an_unknown_name_is_refused_with_the_close_match():
    with pytest.raises(ConfigError, match=r"unknown trading calendar 'XNYSE'; did you mean 'XNYS'\?"):
        trading_calendar("XNYSE")


def test_an_alias_gives_the_same_calendar():
    assert trading_calendar("NYSE") is trading_calendar("XNYS")


def test_a_calendar_is_built_once_even_by_threads():
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(trading_calendar, ["XLON"] * 16))
    assert all(one is found[0] for one in found)


def test_the_shared_arrays_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        trading_calendar("XNYS").closes[0] = np.datetime64("2000-01-01", "ns")


def test_where_the_library_fails_weekdays_stand_in_and_the_log_says_so(monkeypatch, caplog):
    from marketgpt_core import calendar_tables

    def fails(*_: object, **__: object) -> None:
        raise NotImplementedError("implemented by subclasses")

    import exchange_calendars as library

    monkeypatch.setattr(library, "get_calendar", fails)
    with caplog.at_level(logging.WARNING):
        table = calendar_tables.sessions_of("ASEX")
    assert len(table.days) == 0
    assert "ASEX: exchange_calendars fails (NotImplementedError); weekdays are used" in caplog.text


def test_crypto_and_weekdays_need_no_library():
    code = (
        "import sys; from marketgpt_core.calendars import trading_calendar\n"
        "for name in ('24/7', '24/5', 'weekdays'): trading_calendar(name).next_sessions('2024-01-01', 5)\n"
        "sys.exit(any(name in sys.modules for name in ('pandas', 'exchange_calendars')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("SAP.DE", "XETR"),
        ("^GSPC", "XNYS"),
        ("EURUSD=X", "24/5"),
        ("GC=F", "CMES"),
        ("CC=F", "IEPA"),
        ("BTC-USD", "24/7"),
    ],
)
def test_a_symbols_calendar(symbol, name):
    assert calendar_of(daily(symbol, "2024-07-03")).name == name


@pytest.mark.slow
def test_the_calendars_of_all_exchanges_hold_what_is_promised():
    rows = [*exchanges._BY_SUFFIX.values(), exchange_of("GC=F"), exchange_of("CC=F"), exchange_of("^GSPC")]
    for name in sorted({row.calendar for row in rows}):
        calendar = trading_calendar(name)
        if not len(calendar.days):
            continue
        assert (calendar.opens < calendar.closes).all(), name
        assert (calendar.closes[:-1] <= calendar.opens[1:]).all(), name
        assert (np.diff(calendar.days) > np.timedelta64(0, "D")).all(), name
        # What a date without published hours gets is later than any real close.
        assert (calendar.closes <= calendar.days + DAY).all(), name
        assert np.array_equal(calendar.session_of(calendar.opens), calendar.days), name
        last = calendar.closes - np.timedelta64(1, "ns")
        assert np.array_equal(calendar.session_of(last), calendar.days), name
        found = calendar.known_at(calendar.days.astype("datetime64[ns]"), Interval.DAY)
        assert np.array_equal(found, calendar.closes), name


def test_a_calendar_of_ones_own():
    at = stamps("2024-01-02T10:00", "2024-01-03T10:00")
    own = TradingCalendar("own", days("2024-01-02", "2024-01-03"), at, at + np.timedelta64(2, "h"))
    assert own.session_of(stamps("2024-01-02T11:00", "2024-01-02T12:00")).astype(str).tolist() == [
        "2024-01-02",
        "NaT",
    ]
