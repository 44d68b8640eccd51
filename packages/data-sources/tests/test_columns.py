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


@pytest.mark.parametrize("name", ["<CLOSE>", "Close*", "close", "Close/Last", " CLOSE "])
def test_names_are_looked_up_without_their_ornaments(name: str) -> None:
    columns = columns_of(["Date", "Open", "High", "Low", name], where="f")
    assert columns is not None
    assert columns.actual["close"] == name


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Volume BTC", "Volume USDT"], "Volume BTC"),
        (["Volume USD", "Volume BTC"], "Volume BTC"),
        (["Volume ETH", "Volume BTC"], "Volume ETH"),
        (["Volume USDT", "Volume USD"], "Volume USDT"),
        (["Volume_(Currency)", "Volume_(BTC)"], "Volume_(BTC)"),
        (["Volume", "Volume BTC"], "Volume"),
        (["Volume USD"], "Volume USD"),
    ],
)
def test_volume_is_counted_in_what_is_bought(names: list[str], expected: str) -> None:
    columns = columns_of(["Date", *OHLC, *names], where="f")
    assert columns is not None
    assert columns.actual["volume"] == expected


def test_a_symbol_is_preferred_to_a_name() -> None:
    columns = columns_of(["Date", "Name", "Symbol", *OHLC], where="f")
    assert columns is not None
    assert columns.actual["symbol"] == "Symbol"


def test_time_beside_a_date_is_the_clock() -> None:
    columns = columns_of(["<DATE>", "<TIME>", *OHLC], where="f")
    assert columns is not None
    assert (columns.actual["time"], columns.actual["clock"]) == ("<DATE>", "<TIME>")


def test_two_columns_of_one_meaning_are_refused() -> None:
    with pytest.raises(DataError, match=r"f has several columns 'close': close, Close\*"):
        columns_of(["Date", "Open", "High", "Low", "close", "Close*"], where="f")


def test_trades_are_not_candles() -> None:
    assert columns_of(["time", "price", "quantity"], where="trades.csv") is None
