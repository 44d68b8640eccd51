"""Bodies of requests, read before anything is done with them and only so far."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from marketgpt_signals.api.security.rates import Limits
from marketgpt_signals.api.security.refused import RefusedError

# What is still on its way is not waited for.
_CLOSE = {"connection": "close"}


async def bounded(receive: Receive, headers: Headers, limits: Limits) -> Receive:
    """Read a request's body, if it has one, and return what gives it to the application.

    Raises:
        RefusedError: 413 when it is too long, 408 when it does not come.
    """
    length = headers.get("content-length", "0")
    if "transfer-encoding" not in headers and length.strip("0") == "":
        return receive
    if not length.isdecimal() or len(length) > 18 or int(length) > limits.body_bytes:  # noqa: PLR2004
        raise _too_long(limits)
    try:
        async with asyncio.timeout(limits.body_s):
            first = await _read(receive, limits)
    except TimeoutError:
        why = f"the body did not come within {limits.body_s:g} s"
        raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, why, _CLOSE) from None
    waiting = [first]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


async def _read(receive: Receive, limits: Limits) -> Message:
    parts, num_bytes = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        part = message.get("body", b"")
        num_bytes += len(part)
        if num_bytes > limits.body_bytes:
            raise _too_long(limits)
        parts.append(part)
        if not message.get("more_body", False):
            return {"type": "http.request", "body": b"".join(parts), "more_body": False}


def _too_long(limits: Limits) -> RefusedError:
    why = f"the body is longer than {limits.body_bytes} bytes"
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why, _CLOSE)
