"""The strategy ``consensus``: act when enough horizons point the same way."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Side
from marketgpt_signals.base import Decision, SignalStrategy
from marketgpt_signals.rules.edge import CostedConfig, confidence_of, directed

Weight = Annotated[float, Field(gt=0)]


class Consensus(SignalStrategy):
    """LONG or SHORT when horizons of a quorum's weight vote for it.

    With weights w[k] of sum 1 over the horizons k of a row, horizon k votes LONG when
    ``p_up[k] >= 1/2 + margin``, SHORT when ``p_up[k] <= 1/2 - margin``, else for nobody. The row is LONG when
    the LONG votes weigh at least ``quorum`` (more than a half), SHORT when the SHORT votes do. The median
    move of the horizon in question must beat the costs.

    A weighted majority of dependent experts (Littlestone and Warmuth, The Weighted Majority Algorithm, 1994,
    without its learning of weights). Confidence is ``|2 p - 1|`` of the linear pool p = sum w[k] p_up[k]. All
    horizons of a row were forecast at the same time: looking across them is no look-ahead.
    """

    name = "consensus"

    class Config(CostedConfig):
        """Options of :class:`Consensus`."""

        margin: float = Field(
            default=0.02,
            gt=0,
            lt=0.5,
            description="distance of P(up) from a half",
            json_schema_extra={"tune": [0.002, 0.15]},
        )
        quorum: float = Field(default=0.75, gt=0.5, le=1.0, description="share of the weight")
        weights: dict[int, Weight] = Field(default={}, description="by horizon in bars; empty: all alike")

    config: Config

    def decide(self, row: Forecast, column: int) -> Decision:
        """Judge one row at one horizon; see the class."""
        options = self.config
        weights = self._weights(row)
        p_up = row.p_up[0]
        up = float(weights[p_up >= 0.5 + options.margin].sum())
        down = float(weights[p_up <= 0.5 - options.margin].sum())
        pool = float(weights @ p_up)
        told = f"{up:.0%} of the weight votes LONG, {down:.0%} SHORT over {len(p_up)} horizons"
        # Rounding must not cost a full house its quorum.
        enough = options.quorum - 1e-9
        if max(up, down) < enough:
            return Decision(Side.FLAT, confidence_of(pool), f"{told}: no quorum of {options.quorum:.0%}")
        side = Side.LONG if up >= enough else Side.SHORT
        made = directed(row, column, side, told, options.round_trip_cost_bps)
        return Decision(made.side, confidence_of(pool), made.reason)

    def _weights(self, row: Forecast) -> np.ndarray:
        given = self.config.weights
        if not given:
            return np.full(len(row.horizons), 1.0 / len(row.horizons))
        weights = np.zeros(len(row.horizons))
        for horizon, weight in given.items():
            weights[row.horizon_index(horizon)] = weight
        return np.asarray(weights / weights.sum())
