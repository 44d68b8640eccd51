"""Sound candles out of raw rows: what is bad is put aside with the reason, never mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import check_symbol
from marketgpt_data_sources.quality.bars import Bars, Categories, bars_by_symbol
from marketgpt_data_sources.quality.check import Severity
from marketgpt_data_sources.quality.config import QualityConfig
from marketgpt_data_sources.quality.examining import Examined, examine
from marketgpt_data_sources.quality.report import QualityReport
from marketgpt_data_sources.quality.table import CHECKS
from marketgpt_data_sources.quality.verifying import Inspection

_COLUMNS = ("time", "open", "high", "low", "close", "volume", "adj_close", "row")


@dataclass(frozen=True, eq=False)
class Cleaned:
    """What :func:`clean` made of a frame.

    Attributes:
        candles: The sound rows, oldest first, adjusted if asked for; symbols without any are left out.
        quarantined: The others as they came: symbol, time, open, high, low, close, volume, adj_close (where
            the frame has it), row (its number in the frame or file), reason (names of checks).
        report: What was found.
    """

    candles: Candles
    quarantined: pd.DataFrame
    report: QualityReport


def clean(
    frame: pd.DataFrame,
    *,
    interval: Interval,
    config: QualityConfig | None = None,
    where: str = "frame",
    now: datetime | None = None,
    calendars: Mapping[str, str] | None = None,
    adjust: bool = True,
    category: Categories = None,
    series: bool = False,
) -> Cleaned:
    """Part a raw frame into sound candles and bad rows with the reason; no value is changed but by adjusting.

    Bad is what the checks of severity ``refuse`` and ``quarantine`` find. Of equal rows with one stamp the
    first stays; of differing ones none, for nobody knows which is right. Rows out of order are sorted, and
    reported. Switching checks off in the configuration spares ``spike`` and ``unfinished`` only: the rest no
    candle can break.

    Args:
        frame: The long frame a source's ``raw`` yields: naive UTC times.
        interval: Length of a candle.
        config: Thresholds and choice of checks; None for the defaults.
        where: Where the frame came from.
        now: Candles that ended later are quarantined; None looks for none.
        calendars: Calendar names by symbol that win over the exchange's, as a universe gives them.
        adjust: Whether to multiply prices by ``adj_close / close`` where the frame has ``adj_close``.
        category: Of all symbols or by symbol; a column ``category`` wins; else the symbol's shape says.
        series: Whether to run the checks of whole series (gaps, splits, shifts) too; they put nothing aside.

    Raises:
        DataError: for a symbol that is none.
    """
    config = config or QualityConfig()
    inspection = Inspection(config)
    sound: list[CandleSeries] = []
    bad: list[pd.DataFrame] = []
    for bars in bars_by_symbol(frame, interval=interval, calendars=calendars, category=category):
        check_symbol(bars.symbol, where=where)
        examined = examine(bars, config, now=now, adjust=adjust)
        inspection.add(where, examined, series=series)
        if examined.faults:
            bad.append(_quarantined(frame, examined))
        if len(examined.sound):
            sound.append(_series(examined.sound))
    candles = Candles(sound, interval=interval, where=where)
    return Cleaned(candles, _together(bad, frame), inspection.report())


def _series(bars: Bars) -> CandleSeries:
    arrays = {
        name: np.array(getattr(bars, name))  # a copy: the frame stays the caller's
        for name in ("time", "open", "high", "low", "close", "volume")
    }
    return CandleSeries(symbol=bars.symbol, interval=bars.interval, category=bars.category, **arrays)


def _quarantined(frame: pd.DataFrame, examined: Examined) -> pd.DataFrame:
    at = np.flatnonzero(examined.bad)
    bars = examined.bars[at]
    reasons = {
        name: mask[at]
        for name, mask in examined.faults.items()
        if CHECKS[name].severity is not Severity.REPORT
    }
    texts = [", ".join(name for name, mask in reasons.items() if mask[place]) for place in range(len(at))]
    columns = {name: getattr(bars, name) for name in _columns(frame)}
    return pd.DataFrame({"symbol": bars.symbol, **columns, "reason": texts})


def _columns(frame: pd.DataFrame) -> tuple[str, ...]:
    return tuple(name for name in _COLUMNS if name != "adj_close" or name in frame.columns)


def _together(pieces: list[pd.DataFrame], frame: pd.DataFrame) -> pd.DataFrame:
    names = _columns(frame)
    kinds = dict.fromkeys(names, "float64") | {"time": "datetime64[ns]", "row": "int64"}
    kept = [piece for piece in pieces if len(piece)]
    empty = pd.DataFrame(columns=["symbol", *names, "reason"])
    found = pd.concat(kept, ignore_index=True) if kept else empty
    return found.astype({"symbol": "str", **kinds, "reason": "str"})
