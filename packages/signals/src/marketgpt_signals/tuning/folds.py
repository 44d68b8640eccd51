"""The tuning period in folds that do not touch: purged by the horizon, and an embargo after each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.forecast import Forecast
from marketgpt_core.times import iso
from marketgpt_signals.backtest.weights import price_grid


@dataclass(frozen=True)
class Fold:
    """A part of the tuning period.

    Attributes:
        start: The first as-of that counts.
        end: The last bar anything is traded at.
    """

    start: np.datetime64
    end: np.datetime64


@dataclass(frozen=True, eq=False)
class Period:
    """What may be known while tuning, and nothing else: it was cut before anybody looked.

    Attributes:
        forecast: Rows that belong to a fold: as-of on or after its start, sold by its end.
        candles: Candles up to the end of the period.
        folds: In time.
        fold_of: shape (len(forecast),): each row's fold.
        num_purged: Rows left out between the folds and at the end.
    """

    forecast: Forecast
    candles: Candles
    folds: tuple[Fold, ...]
    fold_of: NDArray[np.int64]
    num_purged: int


def cut_period(
    forecast: Forecast,
    candles: Candles,
    *,
    until: np.datetime64,
    horizon_bars: int,
    num_folds: int,
    embargo_bars: int,
) -> Period:
    """Cut the tuning period out and divide it.

    The bars from the first as-of to ``until`` are divided into as many blocks as there are folds. A row
    belongs to a fold when its as-of lies in the block, ``embargo_bars`` after its start (but for the first),
    and the open it is sold at, h + 1 bars of its symbol later, lies in the block, too: what is held in one
    fold is not held in another, and nothing that was known only after ``until`` decides anything (Lopez de
    Prado, Advances in Financial Machine Learning, 2018, chapter 7).

    Args:
        forecast: Forecasts.
        candles: Candles of their symbols.
        until: Last bar that may be used.
        horizon_bars: The horizon h.
        num_folds: Folds, at least 2.
        embargo_bars: Bars left out at the start of every fold but the first.

    Raises:
        DataError: when there are no candles or forecasts up to ``until``.
        ConfigError: when the folds are too short for the horizon and the embargo.
    """
    known = Candles([series.until(until) for series in candles.values()], interval=candles.interval)
    rows = forecast.rows(forecast.as_of <= until)
    if not len(rows):
        raise DataError(f"no forecasts up to {iso(until)}: the first is of {iso(forecast.as_of.min())}")
    bars = price_grid(list(known.values())).time
    bars = bars[bars >= rows.as_of.min()]
    blocks = np.array_split(bars, num_folds)
    shortest = min(len(block) for block in blocks)
    needed = horizon_bars + 2 + embargo_bars
    if shortest <= needed:
        raise ConfigError(
            f"{len(bars)} bars up to {iso(until)} in {num_folds} folds are {shortest} each: a horizon of "
            f"{horizon_bars} and an embargo of {embargo_bars} bars leave nothing; take fewer folds"
        )
    folds = tuple(
        Fold(block[embargo_bars if number else 0], block[-1]) for number, block in enumerate(blocks)
    )
    fold_of = np.full(len(rows), -1)
    sold = _sold_at(rows, known, horizon_bars)
    for number, fold in enumerate(folds):
        fold_of[(rows.as_of >= fold.start) & (sold <= fold.end)] = number
    kept = fold_of >= 0
    empty = sorted(set(range(num_folds)) - set(fold_of[kept].tolist()))
    if empty:
        one = folds[empty[0]]
        raise ConfigError(f"fold {empty[0] + 1} ({iso(one.start)} to {iso(one.end)}) has no forecast in it")
    return Period(rows.rows(kept), known, folds, fold_of[kept], int((~kept).sum()))


def _sold_at(rows: Forecast, candles: Candles, horizon_bars: int) -> NDArray[np.datetime64]:
    """Return the bar each row is sold at, shape (N,); NaT where the candles do not reach it."""
    sold = np.full(len(rows), np.datetime64("NaT", "ns"))
    symbols = np.array(rows.symbols)
    for symbol in dict.fromkeys(rows.symbols):
        mine = np.flatnonzero(symbols == symbol)
        time = candles[symbol].time
        at = np.searchsorted(time, rows.as_of[mine])
        leaves = at + 1 + horizon_bars
        there = (leaves < len(time)) & (time[np.minimum(at, len(time) - 1)] == rows.as_of[mine])
        sold[mine[there]] = time[leaves[there]]
    return sold
