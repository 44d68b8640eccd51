"""The application: routes, errors, counters, documentation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import anyio.to_thread
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from marketgpt_core.clock import Clock, SystemClock
from marketgpt_signals.api.metrics import MetricsMiddleware
from marketgpt_signals.api.problems import add_handlers
from marketgpt_signals.api.routes import ROUTERS
from marketgpt_signals.api.security.rates import Limits
from marketgpt_signals.api.security.secure import secure
from marketgpt_signals.api.serving import Serving
from marketgpt_signals.ledger import Ledger

# More of them only wait for each other: what a request takes is Python, and of that one runs at a time.
_THREADS = 4
_ABOUT = """\
Signals are statements about one symbol, at one time, for one horizon; they never change. An abstention
(`FLAT`) is a statement too. Lists come newest first and in pages: pass `next_cursor` as `cursor`. Errors are
`application/problem+json`. Lists and items carry an `ETag`: name it in `If-None-Match` and get a 304 while
nothing is new.
"""


def create_app(
    ledger: Ledger,
    *,
    source: str | None = None,
    forecasts: Path | None = None,
    clock: Clock | None = None,
    title: str = "MarketGPT signals",
    require_key: bool = False,
    limits: Limits | None = None,
) -> FastAPI:
    """Return the API over a ledger; mount it, extend it, or serve it with uvicorn.

    ``/docs`` is served from the installed package: it needs no network. Errors are problem+json.

    Args:
        ledger: What to show. Nothing of it is changed; backtests that are asked for are written beside it.
        source: Candles for bands and backtests: ``parquet:DIR``, ``sample``, ...; without it both are 503.
        forecasts: Parquet file of forecasts; without it they are 503.
        clock: Tells which signals have expired.
        title: Title of the documentation.
        require_key: Whether an API key is needed also on this machine; from elsewhere one always is.
        limits: What one client may ask.
    """
    serving = Serving.of(ledger, clock or SystemClock(), source, forecasts)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        serving.runner.start()
        try:
            yield
        finally:
            serving.feed.close()
            serving.runner.stop()

    app: FastAPI = FastAPIOffline(
        title=title,
        version=version("marketgpt-signals"),
        description=_ABOUT,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.serving = serving
    secure(app, ledger.database, serving.clock, require_key=require_key, limits=limits)
    app.add_middleware(MetricsMiddleware, metrics=serving.metrics)
    add_handlers(app)
    for router in ROUTERS:
        # Flat, which include_router no longer is: counters look at the route that answered.
        app.router.routes.extend(router(serving).routes)
    return app
