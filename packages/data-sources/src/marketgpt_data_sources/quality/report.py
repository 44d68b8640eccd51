"""What was found: issues, their summary, JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.times import iso
from marketgpt_data_sources.quality.bars import Bars
from marketgpt_data_sources.quality.check import Finding, Severity
from marketgpt_data_sources.quality.table import CHECKS

_MOST_ROWS_SHOWN = 5


@dataclass(frozen=True)
class Issue:
    """One kind of fault in one symbol.

    Attributes:
        where: File or frame.
        symbol: Symbol; for a fault most symbols of a calendar share, the calendar and how many.
        check: Name of the check that found it.
        fault: What is wrong.
        count: Rows or sessions it concerns.
        rows: Numbers of the rows: 0 is the first row below the header of a file, or of a frame. For sessions
            without a candle, of the first row after each hole.
        first: Stamp of the first of them; empty when it has none.
        details: More, by check; plain values.
        weight: The larger, the earlier among the examples.
    """

    where: str
    symbol: str
    check: str
    fault: str
    count: int
    rows: tuple[int, ...]
    first: str
    details: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 0.0

    @property
    def severity(self) -> Severity:
        """Of its check."""
        return CHECKS[self.check].severity

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols it concerns."""
        return tuple(self.details.get("symbols", (self.symbol,)))

    def __str__(self) -> str:
        if self.details:
            return f"{self.symbol}: {self.fault}"
        shown = ", ".join(map(str, self.rows[:_MOST_ROWS_SHOWN]))
        more = ", ..." if len(self.rows) > _MOST_ROWS_SHOWN else ""
        since = f"; first {self.first}" if self.first else ""
        return f"{self.symbol}: {self.count} x {self.fault} (rows {shown}{more}{since})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        values = asdict(self)
        del values["weight"]
        return {**values, "severity": str(self.severity), "rows": list(self.rows)}


@dataclass(frozen=True)
class QualityReport:
    """What :func:`marketgpt_data_sources.verify` found.

    Attributes:
        num_symbols: Symbols looked at.
        num_rows: Rows looked at.
        issues: What is wrong, in the order of the checks, then of the symbols; empty when all is well.
        weekdays_only: Symbols whose exchange publishes no calendar: their holidays are unknown.
    """

    num_symbols: int
    num_rows: int
    issues: tuple[Issue, ...]
    weekdays_only: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.issues

    def of(self, check: str) -> tuple[Issue, ...]:
        """Return what one check found, worst first."""
        found = [issue for issue in self.issues if issue.check == check]
        return tuple(sorted(found, key=lambda issue: (-issue.weight, -issue.count, issue.symbol)))

    def at_least(self, severity: Severity) -> QualityReport:
        """Return only the issues this bad or worse."""
        kept = tuple(issue for issue in self.issues if issue.severity.rank <= severity.rank)
        return replace(self, issues=kept)

    def summary(self) -> list[dict[str, Any]]:
        """Return a row for each check that found something: check, severity, symbols, rows, about."""
        return [
            {
                "check": name,
                "severity": str(check.severity),
                "symbols": len({name for issue in found for name in issue.symbols}),
                "rows": sum(issue.count for issue in found),
                "about": check.about,
            }
            for name, check in CHECKS.items()
            if (found := self.of(name))
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "num_symbols": self.num_symbols,
            "num_rows": self.num_rows,
            "is_clean": self.is_clean,
            "weekdays_only": list(self.weekdays_only),
            "summary": self.summary(),
            "issues": [issue.to_dict() for issue in self.issues],
        }


def rows_issue(where: str, bars: Bars, check: str, mask: NDArray[np.bool_]) -> Issue:
    """Return the issue of a row check: which rows, and the stamp of the first."""
    at = np.flatnonzero(mask)
    rows = tuple(bars.row[at].tolist())
    return Issue(
        where,
        bars.symbol,
        check,
        CHECKS[check].about,
        len(at),
        rows,
        _stamp(bars.time[at[0]]),
        weight=len(at),
    )


def series_issue(where: str, bars: Bars, finding: Finding) -> Issue:
    """Return the issue of a check of the whole series."""
    first = _stamp(bars.time[finding.at[0]]) if len(finding.at) else ""
    rows = tuple(bars.row[finding.at].tolist())
    return Issue(
        where,
        bars.symbol,
        finding.check,
        finding.text,
        finding.count,
        rows,
        first,
        details=finding.details,
        weight=finding.weight,
    )


def in_order(issues: list[Issue]) -> tuple[Issue, ...]:
    """Return the issues in the order of the checks; within one, as they came."""
    places = {name: place for place, name in enumerate(CHECKS)}
    return tuple(sorted(issues, key=lambda issue: places[issue.check]))


def _stamp(time: np.datetime64) -> str:
    return "" if np.isnat(time) else iso(time)
