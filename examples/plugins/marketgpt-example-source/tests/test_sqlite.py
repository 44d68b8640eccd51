"""The suite every source must pass, and what is special about this one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("marketgpt_example_source", reason="marketgpt-example-source is not installed")

from marketgpt_core.errors import CandleError, ConfigError, DataError
from marketgpt_core.interval import Interval
from marketgpt_core.testing import make_candles
from marketgpt_data_sources import load_candles, open_source
from marketgpt_data_sources.base import DataSource
from marketgpt_data_sources.testing import DataSourceConformance

TABLE = """CREATE TABLE candles (
    symbol TEXT, interval TEXT, time INTEGER, open REAL, high REAL, low REAL, close REAL, volume REAL,
    PRIMARY KEY (symbol, interval, time)
)"""


def _save(frame: pd.DataFrame, path: Path, interval: str = "1d") -> None:
    seconds = (pd.to_datetime(frame["time"], utc=True) - pd.Timestamp(0, tz="UTC")) // pd.Timedelta("1s")
    columns = ("symbol", "interval", "time", "open", "high", "low", "close", "volume")
    rows = frame.assign(interval=interval, time=seconds)[list(columns)].itertuples(index=False)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(TABLE.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
        database.executemany("INSERT INTO candles VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "my prices.db"
    _save(make_candles(["AAA", "BBB", "^IDX"]).to_frame(), path)
    return path


class TestSqliteSource(DataSourceConformance):
    @pytest.fixture
    def implementation(self, prices: Path) -> DataSource:
        return open_source(f"sqlite:{prices}")


def test_gives_back_what_was_saved(prices: Path) -> None:
    original = make_candles(["AAA", "BBB", "^IDX"])
    loaded = load_candles(f"sqlite:{prices}", options={"category": "us"})
    assert loaded.fingerprint() == original.fingerprint()


def test_hours_are_apart_from_days(prices: Path) -> None:
    times = pd.date_range("2024-03-04 14:30", periods=5, freq="h", tz="UTC")
    hours = pd.DataFrame({"symbol": "HHH", "time": times, "volume": 0.0})
    _save(hours.assign(**dict.fromkeys(["open", "high", "low", "close"], 1.0)), prices, "1h")
    source = open_source(f"sqlite:{prices}")
    assert source.symbols(Interval.HOUR) == ("HHH",)
    found = source.fetch(["HHH"], start="2024-03-04T15:30", end="2024-03-04T16:30:01", interval=Interval.HOUR)
    assert [str(t)[11:16] for t in found["HHH"].time] == ["15:30", "16:30"]
    with pytest.raises(DataError, match="unknown symbol 'HHH'"):
        source.fetch(["HHH"])


def test_impossible_candles_are_refused(tmp_path: Path) -> None:
    frame = make_candles(["AAA"]).to_frame()
    frame.loc[7, "high"] = 1.0
    _save(frame, tmp_path / "x.db")
    with pytest.raises(CandleError, match=r"from sqlite:.*x\.db\): row 7"):
        load_candles(f"sqlite:{tmp_path}/x.db")


def test_mistakes_are_one_line(tmp_path: Path, prices: Path) -> None:
    with pytest.raises(ConfigError, match="needs a FILE: write sqlite:FILE"):
        open_source("sqlite").symbols()
    with pytest.raises(DataError, match="unable to open database file"):
        open_source(f"sqlite:{tmp_path}/nowhere.db").symbols()
    assert not (tmp_path / "nowhere.db").exists()
    (tmp_path / "text.db").write_text("not a database at all, but long enough to be looked at " * 20)
    with pytest.raises(
        DataError, match=r"cannot read .*text\.db as a SQLite database: file is not a database"
    ):
        open_source(f"sqlite:{tmp_path}/text.db").symbols()
    with pytest.raises(DataError, match="no such table: prices"):
        open_source(f"sqlite:{prices}", {"table": "prices"}).symbols()


@pytest.mark.parametrize("table", ['x"; DROP TABLE candles; --', "a b", "", "candles\n"])
def test_a_table_name_cannot_be_sql(prices: Path, table: str) -> None:
    with pytest.raises(ConfigError, match="table"):
        open_source(f"sqlite:{prices}", {"table": table})


def test_a_symbol_cannot_be_sql(prices: Path) -> None:
    with pytest.raises(DataError):
        load_candles(f"sqlite:{prices}", ["AAA' OR '1'='1"])
