"""The table of runs. Every text is a label, never markup."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui import ui

from marketgpt_training.page.content import COLUMNS, RunRow


class RunTable:
    """A row a run; a click or the enter key chooses one.

    Args:
        on_choose: Called with the run's key.
    """

    def __init__(self, *, on_choose: Callable[[str], None]) -> None:
        self._on_choose = on_choose
        self._shown: dict[str, _Row] = {}
        self._order: list[str] = []
        with ui.element("section").classes("mg-card"):
            ui.label("Runs").classes("mg-card-title").props("role=heading aria-level=2")
            with ui.element("div").classes("tp-table"):
                with ui.element("div").classes("tp-row tp-head"):
                    for name in COLUMNS:
                        ui.label(name)
                self._body = ui.element("div")
            self._note = ui.label().classes("mg-empty")

    def show(self, rows: Sequence[RunRow], *, chosen: str, left_out: int) -> None:
        """Show the rows; those that are there already are changed in place."""
        order = [row.key for row in rows]
        if order != self._order:
            self._body.clear()
            with self._body:
                self._shown = {row.key: _Row(row.key, self._on_choose) for row in rows}
            self._order = order
        for row in rows:
            self._shown[row.key].show(row, chosen=row.key == chosen)
        note = "No run yet. A training that begins shows up here by itself." if not rows else ""
        self._note.set_text(f"{left_out} older runs are not shown." if left_out > 0 else note)
        self._note.set_visibility(bool(self._note.text))


class _Row:
    def __init__(self, key: str, on_choose: Callable[[str], None]) -> None:
        self._element = ui.element("div").classes("tp-row").props("role=button tabindex=0")
        self._element.on("click", lambda: on_choose(key)).on("keydown.enter", lambda: on_choose(key))
        with self._element:
            self._labels = [ui.label() for _ in COLUMNS]
            self._error = ui.label().classes("tp-error")
        for label, name in zip(self._labels, COLUMNS, strict=True):
            label.classes(f"tp-{name.lower().replace('/', '-')}").props(f'data-name="{name}"')

    def show(self, row: RunRow, *, chosen: bool) -> None:
        for label, text in zip(self._labels, row.cells, strict=True):
            label.set_text(text)
        self._labels[1].classes(replace=f"tp-state mg-chip mg-chip-{row.tone}")
        self._error.set_text(row.error)
        self._error.set_visibility(bool(row.error))
        self._element.classes(add="tp-chosen") if chosen else self._element.classes(remove="tp-chosen")
