"""Frames in the three shapes people have, and back."""

from __future__ import annotations

from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketgpt_core import Candles, DataError, Interval
from marketgpt_core.errors import CandleError, ConfigError
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles


@pytest.fixture
def candles() -> Candles:
    return make_candles(("AAPL", "MSFT"), num_candles=300, start="2023-06-01")


def same(one: Candles, other: Candles) -> bool:
    return one.fingerprint() == other.fingerprint()


def without_category(candles: Candles) -> Candles:
    return Candles.from_frame(candles.to_frame().drop(columns="category"))


def test_the_long_form_round_trips(candles: Candles) -> None:
    frame = candles.to_frame()
    assert list(frame) == ["symbol", "category", "time", "open", "high", "low", "close", "volume"]
    assert str(frame["time"].dt.tz) == "UTC"
    assert same(Candles.from_frame(frame), candles)
    upper = frame.rename(columns=str.upper).rename(columns={"SYMBOL": " Ticker", "TIME": "Date"})
    assert same(Candles.from_frame(upper), candles)
    assert same(Candles.from_frame(frame.set_index("time")), candles)
    assert list(Candles([]).to_frame()) == list(frame)


def test_rows_are_sorted_by_time(candles: Candles) -> None:
    shuffled = candles.to_frame().sample(frac=1.0, random_state=0)
    assert same(Candles.from_frame(shuffled), candles)
    assert same(Candles.from_frame(candles.to_wide().iloc[::-1], category=Category.US), candles)


def test_the_wide_form_round_trips_in_either_order(candles: Candles) -> None:
    wide = candles.to_wide()
    assert wide.columns.names == ["Price", "Ticker"]
    bare = without_category(candles)
    assert same(Candles.from_frame(wide), bare)
    assert same(Candles.from_frame(wide.swaplevel(axis=1).sort_index(axis=1)).select(candles.symbols), bare)
    assert same(Candles.from_frame(wide, category={"AAPL": Category.US, "MSFT": Category.US}), candles)


def test_a_row_without_prices_is_a_day_without_trading(candles: Candles) -> None:
    wide = candles.to_wide()
    wide.loc[wide.index[5], (slice(None), "MSFT")] = np.nan
    read = Candles.from_frame(wide)
    assert len(read["AAPL"]) == 300
    assert len(read["MSFT"]) == 299
    wide.loc[wide.index[9], ("Close", "MSFT")] = np.nan
    with pytest.raises(CandleError, match=r"MSFT: 1 impossible candle: .*NaN"):
        Candles.from_frame(wide)


def test_yfinance_columns_that_we_do_not_use_do_no_harm(candles: Candles) -> None:
    wide = candles.to_wide()
    for name in ("Adj Close", "Dividends"):
        for ticker in candles.symbols:
            wide[name, ticker] = 1.0
    assert same(Candles.from_frame(wide), without_category(candles))


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York", "Asia/Tokyo", "Europe/London"])
def test_a_daily_stamp_is_the_date_where_it_was_traded(candles: Candles, zone: str | None) -> None:
    """Midnight in New York is 4 or 5 o'clock in UTC, midnight in Tokyo the day before: the date stays."""
    wide = candles.to_wide()
    wide.index = pd.DatetimeIndex(wide.index).tz_localize(None).tz_localize(zone)
    read = Candles.from_frame(wide)
    assert np.array_equal(read["AAPL"].time, candles["AAPL"].time)
    late = wide.copy()
    late.index = late.index + pd.Timedelta(hours=16)
    assert np.array_equal(Candles.from_frame(late)["AAPL"].time, candles["AAPL"].time)


def test_an_intraday_stamp_is_the_instant_across_summer_time() -> None:
    # 2024-03-10, 02:00 in New York: clocks go forward; 09:30 moves from 14:30 to 13:30 UTC.
    index = pd.DatetimeIndex(["2024-03-08 09:30", "2024-03-11 09:30"]).tz_localize("America/New_York")
    frame = pd.DataFrame({name: [1.0, 1.0] for name in ("Open", "High", "Low", "Close")}, index=index)
    read = Candles.from_frame(frame, symbol="AAPL", interval=Interval.HOUR)["AAPL"]
    assert read.time.astype(str).tolist() == [
        "2024-03-08T14:30:00.000000000",
        "2024-03-11T13:30:00.000000000",
    ]


def test_the_hour_that_comes_twice_in_autumn_stays_two_candles() -> None:
    index = pd.DatetimeIndex(["2024-11-03 05:30", "2024-11-03 06:30"], tz="UTC").tz_convert(
        "America/New_York"
    )
    frame = pd.DataFrame({name: [1.0, 1.0] for name in ("Open", "High", "Low", "Close")}, index=index)
    assert [stamp.hour for stamp in index] == [1, 1]
    assert len(Candles.from_frame(frame, symbol="AAPL", interval=Interval.HOUR)["AAPL"]) == 2


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (Interval.DAY, ["2024-03-08T00", "2024-03-11T00"]),
        (Interval.HOUR, ["2024-03-08T05", "2024-03-11T04"]),
    ],
)
def test_a_yfinance_table_saved_as_csv_is_read(interval: Interval, expected: list[str]) -> None:
    """Its stamps are text whose offset changes with summer time."""
    text = (
        "Date,Open,High,Low,Close,Volume\n"
        "2024-03-08 00:00:00-05:00,1,1,1,1,7\n"
        "2024-03-11 00:00:00-04:00,1,1,1,1,8\n"
    )
    read = Candles.from_frame(pd.read_csv(StringIO(text)), symbol="AAPL", interval=interval)["AAPL"]
    assert read.time.astype("datetime64[h]").astype(str).tolist() == expected
    assert read.volume.tolist() == [7.0, 8.0]


