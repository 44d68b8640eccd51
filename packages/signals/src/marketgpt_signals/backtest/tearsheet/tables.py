"""The tables of a tearsheet, as HTML with every text escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import fields

from marketgpt_core.web.drawing import html_table
from marketgpt_signals.backtest.metrics import Performance
from marketgpt_signals.backtest.run import BacktestResult
from marketgpt_signals.backtest.tearsheet.crises import Stress
from marketgpt_signals.backtest.tearsheet.numbers import spread
from marketgpt_signals.backtest.tearsheet.sensitivity import AtCost

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SHARES = {"total_return", "cagr", "volatility", "max_drawdown"}
_LABELS = {"cagr": "growth a year", "sharpe": "Sharpe", "sortino": "Sortino", "max_drawdown": "max drawdown"}
_DEEPEST = 0.55  # of a coloured cell
NONE = "-"


def percent(value: float | None, digits: int = 1) -> str:
    """Return 0.123 as 12.3%."""
    return NONE if value is None else f"{value:.{digits}%}"


def number(value: float | None) -> str:
    """Return a number with two digits."""
    return NONE if value is None else f"{value:.2f}"


def curves_of(result: BacktestResult) -> dict[str, Performance]:
    """Return every equity curve that was measured, by the name of its column."""
    return {"net": result.net, "gross, no costs": result.gross, "buy and hold": result.hold}


def headline(result: BacktestResult) -> str:
    """Return what each curve was worth, with intervals where there are any."""
    curves = curves_of(result)
    names = [one.name for one in fields(Performance) if not one.name.endswith("_interval")]
    rows = [
        (
            _LABELS.get(name, name.replace("_", " ")),
            *(_with_interval(curve, name) for curve in curves.values()),
        )
        for name in names
    ]
    return html_table(("", *curves), rows)


def _with_interval(curve: Performance, name: str) -> str:
    show = percent if name in _SHARES else number
    bounds = getattr(curve, f"{name}_interval", None)
    between = f" [{show(bounds[0])}, {show(bounds[1])}]" if bounds else ""
    return f"{show(getattr(curve, name))}{between}"


def trades_table(result: BacktestResult) -> str:
    """Return what the signals were worth one by one."""
    trades = result.trades
    if trades is None:
        return "<p class='muted'>Weights were tested, not signals.</p>"
    bounds = trades.hit_interval
    between = f" [{percent(bounds[0])}, {percent(bounds[1])}]" if bounds else ""
    rows = [
        ("LONG and SHORT signals closed", f"{trades.num_closed:,}"),
        ("abstentions", f"{trades.num_flat:,}"),
        ("hit rate [90%]", f"{percent(trades.hit_rate)}{between}"),
        ("profit factor", number(trades.profit_factor)),
        ("mean net return of a signal", percent(trades.mean_net_return, 2)),
        ("turnover a year, times the account", number(result.turnover_per_year)),
        ("mean exposure", percent(result.exposure)),
        ("costs paid, of the starting account", percent(result.costs_paid, 2)),
    ]
    return html_table(("", ""), rows)


def heatmap(months: Mapping[str, float], years: Mapping[str, float], hold_years: Mapping[str, float]) -> str:
    """Return the returns by month, a row a year, coloured; and of the years beside holding's."""
    most = max((abs(value) for value in months.values()), default=0.0) or 1.0
    head = "".join(f"<th>{name}</th>" for name in ("year", *_MONTHS, "year", "hold"))
    body = []
    for year in sorted({month[:4] for month in months} | set(years)):
        cells = "".join(_cell(months.get(f"{year}-{number_:02d}"), most) for number_ in range(1, 13))
        whole = "".join(f"<td><b>{percent(one.get(year))}</b></td>" for one in (years, hold_years))
        body.append(f"<tr><td>{html.escape(year)}</td>{cells}{whole}</tr>")
    table = f"<table class='heat'><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f"<div class='scroll'>{table}</div>"


def _cell(value: float | None, most: float) -> str:
    if value is None:
        return "<td></td>"
    colour = "18, 133, 92" if value >= 0 else "207, 52, 73"
    depth = _DEEPEST * min(1.0, abs(value) / most)
    return f"<td style='background: rgba({colour}, {depth:.3f})'>{percent(value)}</td>"


def costs_table(rows: Sequence[AtCost]) -> str:
    """Return what is left at each multiple of the costs."""
    cells = [
        (
            f"x {row.factor:g}",
            *(
                (percent(row.net.total_return), number(row.net.sharpe), percent(row.net.max_drawdown))
                if row.net
                else ("eaten by one trade", NONE, NONE)
            ),
            percent(row.costs_paid, 2),
        )
        for row in rows
    ]
    return html_table(("costs", "total return", "Sharpe", "max drawdown", "costs paid"), cells)


def crisis_table(found: Sequence[Stress]) -> str:
    """Return what strategy and holding did in bad times."""
    rows = [
        (
            one.crisis.name,
            f"{one.crisis.peak} to {one.crisis.trough}",
            percent(one.crisis.fall),
            percent(one.strategy),
            percent(one.hold),
            percent(one.strategy_drawdown),
            percent(one.hold_drawdown),
        )
        for one in found
    ]
    head = ("window", "dates", "S&P 500", "strategy", "hold", "max drawdown", "hold's")
    return html_table(head, rows)


def spread_table(result: BacktestResult) -> str:
    """Return how the returns by bar were spread."""
    ours, theirs = spread(result.equity), spread(result.benchmark)
    if ours is None or theirs is None:
        return ""
    shares = ("mean", "deviation", "worst", "best", "value_at_risk", "expected_shortfall", "up")
    labels = {
        "num_bars": "returns", "deviation": "standard deviation", "kurtosis": "excess kurtosis",
        "value_at_risk": "5% quantile", "expected_shortfall": "mean at or below it", "up": "share above zero",
    }  # fmt: skip
    rows = []
    for field in fields(ours):
        values = [getattr(one, field.name) for one in (ours, theirs)]
        digits = 1 if field.name == "up" else 3
        cells = [
            f"{value:,}" if field.name == "num_bars"
            else percent(value, digits) if field.name in shares
            else number(value)
            for value in values
        ]  # fmt: skip
        rows.append((labels.get(field.name, field.name), *cells))
    return html_table(("", "strategy, net", "buy and hold"), rows)
