"""Thresholds of the checks."""

from __future__ import annotations

from pydantic import Field, field_validator

from marketgpt_core.config import Config
from marketgpt_core.errors import hint
from marketgpt_data_sources.quality.table import CHECKS

# What companies do: 2:1, 3:1, 3:2, 4:3, 5:2, 10:1, and reverse; 100 is also pence taken for pounds.
_SPLIT_RATIOS = (4 / 3, 3 / 2, 2, 5 / 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)


class QualityConfig(Config):
    """Which checks run, and from when on they speak; docs/data-quality.md explains each."""

    checks: tuple[str, ...] | None = Field(default=None, description="Only these; left out: all.")
    skip: tuple[str, ...] = Field(default=(), description="Not these.")
    stale_bars: int = Field(
        default=10,
        ge=2,
        description="stale: so many candles in a row with the same open, high, low and close.",
    )
    spike_ratio: float = Field(
        default=8.0,
        gt=1.5,
        description="spike: a price so many times its surroundings, or less than 1 / that.",
    )
    spike_bars: int = Field(default=3, ge=1, le=50, description="spike: the most candles until it reverts.")
    split_ratios: tuple[float, ...] = Field(
        default=_SPLIT_RATIOS, description="split: ratios of splits; their inverses count too."
    )
    split_tolerance: float = Field(
        default=0.04,
        gt=0,
        le=0.2,
        description="split: distance of log(open / last close) from a ratio's log.",
    )
    split_range_share: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="split: most of the gap the day's own range, log(high/low), may be.",
    )
    split_burst: float = Field(
        default=4.0, gt=1, description="split, jump: trading of so many times the usual is news, not a split."
    )
    split_usual_ranges: float = Field(
        default=5.0, ge=0, description="split, jump: least size of the gap in usual ranges of a day."
    )
    jump_ratio: float = Field(
        default=2.0, gt=1.1, description="jump: open over last close, or its inverse, for any other ratio."
    )
    jump_range_share: float = Field(
        default=1 / 6, gt=0, le=1, description="jump: most of the gap the day's own range may be."
    )
    gap_sessions: int = Field(default=1, ge=1, description="gap: sessions in a row without a candle.")
    weekday_gap_sessions: int = Field(
        default=8, ge=1, description="gap: the same where no calendar is published and holidays are unknown."
    )
    missing_bars_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="missing-bars: share of a series' intraday candles that may be missing.",
    )
    shift_weeks: int = Field(default=2, ge=1, description="shift: weeks that lie on another day or hour.")
    common_symbols: int = Field(
        default=5,
        ge=2,
        description="gap, off-session: symbols of a calendar from which on they are judged together.",
    )
    common_share: float = Field(
        default=0.8,
        gt=0.5,
        le=1,
        description="gap, off-session: share of them that makes a finding the calendar's.",
    )

    @field_validator("checks", "skip", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("split_ratios")
    @classmethod
    def _above_one(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not all(ratio > 1.2 for ratio in value):  # noqa: PLR2004 - smaller ones are everyday moves
            raise ValueError("every ratio must be above 1.2; inverses are added by themselves")
        return value

    @field_validator("checks", "skip")
    @classmethod
    def _known(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in value or ():
            if name not in CHECKS:
                raise ValueError(f"no check {name!r}; {hint(name, CHECKS)}")
        return value

    def wants(self, check: str) -> bool:
        """Whether this check is to be reported."""
        return check not in self.skip and (self.checks is None or check in self.checks)
