"""When to ask again: exponential backoff with full jitter, and Retry-After."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from marketgpt_core.errors import FetchError, FetchReason
from marketgpt_data_sources.pacing.breaker import CircuitOpenError

T = TypeVar("T")

# These pass; an unknown symbol, an empty range and impossible candles stay.
PASSING = frozenset({FetchReason.THROTTLED, FetchReason.UNREACHABLE, FetchReason.BAD_ANSWER})


def backoff_s(attempt: int, *, first_s: float, most_s: float, rng: random.Random) -> float:
    """Return how long to wait after the attempt of this number, 1 being the first.

    Full jitter: uniform on ``[0, min(most_s, first_s * 2 ** (attempt - 1))]``, so that clients that failed
    together do not come back together (Marc Brooker, "Exponential Backoff And Jitter", AWS 2015).
    """
    # 2 ** 64 s is beyond any limit, and float has no room for 2 ** 2000.
    return rng.uniform(0, min(most_s, first_s * 2.0 ** min(attempt - 1, 64)))


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return what a server asked to wait: seconds or a date (RFC 9110, 10.2.3); None when it did not say.

    Args:
        headers: Of the answer; names are compared as they are, so pass a mapping that ignores case.
        now: The current time, for a date. One that is over means 0.
    """
    text = (headers.get("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def ask_again(
    function: Callable[[], T],
    *,
    attempts: int,
    wait_s: Callable[[int, FetchError], float],
    sleep: Callable[[float], None],
    on_wait: Callable[[int, FetchError, float], None],
) -> T:
    """Call a function until it returns, or raise its last error.

    Only a :class:`FetchError` for a reason that passes is tried again, and never an open breaker's.

    Args:
        function: What to call.
        attempts: How often at most.
        wait_s: From the number of the attempt that failed and its error to the seconds before the next.
        sleep: Waits so many seconds.
        on_wait: Told the number, the error and the seconds before each wait.
    """

    def waiting(state: RetryCallState) -> float:
        return wait_s(state.attempt_number, _error(state))

    def before_sleep(state: RetryCallState) -> None:
        on_wait(state.attempt_number, _error(state), state.upcoming_sleep)

    retrying = Retrying(
        stop=stop_after_attempt(attempts),
        wait=waiting,
        retry=retry_if_exception(_passes),
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
    return retrying(function)


def _passes(error: BaseException) -> bool:
    return (
        isinstance(error, FetchError) and error.reason in PASSING and not isinstance(error, CircuitOpenError)
    )


def _error(state: RetryCallState) -> FetchError:
    error = None if state.outcome is None else state.outcome.exception()
    if not isinstance(error, FetchError):
        raise TypeError(f"only a FetchError is tried again, not {error!r}")
    return error
