"""Encoding candles as they come: each new one costs the same, however long the history.

The state keeps the last candle and the exponential means as pandas' ``ewm`` leaves them. A step does the
operations of its loop in the same order, so rows are those of encoding the whole again, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketgpt_core.candle_checks import check_series
from marketgpt_core.candles import FIELDS, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.times import iso
from marketgpt_core.tokens import TokenSeries
from marketgpt_core.variance import candle_variance
from marketgpt_tokenizer.channels import log_channels
from marketgpt_tokenizer.volatility import exponential_mean
from marketgpt_tokenizer.volume import CausalVolume, log_surprises, off_zero

if TYPE_CHECKING:
    from marketgpt_tokenizer.ohlc import OHLCTokenizer


@dataclass(frozen=True)
class RunningMean:
    """One normalised exponential mean after ``count`` values: pandas' ``ewm(adjust=True)``, continued.

    Attributes:
        mean: The mean; 0 before the first value.
        weight: Sum of the weights of all values, the newest's being 1.
        count: Values seen.
        decay: What a weight is multiplied by with each newer value.
    """

    mean: float
    weight: float
    count: int
    decay: float

    @classmethod
    def after(cls, values: NDArray[np.float64], half_life_bars: float) -> RunningMean:
        """Return the mean after values of shape (T,), T >= 0."""
        # As pandas comes from a half-life to the factor, by the centre of mass: else the last bits differ.
        centre = 1 / (1 - np.exp(np.log(0.5) / half_life_bars)) - 1
        decay = float(1.0 - 1.0 / (1.0 + centre))
        if not len(values):
            return cls(mean=0.0, weight=0.0, count=0, decay=decay)
        # The sum of weights is the unnormalised exponential sum of ones, by the same loop.
        weight = pd.Series(np.ones(len(values))).ewm(halflife=half_life_bars).sum().to_numpy()[-1]
        mean = exponential_mean(values, half_life_bars)[-1]
        return cls(mean=float(mean), weight=float(weight), count=len(values), decay=decay)

    def step(self, value: float) -> RunningMean:
        """Return the mean after one more value."""
        if not self.count:
            return RunningMean(mean=value, weight=1.0, count=1, decay=self.decay)
        mean, old_weight = self.mean, self.weight * self.decay
        if mean != value:
            mean = (old_weight * mean + value) / (old_weight + 1.0)
        return RunningMean(mean=mean, weight=old_weight + 1.0, count=self.count + 1, decay=self.decay)


@dataclass(frozen=True)
class VolumeState:
    """Level and squared surprises of the log volume after the last candle."""

    level: RunningMean
    squares: RunningMean

    @classmethod
    def after(cls, causal: CausalVolume, volume: NDArray[np.float64]) -> VolumeState:
        """Return the state after candles of these volumes, shape (T,)."""
        return cls(
            level=RunningMean.after(np.log(volume[volume > 0]), causal.level_half_life_bars),
            squares=RunningMean.after(
                log_surprises(volume, causal.level_half_life_bars) ** 2, causal.scale_half_life_bars
            ),
        )

    def step(self, causal: CausalVolume, volume: NDArray[np.float64]) -> tuple[float, VolumeState]:
        """Return the value of a candle of this volume, shape (1,), unclipped, and the state after it."""
        if not volume[0] > 0:
            return 0.0, self
        log = np.log(volume)
        level = self.level.step(float(log[0]))
        if not self.level.count:
            return 0.0, VolumeState(level=level, squares=self.squares)
        surprise = log - self.level.mean
        scale = causal.scale(np.array([self.squares.mean]), np.array([self.squares.count]))
        value = float(off_zero(surprise / scale)[0])
        return value, VolumeState(level=level, squares=self.squares.step(float((surprise**2)[0])))


@dataclass(frozen=True, eq=False)
class EncodingState:
    """Where the encoding of one symbol stands after its last candle; made by a tokenizer, for that tokenizer.

    Attributes:
        last: The last candle, a series of one.
        fast, slow: The averages behind sigma and slow_sigma.
        volume: Of the volume channel; None without it.
        fingerprint: Of the tokenizer.
    """

    last: CandleSeries
    fast: RunningMean
    slow: RunningMean
    volume: VolumeState | None
    fingerprint: str


def begin_stream(tokenizer: OHLCTokenizer, series: CandleSeries) -> EncodingState:
    """Return the state after a series; see :meth:`OHLCTokenizer.begin_stream`."""
    causal = tokenizer.volatility
    if not len(series):
        raise DataError(f"{series.symbol}: no candles to begin a stream after")
    variance = candle_variance(*log_channels(series))
    return EncodingState(
        last=series[-1:],
        fast=RunningMean.after(variance, causal.fast_half_life_bars),
        slow=RunningMean.after(variance, causal.slow_half_life_bars),
        volume=None if tokenizer.volume is None else VolumeState.after(tokenizer.volume, series.volume),
        fingerprint=tokenizer.fingerprint(),
    )


def encode_next(
    tokenizer: OHLCTokenizer, state: EncodingState, candles: CandleSeries
) -> tuple[TokenSeries, EncodingState]:
    """Encode new candles; see :meth:`OHLCTokenizer.encode_next`."""
    _check_follows(tokenizer, state, candles)
    logs = log_channels(_joined(state.last, candles))
    means = _walk(state, candle_variance(*logs))
    scales = _scales(tokenizer, means)
    values = logs / scales[0]
    volume = state.volume
    if volume is not None and tokenizer.volume is not None:
        row = np.zeros(len(candles))
        for t in range(len(candles)):
            row[t], volume = volume.step(tokenizer.volume, candles.volume[t : t + 1])
        values = np.concatenate([values, row[None]])
    np.clip(values, -tokenizer.config.clip, tokenizer.config.clip, out=values)
    fast, slow = means[-1]
    after = EncodingState(candles[-1:], fast, slow, volume, state.fingerprint)
    return tokenizer.rows_of(candles, values, scales), after


def _walk(state: EncodingState, variance: NDArray[np.float64]) -> list[tuple[RunningMean, RunningMean]]:
    """Return the fast and slow means before the first candle, and after each."""
    means = [(state.fast, state.slow)]
    for value in variance.tolist():
        fast, slow = means[-1]
        means.append((fast.step(value), slow.step(value)))
    return means


def _scales(
    tokenizer: OHLCTokenizer, means: list[tuple[RunningMean, RunningMean]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return sigma, next_sigma and slow_sigma of each candle, shape (T,) each."""
    count = np.array([fast.count for fast, _ in means])
    sigma = tokenizer.volatility.scale(np.array([fast.mean for fast, _ in means]), count)
    slow = tokenizer.volatility.scale(np.array([slow.mean for _, slow in means]), count)
    return sigma[:-1], sigma[1:], slow[1:]


def _joined(last: CandleSeries, candles: CandleSeries) -> CandleSeries:
    """Return the last known candle with the new ones after it."""
    columns = {
        name: np.concatenate([getattr(last, name), getattr(candles, name)]) for name in ("time", *FIELDS)
    }
    return CandleSeries(symbol=last.symbol, interval=last.interval, category=candles.category, **columns)


def _check_follows(tokenizer: OHLCTokenizer, state: EncodingState, candles: CandleSeries) -> None:
    last = state.last
    if state.fingerprint != tokenizer.fingerprint():
        raise DataError(f"{last.symbol}: the stream was begun by another tokenizer")
    if not len(candles):
        raise DataError(f"{candles.symbol}: no new candle to encode")
    if (candles.symbol, candles.interval) != (last.symbol, last.interval):
        raise DataError(
            f"the stream is of {last.symbol} at {last.interval}, the candle of {candles.symbol} at "
            f"{candles.interval}"
        )
    if not candles.time[0] > last.time[0]:
        raise DataError(
            f"{candles.symbol}: the candle of {iso(candles.time[0])} does not follow the stream's last, of "
            f"{iso(last.time[0])}"
        )
    check_series(candles)
