"""Signals and what came of them."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from marketgpt_core.interval import Interval
from marketgpt_core.signal import Outcome, Side, Signal
from marketgpt_signals.rows import BANDS

_SIGNAL: JsonDict = {
    "id": "5f0c2a0d9a4b4f6c8e1d2b3a4c5d6e7f",
    "symbol": "AAPL",
    "as_of": "2026-11-20T00:00:00Z",
    "horizon_bars": 10,
    "interval": "1d",
    "side": "LONG",
    "probability": 0.58,
    "confidence": 0.16,
    "close": 231.4,
    "bands": {"q05": 214.1, "q25": 226.0, "q50": 232.9, "q75": 239.8, "q95": 251.2},
    "expires_at": "2026-12-05T00:00:00Z",
    "created_at": "2026-11-20T21:30:00Z",
    "strategy": "threshold",
    "model_id": "crypto_20261122_180000",
    "data_fingerprint": "9b1f2c...",
    "reason": "P(up) 0.580, median move +65 bps against 14 bps of costs",
    "size": 1.0,
    "code_revision": "0.1.0+e2120c6",
    "expired": False,
}
_OUTCOME: JsonDict = {
    "signal_id": "5f0c2a0d9a4b4f6c8e1d2b3a4c5d6e7f",
    "entry_at": "2026-11-23T00:00:00Z",
    "exit_at": "2026-12-08T00:00:00Z",
    "entry_price": 231.9,
    "exit_price": 236.2,
    "forecast_return": 0.0193,
    "net_return": 0.0171,
    "cost_bps": 14.1,
    "hit": True,
    "inside_90": True,
    "resolved_at": "2026-12-08T22:00:00Z",
}


class BandsOut(BaseModel):
    """Forecast quantiles as prices at the horizon."""

    q05: float
    q25: float
    q50: float
    q75: float
    q95: float


class SignalOut(BaseModel):
    """A signal; see marketgpt_core.signal.Signal for the units."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SIGNAL]})

    id: str
    symbol: str
    as_of: datetime = Field(description="stamp of the last candle used")
    horizon_bars: int
    interval: Interval
    side: Side
    probability: float = Field(description="that the return over the horizon is positive")
    confidence: float = Field(description="0: nothing beyond the base rate, 1: certain")
    close: float = Field(description="close at as_of, quote currency")
    bands: BandsOut
    expires_at: datetime = Field(description="not to be acted on after this")
    created_at: datetime
    strategy: str
    model_id: str
    data_fingerprint: str
    reason: str
    size: float = Field(description="of the symbol's budget, 0 to 1; means nothing for FLAT")
    code_revision: str = Field(description="of the code that made it; empty when unknown")
    expired: bool = Field(description="whether expires_at has passed")

    @classmethod
    def of(cls, signal: Signal, now: datetime) -> SignalOut:
        """Return a signal as the API shows it at a time."""
        plain = {name: getattr(signal, name) for name in cls.model_fields if hasattr(signal, name)}
        bands = BandsOut(**{name: getattr(signal.bands, name) for name in BANDS})
        return cls(**plain | {"bands": bands, "expired": signal.expires_at <= now})


class OutcomeOut(BaseModel):
    """What came of a signal; see marketgpt_core.signal.Outcome for the units."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OUTCOME]}, from_attributes=True)

    signal_id: str
    entry_at: datetime
    exit_at: datetime
    entry_price: float
    exit_price: float
    forecast_return: float = Field(description="natural log, close to close")
    net_return: float = Field(description="simple, after costs; 0 for FLAT")
    cost_bps: float
    hit: bool | None = Field(description="null for FLAT")
    inside_90: bool
    resolved_at: datetime

    @classmethod
    def of(cls, outcome: Outcome) -> OutcomeOut:
        """Return an outcome as the API shows it."""
        return cls.model_validate(outcome)


class ResolvedOut(BaseModel):
    """A signal and what came of it; ``outcome`` is null while its horizon has not passed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"signal": _SIGNAL, "outcome": _OUTCOME}]})

    signal: SignalOut
    outcome: OutcomeOut | None


class SignalPage(BaseModel):
    """Signals, newest as_of first."""

    items: list[SignalOut]
    next_cursor: str | None = Field(description="pass it as cursor for the next page; null: no more")


class ResolvedPage(BaseModel):
    """Resolved signals, newest as_of first."""

    items: list[ResolvedOut]
    next_cursor: str | None = Field(description="pass it as cursor for the next page; null: no more")
