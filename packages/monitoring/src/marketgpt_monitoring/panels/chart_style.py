"""How the candle chart looks. Canvas colours have to read on white and on near-black alike."""

from __future__ import annotations

from typing import Any

from marketgpt_core.signal import Side

Option = dict[str, Any]

UP, DOWN = "#0ea37f", "#e0475b"
ACCENT = "#4f7df3"
MUTED = "#8791a3"
LINE = "rgba(135, 145, 163, 0.22)"
OUTER, INNER = 0.16, 0.26  # opacity of the 90% band, and of the 50% band on top of it
SIDE_COLOUR = {Side.LONG: UP, Side.SHORT: DOWN, Side.FLAT: MUTED}
_SYMBOL = {
    Side.LONG: ("triangle", 9, 0),
    Side.SHORT: ("triangle", 9, 180),
    Side.FLAT: ("circle", 4, 0),
}

# Everything shown is a number, a stamp or a constant; the escape is for whatever may be added one day.
_TOOLTIP = """(items) => {
  const esc = (t) => String(t).replace(/[&<>"']/g, (c) => "&#" + c.charCodeAt(0) + ";");
  const num = (v) => Number(v).toFixed(DIGITS);
  const by = {};
  items.forEach((i) => { by[i.seriesId] = i; });
  const rows = [];
  const row = (k, v) => rows.push(`<tr><td style="opacity:.65;padding-right:14px">${esc(k)}</td>`
    + `<td style="text-align:right;font-variant-numeric:tabular-nums">${esc(v)}</td></tr>`);
  const candle = by.candles && by.candles.value;
  if (candle && candle.length > 4 && candle[1] != null && !Number.isNaN(Number(candle[1]))) {
    row("Open", num(candle[1])); row("High", num(candle[4]));
    row("Low", num(candle[3])); row("Close", num(candle[2]));
  }
  const of = (id) => by[id] && by[id].value != null && by[id].value !== "-" ? Number(by[id].value) : null;
  const q05 = of("q05"), d90 = of("d90"), q25 = of("q25"), d50 = of("d50"), q50 = of("q50");
  if (q05 !== null && d90 !== null) {
    row("95%", num(q05 + d90)); row("75%", num(q25 + d50)); row("Median", num(q50));
    row("25%", num(q25)); row("5%", num(q05));
  }
  ["LONG", "SHORT", "FLAT"].forEach((side) => {
    if (by[side] && by[side].name) row("Signal, P(up)", by[side].name);
  });
  return `<div style="font-weight:600;margin-bottom:4px">${esc(items[0].axisValueLabel)}</div>`
    + `<table style="border-spacing:0">${rows.join("")}</table>`;
}"""


def axis_style() -> Option:
    """Return what both axes share."""
    return {
        "axisLine": {"lineStyle": {"color": LINE}},
        "axisTick": {"show": False},
        "axisLabel": {"color": MUTED, "hideOverlap": True},
        "splitLine": {"show": True, "lineStyle": {"color": LINE, "type": "dashed"}},
    }


def tooltip(digits: int) -> Option:
    """Return the tooltip: the candle, the fan and the signals under the crosshair."""
    return {
        "trigger": "axis",
        "axisPointer": {"type": "cross", "lineStyle": {"color": MUTED}, "crossStyle": {"color": MUTED},
                        "label": {"backgroundColor": "#47516a", "precision": digits}},
        "backgroundColor": "var(--mg-panel)",
        "borderColor": "var(--mg-line)",
        "textStyle": {"color": "var(--mg-text)", "fontSize": 12},
        ":formatter": _TOOLTIP.replace("DIGITS", str(int(digits))),
    }  # fmt: skip


def legend() -> Option:
    """Return the legend; its swatches look like what they stand for."""
    band = {"icon": "roundRect"}
    return {
        "top": 4,
        "left": 8,
        "itemGap": 16,
        "itemWidth": 14,
        "itemHeight": 9,
        "textStyle": {"color": MUTED},
        "data": [
            {"name": "Candles", "icon": "roundRect"},
            band | {"name": "90% band", "itemStyle": {"color": ACCENT, "opacity": OUTER}},
            band | {"name": "50% band", "itemStyle": {"color": ACCENT, "opacity": OUTER + INNER}},
            {"name": "Median", "icon": "path://M0,4H14V6H0Z"},
            {"name": "Long"},
            {"name": "Short", "icon": "path://M0,0H14L7,10Z"},
            {"name": "Flat"},
        ],
    }


def candle_series(rows: list[list[float]], start: tuple[int, str] | None) -> Option:
    """Return the candles; a dashed line marks the row the forecast starts from."""
    lines = [] if start is None else [{"xAxis": start[0], "name": start[1]}]
    return {
        "id": "candles",
        "name": "Candles",
        "type": "candlestick",
        "data": rows,
        "barMaxWidth": 12,
        "itemStyle": {"color": UP, "color0": DOWN, "borderColor": UP, "borderColor0": DOWN},
        "markLine": {
            "silent": True,
            "symbol": "none",
            "lineStyle": {"color": MUTED, "type": "dashed", "width": 1},
            "label": {"formatter": "as of {b}", "color": MUTED, "position": "end", "fontSize": 11},
            "data": lines,
        },
    }


def fan_series(columns: dict[str, list[float | None]], dots: list[Option]) -> list[Option]:
    """Return the fan: two filled bands (a transparent base and the height stacked on it), median, dots."""
    return [
        *_band("90% band", columns["q05"], columns["q95"], ids=("q05", "d90"), opacity=OUTER),
        *_band("50% band", columns["q25"], columns["q75"], ids=("q25", "d50"), opacity=INNER),
        _line("q50", "Median", columns["q50"]) | {"lineStyle": {"color": ACCENT, "width": 2}},
        {
            "id": "horizons",
            "name": "Median",
            "type": "scatter",
            "data": dots,
            "symbolSize": 6,
            "itemStyle": {"color": ACCENT},
            "label": {
                "show": True,
                "formatter": "{b}",
                "position": "top",
                "color": "#6d8ff5",
                "fontSize": 11,
                "fontWeight": 600,
            },
            "labelLayout": {"hideOverlap": True},
            "silent": True,
            "z": 4,
        },
    ]


def _band(
    name: str, low: list[float | None], high: list[float | None], *, ids: tuple[str, str], opacity: float
) -> list[Option]:
    height = [None if a is None or b is None else round(b - a, 8) for a, b in zip(low, high, strict=True)]
    return [
        _line(ids[0], f"{name} base", low) | {"stack": name, "lineStyle": {"opacity": 0}},
        _line(ids[1], name, height)
        | {
            "stack": name,
            "lineStyle": {"opacity": 0},
            "areaStyle": {"color": ACCENT, "opacity": opacity},
        },
    ]


def _line(identity: str, name: str, values: list[float | None]) -> Option:
    return {
        "id": identity,
        "name": name,
        "type": "line",
        "data": values,
        "symbol": "none",
        "silent": True,
        "itemStyle": {"color": ACCENT},
        "z": 1,
    }


def mark_series(side: Side, points: list[Option]) -> Option:
    """Return the marks of one side."""
    symbol, size, rotate = _SYMBOL[side]
    return {
        "id": side.value,
        "name": side.value.capitalize(),
        "type": "scatter",
        "data": points,
        "symbol": symbol,
        "symbolSize": size,
        "symbolRotate": rotate,
        "itemStyle": {"color": SIDE_COLOUR[side], "opacity": 0.5 if side is Side.FLAT else 0.95},
        "z": 5,
    }
