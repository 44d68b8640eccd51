"""From forecasts to LONG/SHORT/FLAT signals, an append-only ledger, an honest backtest and a REST API.

Importing this package is cheap: neither numpy, pandas, pydantic nor SQLAlchemy is loaded before a name is
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.lazy import lazy_front

if TYPE_CHECKING:
    from marketgpt_signals.api import create_app
    from marketgpt_signals.backtest import (
        BacktestConfig,
        BacktestResult,
        backtest_signals,
        backtest_weights,
        weights_from_signals,
    )
    from marketgpt_signals.base import Decision, SignalStrategy, StrategyConfig, ViewStrategy
    from marketgpt_signals.costs import CostModel
    from marketgpt_signals.errors import LedgerError
    from marketgpt_signals.known import View
    from marketgpt_signals.ledger import Ledger
    from marketgpt_signals.records import BacktestRecord, Event, RunRecord
    from marketgpt_signals.registry import strategies
    from marketgpt_signals.rules.threshold import ProbabilityThreshold

_HOME = {
    "BacktestConfig": "backtest",
    "BacktestResult": "backtest",
    "CostModel": "costs",
    "Decision": "base",
    "BacktestRecord": "records",
    "Event": "records",
    "Ledger": "ledger",
    "LedgerError": "errors",
    "ProbabilityThreshold": "rules.threshold",
    "RunRecord": "records",
    "SignalStrategy": "base",
    "StrategyConfig": "base",
    "View": "known",
    "ViewStrategy": "base",
    "backtest_signals": "backtest",
    "backtest_weights": "backtest",
    "create_app": "api",
    "strategies": "registry",
    "weights_from_signals": "backtest",
}

__all__ = [
    "BacktestConfig",
    "BacktestRecord",
    "BacktestResult",
    "CostModel",
    "Decision",
    "Event",
    "Ledger",
    "LedgerError",
    "ProbabilityThreshold",
    "RunRecord",
    "SignalStrategy",
    "StrategyConfig",
    "View",
    "ViewStrategy",
    "backtest_signals",
    "backtest_weights",
    "create_app",
    "strategies",
    "weights_from_signals",
]

__getattr__, __dir__ = lazy_front(__name__, _HOME)
