"""The tables of a tearsheet, as HTML with every text escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from marketgpt_core.web.drawing import html_table
from marketgpt_signals.backtest.result import BacktestResult
from marketgpt_signals.backtest.tearsheet.crises import Stress
from marketgpt_signals.backtest.tearsheet.numbers import spread
from marketgpt_signals.backtest.tearsheet.sensitivity import AtCost

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DEEPEST = 0.55  # of a coloured cell
NONE = "-"


def percent(value: float | None, digits: int = 1) -> str:
    """Return 0.123 as 12.3%."""
    return NONE if value is None else f"{value:.{digits}%}"


def number(value: float | None) -> str:
    """Return a number with two digits."""
    return NONE if value is None else f"{value:.2f}"


def _fine(value: float | None) -> str:
    return percent(value, 2)


_MEASURES = (
    ("total_return", "total return", percent),
    ("cagr", "growth a year", percent),
    ("volatility", "volatility", percent),
    ("sharpe", "Sharpe", number),
    ("sortino", "Sortino", number),
    ("calmar", "Calmar", number),
    ("max_drawdown", "max drawdown", percent),
)
_OF_TRADES = (
    ("hit_rate", "hit rate", percent),
    ("precision_long", "LONG right", percent),
    ("precision_short", "SHORT right", percent),
    ("win_rate", "earned more than it cost", percent),
    ("profit_factor", "profit factor", number),
    ("mean_net_return", "mean net return of a signal", _fine),
)


def headline(result: BacktestResult) -> str:
    """Return what each curve was worth, with intervals where there are any."""
    curves = {"net": result.net, "gross, no costs": result.gross, "buy and hold": result.hold}
    if result.comparators is not None:
        curves["always long"] = result.comparators.always_long
    curves |= {f"{symbol} held": one.hold for symbol, one in result.benchmarks.items()}
    rows = [
        (label, *(_with_interval(curve, name, show) for curve in curves.values()))
        for name, label, show in _MEASURES
    ]
    return _set_apart(html_table(("", *curves), rows))


def against(result: BacktestResult) -> str:
    """Return what of the strategy its benchmarks do not explain."""
    rows = [
        (
            "buy and hold",
            _with_interval(result.net, "alpha", percent),
            _with_interval(result.net, "beta", number),
        )
    ]
    rows += [
        (f"{symbol} held", _with_interval(one, "alpha", percent), _with_interval(one, "beta", number))
        for symbol, one in result.benchmarks.items()
    ]
    return _set_apart(html_table(("net against", "alpha a year", "beta"), rows))


def without_knowledge(result: BacktestResult) -> str:
    """Return what the same signals earned at other times; nothing when none were drawn."""
    told = result.comparators
    drawn = {"each symbol for itself": told.random, "all symbols alike": told.permuted} if told else {}
    rows = []
    for name, one in drawn.items():
        if one is not None:
            summary = one.to_json(result.net.total_return, result.net.sharpe)
            low, median, high = summary["total_return_5_50_95"]
            rows.append(
                (
                    f"{name}, {summary['num_draws']} draws",
                    percent(median),
                    f"{percent(low)} to {percent(high)}",
                    percent(summary["share_below"]),
                    percent(summary["share_below_sharpe"]),
                )
            )
    if not rows:
        return "<p class='muted'>No random signals were drawn.</p>"
    return html_table(("sides at other times", "median net", "5% to 95%", "net beats", "by Sharpe"), rows)


def _with_interval(told: Any, name: str, show: Callable[[float | None], str]) -> str:  # noqa: ANN401 - any with intervals
    bounds = told.intervals.get(name)
    between = f" [{show(bounds[0])}, {show(bounds[1])}]" if bounds else ""
    return f"{show(getattr(told, name))}{between}"


def _set_apart(table: str) -> str:
    """Put the intervals of a table on lines of their own."""
    return re.sub(r" (\[[^][<>]*\])</td>", r" <span class='interval'>\1</span></td>", table)


def trades_table(result: BacktestResult) -> str:
    """Return what the signals were worth one by one."""
    trades = result.trades
    if trades is None:
        return "<p class='muted'>Weights were tested, not signals.</p>"
    rows = [
        ("closed, LONG and SHORT", f"{trades.num_closed:,}: {trades.num_long:,} and {trades.num_short:,}"),
        ("abstentions", f"{trades.num_flat:,}"),
        *((label, _with_interval(trades, name, show)) for name, label, show in _OF_TRADES),
        ("turnover a year, times the account", _with_interval(result, "turnover_per_year", number)),
        ("mean exposure", _with_interval(result, "exposure", percent)),
        ("costs paid, of the starting account", percent(result.costs_paid, 2)),
    ]
    return _set_apart(html_table(("", ""), rows))


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
