"""Calibration, equity and training pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from marketgpt.report.style import BENCHMARK, GRID, HORIZON_COLOURS, INK, LAYOUT, MODEL, SHORT


def calibration_figure(results: Mapping[str, Any], names: Mapping[int, str]) -> go.Figure:
    """Draw, by horizon: interval coverage against nominal, P(up) against frequency, and the PIT.

    Args:
        results: An evaluation's results.
        names: Names of horizons in bars.
    """
    figure = make_subplots(
        cols=3,
        horizontal_spacing=0.08,
        subplot_titles=("interval coverage", "P(up) against what happened", "PIT, uniform if calibrated"),
    )
    for column in (1, 2):
        figure.add_scatter(
            x=[0, 1], y=[0, 1], mode="lines", line={"color": BENCHMARK, "dash": "dot"}, showlegend=False,
            hoverinfo="skip", row=1, col=column,
        )  # fmt: skip
    for (horizon, entry), colour in zip(results["horizons"].items(), HORIZON_COLOURS, strict=False):
        name, scores = names[int(horizon)], entry["models"]["model"]
        style = {"line": {"color": colour}, "marker": {"color": colour}, "legendgroup": name}
        covered = scores["coverage"]
        figure.add_scatter(
            x=[float(share) for share in covered], y=list(covered.values()), name=name, mode="lines+markers",
            row=1, col=1, **style,
        )  # fmt: skip
        rows = scores["reliability"]
        figure.add_scatter(
            x=[row["forecast"] for row in rows], y=[row["observed"] for row in rows], name=name,
            mode="markers", showlegend=False, row=1, col=2, **style,
        )  # fmt: skip
        counts = np.array(scores["pit_histogram"], dtype=float)
        figure.add_scatter(
            x=(np.arange(len(counts)) + 0.5) / len(counts), y=counts / counts.mean(), name=name,
            mode="lines", line_shape="hvh", showlegend=False, row=1, col=3, **style,
        )  # fmt: skip
    figure.update_layout(LAYOUT | {"hovermode": "closest"}, height=400, margin_t=70)
    figure.update_layout(legend={"y": 1.12})
    figure.update_xaxes(gridcolor=GRID, tickformat=".0%")
    figure.update_yaxes(gridcolor=GRID, tickformat=".0%")
    figure.update_xaxes(title="nominal", range=[0.4, 1.02], col=1)
    figure.update_yaxes(title="covered", range=[0.4, 1.02], col=1)
    figure.update_xaxes(title="forecast", range=[0.3, 0.8], col=2)
    figure.update_yaxes(title="observed", range=[0, 1], col=2)
    figure.update_xaxes(title="forecast quantile", col=3)
    figure.update_yaxes(title="density", tickformat=".1f", rangemode="tozero", col=3)
    return figure


def equity_figure(
    dates: NDArray[np.datetime64], equity: NDArray[np.float64], benchmark: NDArray[np.float64]
) -> go.Figure:
    """Draw equity against buy-and-hold (log scale, both after costs), and both drawdowns below.

    Args:
        dates: shape (T,).
        equity: shape (T,), starting at 1.
        benchmark: shape (T,), starting at 1.
    """
    figure = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.05)
    for values, name, colour in ((benchmark, "buy and hold", BENCHMARK), (equity, "strategy", MODEL)):
        line = {"color": colour, "width": 1.8}
        figure.add_scatter(x=dates, y=values, name=name, line=line, row=1, col=1)
        drawdown = values / np.maximum.accumulate(values) - 1
        figure.add_scatter(x=dates, y=drawdown, name=name, line=line, showlegend=False, row=2, col=1)
    figure.update_layout(LAYOUT, height=460)
    figure.update_xaxes(gridcolor=GRID)
    figure.update_yaxes(gridcolor=GRID)
    figure.update_yaxes(title="growth of 1", type="log", dtick="D2", row=1)
    figure.update_yaxes(title="drawdown", tickformat=".0%", row=2)
    return figure


def training_figure(metrics: Sequence[Mapping[str, Any]], best_epoch: int) -> go.Figure:
    """Draw the training loss by step and the validation loss by epoch, in nats per candle.

    Args:
        metrics: The lines of ``metrics.jsonl``.
        best_epoch: The epoch whose weights were kept.
    """
    steps = [row for row in metrics if row["kind"] == "step"]
    epochs = [row for row in metrics if row["kind"] == "epoch"]
    figure = go.Figure(layout=LAYOUT)
    figure.add_scatter(
        x=[row["step"] for row in steps], y=[row["nll"] for row in steps], name="training, each step",
        line={"color": BENCHMARK, "width": 1},
    )  # fmt: skip
    figure.add_scatter(
        x=[row["step"] for row in epochs], y=[row["nll"] for row in epochs], name="validation",
        mode="lines+markers", line={"color": MODEL, "width": 2},
    )  # fmt: skip
    best = next(row for row in epochs if row["epoch"] == best_epoch)
    figure.add_scatter(
        x=[best["step"]], y=[best["nll"]], name="kept", mode="markers",
        marker={"symbol": "star", "size": 14, "color": SHORT, "line": {"color": INK, "width": 0.5}},
    )  # fmt: skip
    figure.update_xaxes(title="optimizer step", gridcolor=GRID)
    figure.update_yaxes(title="nats per candle", gridcolor=GRID)
    figure.update_layout(height=360)
    return figure
