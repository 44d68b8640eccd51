"""The card around a panel: whatever goes wrong inside stays inside."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from nicegui import ui

from marketgpt_monitoring.base import DashboardContext, DashboardPanel
from marketgpt_monitoring.registry import dashboard_panels

logger = logging.getLogger(__name__)

T = TypeVar("T")
_TIMEOUT_S = 20.0


class PanelHost:
    """One panel in its card.

    Args:
        name: Name of the panel in the registry.
        panel: The panel, or why it could not be made.
        context: What the panel is given.
    """

    def __init__(self, name: str, panel: DashboardPanel | Exception, context: DashboardContext) -> None:
        self.name = name
        self._panel = panel
        self._context = context
        self._rendered = False
        self._lock = asyncio.Lock()
        wide = " mg-wide" if getattr(panel, "wide", False) is True else ""
        with ui.element("section").classes(f"mg-card{wide}").mark(f"panel-{name}"):
            ui.label(_text(panel, "title", name)).classes("mg-card-title").props("role=heading aria-level=2")
            self._body = ui.element("div").classes("mg-card-body")

    async def refresh(self) -> None:
        """Bring the panel up to date, building it first if need be; never raises."""
        async with self._lock:
            if self._body.is_deleted:
                return
            try:
                await self._update()
            except Exception as error:
                logger.exception("dashboard panel %s failed", self.name)
                self._fail(error)

    async def _update(self) -> None:
        if isinstance(self._panel, Exception):
            raise self._panel
        async with asyncio.timeout(_TIMEOUT_S):
            with self._body:
                if self._rendered and await _result(self._panel.refresh(self._context)):
                    return
                self._body.clear()
                await _result(self._panel.render(self._context))
                self._rendered = True

    def _fail(self, error: Exception) -> None:
        self._rendered = False
        if self._body.is_deleted:
            return
        self._body.clear()
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        with self._body, ui.element("div").classes("mg-error").mark(f"error-{self.name}"):
            ui.label("This panel failed; the others are not affected.").classes("mg-strong")
            ui.label(reason[:500])


async def _result(value: Awaitable[T] | T) -> T:
    return await value if inspect.isawaitable(value) else value


def _text(panel: DashboardPanel | Exception, attribute: str, default: str) -> str:
    return str(getattr(panel, attribute, "") or default)


def make_panels(
    options: Mapping[str, Mapping[str, Any]] | None,
) -> list[tuple[str, DashboardPanel | Exception]]:
    """Make fresh panels in the order they are shown; one that cannot be made is its exception.

    Args:
        options: Options by name; None for every installed panel with its defaults.
    """
    registry = dashboard_panels()
    chosen = {name: {} for name in registry.names()} if options is None else options
    made: list[tuple[str, DashboardPanel | Exception]] = []
    for name, values in chosen.items():
        try:
            made.append((name, registry.create(name, values, where=f"dashboard panel {name}")))
        except Exception as error:  # noqa: BLE001 - a broken panel becomes an error card
            made.append((name, error))
    return sorted(made, key=lambda pair: (_order(pair[1]), pair[0]))


def _order(panel: DashboardPanel | Exception) -> int:
    order = getattr(panel, "order", DashboardPanel.order)
    return order if isinstance(order, int) else DashboardPanel.order
