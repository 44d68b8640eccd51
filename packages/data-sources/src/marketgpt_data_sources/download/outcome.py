"""What came of a download: one outcome a symbol, and the report of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from marketgpt_core.times import iso


class Status(StrEnum):
    """What became of one symbol."""

    NEW = "new"  # nothing was stored before
    APPENDED = "appended"
    UNCHANGED = "unchanged"  # asked, and nothing had happened
    REPLACED = "replaced"  # the vendor restated its history, which was fetched whole
    CURRENT = "up to date"  # not asked: the store has all that can be known
    FAILED = "failed"
    NOT_TRIED = "not tried"  # the source was given up, or the download was stopped, before its turn

    @property
    def is_fine(self) -> bool:
        """Whether the store holds what was asked for."""
        return self not in {Status.FAILED, Status.NOT_TRIED}


@dataclass(frozen=True)
class Outcome:
    """What became of one symbol.

    Attributes:
        symbol: The symbol.
        status: What became of it.
        reason: Of a failure, a :class:`marketgpt_core.errors.FetchReason`; ``not tried`` or empty else.
        message: Of a failure, one line; empty else.
        rows_added: Candles the store did not have.
        rows_revised: Stored candles that got other values.
        rows_quarantined: Rows set aside with a reason.
        rows_total: Candles the store holds now.
        requests: How often the source was asked; its own retries are not counted.
        first, last: Stamps of the first and last candle stored, UTC; None when nothing is.
    """

    symbol: str
    status: Status
    reason: str = ""
    message: str = ""
    rows_added: int = 0
    rows_revised: int = 0
    rows_quarantined: int = 0
    rows_total: int = 0
    requests: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "symbol": self.symbol,
            "status": str(self.status),
            "reason": self.reason,
            "message": self.message,
            "rows_added": self.rows_added,
            "rows_revised": self.rows_revised,
            "rows_quarantined": self.rows_quarantined,
            "rows_total": self.rows_total,
            "requests": self.requests,
            "first": None if self.first is None else iso(self.first),
            "last": None if self.last is None else iso(self.last),
        }


@dataclass(frozen=True)
class DownloadReport:
    """What came of a download.

    Attributes:
        outcomes: One a symbol, in the order asked for.
        seconds: How long it took.
        interrupted: Whether it was stopped before its end.
    """

    outcomes: tuple[Outcome, ...]
    seconds: float
    interrupted: bool = False

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """The symbols whose candles could not be had, those not tried among them."""
        return tuple(one for one in self.outcomes if not one.status.is_fine)

    @property
    def is_complete(self) -> bool:
        """Whether the store now holds what was asked for of every symbol."""
        return not self.failures

    def counts(self) -> dict[str, int]:
        """Return how many symbols had each status, in the order of :class:`Status`; none is left out."""
        found = Counter(str(one.status) for one in self.outcomes)
        return {str(status): found[status] for status in Status}

    def reasons(self) -> dict[str, int]:
        """Return how many symbols failed for each reason, most frequent first."""
        return dict(Counter(one.reason for one in self.failures).most_common())

    def total(self, field: str) -> int:
        """Return the sum of a count over all symbols: ``report.total("rows_added")``, ``"requests"``."""
        return sum(getattr(one, field) for one in self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        summed = ("rows_added", "rows_revised", "rows_quarantined", "rows_total", "requests")
        return {
            "totals": {
                "symbols": len(self.outcomes),
                **self.counts(),
                **{name: self.total(name) for name in summed},
            },
            "failures_by_reason": self.reasons(),
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "symbols": [one.to_dict() for one in self.outcomes],
        }


def in_order(outcomes: Iterable[Outcome], symbols: Iterable[str]) -> tuple[Outcome, ...]:
    """Return the outcomes in the order of the symbols."""
    by_symbol = {one.symbol: one for one in outcomes}
    return tuple(by_symbol[symbol] for symbol in symbols)
