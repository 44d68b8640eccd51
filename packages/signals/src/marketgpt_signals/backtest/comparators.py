"""What the same bars paid those who knew nothing, at the same costs. T bars, A assets, N draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_signals.backtest.kernel import simulate
from marketgpt_signals.backtest.measures import measures
from marketgpt_signals.backtest.metrics import bar_years, elapsed_years
from marketgpt_signals.backtest.weights import Cohorts, Plan
from marketgpt_signals.costs import CostModel

Sided = Sequence[NDArray[np.float64]]
_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, eq=False)
class Draws:
    """Accounts of signals without skill, one a draw.

    Attributes:
        total_return, gross_return: shape (N,): after costs and before.
        sharpe: shape (N,): a year, NaN where there was no spread.
        turnover: shape (N,): notional traded a year over the account's value.
    """

    total_return: NDArray[np.float64]
    gross_return: NDArray[np.float64]
    sharpe: NDArray[np.float64]
    turnover: NDArray[np.float64]

    def share_below(self, total_return: float) -> float:
        """Return the share of draws that earned less; ties count half."""
        return _share_below(self.total_return, total_return)

    def share_below_sharpe(self, sharpe: float | None) -> float | None:
        """Return the share of draws with a smaller Sharpe ratio, which sizes show in that returns do not.

        None where there is nothing to compare.
        """
        known = self.sharpe[np.isfinite(self.sharpe)]
        return None if sharpe is None or not len(known) else _share_below(known, sharpe)

    def to_json(self, total_return: float, sharpe: float | None) -> dict[str, Any]:
        """Return what they came to, beside a strategy's total return and Sharpe ratio."""
        low, median, high = np.quantile(self.total_return, _QUANTILES).tolist()
        known = self.sharpe[np.isfinite(self.sharpe)]
        return {
            "num_draws": len(self.total_return),
            "mean_total_return": float(self.total_return.mean()),
            "mean_gross_return": float(self.gross_return.mean()),
            "total_return_5_50_95": [low, median, high],
            "median_sharpe": float(np.median(known)) if len(known) else None,
            "turnover_per_year": float(self.turnover.mean()),
            "share_below": self.share_below(total_return),
            "share_below_sharpe": self.share_below_sharpe(sharpe),
        }


def _share_below(values: NDArray[np.float64], mine: float) -> float:
    return float((values < mine).mean() + (values <= mine).mean()) / 2


def always_long(cohorts: Cohorts) -> NDArray[np.float64]:
    """Return the weights, shape (T, A), had every signal, abstentions included, been LONG in full."""
    return cohorts.weights([np.ones_like(said) for said in cohorts.sided])


def random_signals(plan: Plan, cost: CostModel, *, num_draws: int, seed: int) -> tuple[Draws, Draws] | None:
    """Trade what was said at other times than it was said.

    The statements of a symbol are rolled by a random number of them, the end coming before the beginning: how
    often each side is taken, how long it lasts, its sizes and with them the turnover stay. A strategy that is
    mostly LONG is held against others that are. By less than a horizon nothing is rolled: that would trade
    much of what was said.

    Args:
        plan: What was traded.
        cost: At what costs.
        num_draws: N; none are drawn for 0.
        seed: Of numpy's generator.

    Returns:
        (random, permuted): with each symbol rolled for itself, which takes away timing and choice of assets;
        and with all rolled alike, as if whole days' forecasts had been exchanged, which takes away timing
        only (symbols with fewer statements come round sooner). None for no draws.
    """
    if num_draws == 0:
        return None
    apart = _draws(plan, cost, _apart, num_draws=num_draws, seed=seed)
    return apart, _draws(plan, cost, _together, num_draws=num_draws, seed=seed)


def _draws(
    plan: Plan,
    cost: CostModel,
    shuffled: Callable[[Cohorts, np.random.Generator], Sided],
    *,
    num_draws: int,
    seed: int,
) -> Draws:
    rng = np.random.default_rng(seed)
    grid, years = plan.grid, bar_years(plan.grid.time)
    net, gross = np.zeros((num_draws, len(grid.time))), np.zeros(num_draws)
    turnover = np.zeros(num_draws)
    for draw in range(num_draws):
        weights = plan.cohorts.weights(shuffled(plan.cohorts, rng))
        prices = (grid.open, grid.close, weights, years)
        net[draw], _, traded, _ = simulate(*prices, cost.rate, cost.borrow_rate, with_positions=False)
        gross[draw] = simulate(*prices, 0.0, 0.0, with_positions=False)[0][-1] - 1
        turnover[draw] = traded.sum()
    span = elapsed_years(grid.time)
    sharpe = np.full(num_draws, np.nan)
    if net.shape[1] > 2 and span > 0:  # noqa: PLR2004 - two returns for a spread
        before = net[:, :-1]
        returns = np.where(before > 0, net[:, 1:] / np.where(before > 0, before, 1.0) - 1, 0.0)
        sharpe = measures(returns, years=span, per_year=returns.shape[1] / span)["sharpe"]
    return Draws(net[:, -1] - 1, gross, sharpe, turnover / span if span > 0 else turnover)


def _apart(cohorts: Cohorts, rng: np.random.Generator) -> Sided:
    return [
        np.roll(said, _offset(len(said), _span(cohorts, rows), rng))
        for rows, said in zip(cohorts.rows, cohorts.sided, strict=True)
    ]


def _together(cohorts: Cohorts, rng: np.random.Generator) -> Sided:
    longest = max(cohorts.rows, key=len)
    offset = _offset(len(longest), _span(cohorts, longest), rng)
    return [np.roll(said, offset) for said in cohorts.sided]


def _span(cohorts: Cohorts, rows: NDArray[np.int64]) -> int:
    """Return how many statements a horizon spans."""
    apart = float(np.median(np.diff(rows))) if len(rows) > 1 else 1.0
    return max(1, math.ceil(cohorts.horizon_bars / apart))


def _offset(num_rows: int, span: int, rng: np.random.Generator) -> int:
    """Draw how far to roll: a horizon and more from where it was, either way round, if there is room."""
    low, high = (span, num_rows - span) if 2 * span < num_rows else (0, num_rows - 1)
    return int(rng.integers(low, high + 1))
