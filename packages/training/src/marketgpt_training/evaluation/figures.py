"""The pictures of an evaluation: who is better by how much, calibration, volatility, skill over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from marketgpt_core.web.drawing import (
    BENCHMARK,
    GRID,
    HORIZON_COLOURS,
    INK,
    LAYOUT,
    LONG,
    MODEL,
    SHORT,
)
from marketgpt_training.evaluation.baselines import LABELS

Results = Mapping[str, Any]

VERDICT_COLOURS = {"better": LONG, "worse": SHORT, "undecided": BENCHMARK}
_WANTED_COVERAGE_POINTS = 1.5
_FORECASTER_COLOURS = {
    "model": MODEL, "random_walk": "#d5dae3", "ewma_normal": "#b8c0cd", "ewma_fhs": "#9aa5b6",
    "garch_t": "#7b879a", "gjr_t": "#5d6879", "ar1": "#c9cfd9", "log_har": "#e0a458",
}  # fmt: skip


def horizon_label(horizon: str | int) -> str:
    """Return "1 bar", "21 bars"."""
    return f"{horizon} bar" + ("" if int(horizon) == 1 else "s")


def styled(figure: go.Figure, *, height: int, **layout: Any) -> go.Figure:  # noqa: ANN401 - plotly's own
    """Return the figure in the pages' style."""
    figure.update_layout(LAYOUT | {"hovermode": "closest"} | layout, height=height)
    figure.update_xaxes(gridcolor=GRID, zeroline=False)
    figure.update_yaxes(gridcolor=GRID, zeroline=False)
    return figure


def _colours(results: Results) -> dict[str, str]:
    """Return a shade by horizon, the longest darkest."""
    horizons = list(results["horizons"])
    places = np.linspace(0, len(HORIZON_COLOURS) - 1, len(horizons)).round().astype(int)
    return {horizon: HORIZON_COLOURS[place] for horizon, place in zip(horizons, places, strict=True)}


def forest_figure(results: Results, *, section: str = "", key: str = "crps_ratio") -> go.Figure:
    """Draw the model's ratio to every baseline with its interval, a panel a horizon; left of 1 it is better.

    Args:
        results: An evaluation's results.
        section: Where the comparisons stand in a horizon: "" for CRPS, "volatility" for QLIKE.
        key: Name of the ratio.
    """
    parts = {
        horizon: (entry[section] if section else entry)["against"]
        for horizon, entry in results["horizons"].items()
    }
    parts = {horizon: part for horizon, part in parts.items() if part}
    titles = [horizon_label(horizon) for horizon in parts]
    figure = make_subplots(
        cols=max(len(parts), 1), shared_yaxes=True, horizontal_spacing=0.02, subplot_titles=titles
    )
    for column, part in enumerate(parts.values(), start=1):
        for name, one in reversed(part.items()):
            colour = VERDICT_COLOURS[one["verdict"]]
            figure.add_scatter(
                x=[one[key]], y=[LABELS.get(name, name)], mode="markers", showlegend=False,
                marker={"color": colour, "size": 9},
                error_x={
                    "type": "data", "symmetric": False, "array": [one["high"] - one[key]],
                    "arrayminus": [one[key] - one["low"]], "color": colour, "thickness": 1.6, "width": 4,
                },
                hovertemplate=f"{one[key]:.4f} [{one['low']:.4f}, {one['high']:.4f}]<extra></extra>",
                row=1, col=column,
            )  # fmt: skip
        # Plotly leaves panels out that hold nothing yet.
        figure.add_vline(x=1.0, line={"color": INK, "width": 1, "dash": "dot"}, row=1, col=column)
    rows = max((len(part) for part in parts.values()), default=1)
    return styled(figure, height=130 + 34 * rows, margin={"l": 150, "r": 20, "t": 40, "b": 40})


def pit_figure(results: Results) -> go.Figure:
    """Draw the PIT histogram of the model as bars, that of GARCH-t as a line, a panel a horizon."""
    horizons = results["horizons"]
    figure = make_subplots(
        cols=len(horizons), shared_yaxes=True, horizontal_spacing=0.02,
        subplot_titles=[horizon_label(h) for h in horizons],
    )  # fmt: skip
    for column, entry in enumerate(horizons.values(), start=1):
        for name, label in (("model", "model"), ("garch_t", LABELS["garch_t"])):
            counts = np.array(entry["models"][name]["pit_histogram"], dtype=float)
            x, y = (np.arange(len(counts)) + 0.5) / len(counts), counts / counts.mean()
            if name == "model":
                figure.add_bar(
                    x=x, y=y, name=label, marker_color=MODEL, opacity=0.75, showlegend=column == 1,
                    legendgroup=label, row=1, col=column,
                )  # fmt: skip
            else:
                figure.add_scatter(
                    x=x, y=y, name=label, mode="lines", line={"color": INK, "width": 1.4, "shape": "hvh"},
                    showlegend=column == 1, legendgroup=label, row=1, col=column,
                )  # fmt: skip
        figure.add_hline(y=1.0, line={"color": INK, "width": 1, "dash": "dot"}, row=1, col=column)
    styled(figure, height=320, bargap=0.08, margin={"l": 60, "r": 20, "t": 70, "b": 46})
    figure.update_layout(legend={"y": 1.14})
    figure.update_xaxes(range=[0, 1], tickvals=[0, 0.5, 1], title="forecast quantile")
    figure.update_yaxes(title="density", rangemode="tozero", col=1)
    return figure


