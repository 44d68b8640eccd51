"""Mounting the dashboard on a FastAPI application."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nicegui import app as nicegui_app
from nicegui import ui

from marketgpt_core.clock import Clock, SystemClock
from marketgpt_core.errors import ConfigError
from marketgpt_core.signal import SignalReader
from marketgpt_core.web.security import SecurityHeaders
from marketgpt_monitoring.dashboard.page import PageSettings, build_page
from marketgpt_monitoring.dashboard.watch import LedgerWatch

if TYPE_CHECKING:
    from fastapi import FastAPI

    from marketgpt_core.candles import CandleSeries

_PATH = re.compile(r"(?:/[A-Za-z0-9_-]+)+")
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path stroke="#0ea37f" d="M5 2v12"/>'
    '<path stroke="#e0475b" d="M11 2v12"/><path fill="#0ea37f" d="M3 5h4v6H3z"/>'
    '<path fill="#e0475b" d="M9 4h4v5H9z"/></svg>'
)


def mount_dashboard(
    app: FastAPI,
    *,
    reader: SignalReader,
    candles: Callable[[str], CandleSeries | None],
    clock: Clock | None = None,
    path: str = "/dashboard",
    panels: Mapping[str, Mapping[str, Any]] | None = None,
    poll_interval_s: float = 2.0,
    title: str = "MarketGPT",
) -> None:
    """Serve the dashboard under ``path`` of an application, before that application starts.

    The page loads nothing from elsewhere and says so in its content security policy. It asks for no
    password: whoever reaches the application sees the ledger, so bind it to loopback or put it behind one.

    Args:
        app: The application. NiceGUI lives once in a process, so only one can carry the dashboard.
        reader: The ledger; called from worker threads, several at a time.
        candles: Gives a symbol's candles, or None; called from worker threads. The symbol comes from the
            ledger.
        clock: Tells the time; the system's when left out.
        path: Where; not the root.
        panels: Options of the panels shown, by name; every installed panel with its defaults when left out.
        poll_interval_s: Time between two looks at the ledger, shared by all viewers.
        title: Title of the page.

    Raises:
        ConfigError: for a path that is none, a poll interval that is not positive, or a second mount.
    """
    if not _PATH.fullmatch(path):
        raise ConfigError(
            f"dashboard path {path!r}: write one like /dashboard, not the root, no slash at the end"
        )
    if poll_interval_s <= 0:
        raise ConfigError(f"poll_interval_s must be positive, got {poll_interval_s!r}")
    if nicegui_app.config.has_run_config:
        raise ConfigError(
            "a NiceGUI application runs in this process already; it can carry only one dashboard"
        )
    clock = clock or SystemClock()
    settings = PageSettings(
        reader=reader,
        candles=candles,
        clock=clock,
        watch=LedgerWatch(reader, interval_s=poll_interval_s),
        panels=panels,
        poll_interval_s=poll_interval_s,
        title=title,
    )

    @ui.page("/", title=title, response_timeout=10.0)
    def page(symbol: str = "", horizon: int = 0) -> None:
        build_page(settings, symbol=symbol, horizon_bars=horizon)

    nicegui_app.add_middleware(SecurityHeaders)
    ui.run_with(
        app,
        mount_path=path,
        title=title,
        favicon=_ICON,
        dark=None,
        language="en-US",
        reconnect_timeout=10.0,
        show_welcome_message=False,
    )
