"""The routes, a module a topic: each gives a router over what the application shares."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from marketgpt_signals.api.routes import (
    backtests,
    bands,
    forecasts,
    health,
    known_models,
    outcomes,
    signals,
    stream,
)
from marketgpt_signals.api.serving import Serving

ROUTERS: tuple[Callable[[Serving], APIRouter], ...] = (
    signals.router,
    outcomes.router,
    stream.router,
    bands.router,
    forecasts.router,
    known_models.router,
    backtests.router,
    health.router,
)
