"""The ``signals`` panel: the newest signals of the chosen symbol, one row a horizon."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from nicegui import ui

from marketgpt_core.signal import Signal
from marketgpt_core.symbols import Category
from marketgpt_core.times import iso
from marketgpt_monitoring.base import DashboardContext, DashboardPanel
from marketgpt_monitoring.panels.labels import horizon_label, price_digits

_COLUMNS = (
    ("horizon", "Horizon", "left"),
    ("side", "Side", "left"),
    ("p_up", "P(up)", "right"),
    ("confidence", "Confidence", "right"),
    ("median", "Median", "right"),
    ("band_50", "50% band", "right"),
    ("band_90", "90% band", "right"),
    ("expires", "Expires (UTC)", "left"),
    ("strategy", "Strategy", "left"),
    ("reason", "Reason", "left"),
)

# Constant templates; Vue puts the values in as text.
_SIDE_CELL = """<q-td :props="props">
  <span :class="'mg-side mg-side-' + props.row.side_class">{{ props.value }}</span>
</q-td>"""
_EXPIRES_CELL = """<q-td :props="props">
  <span :class="props.row.expired ? 'mg-expired' : ''">{{ props.value }}</span>
</q-td>"""
_REASON_CELL = """<q-td :props="props" class="mg-reason">{{ props.value }}</q-td>"""


class SignalsPanel(DashboardPanel):
    """A table of the newest signals: side, probability, confidence, bands, expiry and the reason."""

    title = "Newest signals"
    order = 20
    wide = True

    def __init__(self, config: DashboardPanel.Config) -> None:
        super().__init__(config)
        self._table: ui.table | None = None

    async def render(self, context: DashboardContext) -> None:
        """Build the table; see :meth:`DashboardPanel.render`."""
        rows = await asyncio.to_thread(_read, context)
        columns = [
            {"name": name, "field": name, "label": label, "align": align} for name, label, align in _COLUMNS
        ]
        self._table = ui.table(columns=columns, rows=rows, row_key="id").classes("mg-table")
        self._table.props('flat dense hide-pagination no-data-label="No signals for this symbol yet."')
        self._table.props(':rows-per-page-options="[0]"')
        self._table.add_slot("body-cell-side", _SIDE_CELL)
        self._table.add_slot("body-cell-expires", _EXPIRES_CELL)
        self._table.add_slot("body-cell-reason", _REASON_CELL)

    async def refresh(self, context: DashboardContext) -> bool:
        """Replace the rows; see :meth:`DashboardPanel.refresh`."""
        if self._table is None:
            return False
        rows = await asyncio.to_thread(_read, context)
        if rows != self._table.rows:
            self._table.rows = rows
        return True


def _read(context: DashboardContext) -> list[dict[str, Any]]:
    symbol = context.selection.symbol
    if symbol is None:
        return []
    category = context.category(symbol)
    newest = context.reader.signals(symbol=symbol, latest=True)
    newest.sort(key=lambda signal: (signal.horizon_bars, signal.strategy, signal.model_id))
    return [_row(signal, category, context.clock.now()) for signal in newest]


def _row(signal: Signal, category: Category, now: datetime) -> dict[str, Any]:
    digits = price_digits(signal.close)
    bands = signal.bands
    return {
        "id": signal.id,
        "horizon": horizon_label(signal.horizon_bars, signal.interval, category),
        "side": signal.side.value,
        "side_class": signal.side.value.lower(),
        "p_up": f"{signal.probability:.1%}",
        "confidence": f"{signal.confidence:.2f}",
        "median": f"{bands.q50:,.{digits}f}",
        "band_50": f"{bands.q25:,.{digits}f} to {bands.q75:,.{digits}f}",
        "band_90": f"{bands.q05:,.{digits}f} to {bands.q95:,.{digits}f}",
        "expires": iso(signal.expires_at).replace("T", " ").removesuffix("Z")
        + (" (expired)" if signal.expires_at < now else ""),
        "expired": signal.expires_at < now,
        "strategy": signal.strategy,
        "reason": signal.reason,
    }
