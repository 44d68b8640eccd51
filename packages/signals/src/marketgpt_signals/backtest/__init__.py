"""Backtests that trade at the next open, pay for it, and say how sure they are."""

from __future__ import annotations

from marketgpt_signals.backtest.metrics import Performance, Trades
from marketgpt_signals.backtest.run import (
    BacktestConfig,
    BacktestResult,
    backtest_signals,
    backtest_weights,
)
from marketgpt_signals.backtest.weights import Grid, Plan, price_grid, weights_from_signals

__all__ = [
    "BacktestConfig",
    "BacktestResult",
    "Grid",
    "Performance",
    "Plan",
    "Trades",
    "backtest_signals",
    "backtest_weights",
    "price_grid",
    "weights_from_signals",
]
