"""What was said and what came: the samples calibration learns from, each with the moment it was known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.exchanges import exchange_of
from marketgpt_core.signal import Outcome, Signal
from marketgpt_core.times import to_datetime64

PLAIN = "plain"


@dataclass(frozen=True, eq=False)
class Samples:
    """N forecasts with their outcomes, of one model.

    Attributes:
        market: shape (N,), text: see :func:`market_of`.
        horizon: shape (N,), int64, bars.
        as_of: shape (N,), datetime64[ns], UTC.
        known_at: shape (N,), datetime64[ns], UTC: when the outcome was known.
        p_up: shape (N,): as forecast.
        up: shape (N,), bool: whether the log return was > 0.
    """

    market: NDArray[np.str_]
    horizon: NDArray[np.int64]
    as_of: NDArray[np.datetime64]
    known_at: NDArray[np.datetime64]
    p_up: NDArray[np.float64]
    up: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.p_up)

    def rows(self, keep: NDArray[np.bool_] | NDArray[np.integer]) -> Samples:
        """Return the chosen samples."""
        return Samples(**{name: getattr(self, name)[keep] for name in self.__dataclass_fields__})


def market_of(symbol: str) -> str:
    """Return the market a symbol's shape tells: ``crypto``, ``fx``, ``commodity``, ``index``, ``eu``, ``em``.

    ``plain`` for a symbol without a mark, such as ``AAPL``: neither a ledger nor a forecast carries a
    category.
    """
    category = str(exchange_of(symbol).category)
    return PLAIN if category == "unknown" else category


def samples_of(pairs: Iterable[tuple[Signal, Outcome]]) -> Samples:
    """Return the samples of resolved signals, abstentions included, oldest as-of first.

    Signals of several strategies on one forecast are one sample. An outcome counts as known at the open
    after its horizon's last bar (``exit_at``): the close it is judged by came before.
    """
    rows = {
        (
            to_datetime64(signal.as_of), signal.symbol, signal.horizon_bars, to_datetime64(outcome.exit_at),
            signal.probability, outcome.forecast_return > 0,
        )
        for signal, outcome in pairs
    }  # fmt: skip
    ordered = sorted(rows, key=lambda row: (row[0].astype(np.int64), *row[1:3]))
    return Samples(
        market=np.array([market_of(row[1]) for row in ordered], dtype=np.str_),
        horizon=np.array([row[2] for row in ordered], dtype=np.int64),
        as_of=np.array([row[0] for row in ordered], dtype="datetime64[ns]"),
        known_at=np.array([row[3] for row in ordered], dtype="datetime64[ns]"),
        p_up=np.array([row[4] for row in ordered], dtype=np.float64),
        up=np.array([row[5] for row in ordered], dtype=np.bool_),
    )


def independent_dates(samples: Samples) -> int:
    """Return how many as-of dates do not overlap: each after the outcome of the one before was known.

    Assets of one date share its move, and horizons that overlap share bars: these are what a sample of
    outcomes is worth, not its rows.
    """
    latest: dict[int, int] = {}
    for as_of, known_at in zip(samples.as_of.tolist(), samples.known_at.tolist(), strict=True):
        latest[as_of] = max(known_at, latest.get(as_of, known_at))
    count, free = 0, None
    for as_of, known_at in sorted(latest.items()):
        if free is None or as_of >= free:
            count, free = count + 1, known_at
    return count
