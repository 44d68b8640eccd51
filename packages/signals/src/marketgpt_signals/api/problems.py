"""Errors as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from marketgpt_core.errors import MarketGPTError
from marketgpt_signals.errors import LedgerError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class StatedError(MarketGPTError):
    """An error with a status of its own."""

    status: ClassVar[int]
    headers: ClassVar[Mapping[str, str]] = {}


class NotHereError(StatedError):
    """What was asked for is not here."""

    status = 404


class UnavailableError(StatedError):
    """What is needed for an answer is not there just now, or never was."""

    status = 503


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


def problem(
    status: int,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an answer that says what went wrong."""
    content = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors or [])
    return JSONResponse(content.model_dump(), status_code=status, headers=headers, media_type=MEDIA_TYPE)


def _methods(app: FastAPI, request: Request) -> list[str]:
    """Return what a path can be asked with: several routes may share it."""
    found: set[str] = set()
    for route in app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found)


def add_handlers(app: FastAPI) -> None:
    """Make every error of an app a problem."""

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_methods(app, request))
        return problem(error.status_code, str(error.detail), headers=headers)

    async def invalid(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
        # What was sent is not sent back: it may be long, and it may be hostile.
        errors = [
            {"where": ".".join(str(part) for part in one["loc"])[:100], "what": str(one["msg"])[:300]}
            for one in error.errors()[:10]
        ]
        return problem(422, "the request does not validate", errors)

    async def unreadable(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        # The message names paths of the server; it goes to the log.
        logger.error("the ledger cannot be read: %s", error)
        return problem(503, "the ledger cannot be read")

    async def stated(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        assert isinstance(error, StatedError)  # noqa: S101 - registered for nothing else
        return problem(error.status, str(error)[:300], headers=error.headers)

    async def refused(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        return problem(422, str(error)[:300])

    async def defect(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(500, "a defect of the server; its log says more")

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(LedgerError, unreadable)
    app.add_exception_handler(StatedError, stated)
    app.add_exception_handler(MarketGPTError, refused)
    app.add_exception_handler(Exception, defect)
