"""The geometry of a candle: four log channels, and back.

Channels, in the order a candle is drawn (natural logs): gap = ln(O / C of the candle before),
body = ln(C / O), up = ln(H / max(O, C)) >= 0, low = ln(min(O, C) / L) >= 0. Any four such numbers make a
legal candle.

Shapes: T candles. Channel arrays are (4, T), so that each channel is contiguous.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import CandleSeries

CHANNELS = ("gap", "body", "up", "low")

# Decoded prices stay inside, whatever the tokens: far from overflow, and no price is ever asked for there.
_LOWEST, _HIGHEST = 1e-300, 1e300


def log_channels(series: CandleSeries) -> NDArray[np.float64]:
    """Return the log channels of candles 1 .. T-1, shape (4, T - 1), float64."""
    open_, high, low, close = (
        np.log(price) for price in (series.open, series.high, series.low, series.close)
    )
    result = np.empty((4, max(len(series) - 1, 0)))
    np.subtract(open_[1:], close[:-1], out=result[0])
    np.subtract(close[1:], open_[1:], out=result[1])
    np.subtract(high[1:], np.maximum(open_[1:], close[1:]), out=result[2])
    np.subtract(np.minimum(open_[1:], close[1:]), low[1:], out=result[3])
    # A logarithm is monotone only to its last bit.
    np.maximum(result[2:], 0.0, out=result[2:])
    return result


def candles_of(
    log_channels_4t: NDArray[np.float64], close: float | NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return the successive candles of log channels, the first after ``close``.

    They are legal for any finite gap and body and any up, low >= 0, and in floating point too. Open and
    close are finite and > 0, as their logs are clipped. Legality then falls apart into two pairs that know
    nothing of each other: ``high = fl(top * exp(up))`` with top = max(open, close), where exp(x >= 0) >= 1
    and rounding is monotone, so that ``fl(top * factor) >= fl(top) = top``; and ``low = fl(bottom *
    exp(-low)) <= bottom`` in the same way. The last bounds lie far outside those of open and close and cannot
    undo it. A channel of exactly zero gives exactly equal prices.

    Args:
        log_channels_4t: shape (4, ..., T): gap, body, up >= 0, low >= 0; leading axes are independent paths.
        close: Close before each path's first candle, > 0, shape (...) or one for all.

    Returns:
        ``open``, ``high``, ``low``, ``close`` of shape (..., T).
    """
    gap, body, up, low = log_channels_4t
    # Open and close are one running sum, so that a zero step repeats the number before it.
    steps = np.empty((*gap.shape[:-1], 2 * gap.shape[-1]))
    steps[..., 0::2], steps[..., 1::2] = gap, body
    before = np.asarray(close, dtype=np.float64)[..., None]
    base = np.log(before)
    path = np.clip(np.cumsum(steps, axis=-1), np.log(_LOWEST) - base, np.log(_HIGHEST) - base)
    price = before * np.exp(path)
    open_, close_ = price[..., 0::2].copy(), price[..., 1::2].copy()
    with np.errstate(over="ignore", under="ignore"):
        high = np.minimum(np.maximum(open_, close_) * np.exp(up), 1e5 * _HIGHEST)
        low_ = np.maximum(np.minimum(open_, close_) * np.exp(-low), 1e-5 * _LOWEST)
    return {"open": open_, "high": high, "low": low_, "close": close_}
