"""The options of the charts, as ECharts takes them. Colours have to read on white and on near-black alike."""

from __future__ import annotations

from typing import Any

from marketgpt_training.page.curves import Curves, Point

Option = dict[str, Any]
_BLUE, _GREEN, _ORANGE = "#4f7df3", "#0ea37f", "#d9822b"
_MUTED, _LINE = "#8791a3", "rgba(135, 145, 163, 0.22)"
_NUMBER = "v => v == null ? '' : Number(v).toLocaleString('en-US', {maximumSignificantDigits: 4})"
# A few points, as of validation, would hardly be seen as a line.
_FEW = 40
#: Title, then (metric, name, colour) of each line.
CHARTS: tuple[tuple[str, str, tuple[tuple[str, str, str], ...]], ...] = (
    ("loss", "Loss, nats a candle", (("loss", "training", _BLUE), ("validation", "validation", _ORANGE))),
    ("speed", "Candles a second", (("candles_per_s", "candles/s", _GREEN),)),
    ("lr", "Learning rate", (("lr", "learning rate", _BLUE),)),
    ("grad_norm", "Gradient norm", (("grad_norm", "gradient norm", _BLUE),)),
    (
        "machine",
        "Memory, GiB",
        (("rss_gib", "process", _GREEN), ("gpu_memory_gib", "GPU", _BLUE)),
    ),
    (
        "gpu",
        "Share of the GPU",
        (("gpu_utilisation", "busy", _BLUE), ("mfu", "model FLOPs (MFU)", _ORANGE)),
    ),
)
#: Charts that are left out where there is nothing to draw.
OPTIONAL = frozenset({"gpu"})
_FROM_ZERO = frozenset({"speed", "machine", "gpu"})
_SMOOTHING = 0.9


def option(name: str, curves: Curves | None = None) -> Option:
    """Return the option of one chart, with a run's curves or empty."""
    _, title, lines = next(one for one in CHARTS if one[0] == name)
    drawn = {key: curves.points(key) if curves else [] for key, _, _ in lines}
    # Where there is no GPU, a line for it would be a name without a curve.
    lines = tuple(one for one in lines if drawn[one[0]]) or lines[:1]
    series = [_series(key, label, colour, drawn[key]) for key, label, colour in lines]
    if name == "loss":
        series[0]["lineStyle"]["opacity"] = 0.3
        series[0]["showSymbol"] = False
        series.insert(
            1, _series("smooth", "smoothed", _BLUE, _smoothed(drawn["loss"])) | {"showSymbol": False}
        )
    axis = {
        "axisLine": {"lineStyle": {"color": _LINE}},
        "axisTick": {"show": False},
        "splitLine": {"lineStyle": {"color": _LINE, "type": "dashed"}},
    }
    label = {"color": _MUTED, "fontSize": 11, "hideOverlap": True}
    return {
        "animation": False,
        "aria": {"enabled": True, "label": {"description": title}},
        "grid": {"left": 4, "right": 14, "top": 30 if len(lines) > 1 else 12, "bottom": 4,
                 "containLabel": True},
        "legend": {
            "show": len(lines) > 1,
            "right": 4,
            "top": 0,
            "icon": "roundRect",
            "itemWidth": 12,
            "itemHeight": 4,
            "textStyle": {"color": _MUTED},
        },
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "backgroundColor": "var(--mg-panel)",
            "borderColor": "var(--mg-line)",
            "textStyle": {"color": "var(--mg-text)", "fontSize": 12},
            "axisPointer": {"lineStyle": {"color": _MUTED}},
            ":valueFormatter": _NUMBER,
        },
        "xAxis": {"type": "value", "min": "dataMin", "max": "dataMax", **axis,
                  "axisLabel": {**label, ":formatter": _NUMBER}, "splitLine": {"show": False}},
        "yAxis": {"type": "value", "scale": name not in _FROM_ZERO, **axis,
                  "axisLabel": {**label, ":formatter": _NUMBER}},
        "series": series,
    }  # fmt: skip


def _series(key: str, label: str, colour: str, points: list[Point]) -> Option:
    return {
        "id": key,
        "name": label,
        "type": "line",
        "data": [list(point) for point in points],
        "showSymbol": len(points) < _FEW,
        "symbolSize": 6 if key == "validation" else 4,
        "lineStyle": {"width": 1.8, "color": colour},
        "itemStyle": {"color": colour},
    }


def _smoothed(points: list[Point]) -> list[Point]:
    found: list[Point] = []
    for step, value in points:
        before = found[-1][1] if found else value
        found.append((step, _SMOOTHING * before + (1 - _SMOOTHING) * value))
    return found


def has_points(name: str, curves: Curves) -> bool:
    """Return whether a chart has anything to draw."""
    lines = next(one[2] for one in CHARTS if one[0] == name)
    return any(curves.points(key) for key, _, _ in lines)
