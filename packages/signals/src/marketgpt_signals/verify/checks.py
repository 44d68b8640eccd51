"""What a check found, and comparing what was said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from marketgpt_core.signal import Side, Signal
from marketgpt_core.times import iso

Key = tuple[str, str, int]
_NOT_COMPARED = frozenset({"created_at"})


@dataclass
class Check:
    """One check of one subject.

    Attributes:
        subject: A strategy or a model.
        name: What was done to it.
        num_compared: What was compared: signals, or pairs forecast.
        num_different: How many were not the same.
        first: The first difference, one line; "" without any.
        note: What else a person should know.
        details: Numbers, for ``--json``.
    """

    subject: str
    name: str
    num_compared: int = 0
    num_different: int = 0
    first: str = ""
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether nothing was different."""
        return self.num_different == 0

    def differs(self, what: str, count: int = 1) -> None:
        """Count a difference; the first one is kept."""
        self.num_different += count
        self.first = self.first or what

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return vars(self) | {"passed": self.passed}


def by_key(signals: Iterable[Signal]) -> dict[Key, Signal]:
    """Return signals by symbol, as-of and horizon."""
    return {(one.symbol, iso(one.as_of), one.horizon_bars): one for one in signals}


def difference(one: Signal, other: Signal, *, but: Sequence[str] = ()) -> str:
    """Return in which field two signals differ, "" when they say the same. When is no matter."""
    for name in (part.name for part in fields(Signal)):
        if name in _NOT_COMPARED or name in but:
            continue
        before, after = getattr(one, name), getattr(other, name)
        if before != after:
            return f"{name} {before!s} becomes {after!s}"
    return ""


def compare_signals(check: Check, honest: Mapping[Key, Signal], other: Mapping[Key, Signal]) -> None:
    """Count how many honest signals are missing or different."""
    for key, signal in honest.items():
        check.num_compared += 1
        where = f"{key[0]} at {key[1]}, {key[2]} bars"
        if key not in other:
            check.differs(f"{where}: not said any more")
        elif told := difference(signal, other[key]):
            check.differs(f"{where}: {told}")


def only_abstentions(honest: Mapping[Key, Signal]) -> str:
    """Return a note when no signal acts: then little was put to the test."""
    acting = sum(signal.side is not Side.FLAT for signal in honest.values())
    return "" if acting else "it only abstained: nothing was put to the test"
