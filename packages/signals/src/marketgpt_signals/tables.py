"""Signals and backtests as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

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


def print_backtest(summary: dict[str, Any]) -> None:
    """Print what :meth:`marketgpt_signals.backtest.BacktestResult.to_json` says of a signals' backtest."""
    curves = [summary["net"], summary["gross"], summary["benchmark"]]
    rows: list[tuple[str, ...]] = [("", "net", "gross", "buy and hold")]
    rows += [
        (key.replace("_", " "), *(_percent(curve[key]) for curve in curves))
        for key in ("total_return", "cagr", "volatility", "max_drawdown")
    ]
    rows.append(("sharpe [90%]", *(_number(c["sharpe"]) + _interval(c["sharpe_interval"]) for c in curves)))
    rows.append(("sortino", *(_number(curve["sortino"]) for curve in curves)))
    click.echo(f"{summary['start']} to {summary['end']}, {len(summary['symbols'])} symbols")
    print_table(rows)
    trades = summary["trades"]
    bounds = trades["hit_interval"]
    between = f" [{_percent(bounds[0])}, {_percent(bounds[1])}]" if bounds else ""
    click.echo(
        f"{trades['num_closed']} trades, hit rate {_percent(trades['hit_rate'])}{between}, "
        f"profit factor {_number(trades['profit_factor'])}, {trades['num_flat']} abstentions"
    )
    click.echo(
        f"turnover {_number(summary['turnover_per_year'])} a year, exposure {_percent(summary['exposure'])}, "
        f"costs {_percent(summary['costs_paid'])} of the starting account"
    )
    if summary["num_outside"]:
        click.echo(f"{summary['num_outside']} signals are outside the candles and were left out", err=True)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _interval(bounds: Sequence[float] | None) -> str:
    return f" [{_number(bounds[0])}, {_number(bounds[1])}]" if bounds else ""


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of cells, the first the head, in columns as wide as they need be."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())
