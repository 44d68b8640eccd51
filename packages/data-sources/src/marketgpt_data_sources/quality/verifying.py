"""Looking at candles before they are trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import pandas as pd

from marketgpt_core.candles import Candles
from marketgpt_core.interval import Interval
from marketgpt_data_sources.base import DataSource
from marketgpt_data_sources.quality.bars import Bars, Categories, bars_by_symbol
from marketgpt_data_sources.quality.calendar_faults import Placed, calendar_issues
from marketgpt_data_sources.quality.config import QualityConfig
from marketgpt_data_sources.quality.examining import Examined, examine, examine_series
from marketgpt_data_sources.quality.report import Issue, QualityReport, in_order, rows_issue, series_issue
from marketgpt_data_sources.shapes import long_form


class Inspection:
    """Collects what is found, symbol after symbol, and judges the calendars at the end.

    Args:
        config: Thresholds and choice of checks.
    """

    def __init__(self, config: QualityConfig) -> None:
        self._config = config
        self._names: set[str] = set()
        self._num_rows = 0
        self._issues: list[Issue] = []
        self._placed: list[Placed] = []
        self._weekdays_only: list[str] = []

    def add(self, where: str, examined: Examined, *, series: bool) -> None:
        """Take in one symbol; with ``series`` also look at the whole of it."""
        bars = examined.bars
        self._names.add(bars.symbol)
        self._num_rows += len(bars)
        self._issues += [
            rows_issue(where, bars, check, mask)
            for check, mask in examined.faults.items()
            if self._config.wants(check)
        ]
        if series:
            findings, attendance = examine_series(examined.sound, self._config)
            self._issues += [series_issue(where, examined.sound, finding) for finding in findings]
            if attendance is not None:
                self._placed.append((where, attendance))
            if not len(bars.calendar.days):
                self._weekdays_only.append(bars.symbol)

    def report(self) -> QualityReport:
        """Return the report of all that was added."""
        found = [one for one in calendar_issues(self._placed, self._config) if self._config.wants(one.check)]
        issues = in_order(self._issues + found)
        return QualityReport(len(self._names), self._num_rows, issues, tuple(self._weekdays_only))


def verify(
    data: pd.DataFrame | Candles | DataSource,
    *,
    interval: Interval = Interval.DAY,
    symbols: Sequence[str] | None = None,
    symbol: str | None = None,
    where: str = "frame",
    config: QualityConfig | None = None,
    now: datetime | None = None,
    calendars: Mapping[str, str] | None = None,
    category: Categories = None,
) -> QualityReport:
    """Look at raw candles and report everything wrong with them; nothing is raised for it, nothing mended.

    The checks, their severities and thresholds: docs/data-quality.md. Rows no candle can come of are found in
    the prices as they lie there; the checks of the series look at the rest, adjusted by ``adj_close`` where
    there is one.

    Args:
        data: A frame in any shape the sources read, candles, or a source.
        interval: Length of a candle.
        symbols: Only these symbols of a source; None for all it lists.
        symbol: Name of the only symbol of a frame that carries none.
        where: Where a frame came from.
        config: Thresholds and choice of checks; None for the defaults.
        now: Candles that ended later are ``unfinished``; None looks for none.
        calendars: Calendar names by symbol that win over the exchange's, as a universe gives them.
        category: Of all symbols or by symbol, where the data do not say.

    Raises:
        DataError: when the source or the shape of the frame cannot be read at all.
    """
    config = config or QualityConfig()
    inspection = Inspection(config)
    for place, frame in _frames(data, interval, symbols, symbol, where):
        for bars in bars_by_symbol(frame, interval=interval, calendars=calendars, category=category):
            inspection.add(place, _examined(bars, config, now), series=True)
    return inspection.report()


def _examined(bars: Bars, config: QualityConfig, now: datetime | None) -> Examined:
    return examine(bars, config, now=now, adjust=bars.adj_close is not None)


def _frames(
    data: pd.DataFrame | Candles | DataSource,
    interval: Interval,
    symbols: Sequence[str] | None,
    symbol: str | None,
    where: str,
) -> Iterable[tuple[str, pd.DataFrame]]:
    if isinstance(data, DataSource):
        wanted = data.symbols(interval) if symbols is None else symbols
        return data.raw(wanted, interval=interval)
    raw = data.to_frame() if isinstance(data, Candles) else data
    return [(where, long_form(raw, interval=interval, where=where, symbol=symbol))]
