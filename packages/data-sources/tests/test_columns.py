from __future__ import annotations

import pytest

from marketgpt_core.errors import DataError
from marketgpt_data_sources.columns import columns_of

OHLC = ["Open", "High", "Low", "Close"]


def test_names_in_any_case_and_spelling() -> None:
    columns = columns_of([" Date ", "OPEN", "high", "Low", "close", "Adj Close", "Ticker"], where="f")
    assert columns is not None
    assert columns.actual["time"] == " Date "
    assert columns.actual["open"] == "OPEN"
    assert columns.actual["adj_close"] == "Adj Close"
    assert columns.actual["symbol"] == "Ticker"
    assert not columns.has("volume")


def test_a_date_is_preferred_to_a_timestamp() -> None:
    columns = columns_of(["timestamp", "date", *OHLC], where="f")
    assert columns is not None
    assert columns.actual["time"] == "date"


def test_a_file_without_prices_is_not_one_of_candles() -> None:
    assert columns_of(["symbol", "category", "first", "last"], where="SYMBOLS.csv") is None


def test_half_the_prices_are_an_error() -> None:
    with pytest.raises(DataError, match=r"f lacks open, low; it has date, High, close"):
        columns_of(["date", "High", "close"], where="f")


def test_prices_without_a_date_are_an_error() -> None:
    with pytest.raises(DataError, match="f has no column time, date"):
        columns_of(OHLC, where="f")
