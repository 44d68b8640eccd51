"""ETags: who has an answer already is told so instead of sent it again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "what If-None-Match names is still what there is"}
}
_OK = 200
# Private: what one key may read is no shared cache's; no-cache: kept, and asked about each time.
_CACHE = "private, no-cache"


class CachedRoute(APIRoute):
    """A route whose answers carry a strong ETag of their bytes, and that answers 304 to who names it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler, with the comparison after it."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            response = await answer(request)
            if request.method != "GET" or response.status_code != _OK:
                return response
            tag = f'"{hashlib.sha256(bytes(response.body)).hexdigest()[:32]}"'
            headers = {"ETag": tag, "Cache-Control": _CACHE}
            if _names(request.headers.get("if-none-match"), tag):
                return Response(status_code=304, headers=headers)
            response.headers.update(headers)
            return response

        return handle


def _names(wanted: str | None, tag: str) -> bool:
    if wanted is None:
        return False
    # By weak comparison (RFC 9110, 13.1.2): a proxy that packs an answer makes its tag weak.
    tags = {one.strip().removeprefix("W/") for one in wanted.split(",")}
    return "*" in tags or tag in tags
