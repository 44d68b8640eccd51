"""One open page: header, panels, and the timer that keeps them fresh."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from marketgpt_core.candles import CandleSeries
from marketgpt_core.clock import Clock
from marketgpt_core.signal import SignalReader
from marketgpt_core.symbols import Category
from marketgpt_core.web.theme import base_css
from marketgpt_monitoring.base import DashboardContext, Selection
from marketgpt_monitoring.dashboard.header import UNAVAILABLE, Header
from marketgpt_monitoring.dashboard.panel_host import PanelHost, make_panels
from marketgpt_monitoring.dashboard.watch import LedgerState, LedgerWatch

logger = logging.getLogger(__name__)

_THEME = Path(__file__).with_name("theme.css")
# Even where the ledger stands still, time passes: signals expire, outcomes of old ones arrive.
_REFRESH_AFTER = timedelta(seconds=60)


@dataclass(frozen=True)
class PageSettings:
    """What all pages share; see :func:`marketgpt_monitoring.dashboard.mount_dashboard`."""

    reader: SignalReader
    candles: Callable[[str], CandleSeries | None]
    clock: Clock
    watch: LedgerWatch
    panels: Mapping[str, Mapping[str, Any]] | None
    poll_interval_s: float
    title: str


def build_page(settings: PageSettings, *, symbol: str = "", horizon_bars: int = 0) -> None:
    """Build the page for one viewer.

    Args:
        settings: What all pages share.
        symbol: From the address; ignored unless the ledger has it.
        horizon_bars: From the address; ignored unless the symbol has it.
    """
    _Page(settings, Selection(symbol or None, horizon_bars or None))


class _Page:
    def __init__(self, settings: PageSettings, selection: Selection) -> None:
        self._settings = settings
        self._context = DashboardContext(settings.reader, settings.candles, settings.clock, selection)
        self._shown: LedgerState | None = None
        self._refreshed_at: datetime | None = None
        self._categories: dict[str | None, Category] = {}
        self._lock = asyncio.Lock()
        ui.colors(primary="#3f6ee8")
        ui.add_css(base_css() + _THEME.read_text(encoding="utf-8"))
        ui.query(".nicegui-content").classes("mg-page")
        self._header = Header(self._context, settings.title)
        with ui.element("main").classes("mg-grid"):
            panels = make_panels(settings.panels)
            self._hosts = [PanelHost(name, panel, self._context) for name, panel in panels]
        selection.on_change(self._selection_changed)
        ui.timer(settings.poll_interval_s, self._tick)

    def _selection_changed(self) -> None:
        selection = self._context.selection
        chosen = {"symbol": selection.symbol or "", "horizon": selection.horizon_bars or 0}
        ui.navigate.history.replace(f"?{urlencode(chosen)}")
        self._refreshed_at = None
        ui.timer(0.0, self._tick, once=True)

    def _fit_selection(self, state: LedgerState) -> None:
        """Bring the selection to something that exists."""
        selection = self._context.selection
        if selection.symbol not in state.symbols:
            selection.symbol = next(iter(state.symbols), None)
        if selection.horizon_bars not in state.horizons:
            selection.horizon_bars = next(iter(state.horizons), None)

    async def _category_of(self, symbol: str | None) -> Category:
        if symbol not in self._categories:
            found = await asyncio.to_thread(self._context.category, symbol)
            if found is Category.UNKNOWN:
                return found  # perhaps only for now
            self._categories[symbol] = found
        return self._categories[symbol]

    async def _tick(self) -> None:
        """Look at the ledger; refresh the panels when it or the selection changed, or time has passed."""
        async with self._lock:
            try:
                state = await self._settings.watch.state(self._context.selection.symbol)
            except Exception:
                # The panels keep what they show; the next tick tries again.
                logger.exception("the ledger cannot be read")
                self._header.show_status(*UNAVAILABLE)
                return
            self._fit_selection(state)
            self._header.show(state, await self._category_of(self._context.selection.symbol))
            now = self._settings.clock.now()
            fresh = self._refreshed_at is not None and now - self._refreshed_at < _REFRESH_AFTER
            if state == self._shown and fresh:
                return
            self._shown, self._refreshed_at = state, now
            await asyncio.gather(*(host.refresh() for host in self._hosts))
