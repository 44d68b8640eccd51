"""``/v1/stream``: new signals as they are written, as server-sent events."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import anyio
from fastapi import APIRouter, Header, Query
from fastapi.responses import Response
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from marketgpt_signals.api.models import StreamQuery
from marketgpt_signals.api.problems import UnavailableError, described
from marketgpt_signals.api.serving import Serving

# Who takes nothing for so long is not there, or wedged.
_SEND_TIMEOUT_S = 10.0
_GRACE_S = 2.0
_EXAMPLE = ': listening\nid: 41\nretry: 1000\n\nid: 42\nevent: signal\ndata: {"id": "5f0c2a0d...", ...}\n\n'


class _Events(EventSourceResponse):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # It left, or takes nothing: no defect of ours, so no traceback.
        with suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


def router(serving: Serving) -> APIRouter:
    """Return the route of the stream."""
    routes = APIRouter(tags=["signals"])
    answer = {"description": "events named signal", "content": {"text/event-stream": {"example": _EXAMPLE}}}

    @routes.get(
        "/v1/stream",
        operation_id="stream_signals",
        response_class=_Events,
        responses={200: answer, **described(422, 503)},
    )
    async def stream_signals(
        query: Annotated[StreamQuery, Query()],
        last_event_id: Annotated[
            str | None,
            Header(
                pattern="^[0-9]{1,18}$",
                description="go on after this event; 0: from the first signal of the ledger",
                examples=["42"],
            ),
        ] = None,
    ) -> Response:
        """Send new signals as they are written, each with its number in the ledger as the event's id.

        Without Last-Event-ID it begins with what is written from now on. Whoever loses the connection, or is
        let go for being too slow, names the last id it got and misses nothing.
        """
        if serving.feed.is_full:
            raise UnavailableError("as many listen as may; come again later")
        start = await serving.feed.position(None if last_event_id is None else int(last_event_id))
        stopping = anyio.Event()
        events = serving.feed.listen(query.wanted(), start, stopping.is_set)
        # Heartbeats are the feed's: they carry the number up to which there was nothing.
        return _Events(
            events,
            ping=0,
            send_timeout=_SEND_TIMEOUT_S,
            shutdown_event=stopping,
            shutdown_grace_period=_GRACE_S,
        )

    return routes
