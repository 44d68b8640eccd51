"""``marketgpt signals`` and ``marketgpt backtest``. Heavy imports happen inside the commands."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_signals.bands.cli import bands
from marketgpt_signals.calibration.cli import calibrate
from marketgpt_signals.tuning.cli import tune

if TYPE_CHECKING:
    from marketgpt_core.signal import Signal
    from marketgpt_signals.records import BacktestRecord

_ledger_option = click.option("--ledger", "location", required=True, help="SQLite file, or a database URL.")
_source_option = click.option("--source", required=True, help="Candles: sample, parquet:DIR, csv:DIR, ...")
_SIDES = ("LONG", "SHORT", "FLAT")


def _say_when_empty(num_signals: int, name: str) -> None:
    if not num_signals:
        click.echo(f"{name} has no signals yet", err=True)


@click.group()
def signals() -> None:
    """Make signals from forecasts, list them, and see what came of them."""


@signals.command()
@click.option("--forecasts", "path", required=True, type=click.Path(path_type=Path), help="Parquet file.")
@_ledger_option
@click.option("--strategy", default="threshold", show_default=True, help="Name of the strategy.")
@click.option("--source", help="Candles, for a strategy that reads them: sample, parquet:DIR, csv:DIR, ...")
@click.option("--calibration", type=click.Path(path_type=Path), help="JSON of signals calibrate.")
@click.option("--max-age", metavar="AGE", help="Refuse forecasts of a symbol whose newest is older: 3d, 12h.")
@click.option(
    "--run", type=click.Path(path_type=Path), help="The run that made them: checked, and written down."
)
@click.argument("options", nargs=-1, metavar="[KEY=VALUE ...]")
@json_option
def generate(
    *,
    path: Path,
    location: str,
    strategy: str,
    source: str | None,
    calibration: Path | None,
    max_age: str | None,
    run: Path | None,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Turn forecasts into signals and write them to the ledger.

    KEY=VALUE sets an option of the strategy, for example long_threshold=0.6 horizons=[5,10].
    """
    from dataclasses import replace

    from marketgpt_core.clock import SystemClock
    from marketgpt_core.config import apply_overrides
    from marketgpt_signals.forecasts import parse_age, read_forecasts, refuse_old
    from marketgpt_signals.generate import calibrated, generate_signals
    from marketgpt_signals.ledger import Ledger
    from marketgpt_signals.provenance import run_record, running_code
    from marketgpt_signals.registry import strategies

    chosen = strategies().create(strategy, apply_overrides({}, options), where=f"strategy {strategy}")
    now, revision = SystemClock().now(), running_code()
    age = None if max_age is None else parse_age(max_age, where="--max-age")
    forecasts = read_forecasts(path)
    if age is not None:
        refuse_old(forecasts, age, now, where=str(path))
    known = None if run is None else run_record(run, forecasts, now)
    said = generate_signals(chosen, calibrated(forecasts, calibration), created_at=now, source=source)
    made = [replace(signal, code_revision=revision) for signal in said]
    with Ledger.open(location) as ledger:
        num_new = ledger.append(made)
        if known is not None:
            ledger.record_run(known)
        name = ledger.name
    sides = Counter(str(signal.side) for signal in made)
    report = {"ledger": name, "strategy": strategy, "signals": len(made), "new": num_new}
    report["sides"] = {side: sides[side] for side in _SIDES}
    if as_json:
        print_json(report)
    else:
        counts = ", ".join(f"{sides[side]} {side}" for side in _SIDES)
        click.echo(f"{len(made)} signals by {strategy}: {counts}; {num_new} new in {name}")


