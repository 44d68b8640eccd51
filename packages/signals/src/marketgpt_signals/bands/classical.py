"""Classical Bollinger Bands: a moving average and standard deviations around it. T bars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from marketgpt_core.errors import ConfigError

WIDTH = 2.0
_CHUNK = 65_536


@dataclass(frozen=True, eq=False)
class BandSeries:
    """Three lines.

    Attributes:
        lower, middle, upper: shape (T,), float64, quote currency; NaN where a bar has none.
    """

    lower: NDArray[np.float64]
    middle: NDArray[np.float64]
    upper: NDArray[np.float64]


def rolling_moments(
    values: NDArray[np.float64], window: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the population standard deviation of the last ``window`` values at each bar.

    Two passes over every window, with what the mean's rounding leaves taken off (Chan, Golub and LeVeque,
    Algorithms for Computing the Sample Variance, The American Statistician 37, 1983, equation 1.7), from the
    window's first value on: running sums of squares lose every digit of a small move at a large price.

    Args:
        values: shape (T,).
        window: Bars, at least 1.

    Returns:
        Both shape (T,), NaN for the first ``window - 1`` bars; bar t is made of bars t - window + 1 .. t.
    """
    if window < 1:
        raise ConfigError(f"a window has at least 1 bar, not {window}")
    mean, deviation = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if len(values) < window:
        return mean, deviation
    windows = sliding_window_view(np.asarray(values, dtype=np.float64), window)
    for start in range(0, len(windows), _CHUNK):
        chunk = windows[start : start + _CHUNK]
        origin = chunk[:, :1]
        shifted = chunk - origin
        centre = shifted.mean(axis=1, keepdims=True)
        apart = shifted - centre
        variance = (apart**2).mean(axis=1) - apart.mean(axis=1) ** 2
        rows = slice(start + window - 1, start + window - 1 + len(chunk))
        mean[rows] = (origin + centre)[:, 0]
        deviation[rows] = np.sqrt(np.maximum(variance, 0.0))
    return mean, deviation


def bollinger_bands(close: NDArray[np.float64], window: int = 20, width: float = WIDTH) -> BandSeries:
    """Return mean +- width x population standard deviation of the last ``window`` closes.

    Bollinger, Bollinger on Bollinger Bands (2001): 20 bars and 2 deviations are his defaults, the population
    formula his. Known at the close of each bar.

    Args:
        close: shape (T,), quote currency.
        window: Bars.
        width: Standard deviations.
    """
    mean, deviation = rolling_moments(close, window)
    return BandSeries(mean - width * deviation, mean, mean + width * deviation)
