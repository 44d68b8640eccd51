"""What OpenAPI says of the gate: added to the finished schema, so that no route can forget it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from marketgpt_signals.api.problems import described
from marketgpt_signals.api.security.access import LIVE, needed

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`marketgpt keys create` makes one"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "the same key"},
}
_WITHOUT_KEY = (408, 413, 414, 429)
_WITH_KEY = (401, 403, 503)


def describe(app: FastAPI, *, require_key: bool) -> None:
    """Let an application's schema tell who may ask each route, and how it refuses the others."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = plain()
            schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
            for method, path, operation in _operations(schema):
                _add(operation, method, path, require_key=require_key)
        return plain()

    # FastAPI's documented way to change a schema.
    app.openapi = openapi  # type: ignore[method-assign]


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def _add(operation: dict[str, Any], method: str, path: str, *, require_key: bool) -> None:
    statuses: tuple[int, ...] = _WITHOUT_KEY
    if path != LIVE:
        statuses += _WITH_KEY
        # OpenAPI 3.1 takes scopes for schemes of any kind.
        scope = [str(needed(method, path))]
        nobody: list[dict[str, list[str]]] = [] if require_key else [{}]
        operation["security"] = [*nobody, *({name: scope} for name in _SCHEMES)]
    answers = operation.setdefault("responses", {})
    for status, answer in described(*statuses).items():
        answers.setdefault(str(status), answer)
    answers["429"] = answers["429"] | {"headers": {"Retry-After": _header("integer", "seconds to wait")}}
    if "401" in answers:
        answers["401"] |= {"headers": {"WWW-Authenticate": _header("string", "Bearer")}}


def _header(kind: str, about: str) -> dict[str, Any]:
    return {"description": about, "schema": {"type": kind}}
