"""Spreads put right on the validation part: one factor a category and horizon.

A law keeps its median; its quantiles move away from it, or towards it, by the factor that gave the lowest
CRPS on validation, shrunk towards 1 where few independent dates speak for it. Location is left alone: two
years of validation say nothing of drift.

Legend: N pairs, H horizons, Q levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import RunError
from marketgpt_core.forecast import Forecast
from marketgpt_core.forecast_pool import distribution_at

ALL = "all"
_LEAST, _MOST = 0.5, 2.0
# Independent dates that weigh as much as the belief in 1.
_PRIOR_DATES = 20.0
_LEAST_ROWS = 200
_GRID = np.linspace(np.log(_LEAST), np.log(_MOST), 139)


@dataclass(frozen=True)
class Recalibration:
    """Factors on the spread around the median.

    Attributes:
        mix: What the forecasts were made of when it was fitted; it is for these alone.
        spreads: category (or ``all``, for those without their own) -> bars ahead -> factor.
    """

    mix: str
    spreads: Mapping[str, Mapping[int, float]]

    @classmethod
    def fit(
        cls, forecast: Forecast, outcome: NDArray[np.float64], categories: Sequence[str], *, mix: str
    ) -> Recalibration:
        """Fit on the validation part.

        Args:
            forecast: Not recalibrated.
            outcome: Log returns that came, (N, H); NaN where the part ends before.
            categories: Of each pair, length N.
            mix: What the forecast was made of.
        """
        groups = {ALL: np.ones(len(forecast), dtype=bool)}
        names = np.array(categories)
        groups |= {str(name): names == name for name in np.unique(names)}
        spreads: dict[str, dict[int, float]] = {}
        for name, chosen in groups.items():
            for column, horizon in enumerate(forecast.horizons.tolist()):
                rows = chosen & np.isfinite(outcome[:, column])
                if rows.sum() >= _LEAST_ROWS:
                    factor = _factor(forecast, outcome, rows, column)
                    spreads.setdefault(name, {})[horizon] = factor
        return cls(mix, spreads)

    def factors(self, horizons: Sequence[int], categories: Sequence[str]) -> NDArray[np.float64]:
        """Return the factor of every pair and horizon, (N, H); the nearest horizon stands in."""
        rows = {name: self._row(name, horizons) for name in set(categories)}
        return np.array([rows[name] for name in categories]).reshape(len(categories), len(horizons))

    def _row(self, category: str, horizons: Sequence[int]) -> list[float]:
        known = self.spreads.get(category) or self.spreads.get(ALL) or {}
        if not known:
            return [1.0] * len(horizons)
        return [known[min(known, key=lambda one: abs(np.log(one / h)))] for h in horizons]

    def apply(self, forecast: Forecast, categories: Sequence[str]) -> Forecast:
        """Return the forecast with its spreads put right; sampled paths stay as they were drawn."""
        factor_NH = self.factors(forecast.horizons.tolist(), categories)
        shape = forecast.quantiles.shape
        median = forecast.quantile(0.5)[..., None]
        # P(X' <= 0), where X' = median + factor * (X - median), is P(X <= median - median / factor).
        zero = median[..., 0] * (1.0 - 1.0 / factor_NH)
        below = distribution_at(
            forecast.quantiles.reshape(-1, shape[-1]), forecast.levels, zero.reshape(-1, 1)
        )
        at_zero = distribution_at(
            forecast.quantiles.reshape(-1, shape[-1]), forecast.levels, np.zeros((zero.size, 1))
        )
        # The model's own P(up) moved by as much as the law's: it knows of ties, which quantiles do not.
        p_up = forecast.p_up - (below - at_zero).reshape(shape[:2])
        return replace(
            forecast,
            quantiles=median + factor_NH[..., None] * (forecast.quantiles - median),
            p_up=np.clip(p_up, 0.0, 1.0),
            aleatoric=forecast.aleatoric * factor_NH,
            epistemic=forecast.epistemic * factor_NH,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; :meth:`from_json` gives exactly this back."""
        spreads = {name: {str(h): one for h, one in row.items()} for name, row in self.spreads.items()}
        return {"mix": self.mix, "spreads": spreads}

    @classmethod
    def from_json(cls, value: object, *, where: str) -> Recalibration:
        """Read what :meth:`to_json` wrote, trusting nothing in it.

        Raises:
            RunError: when it is something else.
        """
        try:
            spreads = {
                str(name): {int(h): float(one) for h, one in row.items()}
                for name, row in value["spreads"].items()  # type: ignore[index]
            }
            mix = str(value["mix"])  # type: ignore[index]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(f"{where} holds no recalibration: {type(error).__name__} {error}") from error
        for name, row in spreads.items():
            for h, one in row.items():
                if h < 1 or not _LEAST <= one <= _MOST:
                    raise RunError(f"{where}: spread {one} of {name} at {h} bars is not in {_LEAST}..{_MOST}")
        return cls(mix, spreads)


def _factor(forecast: Forecast, outcome: NDArray[np.float64], rows: NDArray[np.bool_], column: int) -> float:
    levels, median = forecast.levels, forecast.quantile(0.5)[rows, column, None]
    away = forecast.quantiles[rows, column] - median
    error = outcome[rows, column, None] - median
    # Rows weigh by their scale's inverse: else the wildest symbols alone decide.
    weight = 1.0 / (np.abs(away) @ forecast.level_weights + 1e-12)

    def loss(log_factor: float) -> float:
        miss = error - np.exp(log_factor) * away
        pinball = np.maximum(levels * miss, (levels - 1.0) * miss) @ forecast.level_weights
        return float((pinball * weight).mean())

    best = _GRID[np.argmin([loss(one) for one in _GRID])]
    days = np.unique(forecast.as_of[rows]).astype("datetime64[D]")
    # Overlapping horizons speak once: a bar takes a day at least.
    independent = min(len(days), int((days[-1] - days[0]).astype(np.int64)) / int(forecast.horizons[column]))
    return float(np.exp(best * independent / (independent + _PRIOR_DATES)))
