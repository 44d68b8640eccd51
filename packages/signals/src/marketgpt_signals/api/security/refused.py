"""Why a request does not get past the gate."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from marketgpt_core.errors import MarketGPTError

# One text whatever is wrong with a key: what is wrong is nobody's business but its owner's.
_NO_KEY = (
    "this needs a valid API key, as Authorization: Bearer mgpt_... or X-API-Key; unless the server wants one "
    "of all, none is needed on its own machine, asked as 127.0.0.1 or localhost"
)


class RefusedError(MarketGPTError):
    """A request is answered with a problem.

    Attributes:
        status: Of the answer.
        headers: Of the answer.
    """

    def __init__(self, status: HTTPStatus, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.headers = dict(headers or {})


def no_key() -> RefusedError:
    """Return the refusal of who shows no key that opens."""
    return RefusedError(HTTPStatus.UNAUTHORIZED, _NO_KEY, {"www-authenticate": "Bearer"})


def too_many(why: str, wait_s: int) -> RefusedError:
    """Return the refusal of who asks too much."""
    return RefusedError(HTTPStatus.TOO_MANY_REQUESTS, why, {"retry-after": str(wait_s)})
