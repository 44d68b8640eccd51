"""What the API refused, as errors that carry its problem."""

from __future__ import annotations

from typing import Any

import httpx

from marketgpt_core.errors import MarketGPTError


class ApiError(MarketGPTError):
    """The API answered with a problem, or not at all.

    Attributes:
        status: HTTP status; 0 when there was no answer.
        problem: The problem's JSON; empty when the answer was none.
        retry_after_s: What the server asked to wait; None when it did not say.
    """

    def __init__(
        self, message: str, *, status: int, problem: dict[str, Any], retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem
        self.retry_after_s = retry_after_s


class NotFoundError(ApiError):
    """404: there is no such thing."""


class InvalidRequestError(ApiError):
    """400, 413 or 422: the request makes no sense; ``problem["errors"]`` tells what is wrong where."""


class KeyRefusedError(ApiError):
    """401 or 403: the API key is missing, wrong, expired, revoked, or may not do this."""


class ConflictError(ApiError):
    """409: it is over already."""


class RateLimitedError(ApiError):
    """429: too many requests."""


class ServerError(ApiError):
    """5xx: the server cannot answer just now."""


class NoAnswerError(ApiError):
    """The server cannot be reached, or its answer is none of this API."""


_KINDS: dict[int, type[ApiError]] = {
    400: InvalidRequestError,
    401: KeyRefusedError,
    403: KeyRefusedError,
    404: NotFoundError,
    409: ConflictError,
    413: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitedError,
}
_FIRST_SERVER_ERROR = 500


def error_of(response: httpx.Response) -> ApiError:
    """Return the error an answer stands for; its body must have been read."""
    status = response.status_code
    fallback = ServerError if status >= _FIRST_SERVER_ERROR else ApiError
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    wrong = [f"{one.get('where')}: {one.get('what')}" for one in problem.get("errors") or ()]
    detail = str(problem.get("detail") or response.reason_phrase)
    after = response.headers.get("retry-after", "")
    return _KINDS.get(status, fallback)(
        f"{status}: {'; '.join([detail, *wrong])}",
        status=status,
        problem=problem,
        retry_after_s=float(after) if after.isdigit() else None,
    )


def no_answer(url: str, error: Exception) -> NoAnswerError:
    """Return the error for an answer that did not come."""
    return NoAnswerError(f"{url} does not answer: {str(error) or type(error).__name__}", status=0, problem={})
