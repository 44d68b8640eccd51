"""Moments: one conversion from what people write to datetime64[ns] in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np

from marketgpt_core.errors import ConfigError

Moment = datetime | date | np.datetime64 | str


# What 64 bits of nanoseconds hold, in whole days; numpy would wrap around silently.
_FIRST, _LAST = np.datetime64("1677-09-22", "us"), np.datetime64("2262-04-11", "us")


def to_datetime64(moment: Moment) -> np.datetime64:
    """Return the moment as datetime64[ns], UTC; naive values are taken as UTC.

    Raises:
        ConfigError: for a text that is not an ISO date or time, or a year that nanoseconds cannot hold.
    """
    if isinstance(moment, np.datetime64):
        return _nanoseconds(moment)
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise ConfigError(f"{moment!r} is not a date: write 2024-12-31 or 2024-12-31T15:30") from None
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return _nanoseconds(np.datetime64(moment, "us"))


def _nanoseconds(value: np.datetime64) -> np.datetime64:
    if not np.isnat(value) and not _FIRST <= value.astype("datetime64[us]") <= _LAST:
        raise ConfigError(
            f"{value.astype('M8[s]')} is outside {_FIRST.astype('M8[D]')} .. {_LAST.astype('M8[D]')}"
        )
    converted: np.datetime64 = value.astype("datetime64[ns]")
    return converted


def to_datetime(moment: Moment) -> datetime:
    """Return the moment as an aware datetime in UTC, to the microsecond."""
    value = to_datetime64(moment).astype("datetime64[us]").item()
    if not isinstance(value, datetime):
        raise ConfigError(f"{moment!r} is not a moment in time")
    return value.replace(tzinfo=UTC)


def iso(moment: Moment) -> str:
    """Return ``2024-12-31`` for a midnight, else ``2024-12-31T15:30:00Z``."""
    value = to_datetime(moment)
    midnight = value.hour == value.minute == value.second == value.microsecond == 0
    return value.date().isoformat() if midnight else value.isoformat().replace("+00:00", "Z")
