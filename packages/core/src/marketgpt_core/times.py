"""Moments: one conversion from what people write to datetime64[ns] in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np

from marketgpt_core.errors import ConfigError

Moment = datetime | date | np.datetime64 | str


def to_datetime64(moment: Moment) -> np.datetime64:
    """Return the moment as datetime64[ns], UTC; naive values are taken as UTC.

    Raises:
        ConfigError: for a text that is not an ISO date or time.
    """
    if isinstance(moment, np.datetime64):
        converted: np.datetime64 = moment.astype("datetime64[ns]")
        return converted
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise ConfigError(f"{moment!r} is not a date: write 2024-12-31 or 2024-12-31T15:30") from None
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(moment, "ns")


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
