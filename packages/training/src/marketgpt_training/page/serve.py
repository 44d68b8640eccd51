"""The page's server: on loopback alone, and deaf to requests for other hosts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import uvicorn
from fastapi import FastAPI
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from nicegui import app as nicegui_app
from nicegui import ui

from marketgpt_core.web.listening import listen
from marketgpt_core.web.security import SecurityHeaders
from marketgpt_training.page.view import build_page
from marketgpt_training.page.watch import Runs, RunsWatch

_HOST = "127.0.0.1"
_TITLE = "MarketGPT training"
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="none" stroke="#4f7df3" '
    'stroke-width="2" d="M2 2c2 8 5 11 12 11"/></svg>'
)


def create_app(runs: Runs, *, interval_s: float = 1.0) -> FastAPI:
    """Return the application. NiceGUI lives once in a process, so there is one a process.

    Args:
        runs: Which runs are shown.
        interval_s: Time between two looks at their folders.
    """
    watch = RunsWatch(runs, interval_s=interval_s)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @ui.page("/", title=_TITLE, response_timeout=10.0)
    def page(run: str = "") -> None:
        build_page(watch, title=_TITLE, run=run, interval_s=interval_s)

    nicegui_app.add_middleware(SecurityHeaders)
    ui.run_with(
        app,
        title=_TITLE,
        favicon=_ICON,
        dark=None,
        language="en-US",
        reconnect_timeout=10.0,
        show_welcome_message=False,
    )
    # A page elsewhere whose name is made to mean this machine is refused by the name it asks for.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[_HOST, "localhost"])
    return app


def serve(runs: Runs, *, port: int, on_start: Callable[[], None] = lambda: None) -> None:
    """Serve until interrupted.

    Args:
        runs: Which runs are shown.
        port: Of 127.0.0.1.
        on_start: Called once the port answers.

    Raises:
        ConfigError: when the port cannot be had.
    """
    with listen(_HOST, port) as listener, suppress(KeyboardInterrupt):
        server = uvicorn.Server(uvicorn.Config(create_app(runs), log_level="warning"))
        on_start()
        server.run(sockets=[listener])
