"""The causal surprise of the volume: how far the log of it lies from where it stood, in its usual spread.

``surprise_t = ln V_t - level_{t-1}``, the level an exponential mean of ln V; ``value_t = surprise_t /
scale_{t-1}``, the scale the root of an exponential mean of squared surprises, shrunk to the training part's
median while it rests on few. Both count only candles whose volume was supplied (> 0), so a hole in a feed
leaves them where they stood. Exactly zero means "nothing said": no volume, or no level yet to compare it
with. A supplied volume that is no surprise at all is moved off zero, so that the atom means nothing else.

Half-lives: 3 and 100 candles by default. Over up to 40 symbols each of US, European and emerging stocks, ETFs
and crypto, a level of 2 to 5 candles left the smallest squared surprises (one of 20 candles left 8 to 120%
more), and a scale of 60 to 120 candles gave all but crypto the best Gaussian log score.

Shapes: T candles of a series, N paths. A state is (N, 3): level, mean squared surprise, volumes supplied.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import DataError
from marketgpt_tokenizer.bins import ATOM
from marketgpt_tokenizer.volatility import exponential_mean, exponential_step, shrunk_scale

VOLUME = "volume"

# A supplied volume is at least this far from zero, in units of its scale: outside the atom.
NO_SURPRISE = 1e-7
# A spread of 5% of the volume is less than any market shows, one of e^5 more.
SCALE_FLOOR, SCALE_CEILING = 0.05, 5.0
# The log of a decoded volume stays inside: a float, whatever the tokens.
_LARGEST_LOG = 690.0


@dataclass(frozen=True)
class CausalVolume:
    """Level and spread of the log volume, known before each candle.

    Attributes:
        prior_variance: Mean squared surprise of a symbol of which nothing is known.
        level_half_life_bars, scale_half_life_bars: Half-lives of level and spread, in supplied volumes.
        warmup_bars: The prior's weight falls from 1 to 0 over so many surprises.
    """

    prior_variance: float
    level_half_life_bars: float
    scale_half_life_bars: float
    warmup_bars: int

    def scale(self, average: NDArray[np.float64], surprises: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return the scale of the next surprise after so many; shape as given, > 0."""
        return shrunk_scale(
            average,
            np.asarray(surprises, dtype=np.int64),
            prior_variance=self.prior_variance,
            warmup=self.warmup_bars,
            floor=SCALE_FLOOR,
            ceiling=SCALE_CEILING,
        )

    def values(self, volume: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each candle's surprise in units of its scale, shape (T,); that of candle t uses <= t."""
        result = np.zeros(len(volume))
        supplied = np.flatnonzero(volume > 0)
        surprise = log_surprises(volume, self.level_half_life_bars)
        if not len(surprise):
            return result
        average = exponential_mean(surprise**2, self.scale_half_life_bars)
        before = np.concatenate([np.zeros(1), average[:-1]])
        result[supplied[1:]] = off_zero(surprise / self.scale(before, np.arange(len(surprise))))
        return result

    def begin(self, volume: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the state of one path after candles of these volumes, shape (1, 3)."""
        logs = np.log(volume[volume > 0])
        if not len(logs):
            return np.zeros((1, 3))
        level = exponential_mean(logs, self.level_half_life_bars)[-1]
        squares = log_surprises(volume, self.level_half_life_bars) ** 2
        average = exponential_mean(squares, self.scale_half_life_bars)[-1] if len(squares) else 0.0
        return np.array([[level, average, len(logs)]])

    def begin_at(self, volume: NDArray[np.float64], ends: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the states (N, 3) of paths that begin after the first ``ends[n]`` volumes each."""
        return np.concatenate([self.begin(volume[:end]) for end in ends])

    def advance(self, state: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the state (N, 3) after one more candle a path, of values (N,) in units of the scale."""
        level, average, count = state.T
        # Without a level a surprise says nothing: such a path stays without volume.
        said = (np.abs(values) >= ATOM) & (count > 0)
        surprise = values * self.scale(average, count - 1)
        moved = np.stack(
            [
                exponential_step(level, level + surprise, count + 1, self.level_half_life_bars),
                exponential_step(average, surprise**2, np.maximum(count, 1), self.scale_half_life_bars),
                count + 1,
            ],
            axis=1,
        )
        return np.where(said[:, None], moved, state)

    def decode(self, state: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the volumes of the successive candles of N paths, shape (N, T); 0 where none is said.

        Args:
            state: shape (N, 3): before the first of them.
            values: shape (N, T), in units of the scale.

        Raises:
            DataError: when the state is of another number of paths.
        """
        if len(state) != len(values):
            raise DataError(f"a state of {len(state)} paths does not go with tokens of {len(values)}")
        result = np.zeros(values.shape)
        for row, value in enumerate(values.T):
            level, average, count = state.T
            log = level + value * self.scale(average, count - 1)
            said = (np.abs(value) >= ATOM) & (count > 0)
            result[said, row] = np.exp(np.clip(log[said], -_LARGEST_LOG, _LARGEST_LOG))
            state = self.advance(state, value)
        return result


def log_surprises(volume: NDArray[np.float64], level_half_life_bars: float) -> NDArray[np.float64]:
    """Return the surprises of all supplied volumes but the first, natural log; shape (supplied - 1,)."""
    logs = np.log(volume[volume > 0])
    if len(logs) < 2:  # noqa: PLR2004 - the first volume has no level to be compared with
        return np.empty(0)
    return np.asarray(logs[1:] - exponential_mean(logs, level_half_life_bars)[:-1])


def off_zero(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return supplied volumes' values, none of them inside the atom."""
    return np.where(np.abs(values) < NO_SURPRISE, np.copysign(NO_SURPRISE, values), values)
