"""How much one client may ask."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from marketgpt_core.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """What one client may ask: a key, or an address that shows none.

    Attributes:
        requests: So many in such a time, as ``6000/minute``; each process of a server counts its own.
        streams: Open at once.
        body_bytes: Of a request.
        body_s: Within which a body must have come.
        url_bytes: Of path and query.
    """

    requests: str = "6000/minute"
    streams: int = 100
    body_bytes: int = 65_536
    body_s: float = 10.0
    url_bytes: int = 8_192

    def __post_init__(self) -> None:
        self.rate()
        for name in ("streams", "body_bytes", "body_s", "url_bytes"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"limit {name} must be positive, got {getattr(self, name)!r}")

    def rate(self) -> RateLimitItem:
        """Return the rate as the library has it.

        Raises:
            ConfigError: when it is none.
        """
        try:
            item = parse(self.requests)
        except ValueError:
            item = None
        if item is None or item.amount < 1 or item.get_expiry() < 1:
            raise ConfigError(
                f"rate {self.requests[:40]!r}: write a number and a unit, as 6000/minute or 50/second"
            )
        return item


class Rates:
    """Counts requests of each client over a sliding window.

    Args:
        limits: What is allowed.
    """

    def __init__(self, limits: Limits) -> None:
        self._item = limits.rate()
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._policy = f'"requests";q={self._item.amount};w={self._item.get_expiry()}'

    async def count(self, client: str) -> tuple[bool, int, dict[str, str]]:
        """Count a request.

        Returns:
            (whether it is allowed, seconds until another is, the headers that say so).
        """
        allowed = await self._limiter.hit(self._item, client)
        window = await self._limiter.get_window_stats(self._item, client)
        wait_s = max(1, math.ceil(window.reset_time - time.time()))
        # https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
        told = f'"requests";r={window.remaining};t={wait_s}'
        return allowed, wait_s, {"ratelimit-policy": self._policy, "ratelimit": told}
