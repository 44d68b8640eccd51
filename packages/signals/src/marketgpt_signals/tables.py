"""Signals and backtests as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from marketgpt_core.signal import Signal
from marketgpt_core.times import iso

_HEAD = ("symbol", "as of", "bars", "side", "P(up)", "5%", "median", "95%", "expires", "why")


def print_signals(found: Sequence[Signal], now: datetime) -> None:
    """Print signals, one a line, marking the expired ones."""
    print_table([_HEAD, *(_signal_cells(signal, now) for signal in found)])


def _signal_cells(signal: Signal, now: datetime) -> tuple[str, ...]:
    return (
        signal.symbol,
        iso(signal.as_of),
        f"{signal.horizon_bars} x {signal.interval}",
        str(signal.side),
        f"{signal.probability:.3f}",
        f"{signal.bands.q05:.6g}",
        f"{signal.bands.q50:.6g}",
        f"{signal.bands.q95:.6g}",
        iso(signal.expires_at) + (" (expired)" if signal.expires_at <= now else ""),
        signal.reason,
    )


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of cells, the first the head, in columns as wide as they need be."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())
