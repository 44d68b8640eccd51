"""Looking at candles before they are trusted: which rows are impossible, repeated or out of order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketgpt_core.candle_checks import absorb_rounding, impossible_rows
from marketgpt_core.candles import FIELDS, Candles
from marketgpt_core.interval import Interval
from marketgpt_core.times import iso
from marketgpt_data_sources.base import DataSource
from marketgpt_data_sources.shapes import long_form

_MOST_ROWS_SHOWN = 5


@dataclass(frozen=True)
class Issue:
    """One kind of fault in one symbol.

    Attributes:
        where: File or frame.
        symbol: Symbol.
        fault: What is wrong.
        count: Rows it concerns.
        rows: Their numbers, all of them: 0 is the first row below the header of a file, or of a frame.
        first: Stamp of the first of them; empty when it has none.
    """

    where: str
    symbol: str
    fault: str
    count: int
    rows: tuple[int, ...]
    first: str

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.rows[:_MOST_ROWS_SHOWN]))
        more = ", ..." if self.count > _MOST_ROWS_SHOWN else ""
        since = f"; first {self.first}" if self.first else ""
        return f"{self.symbol}: {self.count} x {self.fault} (rows {shown}{more}{since})"


@dataclass(frozen=True)
class QualityReport:
    """What :func:`verify` found.

    Attributes:
        num_symbols: Symbols looked at.
        num_rows: Rows looked at.
        issues: What is wrong; empty when all is well.
    """

    num_symbols: int
    num_rows: int
    issues: tuple[Issue, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.issues

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {**asdict(self), "is_clean": self.is_clean}


def verify(
    data: pd.DataFrame | Candles | DataSource,
    *,
    interval: Interval = Interval.DAY,
    symbols: Sequence[str] | None = None,
    symbol: str | None = None,
    where: str = "frame",
) -> QualityReport:
    """Look at raw candles and report every row that would be refused; nothing is raised for them.

    Faults: prices that are NaN, infinite, zero or negative; a high below or a low above the other prices;
    negative volume; rows without a date; stamps given twice, with equal or differing values; rows out of
    order. Adjustment comes later and cannot turn a bad row into a good one.

    Args:
        data: A frame in any shape the sources read, candles, or a source.
        interval: Length of a candle.
        symbols: Only these symbols of a source; None for all it lists.
        symbol: Name of the only symbol of a frame that carries none.
        where: Where a frame came from.

    Raises:
        DataError: when the source or the shape of the frame cannot be read at all.
    """
    if isinstance(data, DataSource):
        wanted = data.symbols(interval) if symbols is None else symbols
        frames: Iterable[tuple[str, pd.DataFrame]] = data.raw(wanted, interval=interval)
    else:
        raw = data.to_frame() if isinstance(data, Candles) else data
        frames = [(where, long_form(raw, interval=interval, where=where, symbol=symbol))]
    names: set[str] = set()
    num_rows = 0
    issues: list[Issue] = []
    for place, frame in frames:
        for name, piece in _by_symbol(frame):
            names.add(name)
            num_rows += len(piece)
            issues += _issues(place, name, piece)
    return QualityReport(len(names), num_rows, tuple(issues))


def _by_symbol(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    if "row" not in frame.columns:
        frame = frame.assign(row=np.arange(len(frame)))
    for name, piece in frame.groupby("symbol", sort=False):
        yield str(name), piece


def _issues(where: str, symbol: str, frame: pd.DataFrame) -> Iterator[Issue]:
    rows = frame["row"].to_numpy(dtype=np.int64)
    time = pd.DatetimeIndex(frame["time"]).tz_localize(None).to_numpy().astype("datetime64[ns]")
    for fault, mask in _faults(frame, time):
        if mask.any():
            first = time[mask][0]
            stamp = "" if np.isnat(first) else iso(first)
            yield Issue(where, symbol, fault, int(mask.sum()), tuple(rows[mask].tolist()), stamp)


def _faults(frame: pd.DataFrame, time: NDArray[np.datetime64]) -> list[tuple[str, NDArray[np.bool_]]]:
    open_, high, low, close, volume = (frame[name].to_numpy(dtype=np.float64) for name in FIELDS)
    high, low = absorb_rounding(open_, high, low, close)
    dated = ~np.isnat(time)
    # Out of order: earlier than something above it.
    moments = np.where(dated, time.astype("int64"), np.iinfo(np.int64).min)
    backwards = dated & (moments < np.maximum.accumulate(moments))
    equal, differing = _repetitions(frame, time, dated)
    return [
        *impossible_rows(open_, high, low, close, volume),
        ("without a date", ~dated),
        ("stamp given before, with equal values", equal),
        ("stamp given more than once, with differing values", differing),
        ("earlier than a row above it", backwards),
    ]


def _repetitions(
    frame: pd.DataFrame, time: NDArray[np.datetime64], dated: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    stamps = pd.Series(time)
    repeated = stamps.duplicated(keep=False).to_numpy() & dated
    if not repeated.any():
        return repeated, repeated
    values = frame[list(FIELDS)].reset_index(drop=True)
    numbers = values.fillna(0.0)  # a NaN equals a NaN here, and is reported on its own
    first = numbers.groupby(stamps).transform("first")
    as_first = (numbers == first).all(axis=1)
    differing = repeated & (~as_first).groupby(stamps).transform("any").to_numpy(dtype=bool, na_value=False)
    later_copy = stamps.duplicated(keep="first").to_numpy()
    return repeated & later_copy & ~differing, differing
