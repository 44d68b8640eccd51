from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_data_sources import shapes


def _long(frame: pd.DataFrame, symbol: str | None = "AAA") -> pd.DataFrame:
    return shapes.long_form(frame, interval=Interval.DAY, where="frame", symbol=symbol)


def _history(**columns: list[float]) -> pd.DataFrame:
    index = pd.DatetimeIndex(["2024-03-04", "2024-03-05"], name="Date")
    values = {"Open": [10.0, 11.0], "High": [12.0, 13.0], "Low": [9.0, 10.0], "Close": [11.0, 12.0]}
    return pd.DataFrame({**values, **columns}, index=index)


def test_one_symbol_with_its_dates_in_the_index() -> None:
    long = _long(_history(Volume=[1.0, np.nan]))
    assert list(long["symbol"]) == ["AAA", "AAA"]
    assert list(long["row"]) == [0, 1]
    assert list(long["volume"]) == [1.0, 0.0]
    assert list(long["time"].dt.day) == [4, 5]


def test_an_index_without_a_name_is_the_date() -> None:
    assert list(_long(_history().rename_axis(None))["time"].dt.day) == [4, 5]


def test_no_volume_is_written_as_zero() -> None:
    assert list(_long(_history())["volume"]) == [0.0, 0.0]


@pytest.mark.parametrize("tickers_first", [False, True])
def test_wide_form_in_either_order(tickers_first: bool) -> None:
    both = {"AAA": _history(), "BBB": _history()}
    wide = pd.concat(both, axis=1)
    wide = wide if tickers_first else wide.swaplevel(axis=1)
    wide.loc[
        wide.index[0], pd.IndexSlice[("BBB", slice(None)) if tickers_first else (slice(None), "BBB")]
    ] = np.nan
    long = _long(wide, None)
    assert list(long["symbol"]) == ["AAA", "AAA", "BBB"]
    assert list(long["row"]) == [0, 1, 1]
    assert list(long["close"]) == [11.0, 12.0, 12.0]


def test_rows_of_another_interval_are_left_out() -> None:
    frame = _history().assign(interval=["1d", "1h"]).reset_index()
    assert list(_long(frame)["row"]) == [0]


def test_text_in_a_price_is_named() -> None:
    with pytest.raises(DataError, match="column 'close' in frame is not numeric"):
        _long(_history().assign(Close=["11", "twelve"]))


def test_a_frame_without_a_symbol_is_refused() -> None:
    with pytest.raises(DataError, match="no column 'symbol'"):
        _long(_history(), None)


def test_adjusting_scales_all_prices_and_no_volume() -> None:
    long = _long(_history(**{"Adj Close": [5.5, 12.0], "Volume": [7.0, 8.0]}))
    adjusted = shapes.adjusted(long, where="frame")
    assert list(adjusted["open"]) == [5.0, 11.0]
    assert list(adjusted["high"]) == [6.0, 13.0]
    assert list(adjusted["close"]) == [5.5, 12.0]
    assert list(adjusted["volume"]) == [7.0, 8.0]


def test_days_without_prices_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    frame = _history(**{"Adj Close": [5.5, np.nan]})
    frame.iloc[1] = np.nan
    with caplog.at_level(logging.INFO):
        assert len(shapes.adjusted(_long(frame), where="AAA.csv")) == 1
    assert "AAA.csv: 1 rows without any price left out" in caplog.text


def test_impossible_rows_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    left = shapes.without_impossible(_long(_history(High=[12.0, 1.0])), where="AAA.csv")
    assert list(left["row"]) == [0]
    assert "AAA.csv: 1 impossible candles left out: 2024-03-05" in caplog.text


@pytest.mark.parametrize("by_symbol", [True, False])
def test_newest_first_is_turned_round_and_rows_keep_their_numbers(by_symbol: bool) -> None:
    pieces = [_history().reset_index().assign(symbol=name) for name in ("AAA", "BBB")]
    frame = pd.concat([piece[::-1] for piece in pieces], ignore_index=True)
    frame = frame if by_symbol else frame.sort_values("Date", ascending=False, kind="stable")
    long = _long(frame.reset_index(drop=True), None)
    for _, piece in long.groupby("symbol"):
        assert list(piece["close"]) == [11.0, 12.0]
        assert list(piece["row"]) == sorted(piece["row"], reverse=True)


def test_mere_disorder_is_left_for_verify() -> None:
    frame = pd.concat([_history(), _history().shift(7, freq="D")]).iloc[[3, 0, 2, 1]]
    assert list(_long(frame)["row"]) == [0, 1, 2, 3]


def test_symbols_of_vendors_become_ours() -> None:
    for names in (["BTC/USDT", "aapl.us"], pd.Categorical(["BTC/USDT", "aapl.us"])):
        long = _long(_history().assign(symbol=names), None)
        assert list(long["symbol"]) == ["BTC-USDT", "AAPL"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["$10.50", "11"], [10.5, 11.0]),
        (["1,234.5", "12"], [1234.5, 12.0]),
        (["1,234,567", None], [1234567.0, np.nan]),
        (["66.28M", "1.5K"], [66_280_000.0, 1_500.0]),
    ],
)
def test_amounts(texts: list[str | None], expected: list[float]) -> None:
    read = _long(_history(Volume=texts))["volume"]
    assert read.to_numpy() == pytest.approx(np.nan_to_num(expected))
