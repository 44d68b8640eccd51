"""The strategy ``bollinger``: a close outside its bands proposes a side, the forecast must second it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from marketgpt_core.candles import CandleSeries
from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Side
from marketgpt_core.times import iso
from marketgpt_signals.bands.classical import bollinger_bands
from marketgpt_signals.base import Decision, ViewStrategy
from marketgpt_signals.known import View
from marketgpt_signals.rules.edge import CostedConfig, confidence_of, directed

_OTHER = {Side.LONG: Side.SHORT, Side.SHORT: Side.LONG}


class Bollinger(ViewStrategy):
    """Breakout or reversion on classical Bollinger Bands, seconded by the forecast.

    With m and s the mean and population standard deviation of the last ``window`` closes, the as-of one
    included, the bands are m +- width x s. A close above the upper one proposes LONG for ``breakout`` and
    SHORT for ``reversion``, one below the lower the other way round. It is followed when P(up) is on that
    side and the median move beats the costs. Bollinger, Bollinger on Bollinger Bands (2001): 20 and 2 are
    his defaults; reversion is his Method III, breakout his Method I.
    """

    name = "bollinger"

    class Config(CostedConfig):
        """Options of :class:`Bollinger`."""

        mode: Literal["breakout", "reversion"] = "breakout"
        window: int = Field(
            default=20, ge=2, le=10_000, description="bars", json_schema_extra={"tune": [5, 120]}
        )
        width: float = Field(
            default=2.0,
            gt=0,
            le=10,
            description="standard deviations",
            json_schema_extra={"tune": [0.5, 3.5]},
        )

    config: Config

    @property
    def history_bars(self) -> int:
        """Candles of a symbol it reads: the window."""
        return self.config.window

    def judge(self, view: View, column: int) -> Sequence[Decision]:
        """Judge one row at one horizon; see the class."""
        rows = (view.forecast.rows(slice(i, i + 1)) for i in range(len(view.forecast)))
        return [self._one(row, view.candles.get(row.symbols[0]), column) for row in rows]

    def _one(self, row: Forecast, series: CandleSeries | None, column: int) -> Decision:
        options = self.config
        p_up = float(row.p_up[0, column])
        confidence = confidence_of(p_up)
        if series is None or series.time[-1] != row.as_of[0]:
            last = "none" if series is None else iso(series.time[-1])
            told = f"no candle of {row.symbols[0]} at {iso(row.as_of[0])}, the last one known: {last}"
            return Decision(Side.FLAT, confidence, told)
        if len(series) < options.window:
            told = f"{len(series)} candles are too few for bands of {options.window}"
            return Decision(Side.FLAT, confidence, told)
        bands = bollinger_bands(series.close, options.window, options.width)
        close, low, high = float(series.close[-1]), float(bands.lower[-1]), float(bands.upper[-1])
        told = f"close {close:.6g} in bands of {options.window} bars {low:.6g} to {high:.6g}"
        # Written so that a band that is not a number proposes nothing.
        if not (close > high or close < low):
            return Decision(Side.FLAT, confidence, f"{told}: inside")
        proposed = Side.LONG if close > high else Side.SHORT
        side = proposed if options.mode == "breakout" else _OTHER[proposed]
        told = f"{told}: {options.mode} {side}, P(up) {p_up:.3f}"
        if (p_up <= 0.5) if side is Side.LONG else (p_up >= 0.5):  # noqa: PLR2004 - the other side
            return Decision(Side.FLAT, confidence, f"{told} does not second it")
        return directed(row, column, side, told, options.round_trip_cost_bps)
