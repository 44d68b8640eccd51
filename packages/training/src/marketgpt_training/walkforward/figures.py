"""The pictures of a walk-forward: its dates, skill by fold, in sample against out, ageing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from marketgpt_core.web.drawing import BENCHMARK, HORIZON_COLOURS, INK, LONG, MODEL, SHORT
from marketgpt_training.evaluation.figures import VERDICT_COLOURS, horizon_label, styled
from marketgpt_training.walkforward.page import gain_of

Folds = Sequence[Mapping[str, Any]]

_PARTS = {"train": BENCHMARK, "validation": HORIZON_COLOURS[0], "test": MODEL}


def dates_figure(folds: Folds) -> go.Figure:
    """Draw each fold's training, validation and test part as bars over time."""
    figure = go.Figure()
    names = [f"fold {one['fold']}" for one in folds]
    borders = {
        "train": [(one["train_from"], one["train_until"]) for one in folds],
        "validation": [(one["train_until"], one["validation_until"]) for one in folds],
        "test": [(one["test_from"], one["test_to"]) for one in folds],
    }
    for part, ends in borders.items():
        starts, stops = (
            np.array([end[side][:10] for end in ends], dtype="datetime64[ms]") for side in (0, 1)
        )
        figure.add_bar(
            y=names, x=(stops - starts).astype(float), base=[str(start) for start in starts], orientation="h",
            name={"train": "training"}.get(part, part), marker_color=_PARTS[part],
            customdata=[f"{start} to {stop}" for start, stop in ends], hovertemplate="%{customdata}",
        )  # fmt: skip
    figure.update_xaxes(type="date")
    figure.update_yaxes(autorange="reversed")
    height = 120 + 30 * len(folds)
    return styled(figure, height=height, barmode="overlay", margin={"l": 70, "r": 20, "t": 40, "b": 30})


def crps_figure(comparison: Mapping[str, Any]) -> go.Figure:
    """Draw CRPS over GARCH-t by fold and pooled, a panel a horizon; below 1 the model is better."""
    pooled = comparison["consistency"]
    figure = make_subplots(
        cols=len(pooled), shared_yaxes=True, horizontal_spacing=0.02,
        subplot_titles=[horizon_label(horizon) for horizon in pooled],
    )  # fmt: skip
    for column, (horizon, together) in enumerate(pooled.items(), start=1):
        ratios = [one["crps"][horizon] for one in comparison["folds"]]
        names = [str(one["fold"]) for one in comparison["folds"]]
        for name, one in zip([*names, "all"], [*ratios, together], strict=True):
            colour = VERDICT_COLOURS[one["verdict"]]
            figure.add_scatter(
                x=[name], y=[one["ratio"]], mode="markers", showlegend=False,
                marker={"color": colour, "size": 9, "symbol": "diamond" if name == "all" else "circle"},
                error_y={
                    "type": "data", "symmetric": False, "array": [one["high"] - one["ratio"]],
                    "arrayminus": [one["ratio"] - one["low"]], "color": colour, "thickness": 1.6, "width": 4,
                },
                hovertemplate=f"{one['ratio']:.4f} [{one['low']:.4f}, {one['high']:.4f}]<extra></extra>",
                row=1, col=column,
            )  # fmt: skip
        figure.add_hline(y=1.0, line={"color": INK, "width": 1, "dash": "dot"}, row=1, col=column)
    figure.update_xaxes(type="category", title="fold")
    return styled(figure, height=340, margin={"l": 60, "r": 20, "t": 40, "b": 46})


def losses_figure(folds: Folds) -> go.Figure:
    """Draw the nats a candle won over counting tokens, in sample, validated and tested, a group a fold."""
    figure = go.Figure()
    for part, colour in _PARTS.items():
        gains = [gain_of(one["losses"].get(part)) for one in folds]
        figure.add_bar(
            x=[str(one["fold"]) for one in folds], y=gains, marker_color=colour,
            name={"train": "in sample", "test": "out of sample"}.get(part, part), hovertemplate="%{y:.3f}",
        )  # fmt: skip
    figure.update_xaxes(type="category", title="fold")
    figure.update_yaxes(title="nats a candle")
    return styled(figure, height=300, barmode="group", margin={"l": 60, "r": 20, "t": 40, "b": 46})


def ageing_figure(ageing: Folds, num_folds: int) -> go.Figure:
    """Draw CRPS of every older model on every later block over the newest's as a map."""
    ratios = np.full((num_folds - 1, num_folds - 1), np.nan)
    for one in ageing:
        ratios[one["model"] - 1, one["block"] - 2] = one["ratio"]
    reach = max(float(np.nanmax(np.abs(ratios - 1.0))), 1e-4)
    figure = go.Figure(
        go.Heatmap(
            z=ratios, x=[f"block {k}" for k in range(2, num_folds + 1)],
            y=[f"model {k}" for k in range(1, num_folds)], zmid=1.0, zmin=1.0 - reach, zmax=1.0 + reach,
            colorscale=[[0, LONG], [0.5, "#ffffff"], [1, SHORT]], texttemplate="%{z:.4f}", hoverongaps=False,
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    height = 150 + 34 * num_folds
    return styled(figure, height=height, margin={"l": 80, "r": 20, "t": 20, "b": 40})
