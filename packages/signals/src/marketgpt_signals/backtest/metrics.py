"""What an equity curve and its trades were worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.signal import Outcome
from marketgpt_signals.backtest.bootstrap import bootstrap_interval

SHARPE_LEVEL = 0.90
_WILSON_Z = 1.6448536269514722  # the 95% quantile of the standard normal: a 90% interval
_YEAR = np.timedelta64(round(365.25 * 24 * 3600), "s")
_NO_SPREAD = 1e-12
Interval90 = tuple[float, float]


@dataclass(frozen=True)
class Performance:
    """What an equity curve was worth. Where a number has no meaning it is None, never NaN.

    Attributes:
        total_return: Last / first - 1.
        cagr: Compound growth a year.
        volatility: Standard deviation of the bars' simple returns, a year.
        sharpe: Mean over standard deviation of the bars' simple returns, a year, against cash at 0.
        sharpe_interval: Its 90% interval by the stationary bootstrap.
        sortino: Mean over downside deviation (root mean square of the negative returns), a year.
        max_drawdown: Largest fall from a peak, as a positive fraction of the peak.
    """

    total_return: float
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sharpe_interval: Interval90 | None
    sortino: float | None
    max_drawdown: float


@dataclass(frozen=True)
class Trades:
    """What the signals behind a backtest were worth one by one.

    Attributes:
        num_closed: LONG and SHORT signals whose horizon has passed.
        num_flat: Abstentions.
        hit_rate: Share of the closed ones whose side was right about the close-to-close move.
        hit_interval: Its 90% interval (Wilson); overlapping horizons make it too narrow.
        profit_factor: Sum of net gains over sum of net losses; None without a loss.
        mean_net_return: Mean net return of the closed ones.
    """

    num_closed: int
    num_flat: int
    hit_rate: float | None
    hit_interval: Interval90 | None
    profit_factor: float | None
    mean_net_return: float | None


def elapsed_years(time: NDArray[np.datetime64]) -> float:
    """Return the wall time between the first and the last stamp, in years."""
    return float((time[-1] - time[0]) / _YEAR)


def bar_years(time: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Return the wall time since the previous stamp, in years, shape (T,); 0 for the first."""
    years: NDArray[np.float64] = np.diff(time, prepend=time[:1]) / _YEAR
    return years


def performance(
    equity: NDArray[np.float64],
    time: NDArray[np.datetime64],
    *,
    mean_block: float,
    num_resamples: int,
    seed: int,
) -> Performance:
    """Measure an equity curve.

    Args:
        equity: shape (T,), >= 0, the first > 0.
        time: shape (T,): its stamps.
        mean_block: Expected block of the bootstrap, in bars.
        num_resamples: Resamples of the bootstrap; 0 for no interval.
        seed: Its seed.
    """
    alive = equity[:-1] > 0
    returns = equity[1:][alive] / equity[:-1][alive] - 1
    years = elapsed_years(time)
    per_year = len(returns) / years if years > 0 else 0.0

    def sharpe(sample: NDArray[np.float64]) -> float | None:
        return _ratio(sample.mean(), _deviation(sample), per_year)

    known = len(returns) > 1 and per_year > 0
    interval = None
    if known and num_resamples and sharpe(returns) is not None:
        interval = bootstrap_interval(
            returns,
            sharpe,
            mean_block=mean_block,
            num_resamples=num_resamples,
            level=SHARPE_LEVEL,
            seed=seed,
        )
    growth = float(equity[-1] / equity[0])
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2))) if known else 0.0
    return Performance(
        total_return=growth - 1,
        cagr=_cagr(growth, years),
        volatility=_deviation(returns) * math.sqrt(per_year) if known else None,
        sharpe=sharpe(returns) if known else None,
        sharpe_interval=interval,
        sortino=_ratio(returns.mean(), downside, per_year) if known else None,
        max_drawdown=float(np.max(1 - equity / np.maximum.accumulate(equity))),
    )


def _deviation(returns: NDArray[np.float64]) -> float:
    return float(returns.std(ddof=1))


def _ratio(mean: float, spread: float, per_year: float) -> float | None:
    # Constant returns leave rounding, not risk, in the denominator.
    return float(mean / spread * math.sqrt(per_year)) if spread > _NO_SPREAD else None


def _cagr(growth: float, years: float) -> float | None:
    if years <= 0:
        return None
    if growth <= 0:
        return -1.0
    exponent = math.log(growth) / years
    return math.expm1(exponent) if exponent < math.log(1e9) else None


def wilson_interval(hits: int, trials: int, z: float = _WILSON_Z) -> Interval90 | None:
    """Return the score interval of a proportion, 90% by default; None without trials.

    Wilson, Probable Inference, the Law of Succession, and Statistical Inference, Journal of the American
    Statistical Association 22 (1927).
    """
    if trials == 0:
        return None
    share, spread = hits / trials, z * z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def trades(outcomes: Sequence[Outcome]) -> Trades:
    """Measure what the signals were worth one by one."""
    closed = [outcome for outcome in outcomes if outcome.hit is not None]
    hits = sum(bool(outcome.hit) for outcome in closed)
    gains = sum(max(outcome.net_return, 0.0) for outcome in closed)
    losses = sum(max(-outcome.net_return, 0.0) for outcome in closed)
    return Trades(
        num_closed=len(closed),
        num_flat=len(outcomes) - len(closed),
        hit_rate=hits / len(closed) if closed else None,
        hit_interval=wilson_interval(hits, len(closed)),
        profit_factor=gains / losses if losses > 0 else None,
        mean_net_return=math.fsum(outcome.net_return for outcome in closed) / len(closed) if closed else None,
    )


def plain(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as JSON without NaN: numbers that are not finite become None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
