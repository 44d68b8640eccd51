"""The series behind a tearsheet's pictures. T bars of an equity curve, 0 where the account is ruined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketgpt_signals.backtest.measures import NO_SPREAD, skewness_and_kurtosis
from marketgpt_signals.backtest.metrics import bar_returns, elapsed_years

_HALF_YEAR = 0.5
_FEWEST_BARS = 20
_TAIL = 0.05
Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]


def underwater(equity: Floats) -> Floats:
    """Return how far below its peak the curve is, shape (T,), as a fraction <= 0."""
    below: Floats = equity / np.maximum.accumulate(equity) - 1
    return below


def period_returns(equity: Floats, time: Times, unit: Literal["M", "Y"]) -> dict[str, float]:
    """Return the simple return of each month ("2018-03") or year ("2018") there is a bar of.

    The first counts from the curve's start, so that all of them compound to the total return. A period
    after the ruin of the account has none.
    """
    periods = time.astype(f"datetime64[{unit}]")
    last = np.flatnonzero(np.append(periods[1:] != periods[:-1], True))
    ends = equity[last]
    starts = np.concatenate([equity[:1], ends[:-1]])
    return {
        str(period): float(end / start - 1)
        for period, start, end in zip(periods[last], starts, ends, strict=True)
        if start > 0
    }


def bars_per_year(time: Times) -> float | None:
    """Return how many bars came in a year of the curve; None when it spans no time."""
    years = elapsed_years(time)
    return (len(time) - 1) / years if years > 0 else None


def rolling_window(time: Times) -> int | None:
    """Return the bars a rolling Sharpe ratio looks back over: half a year, or a third of a shorter test.

    None when that is fewer than 20 bars.
    """
    a_year = bars_per_year(time)
    if a_year is None:
        return None
    window = min(round(_HALF_YEAR * a_year), (len(time) - 1) // 3)
    return window if window >= _FEWEST_BARS else None


def rolling_sharpe(equity: Floats, time: Times, window: int) -> Floats:
    """Return the Sharpe ratio a year of the last ``window`` returns, shape (T,).

    NaN until the window is full, where nothing moved, and after the ruin of the account.
    """
    returns = np.full(len(equity) - 1, np.nan)
    lived = bar_returns(equity)
    returns[: len(lived)] = lived
    rolled = pd.Series(returns).rolling(window)
    spread = rolled.std(ddof=1).to_numpy()
    a_year = bars_per_year(time) or np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(spread > NO_SPREAD, rolled.mean().to_numpy() / spread, np.nan) * np.sqrt(a_year)
    return np.concatenate([[np.nan], ratio])


@dataclass(frozen=True)
class Spread:
    """How returns by bar were spread.

    Attributes:
        num_bars: Returns.
        mean, deviation: Of a bar; the deviation's divisor is n - 1.
        skew, kurtosis: Third moment, and fourth minus 3, of the standardised returns; None without spread.
        worst, best: The smallest and the largest.
        value_at_risk: The 5% quantile.
        expected_shortfall: Mean of the returns at or below it.
        up: Share of returns above zero.
    """

    num_bars: int
    mean: float
    deviation: float
    skew: float | None
    kurtosis: float | None
    worst: float
    best: float
    value_at_risk: float
    expected_shortfall: float
    up: float


def spread(equity: Floats) -> Spread | None:
    """Return how a curve's returns by bar were spread; None with fewer than two."""
    returns = bar_returns(equity)
    if len(returns) < 2:  # noqa: PLR2004 - no deviation
        return None
    spreads = returns.std() > NO_SPREAD
    skewness, kurtosis = skewness_and_kurtosis(returns) if spreads else (None, None)
    tail = float(np.quantile(returns, _TAIL))
    return Spread(
        num_bars=len(returns),
        mean=float(returns.mean()),
        deviation=float(returns.std(ddof=1)),
        skew=skewness,
        kurtosis=None if kurtosis is None else kurtosis - 3,
        worst=float(returns.min()),
        best=float(returns.max()),
        value_at_risk=tail,
        expected_shortfall=float(returns[returns <= tail].mean()),
        up=float((returns > 0).mean()),
    )
