"""The page one viewer sees: a table of runs, and the curves of the one chosen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from marketgpt_core.web.theme import base_css
from marketgpt_training.page.charts import CHARTS
from marketgpt_training.page.content import summary, table_rows
from marketgpt_training.page.details import Details
from marketgpt_training.page.table import RunTable
from marketgpt_training.page.watch import RunsWatch

logger = logging.getLogger(__name__)

_THEME = Path(__file__).with_name("page.css")
# While an old run's curves are read for the first time, looks follow one another faster.
_CATCH_UP_S = 0.05


def build_page(watch: RunsWatch, *, title: str, run: str, interval_s: float) -> None:
    """Build the page for one viewer.

    Args:
        watch: Reads the run folders.
        title: Name shown first.
        run: From the address; ignored unless there is such a run.
        interval_s: Time between two looks.
    """
    _Page(watch, title=title, run=run, interval_s=interval_s)


class _Page:
    def __init__(self, watch: RunsWatch, *, title: str, run: str, interval_s: float) -> None:
        self._watch, self._run = watch, run
        self._lock = asyncio.Lock()
        ui.colors(primary="#3f6ee8")
        ui.add_css(base_css() + _THEME.read_text(encoding="utf-8"))
        ui.query(".nicegui-content").classes("mg-page")
        dark = ui.dark_mode(None)
        with ui.header(elevated=False).classes("mg-header"):
            with ui.element("div").classes("mg-brand"):
                ui.element("span").classes("mg-logo")
                ui.label(title)
            ui.element("div").classes("mg-space")
            self._chip = ui.label().classes("mg-chip")
            # None follows the system; the first click makes up its mind in favour of dark.
            button = ui.button(
                icon="contrast", color=None, on_click=lambda: dark.set_value(dark.value is not True)
            )
            button.props('flat round dense aria-label="Switch between light and dark"').classes("mg-theme")
        with ui.element("main").classes("tp-main"):
            self._table = RunTable(on_choose=self._choose)
            self._details = Details([name for name, _, _ in CHARTS])
        ui.timer(interval_s, self._tick)

    def _choose(self, run: str) -> None:
        self._run = run
        ui.navigate.history.replace(f"?{urlencode({'run': run})}")
        ui.timer(0.0, self._tick, once=True)

    async def _tick(self) -> None:
        """Look at the folders and show what is new; whatever is wrong with a run stays with that run."""
        async with self._lock:
            try:
                states = await self._watch.states()
                await self._show(states)
            except Exception:
                # The page keeps what it shows; the next look tries again.
                logger.exception("the runs cannot be shown")

    async def _show(self, states: Sequence[dict[str, Any]]) -> None:
        text, tone = summary(states)
        self._chip.set_text(text)
        self._chip.classes(replace=f"mg-chip mg-chip-{tone}")
        rows = table_rows(states)
        if not any(row.key == self._run for row in rows):
            self._run = rows[0].key if rows else ""
        self._table.show(rows, chosen=self._run, left_out=len(states) - len(rows))
        state = next((one for one in states if one["run"] == self._run), None)
        if state is None:
            self._details.clear()
            return
        try:
            curves, is_all = await self._watch.curves(self._run)
        except OSError as error:
            self._details.fail(state, f"metrics.jsonl cannot be read: {error.strerror}")
            return
        self._details.show(state, curves)
        if not is_all:
            ui.timer(_CATCH_UP_S, self._tick, once=True)
