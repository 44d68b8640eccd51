"""Backtests that trade at the next open, pay for it, and say how sure they are."""

from __future__ import annotations

from marketgpt_signals.backtest.metrics import Performance
from marketgpt_signals.backtest.result import BacktestConfig, BacktestResult, Comparators, MarketBenchmark
from marketgpt_signals.backtest.run import backtest_signals, backtest_weights
from marketgpt_signals.backtest.sharpe import DeflatedSharpe, SharpeMoments, deflated_sharpe
from marketgpt_signals.backtest.trades import Trades
from marketgpt_signals.backtest.weights import Grid, Plan, price_grid, weights_from_signals

__all__ = [
    "BacktestConfig",
    "BacktestResult",
    "Comparators",
    "DeflatedSharpe",
    "Grid",
    "MarketBenchmark",
    "Performance",
    "Plan",
    "SharpeMoments",
    "Trades",
    "backtest_signals",
    "backtest_weights",
    "deflated_sharpe",
    "price_grid",
    "weights_from_signals",
]
