r"""Candles of a known law, for tests and for seeing what a model makes of data without any skill in it.

For a symbol, with day t = 1 ... T, close C_0 = ``first_close`` and everything independent across symbols:

    r_t       = mu + e_t                              log return from close to close
    e_t       = sigma_t z_t
    sigma_t^2 = omega + alpha e_{t-1}^2 + beta sigma_{t-1}^2        known at the close of t-1
    z_t       ~ standardised Student t with nu degrees of freedom   (unit variance)
    omega     = (1 - alpha - beta) sigma^2,  sigma_1 = sigma        sigma: ``daily_volatility``

``garch_t`` is this GARCH(1,1)-t (Bollerslev 1987, Review of Economics and Statistics 69); ``random_walk``
is the case alpha = beta = 0 with normal z_t, so sigma_t = sigma always.

The path inside the day. A Student t is a normal with a random variance, z_t = sqrt(L_t) n_t with
L_t = (nu - 2) / chi2_nu (L_t = 1 for the random walk). Given sigma_t and L_t, the day is a Brownian motion of
variance L_t sigma_t^2, of which the share ``overnight_share`` = w passes before the open and the rest in
``steps_per_day`` = N equal steps: increments x_0 ~ N(0, w), x_1 ... x_N ~ N(0, (1 - w) / N), times
sqrt(L_t) sigma_t, with mu / (N + 1) added to each. The open is the path after x_0, the close its end, high
and low its extremes from the open on, so every candle is possible and e_t has the law above exactly. Being
watched at N + 1 points, the range is a little narrower than that of the continuous path.

Volume is log-normal noise around ``1e6`` and says nothing about prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_core.times import Moment
from marketgpt_data_sources.base import DataSource, check_known

_MEDIAN_VOLUME = 1e6


@dataclass(frozen=True)
class Truth:
    """What is known about one simulated symbol, candle by candle.

    Attributes:
        sigma: shape (T,), standard deviation of the candle's log return, known at the close before it.
        mean: Mean log return of every candle.
        degrees_of_freedom: Of the Student t; None for the normal.
    """

    sigma: NDArray[np.float64]
    mean: float
    degrees_of_freedom: float | None


class Synthetic(DataSource):
    """Simulated daily candles of a known law: synthetic:random_walk or synthetic:garch_t; seeded, offline."""

    class Config(BaseConfig):
        """Parameters of the law; the letters are those of the module's formulas."""

        law: Literal["random_walk", "garch_t"] = "random_walk"
        num_symbols: int = Field(default=8, ge=1, le=10_000, description="Symbols SYN000, SYN001, ...")
        num_candles: int = Field(default=2_000, ge=1, le=1_000_000, description="Weekdays a symbol.")
        start: date = Field(default=date(2010, 1, 4), description="First day, moved to a weekday.")
        seed: int = Field(default=0, ge=0)
        first_close: float = Field(default=100.0, gt=0, allow_inf_nan=False)
        daily_volatility: float = Field(default=0.012, gt=0, le=0.2, description="sigma, of a log return.")
        mean_log_return: float = Field(default=0.0, ge=-0.01, le=0.01, description="mu, a day.")
        alpha: float = Field(default=0.08, ge=0, lt=1, description="garch_t only.")
        beta: float = Field(default=0.90, ge=0, lt=1, description="garch_t only.")
        degrees_of_freedom: float = Field(default=6.0, gt=2, le=1_000, description="nu, garch_t only.")
        overnight_share: float = Field(default=0.2, ge=0, lt=1, description="w, of a day's variance.")
        steps_per_day: int = Field(default=32, ge=1, le=1_000, description="N, between open and close.")

        @model_validator(mode="after")
        def _is_stationary(self) -> Self:
            if self.alpha + self.beta >= 1:
                raise ValueError(f"alpha + beta must be below 1, got {self.alpha + self.beta:g}")
            return self

    location_field: ClassVar[str | None] = "law"
    location_hint: ClassVar[str] = "LAW"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config: Synthetic.Config = config

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        """Return SYN000, SYN001, ...; () at any interval but a day."""
        if interval is not Interval.DAY:
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
        if interval is not Interval.DAY:
            raise DataError(f"source 'synthetic' has candles at 1d only, not {interval}")
        asked = check_known(symbols, self.symbols(), where=f"synthetic:{self.config.law}")
        return Candles(self._simulate(symbol)[0] for symbol in asked).between(start, end)

    def truth(self, symbol: str) -> Truth:
        """Return the law behind every candle of a symbol, from its first one on.

        Raises:
            DataError: for an unknown symbol.
        """
        check_known([symbol], self.symbols(), where=f"synthetic:{self.config.law}")
        return self._simulate(symbol)[1]

    def _simulate(self, symbol: str) -> tuple[CandleSeries, Truth]:
        config = self.config
        is_garch = config.law == "garch_t"
        rng = np.random.default_rng([config.seed, int(symbol.removeprefix("SYN"))])
        num_days, num_steps = config.num_candles, config.steps_per_day
        shares = np.full(num_steps + 1, (1 - config.overnight_share) / num_steps)
        shares[0] = config.overnight_share
        noise = rng.normal(size=(num_days, num_steps + 1)) * np.sqrt(shares)
        if is_garch:
            nu = config.degrees_of_freedom
            noise *= np.sqrt((nu - 2) / rng.chisquare(nu, size=(num_days, 1)))
        z = noise.sum(axis=1)
        sigma = self._volatility(z) if is_garch else np.full(num_days, config.daily_volatility)
        steps = noise * sigma[:, None] + config.mean_log_return / (num_steps + 1)
        path = config.first_close * np.exp(np.cumsum(steps.ravel()).reshape(steps.shape))
        series = CandleSeries(
            symbol=symbol,
            interval=Interval.DAY,
            time=self._days(),
            open=path[:, 0].copy(),
            high=path.max(axis=1),
            low=path.min(axis=1),
            close=path[:, -1].copy(),
            volume=np.round(_MEDIAN_VOLUME * np.exp(0.3 * rng.normal(size=num_days))),
            category=Category.UNKNOWN,
        )
        nu_or_none = config.degrees_of_freedom if is_garch else None
        return series, Truth(sigma, config.mean_log_return, nu_or_none)

    def _volatility(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        alpha, beta = self.config.alpha, self.config.beta
        omega = (1 - alpha - beta) * self.config.daily_volatility**2
        variance = np.empty(len(z))
        current = self.config.daily_volatility**2
        for day, shock in enumerate(z):
            variance[day] = current
            current = omega + (alpha * shock**2 + beta) * current
        return np.sqrt(variance)

    def _days(self) -> NDArray[np.datetime64]:
        first = np.busday_offset(np.datetime64(self.config.start, "D"), 0, roll="forward")
        return np.busday_offset(first, np.arange(self.config.num_candles)).astype("datetime64[ns]")
