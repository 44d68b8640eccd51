"""The strategy ``rank``: long the best and short the worst assets of one as-of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from marketgpt_core.signal import Side
from marketgpt_signals.base import Decision, ViewStrategy
from marketgpt_signals.costs import BPS
from marketgpt_signals.known import View
from marketgpt_signals.rules.edge import CostedConfig, confidence_of, spread_of


class Rank(ViewStrategy):
    """The top share by expected return over spread LONG, the bottom share SHORT, in pairs.

    Assets whose candles ended at the same moment are ranked by z = mean / spread of their laws. With k =
    floor(share x n), at least 1, the i-th best is paired with the i-th worst; a pair is held when the
    difference of their means beats both round trips, so there are as many longs as shorts. Every leg has
    size 1 (``dollar``: as much long as short) or sigma_min / sigma (``volatility``: as much risk long as
    short, each leg the same). Jegadeesh and Titman, Returns to Buying Winners and Selling Losers, Journal of
    Finance 48 (1993); scaling by volatility: Asness, Moskowitz and Pedersen, Value and Momentum Everywhere,
    Journal of Finance 68 (2013).
    """

    name = "rank"
    cross_section = True

    class Config(CostedConfig):
        """Options of :class:`Rank`."""

        share: float = Field(default=0.2, gt=0, le=0.5, description="of the assets, on each side")
        min_assets: int = Field(default=4, ge=2, description="fewer are not ranked")
        neutral: Literal["dollar", "volatility"] = "dollar"

    config: Config

    def judge(self, view: View, column: int) -> Sequence[Decision]:
        """Judge the rows of one moment at one horizon; see the class."""
        options, forecast = self.config, view.forecast
        n = len(forecast)
        flat = [confidence_of(float(p)) for p in forecast.p_up[:, column]]
        if n < options.min_assets:
            told = f"{n} assets at this moment are too few to rank, {options.min_assets} are needed"
            return [Decision(Side.FLAT, one, told) for one in flat]
        means = forecast.mean()[:, column]
        spreads = np.array([spread_of(forecast, i, column) for i in range(n)])
        scores = np.where(spreads > 0, means / np.where(spreads > 0, spreads, 1.0), 0.0)
        # Ties go by symbol: the order of rows must not matter.
        order = sorted(range(n), key=lambda i: (-scores[i], forecast.symbols[i]))
        place = {row: position for position, row in enumerate(order, start=1)}
        result = [
            Decision(Side.FLAT, flat[i], f"rank {place[i]} of {n}, expected {means[i] / BPS:+.0f} bps")
            for i in range(n)
        ]
        held = self._pairs(order, means)
        legs = [row for pair in held for row in pair]
        calmest = min((float(spreads[row]) for row in legs), default=1.0)
        for pair in held:
            for row, side in zip(pair, (Side.LONG, Side.SHORT), strict=True):
                size = 1.0 if options.neutral == "dollar" else calmest / float(spreads[row])
                told = f"{result[row].reason}, {len(held)} pairs, size {size:.2f}"
                result[row] = Decision(side, flat[row], told, size)
        return result

    def _pairs(self, order: list[int], means: np.ndarray) -> list[tuple[int, int]]:
        """Return (best, worst) rows whose difference pays for both round trips."""
        count = max(1, int(self.config.share * len(order)))
        least = max(2 * self.config.round_trip_cost_bps * BPS, 1e-12)  # a tie is no difference
        pairs = [(order[i], order[-1 - i]) for i in range(count)]
        return [(best, worst) for best, worst in pairs if means[best] - means[worst] > least]
