"""What pages with pictures share: colours, layout, tables, and one HTML file that needs no network.

One ink, one accent for the model, red and green only for sides.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

INK = "#1f2933"
MUTED = "#8a94a6"
GRID = "#e6e9ef"
MODEL = "#2f5fd0"
MODEL_BAND = "rgba(47, 95, 208, {alpha})"
BENCHMARK = "#8a94a6"
LONG = "#12855c"
SHORT = "#c0392b"
HORIZON_COLOURS = ("#9db7f0", "#6f93e6", "#2f5fd0", "#1d3f92", "#0f2352")

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

CSS = """
:root { color-scheme: light; }
body { margin: 0; background: #f5f6f8; color: #1f2933;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 6px; }
h2 { font-size: 18px; margin: 0 0 4px; }
p { margin: 4px 0 12px; max-width: 80ch; }
section { background: #fff; border: 1px solid #e6e9ef; border-radius: 10px;
  padding: 20px 22px; margin-top: 18px; }
.muted { color: #66707f; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; width: 100%; }
th { text-align: right; font-weight: 600; color: #66707f; border-bottom: 1px solid #cfd5df; padding: 6px 8px;
  white-space: nowrap; }
td { text-align: right; border-bottom: 1px solid #eef0f4; padding: 6px 8px; white-space: nowrap; }
th:first-child, td:first-child, .prose th:last-child, .prose td:last-child { text-align: left; }
.prose td:last-child { white-space: normal; overflow-wrap: anywhere; }
"""

# What every page begins with; ``MORE_CSS`` may be left out. By the policy the browser itself refuses the
# network.
PAGE_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline';
  style-src 'unsafe-inline'; img-src data: blob:; font-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>@@TITLE@@</title>
<style>@@CSS@@@@MORE_CSS@@</style>
<script>@@PLOTLY@@</script>
</head>
<body><main>
<h1>@@TITLE@@</h1>
<p class="muted">@@INTRO@@</p>
"""

Cells = Sequence[object]


def figure_div(figure: go.Figure, name: str, *, mode_bar: bool = True) -> str:
    """Return a figure as a div of a page that holds plotly's script already."""
    text: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"displaylogo": False, "responsive": True} | ({} if mode_bar else {"displayModeBar": False}),
    )
    return text


def html_table(headings: Cells, rows: Sequence[Cells], *, kind: str = "numbers") -> str:
    """Return a table, every cell escaped; ``kind`` "prose" lets the last column wrap."""
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    table = f"<table class='{kind}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='scroll'>{table}</div>"


def fill(page: str, values: Mapping[str, str]) -> str:
    """Return a page with its @@PLACEHOLDERS@@ replaced, plotly's script and the style sheet among them.

    In one pass: a value that itself reads like a placeholder stays as it is.
    """
    from plotly.offline import get_plotlyjs

    known = {"PLOTLY": get_plotlyjs(), "CSS": CSS, "MORE_CSS": ""} | dict(values)
    return re.sub(r"@@([A-Z_]+)@@", lambda found: known[found[1]], page)
