"""The base of a data source that asks somebody else's server."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar, TypeVar

from pydantic import Field

from marketgpt_core.clock import Clock, SystemClock
from marketgpt_core.config import Config
from marketgpt_core.errors import FetchError, FetchReason
from marketgpt_core.interval import Interval
from marketgpt_data_sources.base import DataSource
from marketgpt_data_sources.pacing.breaker import CircuitBreaker, CircuitOpenError
from marketgpt_data_sources.pacing.limiter import RateLimiter, SteadyTime
from marketgpt_data_sources.pacing.retry import ask_again, backoff_s

T = TypeVar("T")
logger = logging.getLogger(__name__)

_DAY_S = 86_400.0
# What an outage looks like; a page instead of JSON may concern one symbol only.
_TRIPPING = frozenset({FetchReason.THROTTLED, FetchReason.UNREACHABLE})


class NetworkConfig(Config):
    """Options of every source that asks a server; subclass it and set the defaults that server wants."""

    timeout_s: float = Field(default=10.0, gt=0, le=300, description="Of one request.")
    max_attempts: int = Field(default=4, ge=1, le=20, description="For one answer.")
    backoff_s: float = Field(
        default=2.0, ge=0, le=600, description="Longest first wait, doubled each time; drawn from 0 up."
    )
    max_backoff_s: float = Field(
        default=60.0,
        ge=0,
        le=_DAY_S,
        description="Longest wait. A server that asks for a longer one is left alone that long.",
    )
    requests_per_s: float = Field(default=2.0, ge=0, le=1000, description="Pace; 0 for none.")
    burst: int = Field(default=2, ge=1, le=1000, description="Requests at once after a pause.")
    max_concurrency: int = Field(default=4, ge=1, le=64, description="Threads that may ask side by side.")
    breaker_failures: int = Field(
        default=8, ge=1, le=1000, description="Failures in a row, over all symbols, until it pauses."
    )
    breaker_cooldown_s: float = Field(
        default=60.0, ge=0, le=_DAY_S, description="Pause before one request tries again."
    )
    breaker_openings: int = Field(
        default=3, ge=1, le=100, description="Pauses in a row until the rest is not asked for."
    )


class NetworkSource(DataSource):
    """A source that asks a server: it keeps a pace, tries again, and stops when the server is down.

    A subclass sends its requests inside :meth:`ask` and turns its client's errors into a
    :class:`FetchError` in :meth:`classify`. It must be safe to use from ``max_concurrency`` threads.

    Attributes:
        clock: Tells the time; a test sets one it moves.
        sleep: Waits so many seconds; a test moves its clock instead. It may raise to end all waiting.
        rng: Draws the jitter; a test seeds it.
        paced_by_transport: Set in a subclass whose client sends several requests a call: it calls
            ``self.limiter.wait()`` before each of them itself, and :meth:`ask` does not.
        limiter: The pace, shared by all threads.
        breaker: The breaker, shared by all threads.
    """

    paced_by_transport: ClassVar[bool] = False

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.config: NetworkConfig = config
        self.max_concurrency = config.max_concurrency
        self.clock: Clock = SystemClock()
        self.sleep: Callable[[float], None] = time.sleep
        self.rng = random.Random()  # noqa: S311 - jitter is no secret
        # Looked up at each call, so that a test may set its own.
        now = SteadyTime(lambda: self.clock.now().timestamp())
        self.limiter = RateLimiter(config.requests_per_s, config.burst, now=now, sleep=self._pause)
        self.breaker = CircuitBreaker(
            config.breaker_failures,
            config.breaker_cooldown_s,
            config.breaker_openings,
            now=now,
            sleep=self._pause,
        )

    def earliest(self, interval: Interval) -> datetime | None:  # noqa: ARG002
        """Return how far back the server has candles of an interval now; None when it does not say.

        A ``start`` before that is refused with a :class:`marketgpt_core.errors.ConfigError`.
        """
        return None

    def ask(self, symbol: str, function: Callable[[], T]) -> T:
        """Call a function that asks the server, as often as it takes and is allowed.

        For every attempt: the breaker admits it, the limiter gives it a moment, the function is called, its
        error is classified. What passes (throttled, unreachable, a bad answer) is tried again after a wait
        drawn from ``[0, backoff_s * 2 ** (attempt - 1)]``, at most ``max_backoff_s`` long. A server's
        Retry-After is the least wait, for every thread. One longer than ``max_backoff_s`` is neither waited
        for nor disregarded: the breaker refuses every request for that long.

        Args:
            symbol: What is asked for, for messages.
            function: Sends the request and returns what came of it.

        Raises:
            FetchError: with the reason, after the last attempt.
            CircuitOpenError: when the breaker has given up; nothing was sent then.
        """
        attempts = 0

        def attempt() -> T:
            nonlocal attempts
            attempts += 1
            return self._attempt(symbol, function)

        try:
            return ask_again(
                attempt,
                attempts=self.config.max_attempts,
                wait_s=self._wait_s,
                sleep=self._pause,
                on_wait=lambda number, error, wait_s: logger.info(
                    "%s; attempt %d in %.1f s", error, number + 1, wait_s
                ),
            )
        except FetchError as error:
            if attempts == 1 or isinstance(error, CircuitOpenError):
                raise
            error.args = (f"{error} ({attempts} attempts)",)
            raise

    def classify(self, symbol: str, error: Exception) -> FetchError | None:
        """Turn a client's error into ours; None for one that is a defect and must be seen.

        Here: what is ours stays, and what the operating system raises means that the server was not reached.

        Args:
            symbol: For the message.
            error: What the function raised.
        """
        if isinstance(error, FetchError):
            return error
        if isinstance(error, OSError):
            text = " ".join(str(error).split())[:120]
            message = f"{symbol}: cannot be reached ({type(error).__name__}: {text})"
            return FetchError(message, reason=FetchReason.UNREACHABLE)
        return None

    def _attempt(self, symbol: str, function: Callable[[], T]) -> T:
        probe = self.breaker.admit(symbol)
        settled = False
        try:
            if not self.paced_by_transport:
                self.limiter.wait()
            result = function()
        except Exception as error:
            found = self.classify(symbol, error)
            if found is None:
                raise
            found, settled = self._settled(probe, found)
            if found is error:
                raise
            raise found from error
        else:
            self.breaker.succeeded(probe)
            settled = True
            return result
        finally:
            # A defect, or an interrupt: whoever waits for the probe must not wait for ever.
            if not settled:
                self.breaker.undecided(probe)

    def _settled(self, probe: bool, error: FetchError) -> tuple[FetchError, bool]:
        """Tell the breaker and the limiter what an error means.

        Returns:
            The error to raise, and whether the breaker was told.
        """
        if error.reason is FetchReason.BAD_ANSWER:
            return error, False
        if error.reason not in _TRIPPING:
            self.breaker.succeeded(probe)  # the server answers, if not as we hoped
            return error, True
        pause_s = error.retry_after_s or 0.0
        if pause_s <= self.config.max_backoff_s:
            self.limiter.hold(pause_s)  # the server means the client, not the symbol
            self.breaker.failed(probe, error)
            return error, True
        self.breaker.give_up(probe, error, pause_s)
        most = f"more than max_backoff_s = {self.config.max_backoff_s:g}"
        text = f"{error}; it asks to wait {pause_s:.0f} s, {most}"
        return CircuitOpenError(text, reason=error.reason, retry_after_s=pause_s), True

    def _wait_s(self, attempt: int, error: FetchError) -> float:
        drawn = backoff_s(
            attempt, first_s=self.config.backoff_s, most_s=self.config.max_backoff_s, rng=self.rng
        )
        return max(drawn, error.retry_after_s or 0.0)

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self.sleep(seconds)
