"""Candles of a known law, for tests and for seeing what a model makes of data without any skill in it.

What the log price does is told in :mod:`marketgpt_data_sources.sources.synthetic_laws`; here the path becomes
candles. A day's open is the path after the night's increment, the close its end, high and low its extremes
from the open on, so every candle is possible and the close-to-close return has its law exactly. Being watched
at N + 1 points, the range is a little narrower than that of the continuous path.

Days are the sessions of a trading calendar. Candles of an hour are the same path cut finer: from the
session's open on, the last one as short as the session makes it, so that the hours of a session join to its
day to the last bit. There are no weeks: resample days.

Volume is log-normal noise around ``1e6`` a day and says nothing about prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.calendars import trading_calendar
from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_core.times import Moment
from marketgpt_data_sources.base import DataSource, check_known
from marketgpt_data_sources.sources.synthetic_config import SyntheticConfig
from marketgpt_data_sources.sources.synthetic_laws import Days, shares, simulate

_MEDIAN_VOLUME = 1e6
_INTERVALS = (Interval.HOUR, Interval.DAY)
_LAST_DAY = np.datetime64("2262-04-01")  # what nanoseconds hold
_CATEGORIES = {"XNYS": Category.US, "24/7": Category.CRYPTO}


@dataclass(frozen=True)
class Truth:
    """What is known about one simulated symbol, candle by candle.

    Attributes:
        time: shape (T,), stamps of the candles.
        sigma: shape (T,), standard deviation of the candle's log return (from the close before to its own),
            known at the close of the day before; under ``regime_switching`` given the day's state, which
            nobody knows.
        mean: shape (T,), mean of the candle's log return, likewise.
        degrees_of_freedom: Of the Student t; None for other laws.
        state: shape (T,), 0 calm and 1 turbulent; None but for ``regime_switching``.
        jumps: shape (T,), how many jumps the candle's return holds; None but for ``jumps``.
    """

    time: NDArray[np.datetime64]
    sigma: NDArray[np.float64]
    mean: NDArray[np.float64]
    degrees_of_freedom: float | None
    state: NDArray[np.int8] | None = None
    jumps: NDArray[np.int64] | None = None

    @property
    def jump_times(self) -> NDArray[np.datetime64]:
        """Stamps of the candles with a jump."""
        return self.time[:0] if self.jumps is None else self.time[self.jumps > 0]


@dataclass(frozen=True)
class _Cut:
    """Which steps of which session make each candle: shapes (T,).

    Attributes:
        time: Stamps, datetime64[ns].
        session: Number of the session.
        first, last: Points of its path the candle runs from and to; 0 is the open.
    """

    time: NDArray[np.datetime64]
    session: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


class Synthetic(DataSource):
    """Simulated candles of a known law, seeded: random_walk, garch_t, regime_switching, jumps."""

    class Config(SyntheticConfig):
        """Parameters of the law."""

    location_field: ClassVar[str | None] = "law"
    location_hint: ClassVar[str] = "LAW"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config: Synthetic.Config = config

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        """Return SYN000, SYN001, ...; () at any interval but an hour and a day."""
        if interval not in _INTERVALS:
            return ()
        return tuple(f"SYN{number:03d}" for number in range(self.config.num_symbols))

    def fetch(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Candles:
        """Return the candles with ``start <= time < end``; see :meth:`DataSource.fetch`.

        A symbol's candles depend on its number and the seed alone, not on what else is asked for.
        """
        asked = self._known(symbols, interval)
        cut = self._cut(interval)
        return Candles((self._candles(symbol, cut, interval) for symbol in asked), interval=interval).between(
            start, end
        )

    def truth(self, symbol: str, interval: Interval = Interval.DAY) -> Truth:
        """Return the law behind every candle of a symbol, from its first one on.

        Raises:
            DataError: for an unknown symbol.
        """
        self._known([symbol], interval)
        cut = self._cut(interval)
        days, _ = self._simulate(symbol)
        # The night belongs to the session's first candle.
        opens = cut.first == 0
        variance = np.concatenate([[0.0], np.cumsum(shares(self.config)[1:])])
        share = variance[cut.last] - variance[cut.first] + opens * self.config.overnight_share
        steps = (cut.last - cut.first + opens) / (self.config.steps_per_day + 1)
        jumps = None
        if days.jumps is not None:
            counted = np.cumsum(days.jumps, axis=1)
            before = np.where(opens, 0, counted[cut.session, cut.first])
            jumps = counted[cut.session, cut.last] - before
        whole_day = interval is Interval.DAY
        return Truth(
            time=cut.time,
            sigma=days.sigma if whole_day else days.sigma[cut.session] * np.sqrt(share),
            mean=days.mean if whole_day else days.mean[cut.session] * steps,
            degrees_of_freedom=self.config.degrees_of_freedom if self.config.law == "garch_t" else None,
            state=None if days.state is None else days.state[cut.session],
            jumps=jumps,
        )

    def _known(self, symbols: Sequence[str], interval: Interval) -> list[str]:
        if interval not in _INTERVALS:
            raise DataError(f"source 'synthetic' has candles at {' and '.join(_INTERVALS)}, not {interval}")
        return check_known(symbols, self.symbols(), where=f"synthetic:{self.config.law}")

    def _simulate(self, symbol: str) -> tuple[Days, NDArray[np.float64]]:
        """Return a symbol's days and their volume."""
        rng = np.random.default_rng([self.config.seed, int(symbol.removeprefix("SYN"))])
        days = simulate(self.config, rng)
        return days, np.round(_MEDIAN_VOLUME * np.exp(0.3 * rng.normal(size=len(days.sigma))))

    def _candles(self, symbol: str, cut: _Cut, interval: Interval) -> CandleSeries:
        days, volume = self._simulate(symbol)
        steps, num_steps = days.increments, self.config.steps_per_day
        path = self.config.first_close * np.exp(np.cumsum(steps.ravel()).reshape(steps.shape))
        opens = path[cut.session, cut.first]
        # What follows the open: each candle's points up to where the next one's begin.
        inside = np.ascontiguousarray(path[:, 1:]).ravel()
        starts = cut.session * num_steps + cut.first
        traded = volume[cut.session]
        return CandleSeries(
            symbol=symbol,
            interval=interval,
            time=cut.time,
            open=opens,
            high=np.maximum(opens, np.maximum.reduceat(inside, starts)),
            low=np.minimum(opens, np.minimum.reduceat(inside, starts)),
            close=path[cut.session, cut.last],
            volume=np.round(traded * cut.last / num_steps) - np.round(traded * cut.first / num_steps),
            category=self.config.category or _CATEGORIES.get(self.config.calendar, Category.UNKNOWN),
        )

    @cached_property
    def _sessions(self) -> NDArray[np.datetime64]:
        first, count = np.datetime64(self.config.start, "D"), self.config.num_candles
        # No exchange has fewer than five sessions in eight days, over a while.
        last = min(first + np.timedelta64(8 * count // 5 + 40, "D"), _LAST_DAY)
        sessions = trading_calendar(self.config.calendar).sessions(first, last)[:count]
        if len(sessions) < count:
            raise ConfigError(
                f"num_candles: {count} sessions of {self.config.calendar} from {first} on pass {_LAST_DAY}; "
                f"take {len(sessions)} or fewer"
            )
        return sessions

    def _cut(self, interval: Interval) -> _Cut:
        days, num_steps = self._sessions, self.config.steps_per_day
        number = np.arange(len(days))
        if interval is Interval.DAY:
            whole = np.full(len(days), num_steps)
            return _Cut(days.astype("datetime64[ns]"), number, np.zeros_like(whole), whole)
        opens, closes = trading_calendar(self.config.calendar).hours(days)
        length, hour = closes - opens, np.timedelta64(interval.duration)
        counts = -(-length // hour)
        session = np.repeat(number, counts)
        # 0, 1, 2, ... from each session's open on.
        within = np.arange(len(session)) - np.repeat(np.cumsum(counts) - counts, counts)
        first, last = (
            np.round(num_steps * np.minimum((within + k) * hour / length[session], 1.0)).astype(np.int64)
            for k in (0, 1)
        )
        if (first == last).any():
            raise ConfigError(
                f"steps_per_day={num_steps} leaves hours of {self.config.calendar} without a step; "
                f"take {2 * int(counts.max())} or more"
            )
        return _Cut(opens[session] + within * hour, session, first, last)
