"""The REST API over a ledger. Importing this package loads no web framework: commands look into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.lazy import lazy_front

if TYPE_CHECKING:
    from marketgpt_signals.api.app import create_app
    from marketgpt_signals.api.security.rates import Limits

__all__ = ["Limits", "create_app"]

__getattr__, __dir__ = lazy_front(__name__, {"Limits": "security.rates", "create_app": "app"})
