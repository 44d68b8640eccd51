"""The REST API over a ledger."""

from __future__ import annotations

from marketgpt_signals.api.app import create_app

__all__ = ["create_app"]