@signals.command("list")
@_ledger_option
@click.option("--symbol", help="Only this symbol.")
@click.option("--horizon", type=click.IntRange(min=1), help="Only this horizon, in bars.")
@click.option("--side", type=click.Choice(_SIDES, case_sensitive=False), help="Only this side.")
@click.option("--min-probability", type=click.FloatRange(0, 1), help="Of the side.")
@click.option("--since", metavar="DATE", help="Only as-of dates from here on.")
@click.option("--latest", is_flag=True, help="Only the newest as-of of each symbol and horizon.")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="At most so many.")
@json_option
def list_(
    *,
    location: str,
    symbol: str | None,
    horizon: int | None,
    side: str | None,
    min_probability: float | None,
    since: str | None,
    limit: int,
    latest: bool,
    as_json: bool,
) -> None:
    """List signals, newest first."""
    from marketgpt_core.clock import SystemClock
    from marketgpt_core.signal import Side
    from marketgpt_core.symbols import check_symbol
    from marketgpt_core.times import to_datetime
    from marketgpt_signals.ledger import Ledger
    from marketgpt_signals.rows import signal_json
    from marketgpt_signals.tables import print_signals

    with Ledger.open(location, must_exist=True) as ledger:
        found = ledger.signals(
            symbol=None if symbol is None else check_symbol(symbol, where="--symbol"),
            horizon_bars=horizon,
            side=None if side is None else Side(side.upper()),
            min_probability=min_probability,
            since=None if since is None else to_datetime(since),
            latest=latest,
            limit=limit,
        )
        is_empty, name = not found and not ledger.horizons(), ledger.name
    now = SystemClock().now()
    if as_json:
        print_json([signal_json(signal) | {"expired": signal.expires_at <= now} for signal in found])
    elif is_empty:
        _say_when_empty(0, name)
    else:
        print_signals(found, now)


@signals.command()
@_ledger_option
@_source_option
@click.argument("options", nargs=-1, metavar="[KEY=VALUE ...]")
@json_option
def resolve(location: str, source: str, options: tuple[str, ...], *, as_json: bool) -> None:
    """Write what came of the signals whose horizon has passed in the candles.

    Where a candle it needs is missing nothing is guessed: the reason is told here, and written to the ledger
    as an event. KEY=VALUE sets a cost, for example fee_bps=10.
    """
    from marketgpt_core.clock import SystemClock
    from marketgpt_core.config import apply_overrides, load_config
    from marketgpt_core.interval import Interval
    from marketgpt_signals.candle_source import fetch_what_there_is
    from marketgpt_signals.costs import CostModel
    from marketgpt_signals.ledger import Ledger
    from marketgpt_signals.resolve import Unresolved, resolve_all

    cost = load_config(CostModel, apply_overrides({}, options), where="KEY=VALUE")
    with Ledger.open(location, must_exist=True) as ledger:
        waiting, num_written = ledger.pending(), 0
        gaps, unreached = list[Unresolved](), dict[str, str]()
        for interval in Interval:
            symbols = [symbol for symbol, its in waiting if its is interval]
            if not symbols:
                continue
            candles, gone, busy = fetch_what_there_is(source, symbols, interval)
            done = resolve_all(ledger, candles, clock=SystemClock(), cost=cost, absent=gone)
            num_written += done.num_written
            gaps += done.unresolved
            unreached |= busy
        summary, name = ledger.summary(), ledger.name
    num_open = summary.num_signals - summary.num_outcomes
    if as_json:
        told = {"unresolved": [one.to_json() for one in gaps], "unreached": unreached}
        print_json({"resolved": num_written, "open": num_open, **told})
        return
    click.echo(f"{num_written} signals resolved, {num_open} still open")
    _say_when_empty(summary.num_signals, name)
    for one in gaps:
        click.echo(f"{one.symbol}: {len(one.signal_ids)} signals cannot be resolved: {one.reason}", err=True)
    for symbol, why in unreached.items():
        click.echo(f"{symbol}: no candles just now: {why}", err=True)


@signals.command()
@_ledger_option
@click.option("--out", "path", required=True, type=click.Path(path_type=Path), help=".csv, .json or .parquet")
@json_option
def export(location: str, path: Path, *, as_json: bool) -> None:
    """Write every signal and its outcome to a file."""
    from marketgpt_signals.export import export_ledger
    from marketgpt_signals.ledger import Ledger

    with Ledger.open(location, must_exist=True) as ledger:
        num_written, name = export_ledger(ledger, path), ledger.name
    if as_json:
        print_json({"signals": num_written, "out": str(path)})
    else:
        click.echo(f"{num_written} signals in {path}")
        _say_when_empty(num_written, name)


@signals.command()
@_ledger_option
@click.option(
    "--to", default="head", show_default=True, help="A revision, head (the newest) or base (nothing)."
)
@click.option(
    "--discard", is_flag=True, help="Allow a way down that throws away what older tables cannot hold."
)
@json_option
def migrate(location: str, to: str, *, discard: bool, as_json: bool) -> None:
    """Bring a ledger's tables to another revision; of a SQLite file a copy is put beside it first."""
    from marketgpt_signals.migrations.migrate import migrate as migrate_ledger

    done = migrate_ledger(location, to, discard=discard)
    backup = None if done.backup is None else str(done.backup)
    if as_json:
        print_json({"ledger": done.ledger, "before": done.before, "after": done.after, "backup": backup})
    elif done.before == done.after:
        click.echo(f"{done.ledger} is at revision {done.after} already")
    else:
        told = "" if backup is None else f"; as it was: {backup}"
        click.echo(f"{done.ledger} brought from revision {done.before} to {done.after}{told}")


