"""The demo's report."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from marketgpt.report.build import ReportContent, build_report
from marketgpt_core.files import write_text
from marketgpt_core.horizons import horizon_name
from marketgpt_core.times import iso
from marketgpt_signals.backtest.metrics import wilson_interval
from marketgpt_training.metrics_log import METRICS_FILE, read_metrics

if TYPE_CHECKING:
    from marketgpt.demo import DemoResult
    from marketgpt_signals.backtest import Performance, Trades


def write_report(made: DemoResult) -> None:
    """Write ``report.html``."""
    symbol = made.newest.symbols[0]
    newest_as_of = max(signal.as_of for signal in made.signals if signal.symbol == symbol)
    training = made.run.json("training_summary.json")
    content = ReportContent(
        title="MarketGPT demo",
        intro=_intro(made, training["num_parameters"]),
        series=made.candles[symbol],
        forecast=made.newest,
        signals=made.signals,
        newest=[s for s in made.signals if s.symbol == symbol and s.as_of == newest_as_of],
        marked_horizon_bars=made.backtest.config.horizon_bars,
        results=made.evaluation.results,
        metrics=read_metrics(made.workspace.run / METRICS_FILE),
        training=training,
        dates=made.backtest.time,
        equity=made.backtest.equity,
        benchmark=made.backtest.benchmark,
        backtest_rows=_backtest_rows(made),
        costs=_costs(made),
        monitor=f"{made.monitor.text}.",
        facts=_facts(made),
    )
    write_text(made.workspace.report, build_report(content))


def _intro(made: DemoResult, parameters: int) -> str:
    split, results = made.config.split, made.evaluation.results
    return (
        f"A {parameters:,}-parameter {made.config.model.name} trained on {', '.join(made.candles.symbols)} "
        f"before {split.train_until}, chosen on the years to {split.validation_until}, judged on "
        f"{results['from']} to {results['to']} ({', '.join(results['symbols'])}). The candles ship inside "
        "PyPI packages; no network was used."
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _sharpe(performance: Performance) -> str:
    interval = performance.sharpe_interval
    if performance.sharpe is None or interval is None:
        return _number(performance.sharpe)
    return f"{performance.sharpe:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"


def _backtest_rows(made: DemoResult) -> list[tuple[str, str, str]]:
    result = made.backtest
    net, hold = result.net, result.hold
    rows = [
        ("total return", _percent(net.total_return), _percent(hold.total_return)),
        ("growth a year", _percent(net.cagr), _percent(hold.cagr)),
        ("volatility a year", _percent(net.volatility), _percent(hold.volatility)),
        ("Sharpe ratio, 90% interval", _sharpe(net), _sharpe(hold)),
        ("Sortino ratio", _number(net.sortino), _number(hold.sortino)),
        ("largest drawdown", _percent(net.max_drawdown), _percent(hold.max_drawdown)),
        ("mean exposure", _percent(result.exposure), ""),
        ("turnover a year", _number(result.turnover_per_year), ""),
    ]
    if result.trades is not None:
        rows.append(("hit rate, 90% interval", _hit_rate(result.trades, result.config.horizon_bars), ""))
        rows.append(("profit factor", _number(result.trades.profit_factor), ""))
    return rows


def _hit_rate(trades: Trades, horizon_bars: int) -> str:
    """Signals a bar apart share all but one bar of their horizon: only every h-th one counts as new."""
    independent = trades.num_closed // horizon_bars
    if trades.hit_rate is None or independent == 0:
        return "-"
    interval = wilson_interval(round(trades.hit_rate * independent), independent)
    bounds = f" [{interval[0]:.1%}, {interval[1]:.1%}]" if interval else ""
    return f"{trades.hit_rate:.1%}{bounds} of {trades.num_closed:,}"


def _costs(made: DemoResult) -> str:
    cost = made.backtest.config.cost
    category = made.candles[made.newest.symbols[0]].category
    horizon = horizon_name(made.backtest.config.horizon_bars, category)
    return (
        f"Signals of {', '.join(made.backtest.symbols)} for {horizon}, made at a close and filled at the "
        f"next open; {cost.fee_bps:g} bp fee and {cost.slippage_bps:g} bp slippage a side, "
        f"{cost.borrow_bps_per_year:g} bp a year to borrow; buy and hold pays the same to get in."
    )


def _facts(made: DemoResult) -> list[tuple[str, str]]:
    manifest = made.run.manifest
    versions = ", ".join(f"{name} {version}" for name, version in manifest["packages"].items())
    return [
        ("command", shlex.join(["marketgpt", "demo", "--seed", str(made.config.seed), *made.overrides])),
        ("model", made.newest.model_id),
        ("data fingerprint", made.run.data_fingerprint),
        ("code revision", manifest["code_revision"]),
        ("newest candle", f"{made.newest.symbols[0]} {iso(made.newest.as_of[0])}"),
        ("versions", versions),
    ]
