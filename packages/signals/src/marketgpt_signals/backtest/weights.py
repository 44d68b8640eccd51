"""From signals to target weights by overlapping cohorts. T bars, A assets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.signal import Signal
from marketgpt_core.times import iso, to_datetime64
from marketgpt_signals.resolve import SIGN


@dataclass(frozen=True, eq=False)
class Grid:
    """Prices of several assets over the union of their bars.

    Attributes:
        time: shape (T,), datetime64[ns], UTC, increasing.
        symbols: length A.
        open, close: shape (T, A), float64, quote currency; NaN where the asset has no bar.
    """

    time: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    open: NDArray[np.float64]
    close: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cohorts:
    """What was said of each symbol and when: what overlapping cohorts are made of.

    Attributes:
        horizon_bars: The horizon h: how many bars each cohort is held.
        rows: By symbol, shape (n,): bars, of the symbol's own, on which something was said; the first is 0.
        sided: By symbol, shape (n,): side times size of what was said.
        own: shape (T, A): the symbol's last own bar at or before each bar of the grid, on the same count.
    """

    horizon_bars: int
    rows: tuple[NDArray[np.int64], ...]
    sided: tuple[NDArray[np.float64], ...]
    own: NDArray[np.int64]

    def weights(self, sided: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the target weights, shape (T, A), had this been said on the same bars.

        Args:
            sided: As :attr:`sided`.
        """
        h, weights = self.horizon_bars, np.zeros(self.own.T.shape)
        for column, (rows, said) in enumerate(zip(self.rows, sided, strict=True)):
            own = np.ascontiguousarray(self.own[:, column])
            sides = np.zeros(max(int(rows[-1]), int(own.max())) + 1)
            sides[rows] = said
            total = np.concatenate([np.zeros(h), np.cumsum(sides)])
            # A holiday of the symbol's own changes no target.
            weights[column] = np.where(own >= 0, ((total[h:] - total[:-h]) / h)[own], 0.0)
        return np.ascontiguousarray(weights.T) / len(self.rows)


@dataclass(frozen=True, eq=False)
class Plan:
    """What to hold, and the prices to trade it at.

    Attributes:
        grid: Prices.
        weights: shape (T, A): fraction of the account wanted after the close of each bar.
        traded: The signals behind it.
        num_outside: Signals left out because the candles do not reach them.
        cohorts: What was said, for what might have been said instead.
    """

    grid: Grid
    weights: NDArray[np.float64]
    traded: tuple[Signal, ...]
    num_outside: int
    cohorts: Cohorts


def price_grid(series: Sequence[CandleSeries]) -> Grid:
    """Lay several series on the union of their stamps."""
    time = np.unique(np.concatenate([one.time for one in series]))
    opens = np.full((len(time), len(series)), np.nan)
    closes = opens.copy()
    for column, one in enumerate(series):
        rows = np.searchsorted(time, one.time)
        opens[rows, column] = one.open
        closes[rows, column] = one.close
    return Grid(time, tuple(one.symbol for one in series), opens, closes)


