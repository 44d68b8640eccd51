"""What the rules have in common: what a move is worth after costs, and how large moves are."""

from __future__ import annotations

import math

from pydantic import Field

from marketgpt_core.errors import ConfigError
from marketgpt_core.forecast import Forecast
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Side
from marketgpt_core.times import to_datetime
from marketgpt_signals.base import Decision, StrategyConfig
from marketgpt_signals.costs import BPS, CostModel
from marketgpt_signals.expiry import trades_daily

MEDIAN = 0.5
SESSIONS_A_YEAR, DAYS_A_YEAR, WEEKS_A_YEAR = 252, 365, 52


class CostedConfig(StrategyConfig):
    """Options of a rule that must beat its costs.

    Attributes:
        round_trip_cost_bps: What entering and leaving costs, basis points of the notional.
    """

    round_trip_cost_bps: float = Field(CostModel().round_trip_bps, ge=0)


def confidence_of(p_up: float) -> float:
    """Return how far P(up) is from a coin toss, ``|2 p - 1|``."""
    return abs(2 * p_up - 1)


def directed(row: Forecast, column: int, side: Side, told: str, cost_bps: float) -> Decision:
    """Return LONG or SHORT when the median move to that side beats the costs, else FLAT.

    Args:
        row: One pair.
        column: Position of the horizon.
        side: LONG or SHORT.
        told: Why this side; the reason goes on with the move.
        cost_bps: The round trip's costs.
    """
    sign = 1 if side is Side.LONG else -1
    confidence = confidence_of(float(row.p_up[0, column]))
    edge_bps = sign * float(row.quantile(MEDIAN)[0, column]) / BPS
    told = f"{told}, median move {sign * edge_bps:+.0f} bps"
    if edge_bps <= cost_bps:
        return Decision(Side.FLAT, confidence, f"{told} does not beat the round trip's {cost_bps:g} bps")
    return Decision(side, confidence, f"{told} against {cost_bps:g} bps of costs")


def spread_of(forecast: Forecast, row: int, column: int) -> float:
    """Return the standard deviation of a law, aleatoric and epistemic together, log return."""
    return math.hypot(float(forecast.aleatoric[row, column]), float(forecast.epistemic[row, column]))


def bars_per_year(symbol: str, forecast: Forecast, row: int) -> int:
    """Return how many bars a year has: 252 sessions, 365 days where markets never close, 52 weeks.

    Raises:
        ConfigError: for intraday bars, whose number depends on the market's hours.
    """
    if forecast.interval.is_intraday:
        raise ConfigError(f"bars_per_year: say how many {forecast.interval} bars of {symbol} a year has")
    if forecast.interval is Interval.WEEK:
        return WEEKS_A_YEAR
    return DAYS_A_YEAR if trades_daily(symbol, to_datetime(forecast.as_of[row])) else SESSIONS_A_YEAR
