"""What a check is, what it finds, and how bad that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Severity(StrEnum):
    """How bad a finding is, mildest last."""

    REFUSE = "refuse"  # the row breaks the contract of candles: it cannot be one
    QUARANTINE = "quarantine"  # the row could be a candle, and is provably not the right one
    REPORT = "report"  # about the series: a person decides

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, eq=False)
class Finding:
    """What one check found in one symbol.

    Attributes:
        check: Name of the check.
        at: shape (K,), int64, positions in the bars that were looked at.
        count: Rows or sessions concerned.
        text: What a person reads, without the symbol.
        details: More of it, plain values for JSON.
        weight: Decides which examples are shown first; the larger, the worse.
    """

    check: str
    at: NDArray[np.int64]
    count: int
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 0.0


@dataclass(frozen=True)
class Check:
    """One thing candles are looked at for.

    Attributes:
        name: As in JSON, configuration and the page docs/data-quality.md.
        severity: How bad a finding is.
        about: One line.
    """

    name: str
    severity: Severity
    about: str
