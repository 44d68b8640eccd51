"""The bar on top: what is chosen, who made the newest signals and how fresh they are."""

from __future__ import annotations

from datetime import datetime

from nicegui import ui

from marketgpt_core.symbols import Category
from marketgpt_core.times import iso
from marketgpt_monitoring.base import DashboardContext
from marketgpt_monitoring.dashboard.watch import LedgerState
from marketgpt_monitoring.panels.labels import horizon_label

# Text and tone of the status chip.
LIVE = ("Live", "good")
EXPIRED = ("Expired", "warn")
EMPTY = ("No signals", "idle")
UNAVAILABLE = ("Ledger unavailable", "bad")


def freshness(state: LedgerState, now: datetime) -> tuple[str, str]:
    """Return text and tone of the status chip: live while any of the newest signals may be acted on."""
    if not state.newest:
        return EMPTY
    return LIVE if any(signal.expires_at >= now for signal in state.newest) else EXPIRED


class Header:
    """The header of one page.

    Args:
        context: What the panels are given; the header changes its selection.
        title: Name shown first.
    """

    def __init__(self, context: DashboardContext, title: str) -> None:
        self._context = context
        self._horizons: dict[int, str] = {}
        dark = ui.dark_mode(None)
        with ui.header(elevated=False).classes("mg-header"):
            with ui.element("div").classes("mg-brand"):
                ui.element("span").classes("mg-logo")
                ui.label(title)
            self._symbol = ui.select([], with_input=True, on_change=lambda event: self._choose(event.value))
            self._symbol.props('dense outlined options-dense hide-bottom-space aria-label="Symbol"')
            self._symbol.classes("mg-symbol").mark("symbol")
            self._horizon = ui.toggle({}, on_change=lambda event: self._choose_horizon(event.value))
            self._horizon.props("dense unelevated no-caps").classes("mg-horizons").mark("horizon")
            ui.element("div").classes("mg-space")
            self._model = _fact("Model").mark("model")
            self._as_of = _fact("Newest as-of").mark("as-of")
            self._chip = ui.label().classes("mg-chip").mark("status")
            button = ui.button(icon="contrast", color=None, on_click=lambda: _switch(dark))
            button.props('flat round dense aria-label="Switch between light and dark"').classes("mg-theme")
        self.show_status(*EMPTY)

    def show(self, state: LedgerState, category: Category) -> None:
        """Show the state of the selected symbol, whose market gives the horizons their names."""
        selection = self._context.selection
        if list(state.symbols) != self._symbol.options or selection.symbol != self._symbol.value:
            self._symbol.set_options(list(state.symbols), value=selection.symbol)
        horizons = {
            signal.horizon_bars: horizon_label(signal.horizon_bars, signal.interval, category)
            for signal in state.newest
        }
        if horizons != self._horizons or selection.horizon_bars != self._horizon.value:
            self._horizons = horizons
            self._horizon.set_options(horizons, value=selection.horizon_bars)
        newest = max(state.newest, key=lambda signal: (signal.as_of, signal.created_at), default=None)
        self._model.set_text("none" if newest is None else newest.model_id)
        self._as_of.set_text("none" if newest is None else iso(newest.as_of).replace("T", " "))
        self.show_status(*freshness(state, self._context.clock.now()))

    def show_status(self, text: str, tone: str) -> None:
        """Show the status chip."""
        self._chip.set_text(text)
        self._chip.classes(replace=f"mg-chip mg-chip-{tone}")

    def _choose(self, symbol: object) -> None:
        # None comes while the viewer types; other text than an option never does.
        if isinstance(symbol, str):
            self._context.selection.choose(symbol=symbol)

    def _choose_horizon(self, horizon_bars: object) -> None:
        if isinstance(horizon_bars, int):
            self._context.selection.choose(horizon_bars=horizon_bars)


def _fact(name: str) -> ui.label:
    with ui.element("div").classes("mg-fact"):
        ui.label(name).classes("mg-fact-name")
        return ui.label().classes("mg-fact-value")


def _switch(dark: ui.dark_mode) -> None:
    # None follows the system; the first click makes up its mind in favour of dark.
    dark.set_value(dark.value is not True)
