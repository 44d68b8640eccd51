"""From a symbol's tokens to what a model reads, and its targets. numpy only.

Legend: T rows (candles), K channels, F continuous inputs, C calendar fields, H horizons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError
from marketgpt_core.symbols import Category
from marketgpt_core.tokens import TargetTokenizer, Tokenizer, TokenSeries
from marketgpt_models.calendar import CALENDAR_NAMES, CALENDAR_SIZES, bar_of, calendar_after, next_time
from marketgpt_models.covariates import Covariates
from marketgpt_models.horizon_bins import HorizonBins

__all__ = [
    "CALENDAR_NAMES",
    "CALENDAR_SIZES",
    "CONTINUOUS",
    "HorizonBins",
    "SeriesFeatures",
    "bar_of",
    "calendar_after",
    "continuous_names",
    "continuous_of",
    "features_of",
    "features_of_all",
    "next_time",
]

_SCALES = ("log_sigma", "log_sigma_to_slow", "log_sigma_step")


def continuous_names(channel_names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the F = K + 3 continuous inputs."""
    return (*channel_names, *_SCALES)


CONTINUOUS = continuous_names(("gap", "body", "upper_wick", "lower_wick"))

# A channel beyond 8 sigma says "huge"; its token says how huge.
_CHANNEL_LIMIT = 8.0
# Centre and spread of the log of daily sigma over markets (1.4% a day), and of the two ratios: fixed, so
# that nothing is learned from data here.
_LOG_SIGMA_CENTRE, _LOG_SIGMA_SPREAD = -4.3, 0.7
_RATIO_SPREAD, _STEP_SPREAD = 0.4, 0.1


@dataclass(frozen=True, eq=False)
class SeriesFeatures:
    """One symbol as a model reads it, oldest first; row t uses candles <= t only (but for ``horizon_z``).

    Attributes:
        symbol: Its symbol.
        category: Its market.
        time: shape (T,), datetime64[ns], UTC: the candle's stamp.
        tokens: shape (T, K), int64.
        continuous: shape (T, F), float32: the channels clipped to +-8, then the log of the next candle's
            sigma, its ratio to the slow sigma and to the sigma before, each standardised by fixed constants,
            then the covariates.
        calendar: shape (T, C), int64: of candle t + 1, by rule from time t; see :func:`calendar_after`.
        next_sigma: shape (T,), float64: scale of candle t + 1.
        close: shape (T,), float64.
        horizon_z: shape (T, H), float32: ln(close[t+h] / close[t]) / (next_sigma[t] * sqrt(h)); NaN where
            the series ends before. It and ``tasks`` alone look ahead: targets, never inputs.
        tasks: shape (T, H, J), int16: further targets, classes, -1 where there is none; J may be 0.
    """

    symbol: str
    category: Category
    time: NDArray[np.datetime64]
    tokens: NDArray[np.int64]
    continuous: NDArray[np.float32]
    calendar: NDArray[np.int64]
    next_sigma: NDArray[np.float64]
    close: NDArray[np.float64]
    horizon_z: NDArray[np.float32]
    tasks: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.time)


def continuous_of(
    values: NDArray[np.floating],
    sigma: NDArray[np.floating],
    next_sigma: NDArray[np.floating],
    slow_sigma: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Return the continuous inputs, shape (..., K + 3), from channels (..., K) and scales (...)."""
    log_next = np.log(next_sigma)
    scales = (
        (log_next - _LOG_SIGMA_CENTRE) / _LOG_SIGMA_SPREAD,
        (log_next - np.log(slow_sigma)) / _RATIO_SPREAD,
        (log_next - np.log(sigma)) / _STEP_SPREAD,
    )
    result = np.empty((*np.shape(values)[:-1], np.shape(values)[-1] + len(scales)), dtype=np.float32)
    result[..., : -len(scales)] = values
    for position, scale in enumerate(scales):
        result[..., position - len(scales)] = scale
    return np.clip(result, -_CHANNEL_LIMIT, _CHANNEL_LIMIT, out=result)


def features_of(
    series: TokenSeries,
    horizons: Sequence[int],
    *,
    covariates: NDArray[np.float32] | None = None,
    tasks: NDArray[np.int16] | None = None,
) -> SeriesFeatures:
    """Return what a model reads of one symbol.

    Args:
        series: The tokenised symbol.
        horizons: Bars ahead of the direct targets.
        covariates: shape (T, E): what :class:`marketgpt_models.covariates.Covariates` says of it.
        tasks: shape (T, H, J): what the tokenizer says of its further targets.
    """
    own = continuous_of(series.channels, series.sigma, series.next_sigma, series.slow_sigma)
    return SeriesFeatures(
        symbol=series.symbol,
        category=series.category,
        time=series.time,
        tokens=np.ascontiguousarray(series.tokens, dtype=np.int64),
        continuous=own if covariates is None else np.concatenate([own, covariates], axis=1),
        calendar=calendar_after(series.time, series.category),
        next_sigma=series.next_sigma,
        close=series.close,
        horizon_z=_horizon_z(series.close, series.next_sigma, horizons),
        tasks=np.zeros((len(series), len(horizons), 0), dtype=np.int16) if tasks is None else tasks,
    )


def features_of_all(
    tokenizer: Tokenizer, candles: Candles, horizons: Sequence[int], covariates: Covariates
) -> dict[str, SeriesFeatures]:
    """Return what a model reads of every symbol of two candles or more, and what it is to learn.

    Args:
        tokenizer: Fitted.
        candles: All that is known of the markets: covariates are made of all of it.
        horizons: Bars ahead of the direct targets; a tokenizer's further targets have the same.
        covariates: Which.

    Raises:
        ConfigError: when the tokenizer's targets are of other horizons.
    """
    encoded = {one.symbol: tokenizer.encode(one) for one in candles.values() if len(one) > 1}
    beside = covariates.of(candles, encoded)
    aims = tokenizer if isinstance(tokenizer, TargetTokenizer) and len(horizons) else None
    if aims is not None and tuple(aims.horizons) != tuple(horizons):
        raise ConfigError(
            f"the tokenizer's targets are {list(aims.horizons)} bars ahead, the model's {list(horizons)}: "
            "give tokenizer.options.horizons and horizons alike"
        )
    return {
        symbol: features_of(
            series,
            horizons,
            covariates=beside[symbol],
            tasks=None if aims is None else aims.horizon_targets(candles[symbol]),
        )
        for symbol, series in encoded.items()
    }


def _horizon_z(
    close: NDArray[np.float64], next_sigma: NDArray[np.float64], horizons: Sequence[int]
) -> NDArray[np.float32]:
    log_close = np.log(close)
    z = np.full((len(close), len(horizons)), np.nan, dtype=np.float32)
    for column, h in enumerate(horizons):
        if h < len(close):
            z[:-h, column] = (log_close[h:] - log_close[:-h]) / (next_sigma[:-h] * np.sqrt(h))
    return z
