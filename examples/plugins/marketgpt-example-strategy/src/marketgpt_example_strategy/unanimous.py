"""Act only when all horizons of a forecast point the same way."""

from __future__ import annotations

from pydantic import Field

from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Side
from marketgpt_signals.base import Decision, SignalStrategy, StrategyConfig


class Unanimous(SignalStrategy):
    """LONG when P(up) exceeds a half by a margin at every horizon, SHORT when it falls short at every one.

    The median move at the horizon in question must also beat the costs. All horizons of a row were forecast
    at the same time, so looking across them is no look-ahead. Confidence is that of the least sure horizon.
    """

    name = "unanimous"

    class Config(StrategyConfig):
        """Options of :class:`Unanimous`."""

        margin: float = Field(default=0.02, gt=0, lt=0.5, description="distance of P(up) from a half")
        round_trip_cost_bps: float = Field(default=14.0, ge=0)

    config: Config

    def decide(self, row: Forecast, column: int) -> Decision:
        """Judge one row at one horizon."""
        lowest, highest = float(row.p_up.min()), float(row.p_up.max())
        told = f"P(up) {lowest:.3f} to {highest:.3f} over {len(row.horizons)} horizons"
        if lowest >= 0.5 + self.config.margin:
            side, sign, confidence = Side.LONG, 1, 2 * lowest - 1
        elif highest <= 0.5 - self.config.margin:
            side, sign, confidence = Side.SHORT, -1, 1 - 2 * highest
        else:
            return Decision(Side.FLAT, 0.0, f"{told}: no agreement")
        edge_bps = sign * float(row.quantile(0.5)[0, column]) * 1e4
        if edge_bps <= self.config.round_trip_cost_bps:
            return Decision(Side.FLAT, confidence, f"{told}, but a median move of {edge_bps:.0f} bps")
        return Decision(side, confidence, told)