def test_a_single_symbol_needs_its_name(candles: Candles) -> None:
    history = candles.to_wide().xs("AAPL", axis=1, level="Ticker")
    read = Candles.from_frame(history, symbol="AAPL", category=Category.US)
    assert same(read, candles.select(["AAPL"]))
    with pytest.raises(DataError, match=r"no column 'symbol' \(from x\.csv\); pass symbol="):
        Candles.from_frame(history, where="x.csv")


def test_missing_volume_is_not_supplied(candles: Candles) -> None:
    frame = candles.to_frame()
    assert (Candles.from_frame(frame.drop(columns="volume"))["AAPL"].volume == 0).all()
    frame.loc[3, "volume"] = np.nan
    assert Candles.from_frame(frame)["AAPL"].volume[3] == 0.0
    frame.loc[3, "volume"] = np.inf
    with pytest.raises(CandleError, match="volume is NaN, infinite"):
        Candles.from_frame(frame)


def test_the_category_column_wins(candles: Candles) -> None:
    read = Candles.from_frame(candles.to_frame(), category=Category.FX)
    assert read["AAPL"].category is Category.US
    bare = candles.to_frame().drop(columns="category")
    assert Candles.from_frame(bare, category={"AAPL": Category.FX})["MSFT"].category is Category.UNKNOWN
    with pytest.raises(ConfigError, match="unknown category 'USA'"):
        Candles.from_frame(bare.assign(category="USA"))


def test_integer_and_arrow_columns_become_floats(candles: Candles) -> None:
    frame = candles.to_frame()
    prices = ["open", "high", "low", "close"]
    frame[prices] = (frame[prices] * 100).round().astype("Int64")
    read = Candles.from_frame(frame)["AAPL"]
    assert read.close.dtype == np.float64
    assert read.close[0] == float(frame["close"].iloc[0])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: f.drop(columns=["high", "low"]), "the frame lacks high, low .from x.; it has symbol"),
        (lambda f: f.drop(columns="time"), "no column or index 'time' or 'date'"),
        (lambda f: f.assign(close="much"), "AAPL .from x.: column 'close' is not numeric"),
        (lambda f: f.assign(time="tomorrow"), "AAPL .from x.: dates cannot be read"),
        (lambda f: f.assign(time=range(600)), "AAPL .from x.: dates are numbers .0."),
        (lambda f: f.assign(time=np.arange(600) + 1.7e9), "dates are numbers .1700000000"),
        (lambda f: f.assign(Close=1.0), "several columns named close"),
        (lambda f: f.assign(symbol=f["symbol"].where(f.index != 3)), "1 rows have no symbol"),
        (lambda f: f.assign(symbol="a/b"), "'a/b' is not a symbol"),
        (lambda f: f.assign(time=f["time"].where(f.index != 3)), "1 rows without a date"),
        (lambda f: f.set_index(["symbol", "time"]).unstack(), "no column or index 'time'"),
    ],
)
def test_a_frame_of_another_shape_is_refused(candles: Candles, damage: Any, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        Candles.from_frame(damage(candles.to_frame()), where="x")
    assert "\n" not in str(caught.value)


def test_two_levels_that_are_not_prices_and_tickers_are_refused(candles: Candles) -> None:
    wide = candles.to_wide()
    with pytest.raises(DataError, match="two column levels, prices and tickers, were expected"):
        Candles.from_frame(wide.drop(columns="Low", level="Price"))
    with pytest.raises(DataError, match="two column levels"):
        Candles.from_frame(pd.concat({"x": wide}, axis=1))


def test_a_close_one_bit_above_its_high_is_rounding_and_a_basis_point_is_not():
    frame = make_candles(("AAA",), num_candles=5).to_frame()
    high = frame.loc[2, "high"]
    frame.loc[2, "close"] = np.nextafter(high, np.inf)
    made = Candles.from_frame(frame)["AAA"]
    assert made.high[2] == made.close[2] == frame.loc[2, "close"]
    frame.loc[2, "close"] = high * 1.0001
    with pytest.raises(CandleError, match="row 2"):
        Candles.from_frame(frame)


def test_no_candles_have_a_frame_of_the_same_types(make_candles):
    some, none = make_candles(["AAA"], num_candles=3).to_frame(), Candles([]).to_frame()
    assert len(none) == 0
    assert none.dtypes.to_dict() == some.dtypes.to_dict()
