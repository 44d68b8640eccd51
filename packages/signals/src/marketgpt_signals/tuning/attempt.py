"""One set of options, tried on the folds of the tuning period."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from marketgpt_core.errors import ConfigError, hint
from marketgpt_core.signal import Side, Signal
from marketgpt_signals.backtest import (
    BacktestConfig,
    Performance,
    SharpeMoments,
    backtest_weights,
    weights_from_signals,
)
from marketgpt_signals.backtest.metrics import bar_returns, plain
from marketgpt_signals.base import SignalStrategy, signals_of
from marketgpt_signals.costs import CostModel
from marketgpt_signals.registry import strategies
from marketgpt_signals.tuning.folds import Period

_LOWER_LEVEL = 0.9
MADE_AT = datetime(1970, 1, 1, tzinfo=UTC)  # nothing here is ever issued


OBJECTIVES: dict[str, Callable[[Performance], float | None]] = {
    "sharpe": lambda net: net.sharpe,
    "sortino": lambda net: net.sortino,
    "calmar": lambda net: net.calmar,
    "total_return": lambda net: net.total_return,
}


@dataclass(frozen=True)
class Goal:
    """What a trial is scored by.

    Attributes:
        objective: A key of :data:`OBJECTIVES`, of the account net of costs; 0 where it has no value, as of
            one that never traded.
        by_lower_bound: Score the lower end of a one-sided 90% Student interval of the folds' mean, instead of
            the mean: what holds in some folds only counts less.
        horizon_bars: Horizon of the signals.
        cost: What trading costs.
    """

    objective: str
    by_lower_bound: bool
    horizon_bars: int
    cost: CostModel

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ConfigError(
                f"no such objective {self.objective[:40]!r}; {hint(self.objective, list(OBJECTIVES))}"
            )

    def value(self, net: Performance) -> float:
        """Return what a fold's account is worth."""
        found = OBJECTIVES[self.objective](net)
        return 0.0 if found is None else found

    def score(self, values: Sequence[float]) -> float:
        """Return what the folds are worth together."""
        mean = math.fsum(values) / len(values)
        if not self.by_lower_bound or len(values) < 2:  # noqa: PLR2004 - no deviation
            return mean
        error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
        return mean - float(stats.t.ppf(_LOWER_LEVEL, len(values) - 1)) * error


@dataclass(frozen=True, eq=False)
class FoldResult:
    """What came of options in one fold.

    Attributes:
        value: Of the objective.
        hold: The same of buying and holding.
        net: What the account was worth.
        returns: shape (T,): its returns by bar.
        digest: Of what was traded.
        num_signals: LONG and SHORT signals traded.
        first_as_of, last_as_of: Of all its signals.
    """

    value: float
    hold: float
    net: Performance
    returns: NDArray[np.float64]
    digest: str
    num_signals: int
    first_as_of: datetime
    last_as_of: datetime

    def metrics(self) -> dict[str, Any]:
        """Return what is written down of it."""
        told: dict[str, Any] = plain(
            {"value": self.value, "hold": self.hold, "net": asdict(self.net), "num_signals": self.num_signals}
        )
        return told


@dataclass(frozen=True, eq=False)
class Attempt:
    """Options, and what came of them.

    Attributes:
        options: The strategy's, those that are fixed among them.
        symbols: What was traded.
        folds: In time.
        score: Of the folds together.
    """

    options: Mapping[str, Any]
    symbols: tuple[str, ...]
    folds: tuple[FoldResult, ...]
    score: float

    @property
    def returns(self) -> NDArray[np.float64]:
        """The returns by bar of all folds, one after another."""
        return np.concatenate([fold.returns for fold in self.folds])

    @property
    def moments(self) -> SharpeMoments | None:
        """Of the returns of all folds together; None when nothing moved."""
        return SharpeMoments.of(self.returns)

    @property
    def digest(self) -> str:
        """Identity of what was traded in all folds: other options that trade the same are no other trial."""
        return hashlib.sha256("".join(fold.digest for fold in self.folds).encode()).hexdigest()[:32]


def try_options(name: str, options: Mapping[str, Any], period: Period, goal: Goal, *, where: str) -> Attempt:
    """Make a strategy's signals in the tuning period and trade each fold by itself.

    Args:
        name: The strategy.
        options: Its options.
        period: The tuning period.
        goal: What is sought.
        where: Where the options came from, for messages.

    Raises:
        ConfigError: for options that the strategy does not allow together.
        DataError: for rows that cannot be used.
    """
    made = make_signals(strategies().create(name, options, where=where), period, goal)
    by_fold: list[list[Signal]] = [[] for _ in period.folds]
    for signal, fold in zip(made, period.fold_of.tolist(), strict=True):
        by_fold[fold].append(signal)
    folds = tuple(_traded(signals, period, number, goal) for number, signals in enumerate(by_fold))
    symbols = tuple(sorted(set(period.forecast.symbols)))
    return Attempt(dict(options), symbols, folds, goal.score([fold.value for fold in folds]))


def make_signals(strategy: SignalStrategy, period: Period, goal: Goal) -> list[Signal]:
    """Return one signal a row of the tuning period, in its order."""
    made = signals_of(strategy, period.forecast, created_at=MADE_AT, candles=period.candles)
    return [signal for signal in made if signal.horizon_bars == goal.horizon_bars]


def _traded(signals: Sequence[Signal], period: Period, number: int, goal: Goal) -> FoldResult:
    candles = period.candles.until(period.folds[number].end)
    plan = weights_from_signals(signals, candles, horizon_bars=goal.horizon_bars)
    config = BacktestConfig(horizon_bars=goal.horizon_bars, cost=goal.cost, num_resamples=0)
    result = backtest_weights(plan.grid, plan.weights, config)
    return FoldResult(
        value=goal.value(result.net),
        hold=goal.value(result.hold),
        net=result.net,
        returns=bar_returns(result.equity),
        digest=result.digest,
        num_signals=sum(signal.side is not Side.FLAT for signal in signals),
        first_as_of=min(signal.as_of for signal in signals),
        last_as_of=max(signal.as_of for signal in signals),
    )
