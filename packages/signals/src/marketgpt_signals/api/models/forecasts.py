"""Forecasts."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from marketgpt_core.interval import Interval
from marketgpt_signals.api.models.fields import Cursor, Moment, Question, Symbol

_HORIZON: JsonDict = {
    "horizon_bars": 5,
    "p_up": 0.54,
    "aleatoric": 0.031,
    "epistemic": 0.006,
    "quantiles": {"0.05": -0.049, "0.5": 0.002, "0.95": 0.053},
}
_FORECAST: JsonDict = {
    "symbol": "AAPL",
    "as_of": "2026-11-20T00:00:00Z",
    "interval": "1d",
    "close": 231.4,
    "model_id": "market_gpt-b0b597593b1483c3",
    "data_fingerprint": "9b1f2c...",
    "caveat": "",
    "horizons": [_HORIZON],
}


class ForecastQuery(Question):
    """What ``/v1/forecasts`` can be asked."""

    symbol: Symbol | None = Field(None, description="only this symbol")
    model: str | None = Field(None, max_length=200, description="only this model id")
    horizon: int | None = Field(None, ge=1, le=100_000, description="only this horizon, in bars")
    since: Moment | None = Field(None, description="only as_of at or after this")
    until: Moment | None = Field(None, description="only as_of at or before this")
    latest: bool = Field(False, description="only the newest as_of of each symbol, model and interval")
    limit: int = Field(100, ge=1, le=500, description="at most so many")
    cursor: Cursor | None = Field(None, description="next_cursor of the page before")


class HorizonOut(BaseModel):
    """A law of the return over a horizon."""

    horizon_bars: int
    p_up: float = Field(description="probability that the return is positive")
    aleatoric: float = Field(description="spread the model holds irreducible, log return")
    epistemic: float = Field(description="spread between the model's own opinions, log return")
    quantiles: dict[str, float] = Field(
        description="cumulative natural-log return by level, increasing", examples=[_HORIZON["quantiles"]]
    )


class ForecastOut(BaseModel):
    """A forecast of one symbol at one time."""

    model_config = ConfigDict(json_schema_extra={"examples": [_FORECAST]})

    symbol: str
    as_of: datetime = Field(description="stamp of the last candle used")
    interval: Interval
    close: float
    model_id: str
    data_fingerprint: str
    caveat: str = Field(description="what the model never saw; empty where all is familiar")
    horizons: list[HorizonOut]


class ForecastPage(BaseModel):
    """Forecasts, newest as_of first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_FORECAST], "next_cursor": None}]})

    items: list[ForecastOut]
    next_cursor: str | None = Field(description="pass it as cursor for the next page; null: no more")
