"""What makes a candle impossible, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import CandleError
from marketgpt_core.times import iso

if TYPE_CHECKING:
    from marketgpt_core.candles import CandleSeries

_MOST_SHOWN = 5
# Relative; two roundings of a double are 2e-16, and no price is quoted to nine digits.
_ROUNDING = 1e-9


def impossible_rows(
    open_: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return (reason, mask of shape (T,)) for each rule; a row may break several."""
    prices = (open_, high, low, close)
    finite = np.logical_and.reduce([np.isfinite(price) for price in prices])
    positive = np.logical_and.reduce([price > 0 for price in prices])
    return [
        ("price is NaN or infinite", ~finite),
        ("price is not positive", finite & ~positive),
        (
            "high below open, close or low",
            finite & (high < np.maximum(np.maximum(open_, close), low)),
        ),
        ("low above open or close", finite & (low > np.minimum(open_, close))),
        ("volume is NaN, infinite or negative", ~(np.isfinite(volume) & (volume >= 0))),
    ]


def absorb_rounding(
    open_: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return high and low, widened where they miss open or close by a rounding error.

    A vendor that adjusts for dividends multiplies three prices and looks the fourth up (yfinance's
    ``auto_adjust``), so a close can stand one bit above its high. A miss of more than a billionth is left
    as it is, for :func:`impossible_rows` to find.
    """
    top, bottom = np.maximum(open_, close), np.minimum(open_, close)
    near_high = (high < top) & (high >= top * (1 - _ROUNDING))
    near_low = (low > bottom) & (low <= bottom * (1 + _ROUNDING))
    return np.where(near_high, top, high), np.where(near_low, bottom, low)


def check_series(series: CandleSeries, *, where: str = "") -> None:
    """Refuse a series that breaks the contract of :class:`CandleSeries`.

    Raises:
        CandleError: it counts the rows and shows the first five with their reasons.
    """
    origin = f" (from {where})" if where else ""
    arrays = (series.open, series.high, series.low, series.close, series.volume)
    if any(len(array) != len(series.time) for array in arrays):
        raise CandleError(f"{series.symbol}: columns differ in length{origin}")
    if np.isnat(series.time).any():
        raise CandleError(f"{series.symbol}: {int(np.isnat(series.time).sum())} rows without a date{origin}")
    later = np.diff(series.time).astype("int64") > 0
    if not later.all():
        row = int(np.argmin(later)) + 1
        raise CandleError(
            f"{series.symbol}: times must increase; row {row} ({iso(series.time[row])}) "
            f"does not follow {iso(series.time[row - 1])}{origin}"
        )
    rules = impossible_rows(*arrays)
    bad = np.logical_or.reduce([mask for _, mask in rules])
    if not bad.any():
        return
    shown = "; ".join(_describe(series, int(row), rules) for row in np.flatnonzero(bad)[:_MOST_SHOWN])
    more = f"; ... {int(bad.sum()) - _MOST_SHOWN} more" if bad.sum() > _MOST_SHOWN else ""
    count = int(bad.sum())
    noun = "candle" if count == 1 else "candles"
    raise CandleError(f"{series.symbol}: {count} impossible {noun}{origin}: {shown}{more}")


def _describe(series: CandleSeries, row: int, rules: list[tuple[str, NDArray[np.bool_]]]) -> str:
    reason = next(text for text, mask in rules if mask[row])
    values = ", ".join(
        f"{name[0].upper()} {getattr(series, name)[row]:g}" for name in ("open", "high", "low", "close")
    )
    return f"row {row} {iso(series.time[row])} {reason} ({values})"
