"""REST API and, where nobody needs a key, the dashboard in one process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from fastapi import FastAPI

from marketgpt_core.candles import CandleSeries
from marketgpt_core.clock import Clock, SystemClock
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.web.listening import listen
from marketgpt_data_sources import open_source
from marketgpt_monitoring.dashboard import mount_dashboard
from marketgpt_signals.api import Limits, create_app
from marketgpt_signals.api.security.store import KeyStore
from marketgpt_signals.ledger import Ledger

_GRACE_S = 10


def create_application(
    ledger: Ledger,
    candles: Callable[[str], CandleSeries | None],
    *,
    source: str | None = None,
    forecasts: Path | None = None,
    clock: Clock | None = None,
    require_key: bool = False,
    limits: Limits | None = None,
) -> FastAPI:
    """Return the REST API with the dashboard mounted under ``/dashboard``.

    Where a key is needed there is no dashboard: it knows none, and would show the ledger to all.

    Args:
        ledger: The ledger.
        candles: Gives a symbol's candles, or None; the dashboard draws them.
        source: Candles for the API's bands and backtests.
        forecasts: Parquet file of forecasts for the API.
        clock: Tells the time.
        require_key: Whether every request needs an API key.
        limits: What one client may ask.
    """
    app = create_app(
        ledger, source=source, forecasts=forecasts, clock=clock, require_key=require_key, limits=limits
    )
    if not require_key:
        mount_dashboard(app, reader=ledger, candles=candles, clock=clock)
    return app


def candles_of(source: str) -> Callable[[str], CandleSeries | None]:
    """Return a function that gives a symbol's daily candles from a source, read once each.

    Raises:
        MarketGPTError: at once, for a source that cannot be opened.
    """
    opened = open_source(source)
    opened.symbols()

    @lru_cache(maxsize=256)
    def candles(symbol: str) -> CandleSeries | None:
        try:
            return opened.fetch([symbol])[symbol]
        except DataError:
            # A ledger may speak of symbols this source has never heard of: the panel says so.
            return None

    return candles


def serve(
    ledger_path: Path | str,
    source: str,
    *,
    forecasts: Path | None = None,
    host: str,
    port: int,
    require_key: bool = False,
    rate_limit: str = "6000/minute",
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Serve until interrupted.

    Args:
        ledger_path: A file or a database URL.
        source: Candles to draw and test on: name or name:location.
        forecasts: Parquet file of forecasts to show.
        host: Address to listen on.
        port: Port to listen on.
        require_key: Whether every request needs an API key.
        rate_limit: Requests of one client in a time.
        on_start: Called once the port answers.

    Raises:
        MarketGPTError: when the ledger, the source or the port cannot be opened, for a rate that is none, or
            when a key is needed and there is none.
    """
    import uvicorn

    limits = Limits(requests=rate_limit)
    with Ledger.open(ledger_path, must_exist=True, keep_connections=True) as ledger:
        if require_key and not KeyStore(ledger.database).active(SystemClock().now()):
            raise ConfigError(
                f"beyond loopback and with --require-key every request needs an API key, and {ledger.name} "
                f"has none that is valid: marketgpt keys create NAME --ledger {ledger.name}"
            )
        app = create_application(
            ledger,
            candles_of(source),
            source=source,
            forecasts=forecasts,
            require_key=require_key,
            limits=limits,
        )
        # A client that takes nothing any more must not keep a server from stopping. Not httptools, which
        # uvicorn would rather have: it gathers headers without end, before anybody can ask for a key.
        config = uvicorn.Config(app, http="h11", log_level="warning", timeout_graceful_shutdown=_GRACE_S)
        server = uvicorn.Server(config)
        with listen(host, port) as listener, suppress(KeyboardInterrupt):
            # What is there by now stays: the collector, which halts every request, need not go through it.
            gc.collect()
            gc.freeze()
            on_start()
            server.run(sockets=[listener])
