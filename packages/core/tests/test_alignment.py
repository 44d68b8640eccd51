"""What is known when: Tokyo before New York before bitcoin, and nothing from the future."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketgpt_core.alignment import Aligned, decision_times
from marketgpt_core.calendars import trading_calendar
from marketgpt_core.candles import FIELDS, Candles, CandleSeries
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles


def series(symbol: str, stamps, *, interval: Interval = Interval.DAY, first: float = 1.0) -> CandleSeries:
    at = np.array(stamps, dtype="datetime64[ns]")
    value = first + np.arange(len(at), dtype=np.float64)
    return CandleSeries(symbol, interval, at, value, value + 2, value / 2, value + 1, value * 100)


WEEK = ["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08"]


@pytest.fixture
def three_markets() -> Aligned:
    """Closes of day k of the week: Tokyo 11 + k, New York 21 + k, bitcoin 31 + k."""
    tokyo, new_york, bitcoin = (
        series(symbol, WEEK, first=first)
        for symbol, first in (("7203.T", 10), ("^GSPC", 20), ("BTC-USD", 30))
    )
    return Aligned(Candles([tokyo, new_york, bitcoin]))


def test_a_tokyo_close_is_known_before_a_new_york_close_of_the_same_date(three_markets):
    # 5 March 2024: Tokyo closes at 06:00 UTC, New York at 21:00, the crypto day at midnight.
    assert three_markets.last("close", "2024-03-05T05:59").tolist() == [[11, 21, 31]]
    assert three_markets.last("close", "2024-03-05T06:00").tolist() == [[12, 21, 31]]
    assert three_markets.last("close", "2024-03-05T20:59").tolist() == [[12, 21, 31]]
    assert three_markets.last("close", "2024-03-05T21:00").tolist() == [[12, 22, 31]]
    assert three_markets.last("close", "2024-03-05T23:59:59").tolist() == [[12, 22, 31]]
    assert three_markets.last("close", "2024-03-06T00:00").tolist() == [[12, 22, 32]]


def test_at_tokyos_close_new_yorks_session_of_that_date_is_not_seen(three_markets):
    closes = decision_times("XTKS", trading_calendar("XTKS").sessions("2024-03-05", "2024-03-09"))
    assert three_markets.last("close", closes).tolist() == [
        [12, 21, 31], [13, 22, 32], [14, 23, 33], [15, 24, 34],
    ]  # fmt: skip
    closes = decision_times("XNYS", trading_calendar("XNYS").sessions("2024-03-05", "2024-03-09"))
    assert three_markets.last("close", closes).tolist() == [
        [12, 22, 31], [13, 23, 32], [14, 24, 33], [15, 25, 34],
    ]  # fmt: skip


def test_clocks_of_new_york_and_london_change_in_different_weeks():
    # In March 2024 New York changed on the 10th, London on the 31st: three weeks of 4 hours between them.
    dates = ["2024-03-08", "2024-03-11", "2024-03-28", "2024-04-02"]
    aligned = Aligned(Candles([series("SHEL.L", dates, first=10), series("^GSPC", dates, first=20)]))
    london = [f"{day}T{hour}" for day, hour in zip(dates, ("16:30", "16:30", "16:30", "15:30"), strict=True)]
    new_york = [
        f"{day}T{hour}" for day, hour in zip(dates, ("21:00", "20:00", "20:00", "20:00"), strict=True)
    ]
    for day in range(4):
        for at, row in ((london[day], 0), (new_york[day], 1)):
            just_before = np.datetime64(at, "ns") - np.timedelta64(1, "ns")
            assert aligned.rows(np.datetime64(at))[0, row] == day
            assert aligned.rows(just_before)[0, row] == day - 1


def test_before_its_first_candle_a_symbol_is_unknown(three_markets):
    at = ["2024-03-04T05:00", "2024-03-04T07:00"]
    assert three_markets.rows(at).tolist() == [[-1, -1, -1], [0, -1, -1]]
    last = three_markets.last("close", at)
    assert np.isnan(last).tolist() == [[True, True, True], [False, True, True]]
    assert np.isnat(three_markets.age(at)).tolist() == [[True, True, True], [False, True, True]]


def test_a_market_that_is_shut_keeps_its_last_value_and_its_age_tells(three_markets):
    # Sunday 10 March, noon: bitcoin's last candle is of Friday here, known since Saturday's first minute.
    age = three_markets.age("2024-03-10T12:00")
    assert age.astype("timedelta64[m]").astype(int).tolist() == [[54 * 60, 39 * 60, 36 * 60]]
    assert three_markets.last("close", "2024-03-10T12:00").tolist() == [[15, 25, 35]]


def test_a_panel_ends_with_the_last_known_value_and_is_padded_in_front(three_markets):
    at = ["2024-03-04T05:00", "2024-03-05T06:00", "2024-03-08T23:00"]
    panel = three_markets.panel("close", at, 3)
    nan = np.nan
    expected = [
        [[nan, nan, nan], [nan, nan, nan], [nan, nan, nan]],
        [[nan, 11, 12], [nan, nan, 21], [nan, nan, 31]],
        [[13, 14, 15], [23, 24, 25], [32, 33, 34]],
    ]
    np.testing.assert_array_equal(panel, expected)
    np.testing.assert_array_equal(panel[:, :, -1], three_markets.last("close", at))
    assert three_markets.panel("close", at, 9).shape == (3, 3, 9)


def test_every_field_and_ones_own_values(three_markets):
    at = "2024-03-05T06:00"
    found = {field: three_markets.last(field, at)[0, 0] for field in FIELDS}
    assert found == {"open": 11, "high": 13, "low": 5.5, "close": 12, "volume": 1100}
    moves = {symbol: np.arange(5.0) * 10 for symbol in three_markets.symbols}
    assert three_markets.last(moves, at).tolist() == [[10, 0, 0]]
    assert three_markets.panel(moves, at, 2)[0, 0].tolist() == [0, 10]


def test_moments_in_any_form_and_order(three_markets):
    expected = three_markets.rows(np.array(["2024-03-06T12:00", "2024-03-05T12:00"], dtype="datetime64[s]"))
    assert expected.tolist() == [[2, 1, 1], [1, 0, 0]]
    aware = datetime(2024, 3, 6, 21, tzinfo=timezone(timedelta(hours=9)))
    forms = [
        [aware, "2024-03-05T12:00"],
        (datetime(2024, 3, 6, 12, tzinfo=UTC), np.datetime64("2024-03-05T12")),
    ]
    for form in forms:
        assert three_markets.rows(form).tolist() == expected.tolist()
    assert three_markets.rows(aware).tolist() == [[2, 1, 1]]
    assert three_markets.rows([]).shape == (0, 3)
    assert three_markets.panel("close", [], 4).shape == (0, 3, 4)


def test_no_symbols_and_symbols_without_candles():
    assert Aligned(Candles([])).last("close", "2024-03-05").shape == (1, 0)
    empty = Aligned(Candles([series("SPY", [])]))
    assert empty.rows("2024-03-05").tolist() == [[-1]]
    assert np.isnan(empty.last("close", "2024-03-05")).all()
    assert np.isnan(empty.panel("close", "2024-03-05", 2)).all()


def test_a_calendar_given_by_symbol_wins():
    candles = Candles([series("AAA", ["2024-03-05"])])
    assert Aligned(candles).rows("2024-03-05T23:00").tolist() == [[-1]]
    assert Aligned(candles, calendars={"AAA": "XLON"}).rows("2024-03-05T16:30").tolist() == [[0]]


def test_hourly_candles_are_known_an_hour_later_or_at_the_close():
    stamps = ["2024-07-02T18:30", "2024-07-02T19:30", "2024-07-03T13:30"]
    aligned = Aligned(Candles([series("^GSPC", stamps, interval=Interval.HOUR)]))
    found = aligned.rows(["2024-07-02T19:29", "2024-07-02T19:30", "2024-07-02T19:59", "2024-07-02T20:00"])
    assert found[:, 0].tolist() == [-1, 0, 0, 1]
    assert [str(one)[:16] for one in aligned.known_at("^GSPC")] == [
        "2024-07-02T19:30", "2024-07-02T20:00", "2024-07-03T14:30",
    ]  # fmt: skip


def test_decisions_are_made_at_closes_half_days_included():
    found = decision_times("XNYS", np.array(["2024-07-02", "2024-07-03"], dtype="datetime64[D]"))
    assert found.astype("datetime64[m]").astype(str).tolist() == ["2024-07-02T20:00", "2024-07-03T17:00"]
    assert decision_times(trading_calendar("24/7"), ["2024-07-04"])[0] == np.datetime64("2024-07-05")


def test_what_cannot_be_answered_is_refused_in_one_line(three_markets):
    with pytest.raises(ConfigError, match="unknown field 'closes'; did you mean 'close'"):
        three_markets.last("closes", "2024-03-05")
    with pytest.raises(ConfigError, match="at least 1, not 0"):
        three_markets.panel("close", "2024-03-05", 0)
    with pytest.raises(DataError, match="1 of 2 moments are NaT"):
        three_markets.rows(np.array(["2024-03-05", "NaT"], dtype="datetime64[ns]"))
    with pytest.raises(DataError, match=r"\^GSPC has 5 candles, but no values are given"):
        three_markets.last({"7203.T": np.ones(5)}, "2024-03-05")
    with pytest.raises(DataError, match=r"7203\.T has 5 candles, but 4 values are given"):
        three_markets.last({"7203.T": np.ones(4)}, "2024-03-05")
    with pytest.raises(DataError, match="unknown symbol '7203'"):
        three_markets.known_at("7203")
    with pytest.raises(DataError, match="XNYS has no session on 2024-07-04 and 1 more days"):
        decision_times("XNYS", ["2024-07-03", "2024-07-04", "2024-07-06"])


# --- properties -------------------------------------------------------------------------------------------

SYMBOLS = {"7203.T": "XTKS", "^GSPC": "XNYS", "BTC-USD": "24/7", "GC=F": "CMES", "VNM.VN": "weekdays"}


@st.composite
def markets(draw) -> Candles:
    """Candles on some of the days of two years, for some symbols of five calendars."""
    interval = draw(st.sampled_from([Interval.DAY, Interval.WEEK, Interval.HOUR]))
    step = np.timedelta64(interval.duration)
    chosen = draw(st.lists(st.sampled_from(list(SYMBOLS)), min_size=1, max_size=5, unique=True))
    result = []
    for symbol in chosen:
        offsets = draw(st.lists(st.integers(0, 60), max_size=25, unique=True))
        begin = np.datetime64("2024-02-26", "ns")
        result.append(
            series(symbol, begin + np.sort(np.array(offsets, dtype=np.int64)) * step, interval=interval)
        )
    return Candles(result, interval=interval)


moments = st.lists(st.integers(0, 500 * 24 * 60), min_size=1, max_size=20).map(
    lambda minutes: np.datetime64("2024-02-20", "ns") + np.array(minutes, dtype="timedelta64[m]")
)


@given(candles=markets(), at=moments)
@settings(max_examples=150, deadline=None)
def test_all_answers_agree_with_looking_at_every_candle(candles, at):
    aligned = Aligned(candles)
    rows, last, age = aligned.rows(at), aligned.last("close", at), aligned.age(at)
    panel = aligned.panel("close", at, 3)
    for column, (symbol, one) in enumerate(candles.items()):
        known = trading_calendar(SYMBOLS[symbol]).known_at(one.time, one.interval)
        for row, moment in enumerate(at):
            seen = [index for index in range(len(one)) if known[index] <= moment]
            values = [float(one.close[index]) for index in seen]
            assert rows[row, column] == (seen[-1] if seen else -1)
            np.testing.assert_array_equal(last[row, column], values[-1] if seen else np.nan)
            np.testing.assert_array_equal(panel[row, column], ([np.nan] * 3 + values)[-3:])
            if seen:
                assert age[row, column] == moment - known[seen[-1]]
            else:
                assert np.isnat(age[row, column])


@given(candles=markets(), at=moments)
@settings(max_examples=100, deadline=None)
def test_candles_cut_off_after_a_moment_change_nothing_it_sees(candles, at):
    moment = at[0]
    whole = Aligned(candles)
    kept = {symbol: int(whole.rows(moment)[0, column]) + 1 for column, symbol in enumerate(whole.symbols)}
    # What was known by then, and nothing else; then with every later candle changed.
    cut = Aligned(
        Candles([one[: kept[symbol]] for symbol, one in candles.items()], interval=candles.interval)
    )
    other = Aligned(
        Candles([altered(one, kept[symbol]) for symbol, one in candles.items()], interval=candles.interval)
    )
    for field in FIELDS:
        expected = whole.panel(field, moment, 4)
        np.testing.assert_array_equal(cut.panel(field, moment, 4), expected)
        np.testing.assert_array_equal(other.panel(field, moment, 4), expected)
        np.testing.assert_array_equal(cut.last(field, moment), whole.last(field, moment))
    np.testing.assert_array_equal(cut.age(moment), whole.age(moment))


def altered(one: CandleSeries, kept: int) -> CandleSeries:
    factor = np.where(np.arange(len(one)) < kept, 1.0, 7.0)
    return CandleSeries(
        one.symbol, one.interval, one.time, *(getattr(one, field) * factor for field in FIELDS), one.category
    )


# --- size -------------------------------------------------------------------------------------------------


def test_six_hundred_symbols_of_twenty_years(capsys):
    categories = (Category.US, Category.CRYPTO, Category.FX)
    candles = Candles(
        one
        for number, category in enumerate(categories)
        for one in make_candles(
            [f"S{number}X{index}" for index in range(200)],
            num_candles=5_000, start="2000-01-03", category=category,
        ).values()
    )  # fmt: skip
    at = decision_times("XNYS", trading_calendar("XNYS").sessions("2000-01-03", "2019-11-20"))[:5_000]
    begin = time.process_time()
    aligned = Aligned(candles)
    built = time.process_time() - begin
    last = aligned.last("close", at)
    per_field = time.process_time() - begin - built
    with capsys.disabled():
        print(f"\n600 symbols x 5,000 days: built in {built:.2f} s, {per_field:.2f} s a field", end=" ")
    assert last.shape == (5_000, 600)
    # At New York's close a stock's candle of that date is known, bitcoin's of the day before.
    date = at[100].astype("datetime64[D]").astype("datetime64[ns]")
    stock, bitcoin = candles["S0X0"], candles["S1X0"]
    assert last[100, 0] == stock.close[np.searchsorted(stock.time, date)]
    assert last[100, 200] == bitcoin.close[np.searchsorted(bitcoin.time, date) - 1]
    assert per_field < 2.0
