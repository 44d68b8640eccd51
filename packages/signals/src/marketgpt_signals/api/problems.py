"""Errors as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from marketgpt_core.errors import MarketGPTError
from marketgpt_signals.errors import LedgerError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong.

    Attributes:
        type: URI of the kind of problem; ``about:blank``: the status says it all.
        title: The status in words.
        status: HTTP status.
        detail: One sentence about this occurrence.
        errors: What is wrong where, for a request that does not validate.
    """

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["no signal has the id 00000000000000000000000000000000"])
    errors: list[dict[str, str]] = Field(default=[], examples=[[{"where": "query.limit", "what": "..."}]])


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says about the problems a route may answer with."""
    schema = Problem.model_json_schema()
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def _answer(
    status: int,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    headers: Any = None,  # noqa: ANN401
) -> JSONResponse:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors or [])
    return JSONResponse(problem.model_dump(), status_code=status, headers=headers, media_type=MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Make every error of an app a problem."""

    async def http(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
        return _answer(error.status_code, str(error.detail), headers=error.headers)

    async def invalid(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
        # What was sent is not sent back: it may be long, and it may be hostile.
        errors = [
            {"where": ".".join(str(part) for part in one["loc"])[:100], "what": str(one["msg"])[:300]}
            for one in error.errors()[:10]
        ]
        return _answer(422, "the request does not validate", errors)

    async def unreadable(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        # The message names paths of the server; it goes to the log.
        logger.error("the ledger cannot be read: %s", error)
        return _answer(503, "the ledger cannot be read")

    async def refused(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        return _answer(422, str(error)[:300])

    async def defect(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _answer(500, "a defect of the server; its log says more")

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(LedgerError, unreadable)
    app.add_exception_handler(MarketGPTError, refused)
    app.add_exception_handler(Exception, defect)
