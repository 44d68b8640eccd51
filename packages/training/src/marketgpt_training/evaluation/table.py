"""Evaluation results as a table people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

_HEADINGS = (
    "horizon", "n", "CRPS", "/ random walk", "/ EWMA-FHS", "/ GARCH-t", "cover 50", "cover 90", "direction",
    "always up", "Brier", "ECE",
)  # fmt: skip


def results_table(results: Mapping[str, Any]) -> Table:
    """Return a table, one row a horizon.

    A ratio below 1 means that the model's CRPS is lower (better) than the baseline's; a star marks one whose
    90% interval excludes 1.
    """
    symbols, count = ", ".join(results["symbols"]), results["forecasts"]
    title = f"{symbols}: {results['from']} to {results['to']}, {count} forecasts"
    table = Table(title=title, title_justify="left", header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right")
    for horizon, entry in results["horizons"].items():
        table.add_row(*_row(horizon, entry))
    table.caption = "ratios of CRPS: below 1 the model is better; * the 90% interval excludes 1"
    return table


def _row(horizon: str, entry: Mapping[str, Any]) -> list[str]:
    ours = entry["models"]["model"]
    ratios = [_ratio(entry["against"][name]) for name in ("random_walk", "ewma_fhs", "garch_t")]
    return [
        f"{horizon} bars", str(ours["count"]), f"{ours['crps']:.5f}", *ratios,
        f"{ours['coverage']['0.50']:.1%}", f"{ours['coverage']['0.90']:.1%}",
        f"{ours['direction_accuracy']:.1%}", f"{ours['always_up_accuracy']:.1%}",
        f"{ours['brier']:.4f}", f"{ours['ece']:.3f}",
    ]  # fmt: skip


def _ratio(entry: Mapping[str, float]) -> str:
    star = "*" if entry["high"] < 1 or entry["low"] > 1 else ""
    return f"{entry['crps_ratio']:.3f}{star}"
