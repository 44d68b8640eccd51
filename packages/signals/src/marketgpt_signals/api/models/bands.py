"""Bollinger Bands."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from marketgpt_core.interval import Interval
from marketgpt_signals.api.models.fields import Question, Symbol, Utc

_COVERAGE: JsonDict = {"num": 480, "share": 0.91, "interval": [0.87, 0.94], "below": 0.05, "above": 0.04}
_SET: JsonDict = {
    "name": "1m",
    "kind": "classical",
    "bars": 21,
    "nominal": None,
    "newest": {
        "known_at_the_close_of": "2026-11-20T00:00:00Z",
        "close": 231.4,
        "lower": 221.0,
        "middle": 230.2,
        "upper": 239.4,
    },
    "next_close": _COVERAGE,
    "at_horizon": _COVERAGE,
}


class BandsQuery(Question):
    """What ``/v1/bands`` can be asked."""

    symbol: Symbol = Field(description="the symbol")
    width: float = Field(
        2.0, ge=0.1, le=10, allow_inf_nan=False, description="deviations of the classical bands"
    )
    probability: float = Field(
        0.95, ge=0.01, le=0.99, allow_inf_nan=False, description="mass within the forecast bands"
    )
    intervals: bool = Field(False, description="also bootstrap intervals of the coverage: takes a second")


class CoverageOut(BaseModel):
    """How often bands held."""

    num: int = Field(description="bands whose close has come")
    share: float | None = Field(description="of the closes inside")
    interval: tuple[float, float] | None = Field(
        description="its 90% interval; null unless asked for, and with too few"
    )
    below: float | None
    above: float | None


class NewestBands(BaseModel):
    """The newest lines, as prices."""

    known_at_the_close_of: Utc
    close: float
    lower: float
    middle: float
    upper: float


class BandSetOut(BaseModel):
    """Bands of one kind and length."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SET]})

    name: str = Field(description="1w, 2w, 1m or 2m")
    kind: str = Field(description="classical or forecast")
    bars: int = Field(description="window of a classical set, horizon of a forecast one")
    nominal: float | None = Field(description="what a forecast set promises; classical ones promise nothing")
    newest: NewestBands | None
    next_close: CoverageOut | None = Field(
        description="of classical sets: how often the next close lay inside"
    )
    at_horizon: CoverageOut = Field(description="how often the close so many bars later lay inside")


class BandsAnswer(BaseModel):
    """The band sets of a symbol."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"symbol": "AAPL", "interval": "1d", "bands": [_SET]}]}
    )

    symbol: str
    interval: Interval
    bands: list[BandSetOut]
