"""The run chosen: facts, curves, what happened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nicegui import ui

from marketgpt_training.page import charts
from marketgpt_training.page.content import events, facts, share_done, short
from marketgpt_training.page.curves import Curves


class Details:
    """The lower part of the page.

    Args:
        names: Charts, in order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._drawn: tuple[str, int] | None = None
        self._facts: dict[str, ui.label] = {}
        self._happened: list[tuple[str, str]] | None = None
        titles = {name: title for name, title, _ in charts.CHARTS}
        self._root = ui.element("div").classes("tp-details")
        with self._root:
            with ui.element("section").classes("mg-card"):
                self._title = ui.label().classes("mg-card-title tp-title").props("role=heading aria-level=2")
                with ui.element("div").classes("tp-bar"):
                    self._bar = ui.element("div").classes("tp-bar-done")
                self._grid = ui.element("div").classes("tp-facts")
                self._trouble = ui.label().classes("mg-error")
            self._cards, self._charts = {}, {}
            with ui.element("div").classes("mg-grid"):
                for name in names:
                    self._cards[name] = ui.element("section").classes("mg-card")
                    with self._cards[name]:
                        title = ui.label(titles[name]).classes("mg-card-title")
                        title.props("role=heading aria-level=3")
                        chart = ui.echart(charts.option(name)).classes(f"tp-chart tp-chart-{name}")
                        self._charts[name] = chart
                with ui.element("section").classes("mg-card mg-wide"):
                    ui.label("What happened").classes("mg-card-title").props("role=heading aria-level=3")
                    self._events = ui.element("div").classes("tp-events")
        self._root.set_visibility(False)

    def clear(self) -> None:
        """Show nothing."""
        self._root.set_visibility(False)

    def fail(self, state: dict[str, Any], trouble: str) -> None:
        """Show the run's name and what is wrong with its curves."""
        self._root.set_visibility(True)
        self._title.set_text(short(state["run"]))
        self._say(trouble)

    def show(self, state: dict[str, Any], curves: Curves) -> None:
        """Show the run; charts are drawn again only where there is something new."""
        self._root.set_visibility(True)
        self._title.set_text(short(state["run"]))
        self._bar.style(f"width: {100 * share_done(state):.2f}%")
        self._show_facts(facts(state, curves))
        broken = f"{curves.broken:,} lines of metrics.jsonl are no metrics" if curves.broken else ""
        self._say(". ".join(filter(None, (short(state.get("error") or ""), broken))))
        drawn = (state["run"], curves.version)
        if drawn != self._drawn:
            self._drawn = drawn
            self._draw(curves)
        happened = events(Path(state["run"]), curves)
        if happened != self._happened:
            self._happened = happened
            self._show_events(happened)

    def _draw(self, curves: Curves) -> None:
        for name, chart in self._charts.items():
            is_there = name not in charts.OPTIONAL or charts.has_points(name, curves)
            self._cards[name].set_visibility(is_there)
            if name in charts.OPTIONAL:
                # An even number of cards fills the grid.
                first = next(iter(self._cards.values()))
                first.classes(remove="mg-wide") if is_there else first.classes(add="mg-wide")
            if is_there:
                chart.options.update(charts.option(name, curves))
                chart.update()

    def _show_facts(self, shown: list[tuple[str, str]]) -> None:
        if [name for name, _ in shown] != list(self._facts):
            self._grid.clear()
            self._facts = {}
            for name, _ in shown:
                with self._grid, ui.element("div").classes("mg-fact"):
                    ui.label(name).classes("mg-fact-name")
                    self._facts[name] = ui.label().classes("mg-fact-value")
        for name, value in shown:
            self._facts[name].set_text(value)

    def _show_events(self, happened: list[tuple[str, str]]) -> None:
        self._events.clear()
        with self._events:
            for moment, said in happened:
                ui.label(moment).classes("mg-muted mg-number")
                ui.label(said)
            if not happened:
                ui.label("Nothing yet.").classes("mg-muted")

    def _say(self, trouble: str) -> None:
        self._trouble.set_text(trouble)
        self._trouble.set_visibility(bool(trouble))
