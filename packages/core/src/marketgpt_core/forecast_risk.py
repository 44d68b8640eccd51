"""Risk read off a forecast: value at risk, expected shortfall, odds of reaching a level.

Legend: N pairs, H horizons, Q levels, S paths, T bars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.forecast_pool import distribution_at

if TYPE_CHECKING:
    from marketgpt_core.forecast import Forecast


def expected_shortfall(forecast: Forecast, level: float) -> NDArray[np.float64]:
    """Return minus the mean log return in the worst ``level`` of cases, (N, H); a loss is positive.

    Acerbi and Tasche, "On the coherence of expected shortfall", 2002. The quantiles are joined by lines;
    beyond the lowest one the tail falls exponentially.

    Raises:
        ConfigError: for a level outside those the forecast holds, or above one half.
    """
    levels, quantiles = forecast.levels, forecast.quantiles
    _check_level(level, levels)
    inner = levels[(levels > levels[0]) & (levels < level)]
    at = np.concatenate([[levels[0]], inner, [level]])
    values = np.stack([forecast.quantile(float(one)) for one in at], axis=-1)
    between = (0.5 * (values[..., 1:] + values[..., :-1]) * np.diff(at)).sum(axis=-1)
    scale = (quantiles[..., 1] - quantiles[..., 0]) / np.log(levels[1] / levels[0])
    beyond = levels[0] * (quantiles[..., 0] - scale)
    return np.asarray(-(between + beyond) / level)


def value_at_risk(forecast: Forecast, level: float) -> NDArray[np.float64]:
    """Return minus the ``level`` quantile of the log return, (N, H); a loss is positive.

    Raises:
        ConfigError: for a level outside those the forecast holds, or above one half.
    """
    _check_level(level, forecast.levels)
    return -forecast.quantile(level)


def _check_level(level: float, levels: NDArray[np.float64]) -> None:
    if not levels[0] <= level <= 0.5:  # noqa: PLR2004 - losses are the lower half
        raise ConfigError(f"a level of risk lies from {levels[0]:g} to 0.5, got {level:g}")


def probability_above(forecast: Forecast, log_return: float) -> NDArray[np.float64]:
    """Return the odds that the cumulative log return over each horizon is above ``log_return``, (N, H)."""
    shape = forecast.quantiles.shape
    rows = forecast.quantiles.reshape(-1, shape[-1])
    below = distribution_at(rows, forecast.levels, np.full((len(rows), 1), float(log_return)))
    return np.asarray(1.0 - below.reshape(shape[:2]))


def probability_of_touch(forecast: Forecast, log_return: float) -> NDArray[np.float64]:
    """Return the odds that a high (or, below 0, a low) reaches ``log_return`` within each horizon, (N, H).

    Counted over the sampled paths' candles, highs and lows included: closes alone would miss what a day
    reached and gave back.

    Raises:
        DataError: when the forecast kept no paths.
    """
    extremes = forecast.path_highs if log_return >= 0 else forecast.path_lows
    if extremes is None:
        raise DataError(
            f"the forecast of {forecast.model_id or 'this model'} kept no paths: ask with keep_paths=True"
        )
    running = (np.maximum if log_return >= 0 else np.minimum).accumulate(extremes, axis=-1)
    at = running[:, :, forecast.horizons - 1]
    reached = at >= log_return if log_return >= 0 else at <= log_return
    return np.asarray(reached.mean(axis=1))
