"""What signals were worth one by one, apart from the account that traded them. D as-of dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.signal import Outcome, Side, Signal
from marketgpt_core.times import to_datetime64
from marketgpt_signals.backtest.bootstrap import Interval, percentile_intervals, resamples
from marketgpt_signals.backtest.measures import ratio
from marketgpt_signals.backtest.metrics import LEVEL, wilson_interval


@dataclass(frozen=True)
class Trades:
    """What the signals behind a backtest were worth one by one. None where there is nothing to divide by.

    The hit rate and the precisions are shares of statements: each counts once, whatever its size. Win rate,
    profit factor and mean net return are about money: each weighs by its size.

    Attributes:
        num_closed: LONG and SHORT signals whose horizon has passed.
        num_flat: Abstentions.
        hit_rate: Share of the closed ones whose side was right about the close-to-close move.
        hit_interval: Its 90% interval (Wilson); overlapping horizons make it too narrow, that in
            ``intervals`` is not.
        profit_factor: Sum of net gains over sum of net losses; None without a loss.
        mean_net_return: Mean net return of the closed ones.
        num_long, num_short: Closed ones of each side.
        precision_long, precision_short: Share of each that was right.
        win_rate: Share of what was closed that earned more than it cost.
        intervals: 90% intervals by name of a field, by the stationary bootstrap over as-of dates: what was
            said on one date stays together, and dates within a horizon mostly do.
    """

    num_closed: int
    num_flat: int
    hit_rate: float | None
    hit_interval: Interval | None
    profit_factor: float | None
    mean_net_return: float | None
    num_long: int = 0
    num_short: int = 0
    precision_long: float | None = None
    precision_short: float | None = None
    win_rate: float | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def trades(
    resolved: Iterable[tuple[Signal, Outcome]], *, mean_block: float, num_resamples: int, seed: int
) -> Trades:
    """Measure signals one by one.

    Args:
        resolved: Signals of one horizon and what came of them, in any order.
        mean_block: Expected block of the bootstrap, in as-of dates.
        num_resamples: Resamples; 0 for no intervals.
        seed: Of the bootstrap.
    """
    pairs = list(resolved)
    closed = [(signal, outcome) for signal, outcome in pairs if outcome.hit is not None]
    sums = _by_date(closed)
    total = sums.sum(axis=0)
    counts = dict(zip(_COLUMNS, total.tolist(), strict=True))
    at = _shares(total[None])
    found = {name: float(value[0]) for name, value in at.items() if np.isfinite(value[0])}
    intervals: dict[str, Interval] = {}
    if num_resamples and closed:
        # A resample as how often each date is in it: then all sums are one product.
        drawn = [
            _shares(_often(rows) @ sums) for rows in resamples(len(sums), mean_block, num_resamples, seed)
        ]
        intervals = percentile_intervals(
            {name: np.concatenate([part[name] for part in drawn]) for name in found}, LEVEL
        )
    return Trades(
        num_closed=len(closed),
        num_flat=len(pairs) - len(closed),
        num_long=round(counts["long"]),
        num_short=len(closed) - round(counts["long"]),
        hit_interval=wilson_interval(round(counts["hit"]), len(closed)),
        intervals=intervals,
        **{name: found.get(name) for name in at},
    )


_COLUMNS = ("closed", "hit", "long", "long_hit", "size", "won", "gain", "loss")


def _by_date(closed: list[tuple[Signal, Outcome]]) -> NDArray[np.float64]:
    """Sum by as-of date what the measures are made of, shape (D, 8), oldest first."""
    said = [
        (bool(outcome.hit), signal.side is Side.LONG, signal.size, outcome.net_return)
        for signal, outcome in closed
    ]
    rows = np.array(
        [
            (
                1.0, hit, is_long, is_long and hit, size,
                size * (net > 0), size * max(net, 0.0), size * max(-net, 0.0),
            )
            for hit, is_long, size, net in said
        ],
        dtype=np.float64,
    ).reshape(-1, len(_COLUMNS))  # fmt: skip
    moments = np.array([to_datetime64(signal.as_of) for signal, _ in closed], dtype="datetime64[ns]")
    dates, at = np.unique(moments, return_inverse=True)
    sums = np.zeros((len(dates), len(_COLUMNS)))
    np.add.at(sums, at, rows)
    return sums


def _often(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Count how often each row is in each resample, shape (R, D) from (R, D)."""
    count, dates = rows.shape
    flat = (rows + np.arange(count)[:, None] * dates).ravel()
    return np.bincount(flat, minlength=count * dates).reshape(count, dates).astype(np.float64)


def _shares(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    column = dict(zip(_COLUMNS, sums.T, strict=True))
    return {
        "hit_rate": ratio(column["hit"], column["closed"]),
        "precision_long": ratio(column["long_hit"], column["long"]),
        "precision_short": ratio(column["hit"] - column["long_hit"], column["closed"] - column["long"]),
        "win_rate": ratio(column["won"], column["size"]),
        "profit_factor": ratio(column["gain"], column["loss"]),
        "mean_net_return": ratio(column["gain"] - column["loss"], column["size"]),
    }
