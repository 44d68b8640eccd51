"""Options of simulated prices, and what follows from them."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from marketgpt_core.config import Config
from marketgpt_core.symbols import Category

_SESSIONS_A_YEAR = 252


class SyntheticConfig(Config):
    """Parameters of the laws; the letters are those of the formulas in ``synthetic_laws``."""

    law: Literal["random_walk", "garch_t", "regime_switching", "jumps"] = "random_walk"
    num_symbols: int = Field(default=8, ge=1, le=10_000, description="Symbols SYN000, SYN001, ...")
    num_candles: int = Field(default=2_000, ge=1, le=60_000, description="Sessions: daily candles a symbol.")
    start: date = Field(default=date(2010, 1, 4), description="First day, moved to a session.")
    calendar: str = Field(default="weekdays", description="Whose sessions: weekdays, XNYS, 24/7, ...")
    category: Category | None = Field(
        default=None, description="Left out: us for XNYS, crypto for 24/7, else unknown."
    )
    seed: int = Field(default=0, ge=0)
    first_close: float = Field(default=100.0, gt=0, allow_inf_nan=False)
    daily_volatility: float = Field(default=0.012, gt=0, le=0.2, description="sigma, of a log return.")
    mean_log_return: float = Field(default=0.0, ge=-0.01, le=0.01, description="mu, a day.")
    alpha: float = Field(default=0.08, ge=0, lt=1, description="garch_t only.")
    beta: float = Field(default=0.90, ge=0, lt=1, description="garch_t only.")
    degrees_of_freedom: float = Field(default=6.0, gt=2, le=1_000, description="nu, garch_t only.")
    calm_days: float = Field(default=100.0, gt=1, le=1e5, description="Mean stay, regime_switching only.")
    turbulent_days: float = Field(default=25.0, gt=1, le=1e5, description="Mean stay, regime_switching only.")
    turbulence: float = Field(
        default=3.0, ge=1, le=100, description="Volatility, turbulent over calm, regime_switching only."
    )
    turbulent_mean: float = Field(
        default=-0.001, ge=-0.05, le=0.05, description="m_1, regime_switching only."
    )
    jumps_per_year: float = Field(default=10.0, ge=0, le=10_000, description="jumps only.")
    jump_mean: float = Field(default=-0.01, ge=-0.5, le=0.5, description="a, jumps only.")
    jump_volatility: float = Field(default=0.03, ge=0, le=0.5, description="d, jumps only.")
    overnight_share: float = Field(default=0.2, ge=0, lt=1, description="w, of a day's variance.")
    steps_per_day: int = Field(default=32, ge=1, le=1_000, description="N, between open and close.")

    @model_validator(mode="after")
    def _exists(self) -> Self:
        if self.alpha + self.beta >= 1:
            raise ValueError(f"alpha + beta must be below 1, got {self.alpha + self.beta:g}")
        left = self.daily_volatility**2
        if self.law == "regime_switching" and left <= self.between_states:
            raise ValueError(
                f"turbulent_mean alone brings a volatility of {self.between_states**0.5:g} a day, "
                f"above daily_volatility ({self.daily_volatility:g})"
            )
        if self.law == "jumps" and left <= self.jump_variance:
            raise ValueError(
                f"the jumps alone bring a volatility of {self.jump_variance**0.5:g} a day, "
                f"above daily_volatility ({self.daily_volatility:g})"
            )
        return self

    @property
    def turbulent_share(self) -> float:
        """pi_1: the share of days that are turbulent."""
        return self.turbulent_days / (self.calm_days + self.turbulent_days)

    @property
    def state_means(self) -> tuple[float, float]:
        """(m_0, m_1)."""
        share = self.turbulent_share
        return (self.mean_log_return - share * self.turbulent_mean) / (1 - share), self.turbulent_mean

    @property
    def between_states(self) -> float:
        """Variance of the states' means."""
        calm, turbulent = self.state_means
        return self.turbulent_share * (1 - self.turbulent_share) * (calm - turbulent) ** 2

    @property
    def state_volatilities(self) -> tuple[float, float]:
        """(s_0, s_1)."""
        within = self.daily_volatility**2 - self.between_states
        calm = np.sqrt(within / (1 + self.turbulent_share * (self.turbulence**2 - 1)))
        return float(calm), float(self.turbulence * calm)

    @property
    def jumps_per_day(self) -> float:
        """The rate lambda."""
        return self.jumps_per_year / _SESSIONS_A_YEAR

    @property
    def jump_variance(self) -> float:
        """The jumps' part of a day's variance."""
        return self.jumps_per_day * (self.jump_mean**2 + self.jump_volatility**2)
