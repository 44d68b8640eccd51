"""The histories that paths start from, as arrays ready for a model. numpy only.

Legend: N rows (a symbol at an as-of time), T candles of history, K channels, F continuous inputs, C calendar
fields, L steps ahead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.symbols import Category
from marketgpt_core.tokens import VolatilityState
from marketgpt_models.calendar import calendar_of, gap_days, next_time
from marketgpt_models.features import SeriesFeatures

# What a module's ``encode`` reads of it.
MODEL_INPUTS = ("tokens", "continuous", "calendar", "valid", "asset", "category")


@dataclass(frozen=True, eq=False)
class Prefix:
    """Histories, one a row, left-padded to one length.

    Attributes:
        tokens: shape (N, T, K), int64.
        continuous: shape (N, T, F), float32.
        calendar: shape (N, T, C), int64: of the candle after each.
        valid: shape (N, T), bool: False where padded; the last column is always True.
        asset, category: shape (N,), int64: ids; 0 for one never trained on.
        calendar_ahead: shape (N, L, C), int64: of the candle after each generated one.
        covariates_ahead: shape (N, L, E), float32: the covariates that go with each generated candle.
        state: The volatility of N paths after their last candle.
        seeds: shape (N,), int64, >= 0: each row's own, so that its paths depend on nothing else in a batch.
    """

    tokens: NDArray[np.int64]
    continuous: NDArray[np.float32]
    calendar: NDArray[np.int64]
    valid: NDArray[np.bool_]
    asset: NDArray[np.int64]
    category: NDArray[np.int64]
    calendar_ahead: NDArray[np.int64]
    covariates_ahead: NDArray[np.float32]
    state: VolatilityState
    seeds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tokens)

    def rows(self, index: NDArray[np.int64]) -> Prefix:
        """Return the chosen rows."""
        names = [one.name for one in fields(self) if one.name != "state"]
        return Prefix(state=self.state.rows(index), **{name: getattr(self, name)[index] for name in names})


def windows_of(
    features: Sequence[SeriesFeatures], series: NDArray[np.int64], last_row: NDArray[np.int64], context: int
) -> dict[str, NDArray[np.generic]]:
    """Cut the last ``context`` rows up to each ``last_row``, left-padded with zeros.

    Args:
        features: The symbols.
        series: shape (N,): which symbol.
        last_row: shape (N,): the last row of it that may be used.
        context: T.

    Returns:
        ``tokens``, ``continuous``, ``calendar`` and ``valid`` as in :class:`Prefix`.
    """
    starts = np.cumsum([0, *(len(one) for one in features)])[:-1][series]
    row_NT = last_row[:, None] + np.arange(1 - context, 1)
    valid_NT = row_NT >= 0
    flat_NT = starts[:, None] + np.maximum(row_NT, 0)
    windows: dict[str, NDArray[np.generic]] = {"valid": valid_NT}
    for name in ("tokens", "continuous", "calendar"):
        values = np.concatenate([getattr(one, name) for one in features])[flat_NT]
        values[~valid_NT] = 0
        windows[name] = values
    return windows


def stamps_ahead(
    time: NDArray[np.datetime64], category: Category, bar: np.timedelta64, num_steps: int
) -> NDArray[np.datetime64]:
    """Return the stamps of the next ``num_steps + 1`` candles, by rule.

    Args:
        time: shape (N,): stamps of the last known candles.
        category: Market of all of them.
        bar: Length of a bar.
        num_steps: L.

    Returns:
        shape (N, L + 1), datetime64[ns].
    """
    stamps = []
    for _ in range(num_steps + 1):
        time = next_time(time, category, bar)
        stamps.append(time)
    return np.stack(stamps, axis=1)


def calendars_ahead(
    time: NDArray[np.datetime64], ahead: NDArray[np.datetime64], category: Category
) -> NDArray[np.int64]:
    """Return the calendar that goes with each generated candle: that of the candle after it, by rule.

    Args:
        time: shape (N,): stamps of the last known candles.
        ahead: shape (N, L + 1): :func:`stamps_ahead`.
        category: Market of all of them.

    Returns:
        shape (N, L, C), int64.
    """
    before = np.concatenate([time[:, None], ahead[:, :-2]], axis=1)
    return calendar_of(ahead[:, 1:], gap_days(before, ahead[:, :-1]), category)


def row_seed(seed: int, symbol: str, as_of: np.datetime64) -> int:
    """Return the seed of one symbol at one time: 62 bits of a hash, so that rows share no draws."""
    text = f"{seed}|{symbol}|{as_of.astype('datetime64[ns]').astype(np.int64)}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 2
