"""The keys that open, in memory."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from datetime import datetime

from marketgpt_core.clock import Clock
from marketgpt_signals.api.security.keys import ApiKey, digest, split_text

# A key works and a revoked one stops working after at most so long.
KEPT_S = 2.0
_NO_DIGEST = "0" * 64


class KeyRing:
    """Tells whose key a text is, without reading the ledger for each request.

    All keys that open are read together, at most every ``kept_s``: guesses cost no queries, and an unknown
    id takes the same way as a known one.

    Args:
        read: Gives the keys that are active at a moment; called in a thread.
        clock: Tells which have expired.
        kept_s: How old what was read may be.
        ticks: Monotonic seconds.
    """

    def __init__(
        self,
        read: Callable[[datetime], list[ApiKey]],
        clock: Clock,
        *,
        kept_s: float = KEPT_S,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._clock = clock
        self._kept_s = kept_s
        self._ticks = ticks
        self._keys: dict[str, ApiKey] = {}
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def holder(self, text: str) -> ApiKey | None:
        """Return the active key a text is; None when it is none.

        Raises:
            LedgerError: when the keys cannot be read; what was read before counts no longer then.
        """
        if self._is_old():
            async with self._reading:
                if self._is_old():
                    asked = self._ticks()
                    found = await asyncio.to_thread(self._read, self._clock.now())
                    self._keys = {key.id: key for key in found}
                    self._read_at = asked
        return self.opened(text)

    def opened(self, text: str) -> ApiKey | None:
        """Return the key a text is among those that were read, taking the same time whatever is wrong."""
        key_id, secret = split_text(text)
        key = self._keys.get(key_id)
        same = hmac.compare_digest(digest(secret), _NO_DIGEST if key is None else key.secret_sha256)
        if key is None or not same or key.state(self._clock.now()) != "active":
            return None
        return key

    def _is_old(self) -> bool:
        return self._read_at is None or self._ticks() - self._read_at > self._kept_s
