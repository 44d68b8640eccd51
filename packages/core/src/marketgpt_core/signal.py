"""Signal and Outcome: what was said, and what came of it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import check_symbol


class Side(StrEnum):
    """What a signal says to hold."""

    LONG = "LONG"
    SHORT = "SHORT"
    FLAT = "FLAT"


@dataclass(frozen=True)
class Bands:
    """Forecast quantiles as prices at the horizon, lowest first.

    Attributes:
        q05, q25, q50, q75, q95: the 5% ... 95% quantiles of the close at the horizon, quote currency.
    """

    q05: float
    q25: float
    q50: float
    q75: float
    q95: float

    def __post_init__(self) -> None:
        values = (self.q05, self.q25, self.q50, self.q75, self.q95)
        if not all(0 < value < math.inf for value in values) or list(values) != sorted(values):
            raise DataError(f"bands must be positive, finite and not decrease: {values}")


@dataclass(frozen=True)
class Signal:
    """One immutable statement about one symbol at one time for one horizon.

    Attributes:
        symbol: The symbol.
        as_of: Stamp of the last candle used; aware, UTC.
        horizon_bars: Bars ahead.
        interval: Length of a bar.
        side: LONG, SHORT or FLAT (an abstention, with its reason).
        probability: That the cumulative return over the horizon is positive, in [0, 1].
        confidence: In [0, 1]: 0 knows nothing beyond the base rate, 1 is certain.
        close: Close at ``as_of``, quote currency.
        bands: Price quantiles at the horizon.
        expires_at: After this the signal must not be acted on; aware, UTC.
        created_at: When it was made; aware, UTC.
        strategy: Name of the strategy.
        model_id: Identity of the model.
        data_fingerprint: Identity of the candles.
        reason: One sentence: why this side.
        size: In [0, 1]: how much of the symbol's budget to hold; means nothing for FLAT. No part of the
            identity: one signal says one size.
        code_revision: Version and git revision of the code that made it; empty when nobody said. It is no
            part of the identity: the same statement made by newer code is the same statement.
    """

    symbol: str
    as_of: datetime
    horizon_bars: int
    interval: Interval
    side: Side
    probability: float
    confidence: float
    close: float
    bands: Bands
    expires_at: datetime
    created_at: datetime
    strategy: str
    model_id: str
    data_fingerprint: str
    reason: str = ""
    size: float = 1.0
    code_revision: str = ""

    def __post_init__(self) -> None:
        check_symbol(self.symbol)
        for name in ("probability", "confidence", "size"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise DataError(f"signal.{name} must lie in [0, 1], got {getattr(self, name)!r}")
        for name in ("as_of", "expires_at", "created_at"):
            if getattr(self, name).tzinfo is None:
                raise DataError(f"signal.{name} must be aware (UTC), got {getattr(self, name)!r}")
        if not 0 < self.close < math.inf:
            raise DataError(f"signal.close must be positive and finite, got {self.close!r}")
        if self.horizon_bars < 1:
            raise DataError(f"signal.horizon_bars must be at least 1, got {self.horizon_bars}")
        for name in _TEXTS:
            _check_text(name, getattr(self, name))

    @property
    def id(self) -> str:
        """Identity: one signal per symbol, as-of, horizon, model and strategy; 32 hex digits."""
        parts = (
            self.symbol, self.as_of.astimezone(UTC).isoformat(), str(self.interval), str(self.horizon_bars),
            self.model_id, self.strategy,
        )  # fmt: skip
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


_TEXTS = ("strategy", "model_id", "data_fingerprint", "reason", "code_revision")


def _check_text(name: str, text: str) -> None:
    # A NUL parts the fields of the identity, and no PostgreSQL stores one.
    try:
        written = text.encode()
    except UnicodeEncodeError:
        written = b"\0"
    if b"\0" in written:
        raise DataError(f"signal.{name} must be text without NUL and lone surrogates, got {text[:40]!r}")


@dataclass(frozen=True)
class Outcome:
    """What came of a signal, once its horizon passed.

    Attributes:
        signal_id: The signal's id.
        entry_at, exit_at: Stamps of the candles at whose open it was entered and closed; aware, UTC.
        entry_price, exit_price: Those opens, quote currency.
        forecast_return: Natural-log return from the signal's close to the close at its horizon: what the
            forecast was about.
        net_return: Simple return of the position after costs; 0 for FLAT.
        cost_bps: Costs charged, both ways, in basis points.
        hit: Whether the side was right about ``forecast_return``; None for FLAT.
        inside_90: Whether the close at the horizon lay within the 5%..95% band.
        resolved_at: When it was written; aware, UTC.
    """

    signal_id: str
    entry_at: datetime
    exit_at: datetime
    entry_price: float
    exit_price: float
    forecast_return: float
    net_return: float
    cost_bps: float
    hit: bool | None
    inside_90: bool
    resolved_at: datetime


class SignalReader(Protocol):
    """Read access to a ledger of signals: what dashboards and monitors ask for, never a database."""

    def signals(
        self,
        *,
        symbol: str | None = None,
        horizon_bars: int | None = None,
        side: Side | None = None,
        min_probability: float | None = None,
        since: datetime | None = None,
        latest: bool = False,
        limit: int | None = None,
    ) -> list[Signal]:
        """Return signals, newest as-of first.

        Args:
            symbol: Only this symbol.
            horizon_bars: Only this horizon.
            side: Only this side.
            min_probability: Only signals whose side has at least this probability: ``probability`` for
                LONG and FLAT, ``1 - probability`` for SHORT.
            since: Only ``as_of >= since``; aware.
            latest: Only the newest as-of of each (symbol, horizon).
            limit: At most so many.
        """
        ...

    def resolved(
        self, *, symbol: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[tuple[Signal, Outcome]]:
        """Return signals whose outcome is known, oldest as-of first."""
        ...

    def symbols(self) -> list[str]:
        """Return the symbols that have signals, sorted."""
        ...