def coverage_figure(results: Results) -> go.Figure:
    """Draw how many points more or less than promised the model's intervals cover, with 90% intervals."""
    figure = go.Figure()
    limit = _WANTED_COVERAGE_POINTS
    figure.add_hrect(y0=-limit, y1=limit, fillcolor=GRID, opacity=0.6, line_width=0, layer="below")
    figure.add_hline(y=0, line={"color": INK, "width": 1, "dash": "dot"})
    colours = _colours(results)
    shares = list(next(iter(results["horizons"].values()))["models"]["model"]["coverage_tests"])
    for number, (horizon, entry) in enumerate(results["horizons"].items()):
        tests = entry["models"]["model"]["coverage_tests"]
        offset = 0.13 * (number - (len(colours) - 1) / 2)
        rates = np.array([[tests[share][key] for share in shares] for key in ("rate", "low", "high")])
        points = 100 * (rates - np.array([float(share) for share in shares]))
        figure.add_scatter(
            x=np.arange(len(shares)) + offset, y=points[0], mode="markers", name=horizon_label(horizon),
            marker={"color": colours[horizon], "size": 9},
            error_y={
                "type": "data", "symmetric": False, "array": points[2] - points[0],
                "arrayminus": points[0] - points[1], "color": colours[horizon], "thickness": 1.5, "width": 3,
            },
        )  # fmt: skip
    styled(figure, height=380)
    figure.update_xaxes(
        tickvals=list(range(len(shares))), ticktext=[f"{float(share):.0%} interval" for share in shares]
    )
    figure.update_yaxes(title="covered less promised, points", ticksuffix="")
    return figure


def reliability_figure(results: Results) -> go.Figure:
    """Draw P(up) against how often it went up, in ten bins of equal count, a panel a horizon."""
    horizons = results["horizons"]
    figure = make_subplots(
        cols=len(horizons), shared_yaxes=True, horizontal_spacing=0.02,
        subplot_titles=[horizon_label(h) for h in horizons],
    )  # fmt: skip
    rows = [entry["models"]["model"]["reliability"] for entry in horizons.values()]
    values = [row[key] for part in rows for row in part for key in ("forecast", "observed")]
    low, high = max(min(values) - 0.03, 0.0), min(max(values) + 0.03, 1.0)
    for column, (entry, part) in enumerate(zip(horizons.values(), rows, strict=True), start=1):
        base = entry["models"]["model"]["always_up_accuracy"]
        figure.add_scatter(
            x=[low, high], y=[low, high], mode="lines", line={"color": BENCHMARK, "dash": "dot"},
            showlegend=False, hoverinfo="skip", row=1, col=column,
        )  # fmt: skip
        figure.add_hline(y=base, line={"color": BENCHMARK, "width": 1}, row=1, col=column)
        figure.add_scatter(
            x=[row["forecast"] for row in part], y=[row["observed"] for row in part], mode="lines+markers",
            line={"color": MODEL, "width": 1.4}, marker={"color": MODEL, "size": 7}, showlegend=False,
            hovertemplate="said %{x:.1%}, came %{y:.1%}<extra></extra>", row=1, col=column,
        )  # fmt: skip
    styled(figure, height=330, margin={"l": 60, "r": 20, "t": 40, "b": 46})
    figure.update_xaxes(title="P(up)", tickformat=".0%", range=[low, high], nticks=5)
    figure.update_yaxes(tickformat=".0%", range=[low, high])
    figure.update_yaxes(title="went up", col=1)
    return figure


def time_figure(results: Results, baseline: str = "garch_t") -> go.Figure:
    """Draw the CRPS ratio to a baseline by calendar quarter, a line a horizon."""
    figure = go.Figure()
    figure.add_hline(y=1.0, line={"color": INK, "width": 1, "dash": "dot"})
    colours = _colours(results)
    for horizon, entry in results["horizons"].items():
        quarters = entry["quarters"]
        figure.add_scatter(
            x=[row["quarter"] for row in quarters], y=[row["crps_ratio"][baseline] for row in quarters],
            mode="lines+markers", name=horizon_label(horizon), line={"color": colours[horizon], "width": 1.8},
            marker={"size": 6},
        )  # fmt: skip
    styled(figure, height=380, hovermode="x unified")
    figure.update_xaxes(type="category", nticks=16)
    figure.update_yaxes(title=f"CRPS / {LABELS[baseline]}", tickformat=".2f")
    return figure


def qlike_figure(results: Results) -> go.Figure:
    """Draw every forecaster's QLIKE over that of GARCH-t, a group a horizon; lower is better."""
    figure = go.Figure()
    sections = {
        horizon: entry["volatility"]["models"]
        for horizon, entry in results["horizons"].items()
        if entry["volatility"]["count"]
    }
    names = list(next(iter(sections.values()), {}))
    for name in names:
        ratios = [models[name]["qlike"] / models["garch_t"]["qlike"] for models in sections.values()]
        figure.add_bar(
            x=[horizon_label(horizon) for horizon in sections], y=ratios, name=LABELS.get(name, name),
            marker_color=_FORECASTER_COLOURS.get(name, BENCHMARK),
            hovertemplate="%{y:.3f}<extra>" + LABELS.get(name, name) + "</extra>",
        )  # fmt: skip
    figure.add_hline(y=1.0, line={"color": INK, "width": 1, "dash": "dot"})
    styled(figure, height=400, barmode="group", bargap=0.25)
    figure.update_yaxes(title="QLIKE / GARCH(1,1)-t", rangemode="tozero")
    return figure
