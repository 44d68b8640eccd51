"""The strategy ``threshold``: act when the probability is far from a half and the move pays."""

from __future__ import annotations

from pydantic import Field

from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Side
from marketgpt_signals.base import Decision, SignalStrategy
from marketgpt_signals.rules.edge import CostedConfig, confidence_of, directed


class ProbabilityThreshold(SignalStrategy):
    """LONG above one probability, SHORT below another, FLAT between, when unsure, or when costs eat it.

    * LONG: ``p_up >= long_threshold`` and the median log return exceeds the round trip's cost.
    * SHORT: ``p_up <= short_threshold`` and minus the median log return exceeds it.
    * FLAT otherwise, and where the epistemic gate is closed.

    Confidence is ``|2 p_up - 1|``.
    """

    name = "threshold"

    class Config(CostedConfig):
        """Options of :class:`ProbabilityThreshold`."""

        long_threshold: float = Field(default=0.55, gt=0.5, le=1.0, json_schema_extra={"tune": [0.505, 0.7]})
        short_threshold: float = Field(default=0.45, ge=0.0, lt=0.5, json_schema_extra={"tune": [0.3, 0.495]})

    config: Config

    def decide(self, row: Forecast, column: int) -> Decision:
        """Judge one row at one horizon; see the class."""
        options = self.config
        p_up = float(row.p_up[0, column])
        if options.short_threshold < p_up < options.long_threshold:
            reason = f"P(up) {p_up:.3f} is between {options.short_threshold:g} and {options.long_threshold:g}"
            return Decision(Side.FLAT, confidence_of(p_up), reason)
        side = Side.LONG if p_up >= options.long_threshold else Side.SHORT
        return directed(row, column, side, f"P(up) {p_up:.3f}", options.round_trip_cost_bps)
