"""What a backtest did and earned, and how it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marketgpt_core.config import Config
from marketgpt_core.times import iso
from marketgpt_signals.backtest.bootstrap import Interval
from marketgpt_signals.backtest.comparators import Draws
from marketgpt_signals.backtest.metrics import Performance, elapsed_years, plain
from marketgpt_signals.backtest.sharpe import DeflatedSharpe, SharpeMoments
from marketgpt_signals.backtest.trades import Trades
from marketgpt_signals.costs import CostModel


class BacktestConfig(Config):
    """How to test.

    Attributes:
        horizon_bars: Horizon of the signals, and how long each is held.
        cost: What trading costs.
        num_resamples: Resamples behind the intervals; 0 for none.
        mean_block_bars: Expected block of the bootstrap; 0: the longer of the horizon, over which
            overlapping positions make returns dependent, and the cube root of the number of bars.
        num_random: Random accounts signals are held against; 0 for none.
        seed: Seed of the bootstrap and of the random accounts.
    """

    horizon_bars: int = Field(default=10, ge=1)
    cost: CostModel = CostModel()
    num_resamples: int = Field(default=1_000, ge=0, le=100_000)
    mean_block_bars: int = Field(default=0, ge=0)
    num_random: int = Field(default=200, ge=0, le=100_000)
    seed: int = Field(default=0, ge=0)

    def mean_block(self, num_bars: int) -> float:
        """Return the expected block of the bootstrap of so many bars."""
        return float(self.mean_block_bars or max(self.horizon_bars, round(num_bars ** (1 / 3))))


@dataclass(frozen=True, eq=False)
class MarketBenchmark:
    """The market's own benchmark over the same bars, bought at the same costs and held.

    Attributes:
        equity: shape (T,): 1.0 until its first open after the start.
        hold: What it was worth.
        alpha, beta: Of the strategy's net returns against it.
        intervals: Their 90% intervals.
    """

    equity: NDArray[np.float64]
    hold: Performance
    alpha: float | None
    beta: float | None
    intervals: Mapping[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """Return it without its curve."""
        against = {"alpha": self.alpha, "beta": self.beta, "intervals": self.intervals}
        return {"hold": asdict(self.hold), "strategy_against_it": against}


@dataclass(frozen=True, eq=False)
class Comparators:
    """What the same bars paid those without the signals' knowledge, at the same costs.

    Attributes:
        always_long: Every signal LONG in full, abstentions included.
        always_long_equity: shape (T,): its account.
        random: The signals' sides at other times, each symbol for itself; None when none were drawn.
        permuted: The same with all symbols' moved alike.
    """

    always_long: Performance
    always_long_equity: NDArray[np.float64]
    random: Draws | None
    permuted: Draws | None


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
        net, gross, hold: What the three curves were worth; alpha and beta against ``benchmark``.
        trades: What the signals were worth one by one; None when weights were tested.
        num_outside: Signals left out because the candles do not reach them.
        intervals: 90% intervals of ``turnover_per_year`` and ``exposure``, by the stationary bootstrap.
        moments: Of the net returns' Sharpe ratio; None without spread.
        digest: Identity of what was traded: target weights, costs, symbols and bars. Neither seeds nor the
            code are part of it.
        comparators: What those without knowledge earned; None when weights were tested.
        benchmarks: The market's benchmarks by symbol.
        deflated: The Sharpe ratio after what else was tried; None until somebody counted.
        notes: What is missing and what was done about it, a line each.
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
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    moments: SharpeMoments | None = None
    digest: str = ""
    comparators: Comparators | None = None
    benchmarks: Mapping[str, MarketBenchmark] = field(default_factory=dict)
    deflated: DeflatedSharpe | None = None
    notes: tuple[str, ...] = ()

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
            "intervals": self.intervals,
            "trades": None if self.trades is None else asdict(self.trades),
            "num_outside": self.num_outside,
            "moments": None if self.moments is None else asdict(self.moments),
            "digest": self.digest,
            "deflated_sharpe": None if self.deflated is None else asdict(self.deflated),
            "comparators": self._comparators(),
            "benchmarks": {symbol: one.to_json() for symbol, one in self.benchmarks.items()},
            "notes": list(self.notes),
        }
        if series:
            names = ("equity", "gross_equity", "benchmark", "turnover", "costs", "positions")
            curves = {name: getattr(self, name) for name in names}
            result["series"] = {"time": [iso(moment) for moment in self.time], **curves}
        cleaned: dict[str, Any] = plain(result)
        return cleaned

    def _comparators(self) -> dict[str, Any] | None:
        if self.comparators is None:
            return None
        told: dict[str, Any] = {"always_long": asdict(self.comparators.always_long)}
        for name in ("random", "permuted"):
            draws: Draws | None = getattr(self.comparators, name)
            told[name] = None if draws is None else draws.to_json(self.net.total_return, self.net.sharpe)
        return told
