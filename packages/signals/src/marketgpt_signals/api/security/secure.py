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

# Of fastapi-offline, which does not say where it puts them: the page, and its scripts and styles.
_DOCUMENTS = frozenset({"/docs", "/static-offline-docs/"})


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
    described_at = {app.openapi_url} if app.openapi_url else set()
    app.add_middleware(
        Gate,
        ring=KeyRing(KeyStore(database).active, clock),
        limits=limits or Limits(),
        require_key=require_key,
        open_paths=_DOCUMENTS | described_at | {LIVE},
    )
    describe(app, require_key=require_key)
