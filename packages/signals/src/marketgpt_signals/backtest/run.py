"""Backtests: signals or weights in, an honest account of what they earned out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.signal import Outcome, Signal
from marketgpt_core.times import iso, to_datetime, to_datetime64
from marketgpt_signals.backtest.comparators import always_long, random_signals
from marketgpt_signals.backtest.kernel import simulate
from marketgpt_signals.backtest.metrics import (
    Performance,
    bar_returns,
    bar_years,
    elapsed_years,
    mean_intervals,
    performance,
)
from marketgpt_signals.backtest.result import BacktestConfig, BacktestResult, Comparators, MarketBenchmark
from marketgpt_signals.backtest.sharpe import SharpeMoments
from marketgpt_signals.backtest.trades import Trades, trades
from marketgpt_signals.backtest.weights import Grid, Plan, weights_from_signals
from marketgpt_signals.costs import CostModel
from marketgpt_signals.resolve import outcome_or_reason

__all__ = ["BacktestConfig", "BacktestResult", "backtest_signals", "backtest_weights", "buy_and_hold"]

_NOTHING = 1e-12
_FREE = CostModel(fee_bps=0, slippage_bps=0, borrow_bps_per_year=0)


def backtest_signals(
    signals: Sequence[Signal],
    candles: Candles,
    config: BacktestConfig | None = None,
    *,
    market: Candles | None = None,
) -> BacktestResult:
    """Trade signals as overlapping cohorts; see :func:`weights_from_signals` and the kernel.

    A signal made on bar t is bought at the open of t + 1: nothing is traded at a price known when it was
    made.

    Args:
        signals: Signals, at most one a symbol, as-of and horizon; other horizons are ignored.
        candles: Candles of their symbols.
        config: How to test.
        market: Candles of the market's benchmarks, if any.

    Raises:
        DataError: see :func:`weights_from_signals`.
    """
    config = config or BacktestConfig()
    plan = weights_from_signals(signals, candles, horizon_bars=config.horizon_bars)
    result = backtest_weights(plan.grid, plan.weights, config)
    resolved, missing = _outcomes(plan.traded, candles, config.cost)
    notes = [*missing, *_ended(result, plan.grid)]
    benchmarks = {}
    for symbol, series in (market or {}).items():
        found = _against(result, series.time, series.open, series.close)
        if found is None:
            notes.append(f"{symbol}: no candles between {iso(result.time[0])} and {iso(result.time[-1])}")
        else:
            benchmarks[symbol] = found
    return replace(
        result,
        trades=_trades(resolved, plan, config),
        num_outside=plan.num_outside,
        comparators=_comparators(plan, config),
        benchmarks=benchmarks,
        notes=tuple(notes),
    )


def _outcomes(
    signals: Sequence[Signal], candles: Candles, cost: CostModel
) -> tuple[list[tuple[Signal, Outcome]], list[str]]:
    """Return what came of signals, and a line for each symbol of which something is missing."""
    end = to_datetime(candles.end) if candles.end is not None else None
    resolved, missing = [], Counter[tuple[str, str]]()
    for signal in signals:
        series = candles[signal.symbol]
        found = outcome_or_reason(signal, series, cost, resolved_at=end or signal.as_of)
        if isinstance(found, Outcome):
            resolved.append((signal, found))
        else:
            missing[signal.symbol, found or f"still open where its candles end, {iso(series.time[-1])}"] += 1
    lines = []
    for symbol in dict.fromkeys(symbol for symbol, _ in missing):
        reasons = {reason: count for (whose, reason), count in missing.items() if whose == symbol}
        first, more = next(iter(reasons)), len(reasons) - 1
        told = f"{first}{f', and {more} more such reasons' if more else ''}"
        lines.append(f"{symbol}: {sum(reasons.values())} signals have no outcome: {told}")
    return resolved, lines


def _ended(result: BacktestResult, grid: Grid) -> list[str]:
    """Return a line for each asset that is still held after its last candle."""
    lines = []
    for column, symbol in enumerate(grid.symbols):
        last = int(np.flatnonzero(~np.isnan(grid.close[:, column]))[-1])
        held = result.positions[last, column]
        if last < len(grid.time) - 1 and abs(result.positions[-1, column]) > _NOTHING:
            lines.append(
                f"{symbol}: candles end at {iso(grid.time[last])} with {held:.1%} of the account in it, "
                "which could not be sold and stays at that price"
            )
    return lines


def _trades(resolved: list[tuple[Signal, Outcome]], plan: Plan, config: BacktestConfig) -> Trades:
    dates = np.unique(np.array([to_datetime64(signal.as_of) for signal in plan.traded]))
    rows = np.searchsorted(plan.grid.time, dates)
    apart = float(np.median(np.diff(rows))) if len(rows) > 1 else 1.0
    # Outcomes a horizon apart share nothing, those less apart nearly all: two horizons hold most of that.
    block = max((config.mean_block_bars or 2 * config.horizon_bars) / apart, len(dates) ** (1 / 3))
    return trades(resolved, mean_block=block, num_resamples=config.num_resamples, seed=config.seed)


def _comparators(plan: Plan, config: BacktestConfig) -> Comparators:
    grid, cost = plan.grid, config.cost
    prices = (grid.open, grid.close, always_long(plan.cohorts), bar_years(grid.time))
    curve = simulate(*prices, cost.rate, cost.borrow_rate, with_positions=False)[0]
    drawn = random_signals(plan, cost, num_draws=config.num_random, seed=config.seed) or (None, None)
    return Comparators(_measured(curve, grid.time, config), curve, *drawn)


def _against(
    result: BacktestResult,
    time: NDArray[np.datetime64],
    opens: NDArray[np.float64],
    closes: NDArray[np.float64],
) -> MarketBenchmark | None:
    rows = np.searchsorted(time, result.time)
    there = rows < len(time)
    there[there] = time[rows[there]] == result.time[there]
    if not there[1:].any():
        return None
    prices = np.full((2, len(result.time), 1), np.nan)
    prices[0, there, 0], prices[1, there, 0] = opens[rows[there]], closes[rows[there]]
    curve = buy_and_hold(Grid(result.time, ("",), prices[0], prices[1]), result.config.cost)
    mine = _measured(result.equity, result.time, result.config, market=curve)
    bounds = {name: mine.intervals[name] for name in ("alpha", "beta") if name in mine.intervals}
    hold = _measured(curve, result.time, result.config)
    return MarketBenchmark(curve, hold, mine.alpha, mine.beta, bounds)


def _measured(
    curve: NDArray[np.float64],
    time: NDArray[np.datetime64],
    config: BacktestConfig,
    *,
    market: NDArray[np.float64] | None = None,
) -> Performance:
    return performance(
        curve,
        time,
        mean_block=config.mean_block(len(time)),
        num_resamples=config.num_resamples,
        seed=config.seed,
        market=market,
    )


def backtest_weights(
    grid: Grid, weights: NDArray[np.float64], config: BacktestConfig | None = None
) -> BacktestResult:
    """Trade target weights decided at each close at the next open.

    Args:
        grid: Prices.
        weights: shape (T, A): signed fraction of the account wanted after the close of bar t; NaN leaves
            a position as it is.
        config: How to test; its ``horizon_bars`` only sets the bootstrap's block.

    Raises:
        DataError: for weights of another shape or that are infinite.
        ConfigError: when costs are so high that a rebalancing would cost the account.
    """
    config = config or BacktestConfig()
    _check(grid, weights, config.cost)
    years = bar_years(grid.time)
    prices = (grid.open, grid.close, weights, years)
    equity, positions, turnover, costs = simulate(*prices, config.cost.rate, config.cost.borrow_rate)
    gross_equity = simulate(*prices, 0.0, 0.0, with_positions=False)[0]
    benchmark = buy_and_hold(grid, config.cost)
    span = elapsed_years(grid.time)
    flows = {"exposure": np.abs(positions).sum(axis=1)}
    if span > 0:
        flows["turnover_per_year"] = turnover * len(turnover) / span
    return BacktestResult(
        config=config,
        symbols=grid.symbols,
        time=grid.time,
        equity=equity,
        gross_equity=gross_equity,
        benchmark=benchmark,
        positions=positions,
        turnover=turnover,
        costs=costs,
        net=_measured(equity, grid.time, config, market=benchmark),
        gross=_measured(gross_equity, grid.time, config, market=buy_and_hold(grid, _FREE)),
        hold=_measured(benchmark, grid.time, config),
        intervals=mean_intervals(
            flows,
            mean_block=config.mean_block(len(grid.time)),
            num_resamples=config.num_resamples,
            seed=config.seed,
        ),
        moments=SharpeMoments.of(bar_returns(equity)),
        digest=_digest(grid, weights, config.cost),
    )


def _check(grid: Grid, weights: NDArray[np.float64], cost: CostModel) -> None:
    if weights.shape != grid.open.shape:
        raise DataError(f"weights have shape {weights.shape}, the prices {grid.open.shape}")
    if np.isinf(weights).any():
        raise DataError("weights must be finite; NaN leaves a position as it is")
    gross_weight = float(np.nansum(np.abs(weights), axis=1).max(initial=0.0))
    if cost.rate * gross_weight >= 1:
        raise ConfigError(
            f"fees and slippage of {cost.rate:.2%} a trade at {gross_weight:.1f} times leverage "
            "would eat the account in one trade"
        )


def _digest(grid: Grid, weights: NDArray[np.float64], cost: CostModel) -> str:
    """Return the identity of what was traded, 32 hex digits."""
    said = hashlib.sha256("\0".join([*grid.symbols, cost.model_dump_json()]).encode())
    said.update(np.ascontiguousarray(grid.time).view(np.int64).tobytes())
    # Rounded: the last bits of a sum are another machine's business; + 0.0 makes one zero of two.
    said.update((np.round(weights, 12) + 0.0).tobytes())
    return said.hexdigest()[:32]


def buy_and_hold(grid: Grid, cost: CostModel) -> NDArray[np.float64]:
    """Return the equity of A equal accounts, each buying its asset at its first open after the start.

    Bought at the same costs as everything else and never sold; an asset without a bar keeps its price.
    """
    total = np.zeros(len(grid.time))
    for column in range(len(grid.symbols)):
        entries = np.flatnonzero(~np.isnan(grid.open[1:, column])) + 1
        if not len(entries):
            total += 1.0
            continue
        first = int(entries[0])
        close = grid.close[first:, column]
        rows = np.maximum.accumulate(np.where(np.isnan(close), 0, np.arange(len(close))))
        total[:first] += 1.0
        total[first:] += close[rows] / grid.open[first, column] / (1 + cost.rate)
    return total / len(grid.symbols)
