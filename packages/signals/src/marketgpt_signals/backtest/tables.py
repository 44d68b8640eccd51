"""A backtest of signals as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from marketgpt_signals.tables import print_table

Told = Mapping[str, Any]


def print_backtest(summary: Told) -> None:
    """Print what :meth:`marketgpt_signals.backtest.BacktestResult.to_json` says of a signals' backtest."""
    click.echo(f"{summary['start']} to {summary['end']}, {len(summary['symbols'])} symbols; [90%] intervals")
    _print_curves(summary)
    click.echo()
    _print_trades(summary["trades"])
    click.echo()
    _print_comparators(summary)
    _print_chance(summary)
    for note in summary["notes"]:
        click.echo(note, err=True)
    if summary["num_outside"]:
        click.echo(f"{summary['num_outside']} signals are outside the candles and were left out", err=True)


def _print_curves(summary: Told) -> None:
    curves = {"net": summary["net"], "gross": summary["gross"], "buy and hold": summary["benchmark"]}
    curves["always long"] = summary["comparators"]["always_long"]
    kinds = dict.fromkeys(("total_return", "cagr", "volatility", "max_drawdown"), _percent)
    kinds |= dict.fromkeys(("sharpe", "sortino", "calmar"), _number)
    rows = [("", *curves)]
    for key, kind in kinds.items():
        rows.append((key.replace("_", " "), *(_with_interval(curve, key, kind) for curve in curves.values())))
    print_table(rows)
    click.echo()
    against = {"buy and hold": (summary["net"], summary["benchmark"])}
    for symbol, one in summary["benchmarks"].items():
        against[f"{symbol} held"] = (one["strategy_against_it"], one["hold"])
    rows = [("net against", "alpha a year", "beta", "it earned", "sharpe", "max drawdown")]
    for name, (told, hold) in against.items():
        bounds = _with_interval(told, "alpha", _percent), _with_interval(told, "beta", _number)
        worth = _percent(hold["total_return"]), _number(hold["sharpe"]), _percent(hold["max_drawdown"])
        rows.append((name, *bounds, *worth))
    print_table(rows)
    click.echo(
        f"turnover {_with_interval(summary, 'turnover_per_year', _number)} a year, "
        f"exposure {_with_interval(summary, 'exposure', _percent)}, "
        f"costs {_percent(summary['costs_paid'])} of the starting account"
    )


def _print_trades(trades: Told) -> None:
    kinds = dict.fromkeys(("hit_rate", "precision_long", "precision_short", "win_rate"), _percent)
    kinds |= {"profit_factor": _number, "mean_net_return": _fine_percent}
    click.echo(
        f"{trades['num_closed']} trades, {trades['num_long']} LONG and {trades['num_short']} SHORT, "
        f"{trades['num_flat']} abstentions"
    )
    print_table([(key.replace("_", " "), _with_interval(trades, key, kind)) for key, kind in kinds.items()])


def _print_comparators(summary: Told) -> None:
    told = summary["comparators"]
    rows = [
        ("without knowledge", "mean net", "5% to 95%", "mean gross", "turnover", "net beats", "by Sharpe")
    ]
    for name in ("random", "permuted"):
        draws = told[name]
        if draws is not None:
            low, _, high = draws["total_return_5_50_95"]
            rows.append(
                (
                    f"{name}, {draws['num_draws']} draws",
                    _percent(draws["mean_total_return"]),
                    f"{_percent(low)} to {_percent(high)}",
                    _percent(draws["mean_gross_return"]),
                    _number(draws["turnover_per_year"]),
                    _percent(draws["share_below"]),
                    _percent(draws["share_below_sharpe"]),
                )
            )
    if len(rows) > 1:
        print_table(rows)


def _print_chance(summary: Told) -> None:
    deflated = summary["deflated_sharpe"]
    probability = summary["net"]["probabilistic_sharpe"]
    if probability is None:
        return
    line = f"P(Sharpe > 0) {_percent(probability)}"
    if deflated is not None:
        line += f"; deflated by {deflated['num_trials']} trials {_percent(deflated['probability'])}"
    click.echo(line)


def _with_interval(told: Told, key: str, kind: Callable[[float | None], str]) -> str:
    bounds: Sequence[float] | None = told["intervals"].get(key)
    between = f" [{kind(bounds[0])}, {kind(bounds[1])}]" if bounds else ""
    return kind(told[key]) + between


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _fine_percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.3%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
