"""A breaker that stops asking a server that does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from marketgpt_core.errors import FetchError, FetchReason


class CircuitOpenError(FetchError):
    """The source has stopped asking: nothing was sent for this symbol."""


class CircuitBreaker:
    """Opens when failures follow each other, whatever the symbol; lets one probe through after a pause.

    ::

        closed --failures in a row--> open --cooldown_s--> probing --success--> closed
                                        ^                     |
                                        +------failure--------+

    After ``openings`` openings without a success between them it has given up: callers get a
    :class:`CircuitOpenError` at once instead of waiting. Not for ever: once the pause is over, who comes next
    is the probe again, so that a process that lives for weeks recovers.

    Callers bracket each request: :meth:`admit` before it, then one of :meth:`succeeded`, :meth:`failed` and
    :meth:`undecided` with what ``admit`` returned.

    Args:
        failures: How many in a row open it.
        cooldown_s: Pause before a probe.
        openings: How many in a row until it gives up.
        now: Seconds from any origin.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        failures: int,
        cooldown_s: float,
        openings: int,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._most_failures = failures
        self._cooldown_s = cooldown_s
        self._most_openings = openings
        self._now = now
        self._sleep = sleep
        self._changed = threading.Condition()
        self._failures = 0
        self._openings = 0
        self._opened_until: float | None = None
        self._probing = False
        self._last: FetchError | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests are held back now."""
        with self._changed:
            return self._opened_until is not None

    def admit(self, symbol: str) -> bool:
        """Wait until a request may be sent; return whether it is the probe.

        While it is open, callers sleep until the pause is over; one of them becomes the probe and the others
        wait for what becomes of it.

        Raises:
            CircuitOpenError: when it has given up.
        """
        while True:
            with self._changed:
                if self._opened_until is None:
                    return False
                wait_s = self._opened_until - self._now()
                if self._openings >= self._most_openings and (self._probing or wait_s > 0):
                    raise self._refusal(symbol, wait_s)
                if self._probing:
                    self._changed.wait()
                    continue
                if wait_s <= 0:
                    self._probing = True
                    return True
            self._sleep(wait_s)

    def succeeded(self, probe: bool) -> None:
        """Close it: the server answers. Also right for a request that was sent before it opened."""
        with self._changed:
            self._failures = self._openings = 0
            self._opened_until = None
            self._probing = self._probing and not probe
            self._changed.notify_all()

    def failed(self, probe: bool, error: FetchError) -> None:
        """Count a failure; open it when it was one too many, or the probe's."""
        with self._changed:
            self._failures += 1
            self._last = error
            if probe:
                self._probing = False
            # The stragglers of an open breaker were sent before it opened: they prolong nothing.
            if probe or (self._opened_until is None and self._failures >= self._most_failures):
                self._open(self._cooldown_s)
            self._changed.notify_all()

    def undecided(self, probe: bool) -> None:
        """Neither: the request was not sent, or the answer says nothing about the server."""
        with self._changed:
            self._probing = self._probing and not probe
            self._changed.notify_all()

    def give_up(self, probe: bool, error: FetchError, pause_s: float) -> None:
        """Open it for so long and refuse callers meanwhile, as when a server asks for an hour of silence."""
        with self._changed:
            self._failures += 1
            self._last = error
            self._probing = self._probing and not probe
            self._openings = self._most_openings
            self._open(pause_s)
            self._changed.notify_all()

    def _open(self, pause_s: float) -> None:
        self._openings += 1
        self._opened_until = self._now() + pause_s

    def _refusal(self, symbol: str, wait_s: float) -> CircuitOpenError:
        reason = FetchReason.UNREACHABLE if self._last is None else self._last.reason
        return CircuitOpenError(
            f"{symbol}: not asked for after {self._failures} failures in a row, the last: {self._last}",
            reason=reason,
            retry_after_s=max(0.0, wait_s),
        )
