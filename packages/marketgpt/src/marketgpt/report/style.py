"""Colours and layout the figures share: one ink, one accent for the model, red and green only for sides."""

from __future__ import annotations

from typing import Any

INK = "#1f2933"
MUTED = "#8a94a6"
GRID = "#e6e9ef"
MODEL = "#2f5fd0"
MODEL_BAND = "rgba(47, 95, 208, {alpha})"
BENCHMARK = "#8a94a6"
LONG = "#12855c"
SHORT = "#c0392b"

LAYOUT: dict[str, Any] = {
    "template": "plotly_white",
    "font": {"family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 13, "color": INK},
    "margin": {"l": 60, "r": 24, "t": 30, "b": 46},
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
    "hovermode": "x unified",
    "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": MODEL},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
}
