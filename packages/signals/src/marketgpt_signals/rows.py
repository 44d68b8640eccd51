"""Signals and outcomes as table rows and as JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from marketgpt_core.interval import Interval
from marketgpt_core.signal import Bands, Outcome, Side, Signal
from marketgpt_core.times import iso

BANDS = ("q05", "q25", "q50", "q75", "q95")
_WHAT = ("symbol", "as_of", "horizon_bars")
_SAID = (
    "probability", "confidence", "reason", "close", "expires_at", "created_at", "strategy", "model_id",
    "data_fingerprint", "size", "code_revision",
)  # fmt: skip
# As signal_row gives them.
SIGNAL_FIELDS = ("id", *_WHAT, "interval", "side", *_SAID, *BANDS)
OUTCOME_FIELDS = (
    "signal_id", "entry_at", "exit_at", "entry_price", "exit_price", "forecast_return", "net_return",
    "cost_bps", "hit", "inside_90", "resolved_at",
)  # fmt: skip


def signal_row(signal: Signal) -> dict[str, Any]:
    """Return a signal as a row of the table ``signals`` (without ``seq``)."""
    row: dict[str, Any] = {"id": signal.id}
    row |= {name: getattr(signal, name) for name in _WHAT}
    row |= {"interval": str(signal.interval), "side": str(signal.side)}
    row |= {name: getattr(signal, name) for name in _SAID}
    return row | {name: getattr(signal.bands, name) for name in BANDS}


def signal_of(row: Mapping[str, Any]) -> Signal:
    """Return the signal a row holds."""
    return Signal(
        **{name: row[name] for name in (*_WHAT, *_SAID)},
        interval=Interval(row["interval"]),
        side=Side(row["side"]),
        bands=Bands(*(row[name] for name in BANDS)),
    )


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a row of the table ``outcomes``."""
    return asdict(outcome)


def outcome_of(row: Mapping[str, Any]) -> Outcome:
    """Return the outcome a row holds."""
    return Outcome(**{name: row[name] for name in OUTCOME_FIELDS})


def signal_json(signal: Signal) -> dict[str, Any]:
    """Return a signal as JSON: bands nested, dates in ISO form."""
    row = signal_row(signal)
    bands = {name: row.pop(name) for name in BANDS}
    times = {name: iso(row[name]) for name in ("as_of", "expires_at", "created_at")}
    return {**row, **times, "bands": bands}


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON, dates in ISO form."""
    row = outcome_row(outcome)
    return {**row, **{name: iso(row[name]) for name in ("entry_at", "exit_at", "resolved_at")}}
