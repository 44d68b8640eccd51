"""The ``candles`` panel: what the price did, what was said about it, and what is expected next."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nicegui import ui
from pydantic import Field

from marketgpt_core.candles import CandleSeries
from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.signal import Signal
from marketgpt_core.times import to_datetime
from marketgpt_monitoring.base import DashboardContext, DashboardPanel
from marketgpt_monitoring.panels.chart import candle_option


@dataclass(frozen=True, eq=False)
class _Shown:
    series: CandleSeries | None
    marks: list[Signal]
    newest: list[Signal]


class CandlesPanel(DashboardPanel):
    """Candlesticks with signal marks of the chosen horizon, and the fan of the newest forecast.

    The fan starts at the candle the forecast was made from: where later candles exist, it shows what came.
    """

    class Config(BaseConfig):
        """Options.

        Attributes:
            num_candles: Candles loaded.
            num_in_view: Candles in view at first, besides the forecast; the rest is reached by zooming out.
        """

        num_candles: int = Field(default=250, ge=10, le=5_000)
        num_in_view: int = Field(default=130, ge=10)

    config: Config
    title = "Price and forecast"
    order = 10
    wide = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._chart: ui.echart | None = None
        self._symbol: str | None = None

    async def render(self, context: DashboardContext) -> None:
        """Build the chart; see :meth:`DashboardPanel.render`."""
        self._chart = None
        self._symbol = context.selection.symbol
        shown = await asyncio.to_thread(self._read, context)
        if shown.series is None:
            ui.label("No candles for this symbol.").classes("mg-empty")
            return
        first = len(shown.series) - self.config.num_in_view
        option = candle_option(shown.series, marks=shown.marks, newest=shown.newest, zoom_from=first)
        self._chart = ui.echart(option).classes("mg-chart").mark("candles-chart")

    async def refresh(self, context: DashboardContext) -> bool:
        """Update the chart in place while the symbol stays; see :meth:`DashboardPanel.refresh`."""
        if self._chart is None or self._symbol != context.selection.symbol:
            return False
        shown = await asyncio.to_thread(self._read, context)
        if shown.series is None:
            return False
        # Without a zoom in the option the viewer's own stays.
        option = candle_option(shown.series, marks=shown.marks, newest=shown.newest, zoom_from=None)
        self._chart.options.clear()
        self._chart.options.update(option)
        self._chart.update()
        return True

    def _read(self, context: DashboardContext) -> _Shown:
        symbol = context.selection.symbol
        series = None if symbol is None else context.candles(symbol)
        if symbol is None or series is None or not len(series):
            return _Shown(None, [], [])
        series = series[max(len(series) - self.config.num_candles, 0) :]
        newest = context.reader.signals(symbol=symbol, latest=True)
        horizon = context.selection.horizon_bars
        if horizon is None:
            horizon = min((signal.horizon_bars for signal in newest), default=1)
        since = to_datetime(series.time[0])
        marks = context.reader.signals(symbol=symbol, horizon_bars=horizon, since=since)
        return _Shown(series, marks, newest)
