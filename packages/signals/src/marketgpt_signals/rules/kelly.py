"""The strategy ``kelly``: hold what makes the forecast law's expected log growth largest, or a part of it.

X outcomes of a position of one unit of the account.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marketgpt_core.forecast import Forecast
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Side
from marketgpt_core.times import to_datetime
from marketgpt_signals.base import Decision, SignalStrategy
from marketgpt_signals.costs import BPS, CostModel
from marketgpt_signals.expiry import trades_daily
from marketgpt_signals.rules.edge import SESSIONS_A_YEAR, CostedConfig, confidence_of

_HALVINGS = 60
_YEAR_SECONDS = 365.25 * 24 * 3600


def growth_optimal(outcomes: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Return the fraction f in [0, 1] that maximises sum w log(1 + f x).

    Kelly, A New Interpretation of Information Rate, Bell System Technical Journal 35 (1956); for any law
    Thorp, The Kelly Criterion in Blackjack, Sports Betting and the Stock Market (2006), section 3. The
    growth is concave, so its slope sum w x / (1 + f x) is brought to zero by halving.

    Args:
        outcomes: shape (X,): net simple returns of a position of the whole account; one at or below -1
            rules out f = 1.
        weights: shape (X,), of sum 1.
    """
    worst = float(outcomes.min())
    most = 1.0 if worst > -1 else (1 - 1e-9) / -worst

    def slope(fraction: float) -> float:
        return float(weights @ (outcomes / (1 + fraction * outcomes)))

    if slope(0.0) <= 0:
        return 0.0
    if slope(most) >= 0:
        return most
    low, high = 0.0, most
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return low


class Kelly(SignalStrategy):
    """A fraction of the growth-optimal position, capped; FLAT when even the smallest one loses.

    The law's log returns r (its quantiles q with their weights w) are shrunk, r' = r - (1 - shrink) x mean,
    for forecast drifts are mostly noise. A position s = +1 or -1 then earns x = s (e^r' - 1) - cost - borrow,
    and

    * ``law``: f* maximises sum w log(1 + f x) on [0, 1] (:func:`growth_optimal`);
    * ``gaussian``: f* = E[x] / Var[x], its second-order expansion (Thorp 2006, section 7).

    size = min(max_size, fraction x f*). Half of f* by default: three quarters of the growth at half of the
    volatility, and much less to lose when the law is wrong (MacLean, Thorp and Ziemba 2010). The side must
    also be P(up)'s: a symmetric law of log returns has a positive mean e^r - 1, which is no view.
    """

    name = "kelly"

    class Config(CostedConfig):
        """Options of :class:`Kelly`."""

        method: Literal["law", "gaussian"] = "law"
        fraction: float = Field(default=0.5, gt=0, le=1)
        max_size: float = Field(default=1.0, gt=0, le=1)
        shrink: float = Field(default=0.5, ge=0, le=1, description="1: the drift as forecast, 0: none")
        borrow_bps_per_year: float = Field(CostModel().borrow_bps_per_year, ge=0)
        min_size: float = Field(
            default=0.01, ge=0, le=1, description="FLAT below", json_schema_extra={"tune": False}
        )

    config: Config

    def decide(self, row: Forecast, column: int) -> Decision:
        """Judge one row at one horizon; see the class."""
        options = self.config
        p_up = float(row.p_up[0, column])
        confidence = confidence_of(p_up)
        if p_up == 0.5:  # noqa: PLR2004 - neither side
            return Decision(Side.FLAT, confidence, "P(up) is a half")
        side, sign = (Side.LONG, 1) if p_up > 0.5 else (Side.SHORT, -1)  # noqa: PLR2004
        weights = row.level_weights
        returns = row.quantiles[0, column]
        shrunk = returns - (1 - options.shrink) * float(weights @ returns)
        outcomes = sign * np.expm1(shrunk) - self._cost(row, column, sign)
        mean = float(weights @ outcomes)
        if options.method == "law":
            optimal = growth_optimal(outcomes, weights)
        else:
            variance = float(weights @ (outcomes - mean) ** 2)
            optimal = min(1.0, max(0.0, mean / variance)) if variance > 0 else float(mean > 0)
        size = min(options.max_size, options.fraction * optimal)
        told = f"P(up) {p_up:.3f}, {mean / BPS:+.0f} bps expected after costs, Kelly {optimal:.2f}"
        if not size >= options.min_size or size == 0:
            return Decision(Side.FLAT, confidence, f"{told}: too little to hold")
        return Decision(side, confidence, f"{told}, size {size:.2f}", size)

    def _cost(self, row: Forecast, column: int, sign: int) -> float:
        cost = self.config.round_trip_cost_bps * BPS
        if sign > 0:
            return cost
        bars, daily = float(row.horizons[column]), trades_daily(row.symbols[0], to_datetime(row.as_of[0]))
        if row.interval is Interval.DAY and not daily:
            years = bars / SESSIONS_A_YEAR  # weekends between sessions are borrowed, too
        else:
            years = bars * row.interval.duration.total_seconds() / _YEAR_SECONDS
        return cost + self.config.borrow_bps_per_year * BPS * years
