"""The pairs of one horizon that can be scored, and which of them overlap."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.forecast import Forecast
from marketgpt_training.evaluation.bootstrap import DateBlocks

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """N scored (symbol, as-of) pairs of one horizon.

    Attributes:
        horizon: Bars ahead.
        outcome: shape (N,): the log returns that came.
        dates: shape (N,): as-of dates.
        symbols: shape (N,): number of the symbol.
        categories: shape (N,): names of the markets.
        every: Sessions between forecast dates.
        seed: Of the bootstrap.
    """

    horizon: int
    outcome: Floats
    dates: NDArray[np.datetime64]
    symbols: NDArray[np.int64]
    categories: NDArray[np.str_]
    every: int
    seed: int

    @classmethod
    def of(
        cls, forecast: Forecast, candles: Candles, outcome: Floats, position: int, *, every: int, seed: int
    ) -> tuple[Pairs, NDArray[np.bool_]]:
        """Return the pairs of one horizon whose outcome is known, and which rows of the forecast they are."""
        known = np.isfinite(outcome[:, position])
        names = np.array(forecast.symbols)[known]
        unique, codes = np.unique(names, return_inverse=True)
        markets = np.array([str(candles[str(name)].category) for name in unique], dtype=np.str_)
        made = cls(
            horizon=int(forecast.horizons[position]),
            outcome=outcome[known, position],
            dates=forecast.as_of[known],
            symbols=codes.astype(np.int64),
            categories=markets[codes],
            every=every,
            seed=seed,
        )
        return made, known

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def steps(self) -> int:
        """Forecast dates that a horizon spans, rounded up."""
        return -(-self.horizon // self.every)

    @cached_property
    def blocks(self) -> DateBlocks:
        """The bootstrap of these pairs."""
        return DateBlocks(self.dates, block_dates=self.horizon // self.every + 1, seed=self.seed)

    @cached_property
    def apart(self) -> NDArray[np.bool_]:
        """Which pairs lie on dates so far from each other that no two horizons overlap, shape (N,)."""
        return np.asarray(self.blocks.index % self.steps == 0)

    def select(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Return some of the pairs."""
        return Pairs(
            self.horizon, self.outcome[chosen], self.dates[chosen], self.symbols[chosen],
            self.categories[chosen], self.every, self.seed,
        )  # fmt: skip
