"""Backtests: signals or weights in, an honest account of what they earned out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marketgpt_core.candles import Candles
from marketgpt_core.config import Config
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.signal import Outcome, Signal
from marketgpt_core.times import iso, to_datetime
from marketgpt_signals.backtest.kernel import simulate
from marketgpt_signals.backtest.metrics import (
    Performance,
    Trades,
    bar_years,
    elapsed_years,
    performance,
    plain,
    trades,
)
from marketgpt_signals.backtest.weights import Grid, weights_from_signals
from marketgpt_signals.costs import CostModel
from marketgpt_signals.resolve import outcome_for


class BacktestConfig(Config):
    """How to test.

    Attributes:
        horizon_bars: Horizon of the signals, and how long each is held.
        cost: What trading costs.
        num_resamples: Resamples behind the interval of the Sharpe ratio; 0 for none.
        mean_block_bars: Expected block of the bootstrap; 0: the longer of the horizon, over which
            overlapping positions make returns dependent, and the cube root of the number of bars.
        seed: Seed of the bootstrap.
    """

    horizon_bars: int = Field(default=10, ge=1)
    cost: CostModel = CostModel()
    num_resamples: int = Field(default=1_000, ge=0, le=100_000)
    mean_block_bars: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, eq=False)
class BacktestResult:
    """What a backtest did and earned.

    Attributes:
        config: How it was tested.
        symbols: length A.
        time: shape (T,), datetime64[ns], UTC.
        equity: shape (T,): value of the account at the close, net of costs, 1.0 at the start.
        gross_equity: shape (T,): the same weights traded for free.
        benchmark: shape (T,): 1/A of the account in each asset, bought at its first open after the start
            at the same costs and held.
        positions: shape (T, A): signed fraction of the account at the close.
        turnover: shape (T,): notional traded over the account's value.
        costs: shape (T,): fees, slippage and borrow paid, in units of the starting account.
        net, gross, hold: What the three curves were worth.
        trades: What the signals were worth one by one; None when weights were tested.
        num_outside: Signals left out because the candles do not reach them.
    """

    config: BacktestConfig
    symbols: tuple[str, ...]
    time: NDArray[np.datetime64]
    equity: NDArray[np.float64]
    gross_equity: NDArray[np.float64]
    benchmark: NDArray[np.float64]
    positions: NDArray[np.float64]
    turnover: NDArray[np.float64]
    costs: NDArray[np.float64]
    net: Performance
    gross: Performance
    hold: Performance
    trades: Trades | None = None
    num_outside: int = 0

    @property
    def costs_paid(self) -> float:
        """Fees, slippage and borrow paid over the whole test, in units of the starting account."""
        return float(self.costs.sum())

    @property
    def exposure(self) -> float:
        """Mean gross exposure: sum of the absolute positions."""
        return float(np.abs(self.positions).sum(axis=1).mean())

    @property
    def turnover_per_year(self) -> float | None:
        """Notional traded in a year over the account's value; buying and selling count each."""
        years = elapsed_years(self.time)
        return float(self.turnover.sum()) / years if years > 0 else None

    def to_json(self, *, series: bool = True) -> dict[str, Any]:
        """Return everything as JSON values, without NaN.

        Args:
            series: Include the values by bar.
        """
        result = {
            "config": self.config.model_dump(),
            "symbols": list(self.symbols),
            "start": iso(self.time[0]),
            "end": iso(self.time[-1]),
            "num_bars": len(self.time),
            "net": asdict(self.net),
            "gross": asdict(self.gross),
            "benchmark": asdict(self.hold),
            "costs_paid": self.costs_paid,
            "turnover_per_year": self.turnover_per_year,
            "exposure": self.exposure,
            "trades": None if self.trades is None else asdict(self.trades),
            "num_outside": self.num_outside,
        }
        if series:
            names = ("equity", "gross_equity", "benchmark", "turnover", "costs", "positions")
            curves = {name: getattr(self, name) for name in names}
            result["series"] = {"time": [iso(moment) for moment in self.time], **curves}
        cleaned: dict[str, Any] = plain(result)
        return cleaned


def backtest_signals(
    signals: Sequence[Signal], candles: Candles, config: BacktestConfig | None = None
) -> BacktestResult:
    """Trade signals as overlapping cohorts; see :func:`weights_from_signals` and the kernel.

    A signal made on bar t is bought at the open of t + 1: nothing is traded at a price known when it was
    made.

    Args:
        signals: Signals, at most one a symbol, as-of and horizon; other horizons are ignored.
        candles: Candles of their symbols.
        config: How to test.

    Raises:
        DataError: see :func:`weights_from_signals`.
    """
    config = config or BacktestConfig()
    plan = weights_from_signals(signals, candles, horizon_bars=config.horizon_bars)
    result = backtest_weights(plan.grid, plan.weights, config)
    closed = _outcomes(plan.traded, candles, config.cost)
    return replace(result, trades=trades(closed), num_outside=plan.num_outside)


def _outcomes(signals: Sequence[Signal], candles: Candles, cost: CostModel) -> list[Outcome]:
    end = to_datetime(candles.end) if candles.end is not None else None
    found = (
        outcome_for(signal, candles[signal.symbol], cost, resolved_at=end or signal.as_of)
        for signal in signals
    )
    return [outcome for outcome in found if outcome is not None]


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
    if weights.shape != grid.open.shape:
        raise DataError(f"weights have shape {weights.shape}, the prices {grid.open.shape}")
    if np.isinf(weights).any():
        raise DataError("weights must be finite; NaN leaves a position as it is")
    gross_weight = float(np.nansum(np.abs(weights), axis=1).max(initial=0.0))
    if config.cost.rate * gross_weight >= 1:
        raise ConfigError(
            f"fees and slippage of {config.cost.rate:.2%} a trade at {gross_weight:.1f} times leverage "
            "would eat the account in one trade"
        )
    arrays = [np.ascontiguousarray(a, dtype=np.float64) for a in (grid.open, grid.close, weights)]
    years = bar_years(grid.time)
    rates = {"rate": config.cost.rate, "borrow_rate": config.cost.borrow_rate}
    equity, positions, turnover, costs = simulate(*arrays, years, **rates)
    gross_equity = simulate(*arrays, years, rate=0.0, borrow_rate=0.0)[0]
    benchmark = buy_and_hold(grid, config.cost)
    block = float(config.mean_block_bars or max(config.horizon_bars, round(len(grid.time) ** (1 / 3))))

    def measured(curve: NDArray[np.float64]) -> Performance:
        return performance(
            curve, grid.time, mean_block=block, num_resamples=config.num_resamples, seed=config.seed
        )

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
        net=measured(equity),
        gross=measured(gross_equity),
        hold=measured(benchmark),
    )


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
