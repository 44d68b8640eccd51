"""The strategy ``volatility_target``: the threshold's sides, held so that each risks the same."""

from __future__ import annotations

import math
from dataclasses import replace

from pydantic import Field

from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Side
from marketgpt_signals.base import Decision
from marketgpt_signals.rules.edge import bars_per_year, spread_of
from marketgpt_signals.rules.threshold import ProbabilityThreshold


class VolatilityTarget(ProbabilityThreshold):
    """The sides of ``threshold`` with size = min(max_size, target / sigma).

    sigma is the forecast's own: the standard deviation of the law at horizon h, aleatoric and epistemic
    together, times sqrt(bars a year / h). Moskowitz, Ooi and Pedersen, Time Series Momentum, Journal of
    Financial Economics 104 (2012), equation 5; Moreira and Muir, Volatility-Managed Portfolios, Journal of
    Finance 72 (2017). Nothing is levered: a calm asset is held in full and no more.
    """

    name = "volatility_target"

    class Config(ProbabilityThreshold.Config):
        """Options of :class:`VolatilityTarget`."""

        target_volatility: float = Field(
            default=0.10, gt=0, le=10, description="a year, fraction", json_schema_extra={"tune": [0.02, 0.5]}
        )
        max_size: float = Field(default=1.0, gt=0, le=1)
        bars_per_year: int = Field(default=0, ge=0, description="0: 252, crypto 365, weekly bars 52")

    config: Config

    def decide(self, row: Forecast, column: int) -> Decision:
        """Judge one row at one horizon; see the class."""
        made = super().decide(row, column)
        if made.side is Side.FLAT:
            return made
        options = self.config
        bars = options.bars_per_year or bars_per_year(row.symbols[0], row, 0)
        sigma = spread_of(row, 0, column) * math.sqrt(bars / float(row.horizons[column]))
        if not 0 < sigma < math.inf:
            return Decision(Side.FLAT, made.confidence, f"a volatility of {sigma:g} a year sizes nothing")
        size = min(options.max_size, options.target_volatility / sigma)
        told = f"{made.reason}; {sigma:.1%} a year against {options.target_volatility:.1%}: size {size:.2f}"
        return replace(made, size=size, reason=told)
