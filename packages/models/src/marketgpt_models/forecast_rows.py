"""What to forecast from: one row for each symbol and as-of time, and the history that goes with it.

Legend: N rows, L steps ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.times import Moment, to_datetime64
from marketgpt_core.tokens import Tokenizer, TokenSeries, VolatilityState
from marketgpt_models.base import InputSpec
from marketgpt_models.calendar import bar_of
from marketgpt_models.covariates import Covariates
from marketgpt_models.features import SeriesFeatures, features_of
from marketgpt_models.prefix import Prefix, calendars_ahead, row_seed, stamps_ahead, windows_of

# Path values held at once: 64 MB.
_VALUES_A_BLOCK = 8_000_000
_ROWS_A_BLOCK = 1_024
_MOST_CONTEXTS = 4


@dataclass(frozen=True, eq=False)
class ForecastRow:
    """One symbol at one as-of time: candle ``candle_row`` of ``series`` is the last that may be used."""

    series: CandleSeries
    candle_row: int
    order: int

    @property
    def as_of(self) -> np.datetime64:
        """Stamp of the last candle used."""
        stamp: np.datetime64 = self.series.time[self.candle_row]
        return stamp


def steps_of(horizons: Sequence[int]) -> NDArray[np.int64]:
    """Return horizons as an array.

    Raises:
        ConfigError: when they do not increase from 1 bar on.
    """
    given = [int(h) for h in horizons]
    if not given or given[0] < 1 or any(b <= a for a, b in pairwise(given)):
        raise ConfigError(f"horizons must increase from 1 bar on, got {given}")
    return np.array(given, dtype=np.int64)


def check_reach(num_steps: int, *, context: int, model_id: str) -> None:
    """Refuse paths far longer than what the model looks back at: nothing of the kind was ever trained.

    A generated candle looks back at the history and at the path so far, more than the windows of training
    held. Positions are relative, which bears some of that, not any amount.

    Raises:
        ConfigError: for more steps than four contexts.
    """
    most = _MOST_CONTEXTS * context
    if num_steps > most:
        raise ConfigError(
            f"a path of {num_steps} bars is too long for {model_id}, which looks back at {context} candles; "
            f"ask for at most {most}"
        )


def rows_to_forecast(
    candles: Candles,
    as_of: Sequence[Moment] | None,
    symbols: Sequence[str] | None,
    *,
    min_history: int,
    model_id: str,
) -> list[ForecastRow]:
    """Return what to forecast, symbol after symbol; moments that stand for the same candle give one row.

    Args:
        candles: What is known.
        as_of: Moments; None means each symbol's last candle.
        symbols: Which; None means all.
        min_history: Candles a row needs.
        model_id: Whose, for the message.

    Raises:
        DataError: when no symbol has enough history, or one is not there.
    """
    found = []
    chosen = list(candles.values()) if symbols is None else [candles[symbol] for symbol in symbols]
    for order, series in enumerate(chosen):
        last = np.array([len(series)])
        if as_of is not None:
            moments = np.array([to_datetime64(one) for one in as_of], dtype="datetime64[ns]")
            last = np.unique(np.searchsorted(series.time, moments, side="right"))
        found += [ForecastRow(series, int(end) - 1, order) for end in last if end >= min_history]
    if not found:
        longest = max((len(series) for series in chosen), default=0)
        raise DataError(
            f"no symbol has enough history: {model_id} needs {min_history} candles up to the "
            f"as-of date, the longest of {len(chosen)} symbols has {longest}"
        )
    return found


def blocks_of(rows: list[ForecastRow], values_a_row: int) -> list[list[ForecastRow]]:
    """Split rows so that the paths of a block fit into memory."""
    size = min(_ROWS_A_BLOCK, max(1, _VALUES_A_BLOCK // values_a_row))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


@dataclass(frozen=True, eq=False)
class Histories:
    """All that is known, encoded once a forecast.

    Attributes:
        candles: What is known, of all symbols.
        tokenizer: The model's.
        spec: What the model was built for.
        tokens: Of each symbol.
        features: Of the symbols to forecast.
    """

    candles: Candles
    tokenizer: Tokenizer
    spec: InputSpec
    tokens: dict[str, TokenSeries]
    features: dict[str, SeriesFeatures]

    @classmethod
    def of(cls, candles: Candles, symbols: Iterable[str], tokenizer: Tokenizer, spec: InputSpec) -> Histories:
        """Encode what forecasts of some symbols need; without covariates nothing but these."""
        covariates = Covariates(spec.covariates)
        symbols = dict.fromkeys(symbols)
        wanted = candles.values() if covariates.groups else [candles[symbol] for symbol in symbols]
        tokens = {one.symbol: tokenizer.encode(one) for one in wanted if len(one) > 1}
        beside = covariates.of(candles, tokens)
        features = {name: features_of(tokens[name], (), covariates=beside[name]) for name in symbols}
        return cls(candles, tokenizer, spec, tokens, features)

    def prefix(self, rows: Sequence[ForecastRow], *, context: int, num_steps: int, seed: int) -> Prefix:
        """Return the histories of a block of rows, which come symbol after symbol.

        Args:
            rows: N of them.
            context: Candles of history.
            num_steps: L.
            seed: From which each row's own is made.
        """
        groups = Covariates(self.spec.covariates)
        features: list[SeriesFeatures] = []
        owners, last_rows, identities = [], [], []
        calendars, covariates, states = [], [], []
        for series, group in _by_series(rows):
            cut, first = _last_rows(self.features[series.symbol], group, context)
            owners += [len(features)] * len(group)
            identities += [self.spec.identity(series.symbol, series.category)] * len(group)
            # The first candle of a series has no row of tokens.
            states.append(self.tokenizer.begin_at(series, np.array([row.candle_row + 1 for row in group])))
            token_rows = np.array([row.candle_row - 1 for row in group], dtype=np.int64)
            last_rows.append(token_rows - first)
            features.append(cut)
            stamps = np.array([row.as_of for row in group], dtype="datetime64[ns]")
            ahead = stamps_ahead(stamps, series.category, bar_of(series.time), num_steps)
            calendars.append(calendars_ahead(stamps, ahead, series.category))
            covariates.append(
                groups.ahead(self.candles, self.tokens[series.symbol], token_rows, ahead[:, 1:])
            )
        windows = windows_of(features, np.array(owners), np.concatenate(last_rows), context)
        asset, category = np.array(identities, dtype=np.int64).T
        return Prefix(
            **windows,  # type: ignore[arg-type]
            asset=asset,
            category=category,
            calendar_ahead=np.concatenate(calendars),
            covariates_ahead=np.concatenate(covariates),
            state=VolatilityState.concatenated(states),
            seeds=np.array([row_seed(seed, row.series.symbol, row.as_of) for row in rows], dtype=np.int64),
        )


def _last_rows(
    features: SeriesFeatures, group: Sequence[ForecastRow], context: int
) -> tuple[SeriesFeatures, int]:
    """Drop the rows no window of the group reaches; return how many were dropped, too."""
    first = max(0, group[0].candle_row - context)
    names = ("time", "tokens", "continuous", "calendar", "next_sigma", "close", "horizon_z", "tasks")
    return replace(features, **{name: getattr(features, name)[first:] for name in names}), first


def _by_series(rows: Sequence[ForecastRow]) -> list[tuple[CandleSeries, list[ForecastRow]]]:
    groups: dict[str, list[ForecastRow]] = {}
    for row in rows:
        groups.setdefault(row.series.symbol, []).append(row)
    return [(group[0].series, group) for group in groups.values()]
