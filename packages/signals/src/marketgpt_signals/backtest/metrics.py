"""What an equity curve was worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_signals.backtest.bootstrap import Interval, percentile_intervals, resamples
from marketgpt_signals.backtest.measures import growth_a_year, measures
from marketgpt_signals.backtest.sharpe import SharpeMoments, probabilistic_sharpe

LEVEL = 0.90
_WILSON_Z = 1.6448536269514722  # the 95% quantile of the standard normal: a 90% interval
_YEAR = np.timedelta64(round(365.25 * 24 * 3600), "s")


@dataclass(frozen=True)
class Performance:
    """What an equity curve was worth. Where a number has no meaning it is None, never NaN.

    Formulas: :func:`marketgpt_signals.backtest.measures.measures`.

    Attributes:
        total_return: Last / first - 1.
        cagr: Compound growth a year.
        volatility: Standard deviation of the bars' simple returns, a year.
        sharpe: Mean over standard deviation of the bars' simple returns, a year, against cash at 0.
        sharpe_interval: Its 90% interval by the stationary bootstrap.
        sortino: Mean over downside deviation (root mean square of the negative returns), a year.
        max_drawdown: Largest fall from a peak, as a positive fraction of the peak.
        calmar: Growth a year over the largest drawdown.
        alpha: What the benchmark does not explain, a year; None without a benchmark.
        beta: Slope of the returns on the benchmark's.
        probabilistic_sharpe: Probability that the true Sharpe ratio exceeds 0.
        intervals: 90% intervals by name of a field above, by the stationary bootstrap; bars of the benchmark
            are drawn together with the curve's. A drawdown's is of paths made of the same bars in other
            orders: the one that was lived through need not lie inside.
    """

    total_return: float
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sharpe_interval: Interval | None
    sortino: float | None
    max_drawdown: float
    calmar: float | None = None
    alpha: float | None = None
    beta: float | None = None
    probabilistic_sharpe: float | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def elapsed_years(time: NDArray[np.datetime64]) -> float:
    """Return the wall time between the first and the last stamp, in years."""
    return float((time[-1] - time[0]) / _YEAR)


def bar_years(time: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Return the wall time since the previous stamp, in years, shape (T,); 0 for the first."""
    years: NDArray[np.float64] = np.diff(time, prepend=time[:1]) / _YEAR
    return years


def bar_returns(equity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the simple returns of the bars an account lived through, at most shape (T - 1,)."""
    alive = equity[:-1] > 0
    returns: NDArray[np.float64] = equity[1:][alive] / equity[:-1][alive] - 1
    return returns


def performance(
    equity: NDArray[np.float64],
    time: NDArray[np.datetime64],
    *,
    mean_block: float,
    num_resamples: int,
    seed: int,
    market: NDArray[np.float64] | None = None,
) -> Performance:
    """Measure an equity curve.

    Args:
        equity: shape (T,), >= 0, the first > 0.
        time: shape (T,): its stamps.
        mean_block: Expected block of the bootstrap, in bars.
        num_resamples: Resamples of the bootstrap; 0 for no intervals.
        seed: Its seed.
        market: shape (T,), > 0: a benchmark's curve, for alpha and beta.
    """
    returns, years = bar_returns(equity), elapsed_years(time)
    growth = float(equity[-1] / equity[0])
    per_year = len(returns) / years if years > 0 else 0.0
    found: dict[str, float | None] = {
        "total_return": growth - 1,
        "max_drawdown": float(np.max(1 - equity / np.maximum.accumulate(equity))),
        "cagr": _known(float(growth_a_year(np.array([growth]), years)[0])),
    }
    moments, intervals = SharpeMoments.of(returns), {}
    if len(returns) > 1 and per_year > 0:
        against = None if market is None else (market[1:] / market[:-1] - 1)[: len(returns)]

        def of(rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
            bench = None if against is None else against[rows]
            return measures(returns[rows], years=years, per_year=per_year, market=bench)

        at = of(np.arange(len(returns))[None])
        found = {name: _known(float(value[0])) for name, value in at.items()} | found
        if num_resamples:
            drawn = [of(rows) for rows in resamples(len(returns), mean_block, num_resamples, seed)]
            joined = {name: np.concatenate([part[name] for part in drawn]) for name in at}
            kept = {name: values for name, values in joined.items() if found[name] is not None}
            intervals = percentile_intervals(kept, LEVEL)
    return Performance(
        sharpe_interval=intervals.get("sharpe"),
        probabilistic_sharpe=None if moments is None else probabilistic_sharpe(moments),
        intervals=intervals,
        **{name: found.get(name) for name in _MEASURED},  # type: ignore[arg-type]
    )


_MEASURED = (
    "total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "calmar", "alpha", "beta",
)  # fmt: skip


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def mean_intervals(
    series: Mapping[str, NDArray[np.float64]], *, mean_block: float, num_resamples: int, seed: int
) -> dict[str, Interval]:
    """Return the 90% interval of the mean of each series, shape (T,) all, by the stationary bootstrap."""
    names = list(series)
    table = np.stack([series[name] for name in names], axis=1)
    drawn = [table[rows].mean(axis=1) for rows in resamples(len(table), mean_block, num_resamples, seed)]
    if not drawn:
        return {}
    means = np.concatenate(drawn)
    return percentile_intervals({name: means[:, column] for column, name in enumerate(names)}, LEVEL)


def wilson_interval(hits: int, trials: int, z: float = _WILSON_Z) -> Interval | None:
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


def plain(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as JSON without NaN: numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
