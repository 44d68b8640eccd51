"""Files as vendors write them: a few lines of each, with the values that must come out."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketgpt_core.candles import CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_data_sources import open_source
from marketgpt_data_sources.quality import verify
from marketgpt_data_sources.sources.folder import FolderSource

# What each row of a case says: stamp, open, high, low, close, volume.
Row = tuple[str, float, float, float, float, float]


def _open(folder: Path, **options: object) -> FolderSource:
    source = open_source(f"csv:{folder}", options)
    assert isinstance(source, FolderSource)
    return source


def _rows(series: CandleSeries) -> list[Row]:
    columns = (series.open, series.high, series.low, series.close, series.volume)
    stamps = (str(stamp)[:16].removesuffix("T00:00") for stamp in series.time)
    return list(zip(stamps, *(column.tolist() for column in columns), strict=True))


APPLE = [
    ("2024-03-04", 10.0, 12.0, 9.0, 11.0, 100.0),
    ("2024-03-05", 11.0, 13.0, 10.0, 12.5, 200.0),
]
HOURS = [
    ("2024-03-04T14:00", 10.0, 12.0, 9.0, 11.0, 100.0),
    ("2024-03-04T15:00", 11.0, 13.0, 10.0, 12.5, 200.0),
    ("2024-03-04T16:00", 12.0, 13.0, 11.0, 12.0, 300.0),
]

DAILY_FILES = {
    "Yahoo's export": (
        "AAPL.csv",
        (
            "Date,Open,High,Low,Close,Adj Close,Volume\n"
            "2024-03-04,20,24,18,22,11,100\n2024-03-05,11,13,10,12.5,12.5,200\n"
            "2024-03-06,null,null,null,null,null,null\n"
        ),
    ),
    "yfinance Ticker.history": (
        "AAPL.csv",
        (
            "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"
            "2024-03-04 00:00:00-05:00,10.0,12.0,9.0,11.0,100,0.0,0.0\n"
            "2024-03-05 00:00:00-05:00,11.0,13.0,10.0,12.5,200,0.0,0.0\n"
        ),
    ),
    "yfinance.download": (
        "prices.csv",
        (
            "Price,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,\n"
            "2024-03-04,11.0,12.0,9.0,10.0,100\n2024-03-05,12.5,13.0,10.0,11.0,200\n"
        ),
    ),
    "yfinance.download(group_by='ticker')": (
        "prices.csv",
        (
            "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL\nPrice,Open,High,Low,Close,Volume\nDate,,,,,\n"
            "2024-03-04,10.0,12.0,9.0,11.0,100\n2024-03-05,11.0,13.0,10.0,12.5,200\n"
        ),
    ),
    "yfinance.download of releases before 0.2.41": (
        "prices.csv",
        (
            ",Adj Close,Close,High,Low,Open,Volume\n,AAPL,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,,\n"
            "2024-03-04,11,22.0,24.0,18.0,20.0,100\n2024-03-05,12.5,12.5,13.0,10.0,11.0,200\n"
        ),
    ),
    "a frame whose index has no name": (
        "AAPL.csv",
        ",Open,High,Low,Close,Volume\n2024-03-04,10,12,9,11,100\n2024-03-05,11,13,10,12.5,200\n",
    ),
    "Kaggle: S&P 500 all_stocks_5yr": (
        "all_stocks_5yr.csv",
        (
            "date,open,high,low,close,volume,Name\n"
            "2024-03-04,10,12,9,11,100,AAPL\n2024-03-05,11,13,10,12.5,200,AAPL\n"
            "2024-03-04,1,1,1,1,1,ZTS\n2024-03-05,1,1,1,1,1,ZTS\n"
        ),
    ),
    "Kaggle: a numbered frame with ticker": (
        "prices.csv",
        (
            ",ticker,date,open,high,low,close,adj_close,vol\n"
            "0,AAPL,2024-03-04,20,24,18,22,11,100\n1,AAPL,2024-03-05,11,13,10,12.5,12.5,200\n"
        ),
    ),
    "Kaggle: Huge Stock Market Dataset": (
        "aapl.us.txt",
        "Date,Open,High,Low,Close,Volume,OpenInt\n2024-03-04,10,12,9,11,100,0\n2024-03-05,11,13,10,12.5,200,0\n",
    ),
    "Stooq's archive": (
        "aapl.us.txt",
        (
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\r\n"
            "AAPL.US,D,20240304,000000,10,12,9,11,100,0\r\nAAPL.US,D,20240305,000000,11,13,10,12.5,200,0\r\n"
        ),
    ),
    "MetaTrader": (
        "AAPL.csv",
        (
            "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
            "2024.03.04\t10\t12\t9\t11\t7\t100\t0\n2024.03.05\t11\t13\t10\t12.5\t9\t200\t0\n"
        ),
    ),
    "Alpha Vantage, newest first": (
        "AAPL.csv",
        (
            "timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient\n"
            "2024-03-05,11,13,10,12.5,12.5,200,0.0,1.0\n2024-03-04,20,24,18,22,11,100,0.0,1.0\n"
        ),
    ),
    "an old export with points": (
        "AAPL.csv",
        (
            "Date,Open*,High,Low,Close*,Adj. Close**,Vol.\n2024-03-04,20,24,18,22,11,100\n"
            "2024-03-05,11,13,10,12.5,12.5,200\n"
        ),
    ),
}


@pytest.mark.parametrize("case", DAILY_FILES)
def test_daily_files(tmp_path: Path, case: str) -> None:
    name, text = DAILY_FILES[case]
    (tmp_path / name).write_bytes(text.encode())
    source = _open(tmp_path)
    assert "AAPL" in source.symbols()
    assert _rows(source.fetch(["AAPL"])["AAPL"]) == APPLE


@pytest.mark.parametrize("case", [case for case in DAILY_FILES if case != "Yahoo's export"])
def test_daily_files_are_sound_as_they_are(tmp_path: Path, case: str) -> None:
    name, text = DAILY_FILES[case]
    (tmp_path / name).write_bytes(text.encode())
    source = _open(tmp_path)
    for _, frame in source.raw(["AAPL"]):
        assert frame["time"].is_monotonic_increasing
        assert frame["symbol"].unique().tolist() == ["AAPL"]
    faults = [str(issue) for issue in verify(source, symbols=["AAPL"]).issues]
    assert not [fault for fault in faults if "earlier" in fault or "impossible" in fault], faults


HOURLY_FILES = {
    "CryptoDataDownload, newest first": (
        "Binance_BTCUSDT_1h.csv",
        "BTC-USDT",
        (
            "https://www.CryptoDataDownload.com\n"
            "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount\n"
            "1709568000000,2024-03-04 16:00:00,BTC/USDT,12,13,11,12,300,3600,30\n"
            "1709564400000,2024-03-04 15:00:00,BTC/USDT,11,13,10,12.5,200,2400,20\n"
            "1709560800000,2024-03-04 14:00:00,BTC/USDT,10,12,9,11,100,1100,10\n"
        ),
    ),
    "CryptoDataDownload with the money's volume first": (
        "Bitstamp_ETHBTC_1h.csv",
        "ETH-BTC",
        (
            "https://www.CryptoDataDownload.com,,,,,,,,\n"
            "Unix Timestamp,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume ETH\n"
            "1709560800,2024-03-04 14:00:00,ETH/BTC,10,12,9,11,1100,100\n"
            "1709564400,2024-03-04 15:00:00,ETH/BTC,11,13,10,12.5,2400,200\n"
            "1709568000,2024-03-04 16:00:00,ETH/BTC,12,13,11,12,3600,300\n"
        ),
    ),
    "Binance's klines, in milliseconds": (
        "BTCUSDT-1h-2024-03.csv",
        "BTCUSDT",
        (
            "1709560800000,10.0,12.0,9.0,11.0,100.0,1709564399999,1100.0,10,50.0,550.0,0\n"
            "1709564400000,11.0,13.0,10.0,12.5,200.0,1709567999999,2400.0,20,50.0,550.0,0\n"
            "1709568000000,12.0,13.0,11.0,12.0,300.0,1709571599999,3600.0,30,50.0,550.0,0\n"
        ),
    ),
    "Binance's klines of futures, with names": (
        "BTCUSDT-1h-2024-03.csv",
        "BTCUSDT",
        (
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
            "taker_buy_quote_volume,ignore\n"
            "1709560800000,10.0,12.0,9.0,11.0,100.0,1709564399999,1100.0,10,50.0,550.0,0\n"
            "1709564400000,11.0,13.0,10.0,12.5,200.0,1709567999999,2400.0,20,50.0,550.0,0\n"
            "1709568000000,12.0,13.0,11.0,12.0,300.0,1709571599999,3600.0,30,50.0,550.0,0\n"
        ),
    ),
    "Kraken's archive": (
        "XBTUSD_60.csv",
        "XBTUSD",
        "1709560800,10,12,9,11,100,5\n1709564400,11,13,10,12.5,200,6\n1709568000,12,13,11,12,300,7\n",
    ),
    "Stooq's hours": (
        "btc.v.txt",
        "BTC.V",
        (
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
            "BTC.V,60,20240304,140000,10,12,9,11,100,0\nBTC.V,60,20240304,150000,11,13,10,12.5,200,0\n"
            "BTC.V,60,20240304,160000,12,13,11,12,300,0\n"
        ),
    ),
    "MetaTrader's hours": (
        "EURUSD.csv",
        "EURUSD",
        (
            "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\n"
            "2024.03.04\t14:00:00\t10\t12\t9\t11\t100\n2024.03.04\t15:00:00\t11\t13\t10\t12.5\t200\n"
            "2024.03.04\t16:00:00\t12\t13\t11\t12\t300\n"
        ),
    ),
    "yfinance.download of hours": (
        "hours.csv",
        "BTC-USD",
        (
            "Price,Close,High,Low,Open,Volume\nTicker,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD\nDatetime,,,,,\n"
            "2024-03-04 14:00:00+00:00,11,12,9,10,100\n2024-03-04 15:00:00+00:00,12.5,13,10,11,200\n"
            "2024-03-04 16:00:00+00:00,12,13,11,12,300\n"
        ),
    ),
    "a name that says the interval": (
        "BTC-USD_1h.csv",
        "BTC-USD",
        (
            "time,open,high,low,close,volume\n1709560800000000,10,12,9,11,100\n"
            "1709564400000000,11,13,10,12.5,200\n1709568000000000,12,13,11,12,300\n"
        ),
    ),
}


@pytest.mark.parametrize("case", HOURLY_FILES)
def test_hourly_files(tmp_path: Path, case: str) -> None:
    name, symbol, text = HOURLY_FILES[case]
    (tmp_path / name).write_text(text)
    source = _open(tmp_path)
    assert source.symbols(Interval.HOUR) == (symbol,)
    assert source.symbols(Interval.DAY) == ()
    assert _rows(source.fetch([symbol], interval=Interval.HOUR)[symbol]) == HOURS


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Date,Close/Last,Volume,Open,High,Low", '2024-03-04,$1011.00,"1,234,567",$10.50,$1012.00,$9.00'),
        ("Date,Price,Open,High,Low,Vol.", '2024-03-04,"1,011.00",10.5,"1,012.00",9.0,1.234567M'),
    ],
)
def test_money_and_thousands_as_pages_of_prices_write_them(tmp_path: Path, header: str, row: str) -> None:
    (tmp_path / "NVR.csv").write_text(f"{header}\n{row}\n")
    assert _rows(_open(tmp_path).fetch(["NVR"])["NVR"]) == [
        ("2024-03-04", 10.5, 1012.0, 9.0, 1011.0, 1234567.0)
    ]


@pytest.mark.parametrize("price", ["12,50", "1,234"])
def test_a_comma_that_may_be_a_decimal_point_is_refused_with_the_option(tmp_path: Path, price: str) -> None:
    row = ";".join(["2024-03-04", *[price] * 4])
    (tmp_path / "SAP.DE.csv").write_text(f"Date;Open;High;Low;Close\n{row}\n")
    with pytest.raises(DataError, match=r"SAP.DE.csv is not numeric: .*set decimal=','"):
        _open(tmp_path).fetch(["SAP.DE"])
    read = _open(tmp_path, decimal=",").fetch(["SAP.DE"])["SAP.DE"]
    assert read.close.tolist() == [float(price.replace(",", "."))]


def test_a_file_without_names_needs_them(tmp_path: Path) -> None:
    (tmp_path / "AAPL.csv").write_text("2024-03-04,10,12,9,11,100\n2024-03-05,11,13,10,12.5,200\n")
    with pytest.raises(DataError, match=r"AAPL.csv has no line of names above its 6 columns; name them"):
        _open(tmp_path).symbols()
    told = _open(tmp_path, columns="time,open,high,low,close,volume")
    assert _rows(told.fetch(["AAPL"])["AAPL"]) == APPLE


def test_months_of_one_symbol_are_one_history(tmp_path: Path) -> None:
    line = "{},1,2,1,2,3,0,0,1,0,0,0\n"
    # Binance writes microseconds since 2025.
    stamps = {"2024-12": [1735682400000, 1735686000000], "2025-01": [1735689600000000, 1735693200000000]}
    for month, times in stamps.items():
        (tmp_path / f"BTCUSDT-1h-{month}.csv").write_text("".join(map(line.format, times)))
    source = _open(tmp_path)
    series = source.fetch(["BTCUSDT"], interval=Interval.HOUR)["BTCUSDT"]
    assert [str(stamp)[:13] for stamp in series.time] == [
        "2024-12-31T22",
        "2024-12-31T23",
        "2025-01-01T00",
        "2025-01-01T01",
    ]
    [(where, frame)] = source.raw(["BTCUSDT"], interval=Interval.HOUR)
    assert where.endswith("BTCUSDT-1h-2024-12.csv ... BTCUSDT-1h-2025-01.csv")
    assert len(frame) == 4
    (tmp_path / "BTCUSDT_1h.csv").write_text((tmp_path / "BTCUSDT-1h-2024-12.csv").read_text())
    with pytest.raises(DataError, match="BTCUSDT at 1h is in two files"):
        _open(tmp_path).symbols(Interval.HOUR)


def test_two_spellings_of_one_symbol_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"2024-03-04,{name},1,1,1,1\n" for name in ("BTC/USD", "BTC-USD"))
    (tmp_path / "long.csv").write_text("date,symbol,open,high,low,close\n" + rows)
    with pytest.raises(DataError, match="holds both 'BTC/USD' and 'BTC-USD', which are one symbol"):
        _open(tmp_path).symbols()


@pytest.mark.parametrize("symbol", ["../../x", "A;DROP", "\uff21\uff21\uff30\uff2c", "A B", "x" * 10_000])
def test_a_symbol_that_is_none_is_refused(tmp_path: Path, symbol: str) -> None:
    (tmp_path / "long.csv").write_text(f"date,symbol,open,high,low,close\n2024-03-04,{symbol},1,1,1,1\n")
    with pytest.raises(DataError, match=r"is not a symbol .*long.csv") as refused:
        _open(tmp_path).symbols()
    assert len(str(refused.value)) < 400


def test_subfolders_are_not_searched_but_named(tmp_path: Path) -> None:
    for name in ("Stocks", "ETFs", ".git"):
        (tmp_path / name).mkdir()
    with pytest.raises(
        DataError, match=r"holds no file of candles .*name one of its subfolders: ETFs, Stocks$"
    ):
        _open(tmp_path).symbols()


def test_an_empty_file_is_passed_over(tmp_path: Path) -> None:
    # As there are in Kaggle's Huge Stock Market Dataset.
    (tmp_path / "accp.us.txt").write_text("")
    (tmp_path / "notes.txt").write_text("Downloaded in March, by hand.\n")
    (tmp_path / "AAPL.CSV").write_text(DAILY_FILES["a frame whose index has no name"][1])
    assert _open(tmp_path).symbols() == ("AAPL",)


def test_local_hours_need_their_zone(tmp_path: Path) -> None:
    # New York changes to summer time on 10 March 2024.
    text = "date,time,open,high,low,close\n2024-03-08,09:30,1,1,1,1\n2024-03-08,10:30,1,1,1,1\n"
    (tmp_path / "AAPL.csv").write_text(text + "2024-03-11,09:30,1,1,1,1\n2024-03-11,10:30,1,1,1,1\n")
    series = _open(tmp_path, timezone="America/New_York").fetch(["AAPL"], interval=Interval.HOUR)["AAPL"]
    assert [str(stamp)[5:16] for stamp in series.time] == [
        "03-08T14:30",
        "03-08T15:30",
        "03-11T13:30",
        "03-11T14:30",
    ]
    with pytest.raises(DataError, match=r"cannot be read .*America/Nowhere"):
        _open(tmp_path, timezone="America/Nowhere").fetch(["AAPL"], interval=Interval.HOUR)
