"""A pace that many threads keep together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class SteadyTime:
    """Seconds that never run back, from a wall clock that may.

    Args:
        wall: Seconds from any origin.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._last = wall()
        self._ahead = 0.0

    def __call__(self) -> float:
        """Return the time; a jump back of the wall clock is taken as no time at all."""
        with self._lock:
            wall = self._wall()
            self._ahead += max(0.0, self._last - wall)
            self._last = wall
            return wall + self._ahead


class RateLimiter:
    """Hands out moments to send requests at: ``requests_per_s`` in the long run, ``burst`` at once.

    The generic cell rate algorithm, as telephone networks use it: who comes reserves the next free moment
    under a lock and then waits for it without one. Nobody waits for longer than his turn, nothing polls.

    Args:
        requests_per_s: Long-run pace; 0 sets none.
        burst: Requests that may follow each other at once after a pause.
        now: Seconds from any origin that never run back.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        requests_per_s: float,
        burst: int = 1,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval_s = 1 / requests_per_s if requests_per_s > 0 else 0.0
        self._tolerance_s = (burst - 1) * self._interval_s
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        # When the next request would be due had none come early.
        self._due = now()
        self._held_until = self._due

    def reserve(self, requests: int = 1) -> float:
        """Reserve the next moment and return how many seconds it is away.

        Args:
            requests: How many are sent then: a redirect followed is one more.
        """
        with self._lock:
            now = self._now()
            start = max(self._due - self._tolerance_s, self._held_until, now)
            self._due = max(self._due, start) + requests * self._interval_s
            return start - now

    def wait(self) -> float:
        """Wait for the next moment and return how many seconds that was."""
        wait_s = self.reserve()
        if wait_s > 0:
            self._sleep(wait_s)
        return wait_s

    def hold(self, seconds: float) -> None:
        """Hand out no moment for so long, as a server's Retry-After asks; those handed out stand."""
        with self._lock:
            self._held_until = max(self._held_until, self._now() + seconds)
