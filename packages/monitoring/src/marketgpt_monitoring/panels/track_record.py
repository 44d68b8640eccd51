"""The ``track_record`` panel: what came of the signals, with intervals that say how much is known."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from nicegui import ui
from pydantic import Field

from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.symbols import Category
from marketgpt_monitoring.base import DashboardContext, DashboardPanel
from marketgpt_monitoring.panels.labels import horizon_label
from marketgpt_monitoring.scores import NOMINAL_COVERAGE, Proportion, proportion
from marketgpt_monitoring.streams import Stream, resolved_streams

_ALL = "All symbols"
_ONE = "This symbol"
_HIT_AXIS = (0.2, 0.8)
_COVERAGE_AXIS = (0.7, 1.0)


@dataclass(frozen=True)
class _Row:
    strategy: str
    horizon: str
    num: int
    hit: Proportion | None
    base_rate_up: float
    coverage: Proportion | None
    brier: float


class TrackRecordPanel(DashboardPanel):
    """By horizon: hit rate against the best constant side, coverage of the 90% band, Brier loss.

    Intervals are 95% and widened for outcomes that overlap or move together.
    """

    class Config(BaseConfig):
        """Options.

        Attributes:
            window_days: How far back as-of stamps may lie.
        """

        window_days: int = Field(default=730, ge=1)

    config: Config
    title = "Track record"
    order = 30
    wide = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._scope = _ONE
        self._shown: list[_Row] | None = None
        self._body: ui.element | None = None

    async def render(self, context: DashboardContext) -> None:
        """Build the scope switch and the rows; see :meth:`DashboardPanel.render`."""
        self._shown = None

        async def choose(scope: str) -> None:
            self._scope = scope
            await self.refresh(context)

        with ui.element("div").classes("mg-toolbar"):
            toggle = ui.toggle([_ONE, _ALL], value=self._scope).props("dense unelevated no-caps size=sm")
            toggle.on_value_change(lambda event: choose(str(event.value)))
            ui.label(f"last {self.config.window_days} days, intervals 95%").classes("mg-muted")
        self._body = ui.element("div").classes("mg-records")
        await self.refresh(context)

    async def refresh(self, context: DashboardContext) -> bool:
        """Build the rows anew when they changed; see :meth:`DashboardPanel.refresh`."""
        if self._body is None or self._body.is_deleted:
            return False
        rows = await asyncio.to_thread(self._read, context)
        if rows != self._shown:
            self._shown = rows
            self._body.clear()
            with self._body:
                _build(rows)
        return True

    def _read(self, context: DashboardContext) -> list[_Row]:
        now = context.clock.now()
        symbol = context.selection.symbol
        if symbol is None:
            return []
        category = context.category(symbol)
        streams = resolved_streams(
            context.reader,
            now=now,
            symbol=symbol if self._scope == _ONE else None,
            since=now - timedelta(days=self.config.window_days),
            pool_models=True,
        )
        return [_row(streams[key], category) for key in sorted(streams)]


def _row(stream: Stream, category: Category) -> _Row:
    sided = stream.directional
    return _Row(
        strategy=stream.key.strategy,
        horizon=horizon_label(stream.key.horizon_bars, stream.key.interval, category),
        num=len(stream),
        hit=proportion(stream.hit[sided], stream.block[sided]),
        base_rate_up=float(stream.up.mean()),
        coverage=proportion(stream.inside_90, stream.block),
        brier=float(stream.loss.mean()),
    )


def _build(rows: list[_Row]) -> None:
    if not rows:
        ui.label("Nothing has been resolved yet.").classes("mg-empty")
        return
    several = len({row.strategy for row in rows}) > 1
    for text in (
        "Horizon",
        "Resolved",
        "Hit rate (mark: best constant side)",
        "90% band held (mark: 90%)",
        "Brier",
    ):
        ui.label(text).classes("mg-record-head")
    for row in rows:
        ui.label(f"{row.horizon}, {row.strategy}" if several else row.horizon).classes("mg-record-name")
        ui.label(f"{row.num:,}").classes("mg-number")
        # Whoever always says the commoner side is right that often, knowing nothing of the day.
        constant = max(row.base_rate_up, 1.0 - row.base_rate_up)
        _interval(row.hit, axis=_HIT_AXIS, mark=constant)
        _interval(row.coverage, axis=_COVERAGE_AXIS, mark=NOMINAL_COVERAGE, nominal=True)
        ui.label(f"{row.brier:.4f}").classes("mg-number")


def _interval(
    share: Proportion | None, *, axis: tuple[float, float], mark: float, nominal: bool = False
) -> None:
    """Draw a share and its interval on a bar, with a mark to compare it with.

    Amber: surely not the nominal value. Green: surely more than the mark, where it is one to beat.
    """
    with ui.element("div").classes("mg-interval"):
        if share is None:
            ui.label("no LONG or SHORT yet").classes("mg-muted")
            return
        ui.label(f"{share.value:.1%}").classes("mg-number mg-strong")
        with ui.element("div").classes("mg-track"):
            low, high = _percent(share.low, axis), _percent(share.high, axis)
            if nominal:
                tone = "mg-range-off" if share.excludes(mark) else "mg-range"
            else:
                tone = "mg-range-good" if share.low > mark else "mg-range"
            ui.element("div").classes(tone).style(f"left: {low:.1f}%; width: {max(high - low, 1.0):.1f}%")
            ui.element("div").classes("mg-mark").style(f"left: {_percent(mark, axis):.1f}%")
            ui.element("div").classes("mg-dot").style(f"left: {_percent(share.value, axis):.1f}%")
        ui.label(f"{share.low:.1%} to {share.high:.1%}").classes("mg-muted mg-number")


def _percent(value: float, axis: tuple[float, float]) -> float:
    low, high = axis
    return 100.0 * min(max((value - low) / (high - low), 0.0), 1.0)