signals.add_command(calibrate)
signals.add_command(bands)
signals.add_command(tune)


@click.command()
@_ledger_option
@_source_option
@click.option("--horizon", type=click.IntRange(min=1), help="In bars; needed when there are several.")
@click.option("--strategy", help="Only this strategy's signals.")
@click.option("--model", help="Only signals of this model id.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write everything, by bar, as JSON.")
@click.option("--html", type=click.Path(path_type=Path), help="Also draw it: a page that needs no network.")
@click.option("--quantstats", type=click.Path(path_type=Path), help="Also let quantstats draw it (an extra).")
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="SYMBOL",
    help="Also hold this against it, once or more; by default the benchmarks of the symbols' markets.",
)
@click.option(
    "--trials",
    multiple=True,
    metavar="LEDGER",
    help="Also count the backtests another ledger has written down, once or more.",
)
@click.argument("options", nargs=-1, metavar="[KEY=VALUE ...]")
@json_option
def backtest(
    *,
    location: str,
    source: str,
    horizon: int | None,
    strategy: str | None,
    model: str | None,
    out: Path | None,
    html: Path | None,
    quantstats: Path | None,
    benchmarks: tuple[str, ...],
    trials: tuple[str, ...],
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Trade a ledger's signals at the next open, with costs.

    The ledger writes down every backtest: how many were tried is what its deflated Sharpe ratio is charged
    with. KEY=VALUE sets an option, for example cost.fee_bps=10 or seed=1.
    """
    from marketgpt_core.clock import SystemClock
    from marketgpt_core.config import apply_overrides, load_config
    from marketgpt_core.files import write_json
    from marketgpt_signals.backtest import BacktestConfig
    from marketgpt_signals.backtest.tables import print_backtest
    from marketgpt_signals.ledger import Ledger
    from marketgpt_signals.trials import run_trial

    chosen, name = _chosen(location, horizon, strategy, model)
    values: dict[str, Any] = {"horizon_bars": chosen[0].horizon_bars}
    config = load_config(BacktestConfig, apply_overrides(values, options), where="KEY=VALUE")
    others: list[BacktestRecord] = []
    for other in trials:
        with Ledger.open(other, must_exist=True) as opened:
            others += opened.backtests()
    with Ledger.open(location, must_exist=True) as ledger:
        result, candles = run_trial(
            chosen, ledger, source, config, SystemClock().now(), benchmarks=benchmarks, others=others
        )
    summary = result.to_json(series=False)
    if out is not None:
        write_json(out, result.to_json())
    if html or quantstats:
        from marketgpt_signals.backtest.tearsheet import Tested, write_pages

        tested = Tested(result, chosen, candles, source=source, ledger=name)
        write_pages(tested, html=html, quantstats=quantstats)
    if as_json:
        print_json(summary)
    else:
        print_backtest(summary)
        for drawn in filter(None, (html, quantstats)):
            click.echo(f"drawn in {drawn}")


def _chosen(
    location: str, horizon: int | None, strategy: str | None, model: str | None
) -> tuple[list[Signal], str]:
    """Return the signals to trade, and the ledger's name, which shows no password."""
    from marketgpt_core.errors import ConfigError, DataError
    from marketgpt_signals.ledger import Ledger

    with Ledger.open(location, must_exist=True) as ledger:
        horizons = ledger.horizons()
        if horizon is None and len(horizons) > 1:
            known = ", ".join(str(bars) for bars in horizons)
            raise ConfigError(f"{ledger.name} has signals for {known} bars: choose one with --horizon")
        found, name = ledger.signals(horizon_bars=horizon), ledger.name
    kept = [
        signal for signal in found if strategy in {None, signal.strategy} and model in {None, signal.model_id}
    ]
    if not kept:
        wanted = {"--horizon": horizon, "--strategy": strategy, "--model": model}
        told = " ".join(f"{key} {value}" for key, value in wanted.items() if value is not None)
        raise DataError(f"{name} has no signals {f'for {told}' if told else 'yet'}; horizons: {horizons}")
    return kept, name
