"""Evaluation results as a table people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

# Narrow enough for a terminal of 80 columns, where a cut number would be no number.
_HEADINGS = (
    "bars", "n", "CRPS", "/walk", "/FHS", "/GARCH", "in 50%", "in 90%", "right", "ups", "Brier", "ECE",
)  # fmt: skip
_CAPTION = (
    "/walk, /FHS, /GARCH: CRPS over that of the random walk, EWMA-FHS and GARCH-t: below 1 the model is "
    "better; * the 90% interval excludes 1. in 50%, in 90%: what those intervals cover. right, ups: "
    "direction beside always up."
)


def results_table(results: Mapping[str, Any]) -> Table:
    """Return a table, one row a horizon.

    A ratio below 1 means that the model's CRPS is lower (better) than the baseline's; a star marks one whose
    90% interval excludes 1.
    """
    symbols, count = ", ".join(results["symbols"]), results["forecasts"]
    title = f"{symbols}: {results['from']} to {results['to']}, {count} forecasts"
    table = Table(
        title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, show_edge=False, padding=0,
        caption=_CAPTION, caption_justify="left",
    )  # fmt: skip
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for horizon, entry in results["horizons"].items():
        table.add_row(*_row(horizon, entry))
    return table


def _row(horizon: str, entry: Mapping[str, Any]) -> list[str]:
    ours = entry["models"]["model"]
    ratios = [_ratio(entry["against"][name]) for name in ("random_walk", "ewma_fhs", "garch_t")]
    return [
        horizon, str(ours["count"]), f"{ours['crps']:.5f}", *ratios,
        f"{ours['coverage']['0.50']:.1%}", f"{ours['coverage']['0.90']:.1%}",
        f"{ours['direction_accuracy']:.1%}", f"{ours['always_up_accuracy']:.1%}",
        f"{ours['brier']:.4f}", f"{ours['ece']:.3f}",
    ]  # fmt: skip


def _ratio(entry: Mapping[str, float]) -> str:
    star = "*" if entry["high"] < 1 or entry["low"] > 1 else ""
    return f"{entry['crps_ratio']:.3f}{star}"
