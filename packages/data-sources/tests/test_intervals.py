"""Every interval the whole way: a vendor's file, source, verify, candles, Parquet and back, longer ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.alignment import Aligned
from marketgpt_core.calendars import trading_calendar
from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.exchanges import exchange_of, guess_category
from marketgpt_core.interval import Interval
from marketgpt_data_sources import open_source, resample, verify
from marketgpt_data_sources.base import DataSource
from marketgpt_data_sources.quality.check import Severity
from marketgpt_data_sources.stamps import infer_interval
from marketgpt_data_sources.writing import write_parquet

MINUTE, FIVE, HOUR, DAY, WEEK = Interval
NEW_YORK = "America/New_York"
# Around 10 March 2024, when New York changed its clocks.
SPANS = {
    MINUTE: ("2024-03-08", "2024-03-12"),
    FIVE: ("2024-03-06", "2024-03-14"),
    HOUR: ("2024-02-26", "2024-03-25"),
    DAY: ("2023-09-04", "2024-07-01"),
    WEEK: ("2022-01-03", "2024-07-01"),
}
SYMBOLS = ("^GSPC", "BTC-USD", "7203.T")


def candles_of(symbol: str, interval: Interval, *, seed: int = 0) -> Candles:
    """Return one symbol's candles of all its sessions in the interval's span."""
    calendar = trading_calendar(exchange_of(symbol, guess_category(symbol)).calendar)
    days = calendar.sessions(*SPANS[interval])
    if interval.is_intraday:
        opens, closes = calendar.hours(days)
        step = np.timedelta64(interval.duration)
        time = np.concatenate([np.arange(*span, step) for span in zip(opens, closes, strict=True)])
    elif interval is DAY:
        time = days.astype("datetime64[ns]")
    else:
        time = np.unique(days - (days.astype(int) + 3) % 7).astype("datetime64[ns]")
    rng = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.002, len(time)))), 4)
    open_ = np.round(np.append(100.0, close[:-1]) * np.exp(rng.normal(0, 0.0005, len(time))), 4)
    high = np.round(np.maximum(open_, close) + rng.random(len(time)) / 10, 4)
    low = np.round(np.minimum(open_, close) - rng.random(len(time)) / 10, 4)
    volume = rng.integers(1, 9_999, len(time)).astype(np.float64)
    series = CandleSeries(symbol, interval, time, open_, high, low, close, volume, guess_category(symbol))
    return Candles([series], interval=interval)


def frame_of(candles: Candles) -> pd.DataFrame:
    (series,) = candles.values()
    prices = {name.capitalize(): getattr(series, name) for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame({"Date": pd.DatetimeIndex(series.time), **prices})


def local(dates: pd.Series, interval: Interval) -> pd.Series:
    """Return stamps as yfinance has them: in the exchange's zone, a session at its local midnight."""
    return (
        dates.dt.tz_localize("UTC").dt.tz_convert(NEW_YORK)
        if interval.is_intraday
        else dates.dt.tz_localize(NEW_YORK)
    )


def epochs(dates: pd.Series, unit: Literal["s", "ms", "us", "ns"]) -> pd.Series:
    return dates.astype(f"datetime64[{unit}]").astype("int64")


Write = Callable[[Path, str, pd.DataFrame, Interval], DataSource]


def csv(change: Callable[[pd.Series, Interval], pd.Series]) -> Write:
    def write(folder: Path, symbol: str, frame: pd.DataFrame, interval: Interval) -> DataSource:
        frame.assign(Date=change(frame["Date"], interval)).to_csv(folder / f"{symbol}.csv", index=False)
        return open_source(f"csv:{folder}")

    return write


def parquet(change: Callable[[pd.Series, Interval], pd.Series]) -> Write:
    def write(folder: Path, symbol: str, frame: pd.DataFrame, interval: Interval) -> DataSource:
        frame.assign(Date=change(frame["Date"], interval)).to_parquet(
            folder / f"{symbol}.parquet", index=False
        )
        return open_source(f"parquet:{folder}")

    return write


FORMS: dict[str, Write] = {
    "csv, naive UTC": csv(lambda dates, _: dates),
    "csv, Z": csv(lambda dates, _: dates.dt.strftime("%Y-%m-%dT%H:%M:%SZ")),
    "csv, offsets of New York": csv(local),
    "csv, epochs in s": csv(lambda dates, _: epochs(dates, "s")),
    "csv, epochs in ms": csv(lambda dates, _: epochs(dates, "ms")),
    "parquet, naive UTC": parquet(lambda dates, _: dates),
    "parquet, UTC in us": parquet(lambda dates, _: dates.dt.tz_localize("UTC").dt.as_unit("us")),
    "parquet, zone of New York": parquet(local),
    "parquet, epochs in ns": parquet(lambda dates, _: epochs(dates, "ns")),
}


