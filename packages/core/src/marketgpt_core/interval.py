"""The one interval vocabulary: 1m, 5m, 1h, 1d, 1w."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from marketgpt_core.errors import ConfigError, hint


class Interval(StrEnum):
    """Length of one candle."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    HOUR = "1h"
    DAY = "1d"
    WEEK = "1w"

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Turn ``"1d"`` into an interval.

        Raises:
            ConfigError: for a text outside the vocabulary.
        """
        try:
            return cls(text)
        except ValueError:
            raise ConfigError(f"unknown interval {text!r}; {hint(text, list(cls))}") from None

    @property
    def duration(self) -> timedelta:
        """Wall time one candle spans."""
        return _DURATIONS[self]

    @property
    def is_intraday(self) -> bool:
        """Whether several candles make a session."""
        return self.duration < timedelta(days=1)


_DURATIONS = {
    Interval.MINUTE: timedelta(minutes=1),
    Interval.FIVE_MINUTES: timedelta(minutes=5),
    Interval.HOUR: timedelta(hours=1),
    Interval.DAY: timedelta(days=1),
    Interval.WEEK: timedelta(weeks=1),
}