def weights_from_signals(signals: Sequence[Signal], candles: Candles, *, horizon_bars: int) -> Plan:
    """Turn the signals of one horizon h into target weights by overlapping cohorts.

    Every symbol has a budget of 1/A of the account and every signal at most 1/h of its symbol's: it opens
    a cohort that is bought at the next open and sold h opens later, whatever is said meanwhile
    (Jegadeesh and Titman, Returns to Buying Winners and Selling Losers, Journal of Finance 48, 1993,
    section I). The weight at bar t is therefore

        w[t] = 1/A x 1/h x (s[t] + s[t - 1] + ... + s[t - h + 1]),

    s being side (+1, 0 or -1) times the signal's size, bars the symbol's own. With a signal of size 1 at
    every bar, all alike, the budget is used in full; with rarer ones it is not, which the reported exposure
    shows. Nothing after bar t enters w[t].

    Args:
        signals: Signals; those of other horizons are ignored. At most one a symbol and as-of.
        candles: Candles of every symbol the signals name.
        horizon_bars: The horizon h.

    Returns:
        Weights from the first signal to the last cohort's end, or as far as the candles go.

    Raises:
        DataError: for no signal of that horizon, two of one symbol and as-of, a symbol without candles,
            another interval, or an as-of between a symbol's candles that is none of them.
    """
    chosen = [signal for signal in signals if signal.horizon_bars == horizon_bars]
    _check(chosen, signals, candles, horizon_bars)
    by_symbol: dict[str, list[Signal]] = {}
    for signal in sorted(chosen, key=lambda signal: (signal.symbol, signal.as_of)):
        by_symbol.setdefault(signal.symbol, []).append(signal)
    said = {symbol: _rows(group, candles[symbol]) for symbol, group in by_symbol.items()}
    wanted = {symbol: pair for symbol, pair in said.items() if pair[1]}
    traded = tuple(signal for _, kept in wanted.values() for signal in kept)
    if not traded:
        raise DataError(f"the candles ({_span(candles)}) reach none of the {len(chosen)} signals")
    start = min(to_datetime64(signal.as_of) for signal in traded)
    end = max(
        _cohort_end(kept[-1], candles[symbol].time, horizon_bars) for symbol, (_, kept) in wanted.items()
    )
    grid = price_grid([candles[symbol].between(start, None).until(end) for symbol in wanted])
    cohorts = Cohorts(
        horizon_bars,
        tuple(rows - rows[0] for rows, _ in wanted.values()),
        tuple(np.array([SIGN[signal.side] * signal.size for signal in kept]) for _, kept in wanted.values()),
        np.stack(
            [
                np.searchsorted(candles[symbol].time, grid.time, side="right") - 1 - rows[0]
                for symbol, (rows, _) in wanted.items()
            ],
            axis=1,
        ),
    )
    return Plan(grid, cohorts.weights(cohorts.sided), traded, len(chosen) - len(traded), cohorts)


def _check(chosen: list[Signal], signals: Sequence[Signal], candles: Candles, horizon_bars: int) -> None:
    if not chosen:
        there = ", ".join(str(h) for h in sorted({signal.horizon_bars for signal in signals}))
        raise DataError(f"no signals for {horizon_bars} bars; there are horizons {there or 'none'}")
    other = next((signal for signal in chosen if signal.interval is not candles.interval), None)
    if other is not None:
        raise DataError(
            f"{other.symbol}: a signal for {other.interval} bars among {candles.interval} candles"
        )
    counts = Counter((signal.symbol, signal.as_of) for signal in chosen)
    (symbol, as_of), most = counts.most_common(1)[0]
    if most > 1:
        sources = sorted({f"{signal.strategy}/{signal.model_id}" for signal in chosen})
        raise DataError(
            f"{most} signals for {symbol} at {iso(as_of)}, {horizon_bars} bars; "
            f"choose one strategy and model among {', '.join(sources)}"
        )


def _rows(group: list[Signal], series: CandleSeries) -> tuple[NDArray[np.int64], list[Signal]]:
    """Return the bars signals were made on, and those signals; the others lie outside the candles."""
    rows, kept = [], []
    for signal in group:
        as_of = to_datetime64(signal.as_of)
        row = int(np.searchsorted(series.time, as_of))
        if row == len(series) or as_of < series.time[0]:
            continue
        if series.time[row] != as_of:
            raise DataError(f"{signal.symbol} has no candle at {iso(as_of)}, where a signal was made")
        rows.append(row)
        kept.append(signal)
    return np.array(rows, dtype=np.int64), kept


def _cohort_end(signal: Signal, time: NDArray[np.datetime64], horizon_bars: int) -> np.datetime64:
    """Return the bar at whose open the signal's cohort is sold, or the last one there is."""
    row = int(np.searchsorted(time, to_datetime64(signal.as_of))) + 1 + horizon_bars
    last: np.datetime64 = time[min(row, len(time) - 1)]
    return last


def _span(candles: Candles) -> str:
    if candles.start is None or candles.end is None:
        return "none"
    return f"{iso(candles.start)} to {iso(candles.end)}"
