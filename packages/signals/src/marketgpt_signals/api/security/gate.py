"""ASGI middleware before every route: keys, rates, sizes, streams.

Answers pass through as they are made: a stream is never held back.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from marketgpt_signals.api.problems import problem
from marketgpt_signals.api.security.access import (
    LIVE,
    STREAM,
    client_name,
    is_home,
    needed,
    route_path,
    sent_keys,
)
from marketgpt_signals.api.security.bodies import bounded
from marketgpt_signals.api.security.keys import ApiKey
from marketgpt_signals.api.security.rates import Limits, Rates
from marketgpt_signals.api.security.refused import RefusedError, no_key, too_many
from marketgpt_signals.api.security.ring import KeyRing
from marketgpt_signals.errors import LedgerError

logger = logging.getLogger(__name__)

_STREAM_AGAIN_S = 5
_POLICY_VIOLATION = 1008


class Gate:
    """Lets through who may, as often as he may.

    Without a key only somebody on this machine is let in, and nobody when ``require_key``; a key that is
    sent must be valid either way.

    Args:
        app: What answers.
        ring: Tells whose a key is.
        limits: What one client may ask.
        require_key: Whether this machine's own users need a key, too.
        open_paths: What anybody may ask; it shows nothing of the ledger. One that ends in ``/`` is a folder.
    """

    def __init__(
        self,
        app: ASGIApp,
        ring: KeyRing,
        limits: Limits,
        *,
        require_key: bool = False,
        open_paths: frozenset[str] = frozenset({LIVE}),
    ) -> None:
        self._app = app
        self._ring = ring
        self._limits = limits
        self._rates = Rates(limits)
        self._require_key = require_key
        self._open = frozenset(one for one in open_paths if not one.endswith("/"))
        self._folders = tuple(one for one in open_paths if one.endswith("/"))
        self._streams: Counter[str] = Counter()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Let it through, or answer with the problem."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told: dict[str, str] = {}
        with ExitStack() as held:
            try:
                headers = Headers(scope=scope)
                client = await self._admit(scope, headers, told)
                held.enter_context(self._stream(scope, client))
                body = await bounded(receive, headers, self._limits)
            except RefusedError as refused:
                answer = problem(refused.status, str(refused), headers=told | refused.headers)
                await answer(scope, receive, send)
                return
            except LedgerError as error:
                logger.error("keys cannot be read: %s", error)  # noqa: TRY400 - its line says it all
                answer = problem(HTTPStatus.SERVICE_UNAVAILABLE, "the ledger cannot be read")
                await answer(scope, receive, send)
                return
            await self._app(scope, body, _with_headers(send, told))

    async def _admit(self, scope: AsgiScope, headers: Headers, told: dict[str, str]) -> str:
        """Return the name a client is counted under; what is to be told of its rate goes into ``told``."""
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > self._limits.url_bytes:
            why = f"path and query are longer than {self._limits.url_bytes} bytes"
            raise RefusedError(HTTPStatus.REQUEST_URI_TOO_LONG, why)
        path, sent = route_path(scope), sent_keys(headers)
        key = await self._ring.holder(sent[0]) if len(sent) == 1 else None
        client = client_name(scope) if key is None else f"key {key.id}"
        allowed, wait_s, said = await self._rates.count(client)
        told |= said
        if not allowed:
            raise too_many("too many requests; Retry-After says when to come again", wait_s)
        if not self._is_open(path):
            self._check(scope, headers, sent, key, path)
        return client

    def _check(
        self, scope: AsgiScope, headers: Headers, sent: list[str], key: ApiKey | None, path: str
    ) -> None:
        if key is None:
            if sent or self._require_key or not is_home(scope, headers):
                logger.info("no valid key from %s for %s", client_name(scope), path[:100])
                raise no_key()
            return
        scope_needed = needed(scope["method"], path)
        if scope_needed not in key.scopes:
            raise RefusedError(HTTPStatus.FORBIDDEN, f"this needs a key with the scope {scope_needed}")

    def _is_open(self, path: str) -> bool:
        return path in self._open or path.startswith(self._folders)

    @contextmanager
    def _stream(self, scope: AsgiScope, client: str) -> Iterator[None]:
        """Count a stream while it is open; how many there are in all is the feed's business."""
        if route_path(scope) != STREAM:
            yield
            return
        if self._streams[client] >= self._limits.streams:
            raise too_many(f"{self._limits.streams} streams are open already", _STREAM_AGAIN_S)
        self._streams[client] += 1
        try:
            yield
        finally:
            self._streams[client] -= 1
            if not self._streams[client]:
                del self._streams[client]

    async def _socket(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        # The API has none; the dashboard that may be mounted beside it does, and knows no keys.
        if self._require_key or not is_home(scope, Headers(scope=scope)):
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        await self._app(scope, receive, send)


def _with_headers(send: Send, told: dict[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(told)
        await send(message)

    return sending
