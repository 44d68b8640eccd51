"""The same signals traded again at other costs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from marketgpt_core.errors import ConfigError
from marketgpt_signals.backtest.metrics import Performance
from marketgpt_signals.backtest.result import BacktestConfig
from marketgpt_signals.backtest.run import backtest_weights
from marketgpt_signals.backtest.weights import Plan
from marketgpt_signals.costs import CostModel

FACTORS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0)


@dataclass(frozen=True)
class AtCost:
    """What the signals were worth at a multiple of the costs.

    Attributes:
        factor: The multiple, of fee, slippage and borrow alike.
        net: What came of it; None when such costs would eat the account in one trade.
        costs_paid: In units of the starting account; None likewise.
    """

    factor: float
    net: Performance | None
    costs_paid: float | None


def cost_sensitivity(plan: Plan, config: BacktestConfig) -> list[AtCost]:
    """Simulate a plan anew at 0, 0.5, 1, 2, 3 and 5 times its costs."""
    return [_at(plan, config, factor) for factor in FACTORS]


def _at(plan: Plan, config: BacktestConfig, factor: float) -> AtCost:
    # Copied, not checked again: five times an allowed cost may be more than is allowed.
    scaled = config.cost.model_copy(
        update={name: factor * getattr(config.cost, name) for name in CostModel.model_fields}
    )
    other = config.model_copy(update={"cost": scaled, "num_resamples": 0})
    try:
        result = backtest_weights(plan.grid, plan.weights, other)
    except ConfigError:
        return AtCost(factor, None, None)
    return AtCost(factor, result.net, result.costs_paid)


def break_even(rows: list[AtCost]) -> float | None:
    """Return about which multiple of the costs leaves nothing, by a line between its neighbours.

    None when the total return never changes sign.
    """
    known = [(row.factor, row.net.total_return) for row in rows if row.net is not None]
    for (low, above), (high, below) in pairwise(known):
        if above > 0 >= below:
            return low + (high - low) * above / (above - below)
    return None
