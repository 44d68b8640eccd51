"""One family of errors.

A :class:`MarketGPTError` is the user's to mend: its text is one line that names the value, where it came
from and what is allowed. The command line prints that line and exits with status 2. Anything else that
escapes is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum


class MarketGPTError(Exception):
    """Base of every error a user can mend."""


class ConfigError(MarketGPTError):
    """A configuration value, key, preset or option cannot be used."""


class DataError(MarketGPTError):
    """Data is missing, unreadable or does not fit the request."""


class CandleError(DataError):
    """Candles break their contract; the message lists the rows."""


class FetchReason(StrEnum):
    """Why a source gave no candles of a symbol."""

    DELISTED = "delisted"  # or never known: a vendor seldom tells which
    EMPTY = "empty"  # known, without a candle in the range
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"  # transport, time-out, server error
    BAD_ANSWER = "bad answer"  # a page instead of JSON, half an answer, an unknown form
    BAD_DATA = "bad data"  # candles that break their contract


class FetchError(DataError):
    """A source could not give a symbol's candles.

    Args:
        message: One line that names the symbol.
        reason: What a report counts it under.
        retry_after_s: What the server asked to wait; None when it did not say.
    """

    def __init__(self, message: str, *, reason: FetchReason, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s


class PluginError(MarketGPTError):
    """A plugin is unknown, broken, disabled or breaks its contract."""


class RunError(MarketGPTError):
    """A run's folder is missing, incomplete, tampered with or not writable."""


_MOST_SHOWN = 20


def hint(name: str, known: Iterable[str]) -> str:
    """Say what a name may have meant and what is allowed.

    Args:
        name: What the user wrote.
        known: The names that exist.

    Returns:
        ``"did you mean 'x'? known: a, b, x"``; without a close match only the second half.
    """
    names = sorted(str(one) for one in known)  # a StrEnum's members too, as people write them
    folded = {candidate.casefold(): candidate for candidate in names}
    close = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    guess = f"did you mean {folded[close[0]]!r}? " if close else ""
    shown = ", ".join(names[:_MOST_SHOWN])
    if len(names) > _MOST_SHOWN:
        shown += f", ... ({len(names)} in all)"
    return f"{guess}known: {shown or 'none'}"
