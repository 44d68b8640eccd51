"""The built-in strategy ``threshold``: act when the probability is far from a half and the move pays."""

from __future__ import annotations

from pydantic import Field

from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Side
from marketgpt_signals.base import Decision, SignalStrategy, StrategyConfig
from marketgpt_signals.costs import BPS, CostModel

MEDIAN = 0.5


class ProbabilityThreshold(SignalStrategy):
    """LONG above one probability, SHORT below another, FLAT between, when unsure, or when costs eat it.

    * LONG: ``p_up >= long_threshold`` and the median log return exceeds the round trip's cost.
    * SHORT: ``p_up <= short_threshold`` and minus the median log return exceeds it.
    * FLAT otherwise, and whenever epistemic spread > ``max_epistemic_ratio`` x aleatoric spread: the
      model's own opinions then differ by more than the noise it sees.

    Confidence is ``|2 p_up - 1|``.
    """

    name = "threshold"

    class Config(StrategyConfig):
        """Options of :class:`ProbabilityThreshold`."""

        long_threshold: float = Field(default=0.55, gt=0.5, le=1.0)
        short_threshold: float = Field(default=0.45, ge=0.0, lt=0.5)
        round_trip_cost_bps: float = Field(CostModel().round_trip_bps, ge=0)
        max_epistemic_ratio: float = Field(default=1.0, ge=0)

    config: Config

    def decide(self, row: Forecast, column: int) -> Decision:
        """Judge one row at one horizon; see the class."""
        options = self.config
        p_up = float(row.p_up[0, column])
        confidence = abs(2 * p_up - 1)
        epistemic, aleatoric = float(row.epistemic[0, column]), float(row.aleatoric[0, column])
        # Written so that a spread that is not a number abstains too.
        if not epistemic <= options.max_epistemic_ratio * aleatoric:
            reason = (
                f"the model disagrees with itself: epistemic spread {epistemic:.4f}, "
                f"aleatoric {aleatoric:.4f}, at most {options.max_epistemic_ratio:g} times that is allowed"
            )
            return Decision(Side.FLAT, confidence, reason)
        if options.short_threshold < p_up < options.long_threshold:
            reason = f"P(up) {p_up:.3f} is between {options.short_threshold:g} and {options.long_threshold:g}"
            return Decision(Side.FLAT, confidence, reason)
        side, sign = (Side.LONG, 1) if p_up >= options.long_threshold else (Side.SHORT, -1)
        edge_bps = sign * float(row.quantile(MEDIAN)[0, column]) / BPS
        told = f"P(up) {p_up:.3f}, median move {sign * edge_bps:+.0f} bps"
        if edge_bps <= options.round_trip_cost_bps:
            reason = f"{told} does not beat the round trip's {options.round_trip_cost_bps:g} bps"
            return Decision(Side.FLAT, confidence, reason)
        return Decision(side, confidence, f"{told} against {options.round_trip_cost_bps:g} bps of costs")
