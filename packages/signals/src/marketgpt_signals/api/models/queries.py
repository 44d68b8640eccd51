"""What the lists of signals and outcomes, and the stream, can be asked."""

from __future__ import annotations

from pydantic import Field

from marketgpt_core.signal import Side
from marketgpt_core.symbols import Category
from marketgpt_signals.api.models.fields import Cursor, Moment, Question, Symbol
from marketgpt_signals.queries import SignalFilter

_SURE = "of the side: P(up), or 1 - P(up) for SHORT"


class _Filters(Question):
    """Filters every list knows."""

    symbol: Symbol | None = Field(None, description="only this symbol")
    market: Category | None = Field(
        None, description="only symbols of this market, by their shape or the installed universes"
    )
    horizon: int | None = Field(None, ge=1, le=100_000, description="only this horizon, in bars")
    side: Side | None = Field(None, description="only this side")
    since: Moment | None = Field(None, description="only as_of at or after this; UTC unless it says else")

    def wanted(self) -> SignalFilter:
        """Return it as a filter."""
        return SignalFilter(self.symbol, self.horizon, self.side, since=self.since, market=self.market)


class _Pages(Question):
    limit: int = Field(100, ge=1, le=1_000, description="at most so many")
    cursor: Cursor | None = Field(None, description="next_cursor of the page before")


class OutcomeQuery(_Filters, _Pages):
    """What ``/v1/outcomes`` can be asked."""


class StreamQuery(_Filters):
    """What ``/v1/stream`` can be asked."""

    min_probability: float | None = Field(None, ge=0, le=1, allow_inf_nan=False, description=_SURE)

    def wanted(self) -> SignalFilter:
        """Return it as a filter."""
        return SignalFilter(
            self.symbol, self.horizon, self.side, self.min_probability, self.since, market=self.market
        )


class LatestQuery(StreamQuery, _Pages):
    """What ``/v1/signals/latest`` can be asked."""

    def wanted(self) -> SignalFilter:
        """Return it as a filter."""
        return SignalFilter(
            self.symbol, self.horizon, self.side, self.min_probability, self.since, True, self.market
        )


class SignalQuery(StreamQuery, _Pages):
    """What ``/v1/signals`` can be asked."""

    latest: bool = Field(False, description="only the newest as_of of each symbol and horizon")

    def wanted(self) -> SignalFilter:
        """Return it as a filter."""
        return SignalFilter(
            self.symbol,
            self.horizon,
            self.side,
            self.min_probability,
            self.since,
            self.latest,
            self.market,
        )