@pytest.mark.parametrize("interval", list(Interval))
@pytest.mark.parametrize("form", FORMS)
def test_a_vendors_file_reads_back_to_the_same_fingerprint(form, interval, tmp_path):
    for symbol in SYMBOLS:
        original = candles_of(symbol, interval)
        folder = tmp_path / symbol
        folder.mkdir()
        # Nothing but the distance of the stamps says which interval the file holds.
        source = FORMS[form](folder, symbol, frame_of(original), interval)
        assert source.symbols(interval) == (symbol,)
        report = verify(source, interval=interval)
        assert report.at_least(Severity.QUARANTINE).is_clean, report.issues
        read = source.fetch([symbol], interval=interval)
        assert read.fingerprint() == original.fingerprint()


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("interval", list(Interval))
def test_whole_sessions_are_clean_and_survive_the_store_of_files(symbol, interval, tmp_path):
    original = candles_of(symbol, interval)
    assert verify(original, interval=interval).is_clean
    write_parquet(original, tmp_path)
    back = open_source(f"parquet:{tmp_path}")
    assert back.symbols(interval) == (symbol,)
    assert back.fetch([symbol], interval=interval).fingerprint() == original.fingerprint()
    for shorter_or_longer in Interval:
        if shorter_or_longer is not interval:
            assert back.symbols(shorter_or_longer) == ()


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_all_intervals_of_a_symbol_side_by_side(symbol, tmp_path):
    minutes = candles_of(symbol, MINUTE)
    chain = {interval: resample(minutes, interval) for interval in (MINUTE, FIVE, HOUR, DAY)}
    for candles in chain.values():
        write_parquet(candles, tmp_path)
    source = open_source(f"parquet:{tmp_path}")
    for interval, candles in chain.items():
        read = source.fetch([symbol], interval=interval)
        assert read.fingerprint() == candles.fingerprint()
        # What was read makes the same days as the minutes did.
        assert resample(read, DAY).fingerprint() == chain[DAY].fingerprint()
    days = trading_calendar(exchange_of(symbol).calendar).sessions(*SPANS[MINUTE])
    assert chain[DAY][symbol].time.astype("datetime64[D]").tolist() == days.tolist()


def test_naive_local_hours_need_their_zone(tmp_path):
    original = candles_of("^GSPC", HOUR)
    frame = frame_of(original)
    frame["Date"] = local(frame["Date"], HOUR).dt.tz_localize(None)
    frame.to_csv(tmp_path / "^GSPC.csv", index=False)
    read = open_source(f"csv:{tmp_path}", {"timezone": NEW_YORK}).fetch(["^GSPC"], interval=HOUR)
    assert read.fingerprint() == original.fingerprint()
    wrong = open_source(f"csv:{tmp_path}").fetch(["^GSPC"], interval=HOUR)
    assert wrong["^GSPC"].time[0] == np.datetime64("2024-02-26T09:30")


def test_a_range_is_half_open_at_every_interval(tmp_path):
    for interval in Interval:
        original = candles_of("^GSPC", interval)
        folder = tmp_path / interval
        source = FORMS["csv, offsets of New York"](_made(folder), "^GSPC", frame_of(original), interval)
        time = original["^GSPC"].time
        found = source.fetch(["^GSPC"], start=time[3], end=time[7], interval=interval)["^GSPC"].time
        assert found.tolist() == time[3:7].tolist()


def test_each_interval_is_known_when_it_has_ended():
    hours = candles_of("^GSPC", HOUR)
    at = "2024-03-11T20:00"  # the close of the first session in summer time
    last = {interval: Aligned(resample(hours, interval)).last("close", at)[0, 0] for interval in (HOUR, DAY)}
    series = hours["^GSPC"]
    expected = series.close[np.searchsorted(series.time, np.datetime64(at)) - 1]
    assert last == {HOUR: expected, DAY: expected}
    just_before = np.datetime64(at) - np.timedelta64(1, "s")
    assert Aligned(resample(hours, DAY)).rows(just_before)[0, 0] == 9
    assert Aligned(resample(hours, DAY)).rows(at)[0, 0] == 10


# --- telling the interval from stamps ---------------------------------------------------------------------


def inferred(time: np.ndarray) -> Interval:
    return infer_interval(pd.Series(time), where="file.csv")


@pytest.mark.parametrize("interval", list(Interval))
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_distance_of_stamps_says_the_interval(symbol, interval):
    assert inferred(candles_of(symbol, interval)[symbol].time) is interval


@pytest.mark.parametrize("interval", [MINUTE, FIVE, HOUR])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.3, 0.15])
def test_candles_of_a_seldom_traded_symbol_still_tell(interval, share):
    # With most minutes missing the commonest distance is no longer one.
    time = candles_of("BTC-USD", interval)["BTC-USD"].time
    for seed in range(5):
        kept = time[np.random.default_rng(seed).random(len(time)) < share]
        assert inferred(kept) is interval


def test_two_trades_in_three_minutes_are_minutes():
    # 2, 2, 1, 2, 2, 1 minutes: the commonest distance is none of the vocabulary, the smallest is.
    steps = np.tile([2, 2, 1], 40).astype("timedelta64[m]")
    assert inferred(np.datetime64("2024-03-08T14:30", "ns") + np.cumsum(steps)) is MINUTE


@pytest.mark.parametrize("minutes", [2, 15, 30, 240])
def test_intervals_outside_the_vocabulary_are_refused(minutes):
    time = np.datetime64("2024-03-08", "ns") + np.arange(500) * np.timedelta64(minutes, "m")
    with pytest.raises(DataError, match=f"candles in file.csv are {minutes * 60} s apart: known are 1m, 5m"):
        inferred(time)


def test_days_of_epochs_at_local_midnight_are_days_across_a_change_of_clocks():
    dates = pd.Series(pd.date_range("2024-03-01", "2024-03-20", freq="B", tz=NEW_YORK))
    assert infer_interval(dates.dt.tz_convert("UTC").dt.tz_localize(None), where="file.csv") is DAY
    weeks = pd.Series(pd.date_range("2024-02-05", "2024-04-20", freq="W-MON", tz=NEW_YORK))
    assert infer_interval(weeks.dt.tz_convert("UTC").dt.tz_localize(None), where="file.csv") is WEEK


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
