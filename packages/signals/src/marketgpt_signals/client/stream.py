"""Following the stream of signals: what was missed while the connection was lost is read on reconnecting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, SSEError, aconnect_sse, connect_sse

from marketgpt_signals.api.models import SignalOut
from marketgpt_signals.client.errors import RateLimitedError, ServerError, error_of

PATH = "/v1/stream"
# A stream is silent for 15 seconds at most.
TIMEOUT = httpx.Timeout(10.0, read=45.0)
_LONGEST_PAUSE_S = 30.0
_LOST = (httpx.TransportError, ServerError, RateLimitedError)


@dataclass(frozen=True)
class StreamedSignal:
    """A signal and its number in the ledger.

    Attributes:
        seq: What to resume after: ``last_event_id``.
        signal: The signal.
    """

    seq: int
    signal: SignalOut


class Follower:
    """Where a stream stands, over all its connections.

    Args:
        filters: Of the query.
        last_event_id: Go on after this; None: from what is newest now.
    """

    def __init__(self, filters: Mapping[str, Any], last_event_id: int | None) -> None:
        self.filters = filters
        self.last_event_id = last_event_id
        self._retry_s = 1.0
        self._failures = 0

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the next connection."""
        return {} if self.last_event_id is None else {"Last-Event-ID": str(self.last_event_id)}

    def take(self, event: ServerSentEvent) -> StreamedSignal | None:
        """Note an event; return its signal, None for a heartbeat."""
        self._failures = 0
        if event.retry is not None:
            self._retry_s = event.retry / 1_000
        if event.id.isdigit():
            self.last_event_id = int(event.id)
        if event.event != "signal" or self.last_event_id is None:
            return None
        return StreamedSignal(self.last_event_id, SignalOut.model_validate_json(event.data))

    def pause_s(self, error: Exception | None) -> float:
        """Return how long to wait before the next connection."""
        asked = getattr(error, "retry_after_s", None) or self._retry_s
        self._failures += 1
        return float(min(asked * 2 ** (self._failures - 1), _LONGEST_PAUSE_S))


def follow(client: httpx.Client, follower: Follower) -> Iterator[StreamedSignal]:
    """Yield signals without end, connecting anew when need be.

    Raises:
        ApiError: for a request that is refused for good.
    """
    while True:
        lost: Exception | None = None
        try:
            with connect_sse(
                client, "GET", PATH, params=follower.filters, headers=follower.headers, timeout=TIMEOUT
            ) as source:
                if source.response.is_error:
                    source.response.read()
                    raise error_of(source.response)
                for event in source.iter_sse():
                    if (one := follower.take(event)) is not None:
                        yield one
        except _LOST as error:
            lost = error
        except SSEError as error:
            raise error_of(source.response) from error
        time.sleep(follower.pause_s(lost))


async def afollow(client: httpx.AsyncClient, follower: Follower) -> AsyncGenerator[StreamedSignal, None]:
    """Yield signals without end, connecting anew when need be.

    Raises:
        ApiError: for a request that is refused for good.
    """
    while True:
        lost: Exception | None = None
        try:
            async with aconnect_sse(
                client, "GET", PATH, params=follower.filters, headers=follower.headers, timeout=TIMEOUT
            ) as source:
                if source.response.is_error:
                    await source.response.aread()
                    raise error_of(source.response)
                async for event in source.aiter_sse():
                    if (one := follower.take(event)) is not None:
                        yield one
        except _LOST as error:
            lost = error
        except SSEError as error:
            raise error_of(source.response) from error
        await asyncio.sleep(follower.pause_s(lost))
