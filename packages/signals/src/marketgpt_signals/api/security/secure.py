"""Putting the gate before an application."""

from __future__ import annotations

from fastapi import FastAPI

from marketgpt_core.clock import Clock
from marketgpt_signals.api.security.access import LIVE
from marketgpt_signals.api.security.described import describe
from marketgpt_signals.api.security.gate import Gate
from marketgpt_signals.api.security.rates import Limits
from marketgpt_signals.api.security.ring import KeyRing
from marketgpt_signals.api.security.store import KeyStore
from marketgpt_signals.database import Database

# Of fastapi-offline: the scripts and styles of /docs.
_ASSETS = "/static-offline-docs/"


def secure(
    app: FastAPI, database: Database, clock: Clock, *, require_key: bool, limits: Limits | None
) -> None:
    """Put the gate before an application, and tell of it in its schema.

    The documentation stays open: it says nothing that the installed package does not.

    Args:
        app: Before it has started.
        database: Holds the keys.
        clock: Tells which keys have expired.
        require_key: Whether this machine's own users need a key, too.
        limits: What one client may ask.
    """
    documents = (app.docs_url, app.openapi_url, app.swagger_ui_oauth2_redirect_url)
    app.add_middleware(
        Gate,
        ring=KeyRing(KeyStore(database).active, clock),
        limits=limits or Limits(),
        require_key=require_key,
        open_paths=frozenset({LIVE, _ASSETS, *(path for path in documents if path)}),
    )
    describe(app, require_key=require_key)
