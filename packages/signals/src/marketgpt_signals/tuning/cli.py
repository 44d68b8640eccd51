"""``marketgpt signals tune``. Heavy imports happen inside the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from marketgpt_core.cli.options import json_option, print_json

_COST = "cost."


@click.command()
@click.option("--forecasts", "path", required=True, type=click.Path(path_type=Path), help="Parquet file.")
@click.option("--source", required=True, help="Candles: sample, parquet:DIR, csv:DIR, ...")
@click.option("--ledger", "location", required=True, help="Where every trial is written down: file or URL.")
@click.option("--strategy", default="threshold", show_default=True, help="Name of the strategy.")
@click.option("--until", required=True, metavar="DATE", help="End of tuning; what comes after is judged on.")
@click.option("--symbols", help="Comma separated; by default all of the forecasts.")
@click.option("--horizon", type=click.IntRange(min=1), help="In bars; needed when there are several.")
@click.option("--trials", type=click.IntRange(min=1), default=50, show_default=True, help="In all.")
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Of the period.")
@click.option("--embargo", type=click.IntRange(min=0), help="Bars between folds; by default the horizon.")
@click.option(
    "--objective", default="sharpe", show_default=True, help="sharpe, sortino, calmar or total_return, net."
)
@click.option("--lower-bound", is_flag=True, help="Score the folds' lower bound instead of their mean.")
@click.option(
    "--study", type=click.Path(path_type=Path), help="SQLite file that keeps the study to go on with."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the search.")
@click.argument("options", nargs=-1, metavar="[KEY=LOW:HIGH | KEY=A,B,C | KEY=VALUE ...]")
@json_option
def tune(
    *,
    path: Path,
    study: Path | None,
    location: str,
    as_json: bool,
    **asked: Any,  # noqa: ANN401 - the options of click that make the question
) -> None:
    """Search a strategy's options, and judge them once on what came after.

    Inside the tuning period every option set is traded on folds that the horizon and an embargo keep apart;
    every trial is written to the ledger and charged to the deflated Sharpe ratio. Nothing after --until is
    read until the search has ended.

    KEY=LOW:HIGH searches between bounds (KEY=LOW:HIGH:log by orders of magnitude), KEY=A,B,C among values,
    KEY alone what the strategy declares, KEY=VALUE sets an option, cost.fee_bps=10 a cost. Without anything
    to search, all that the strategy declares is searched.
    """
    from marketgpt_core.clock import SystemClock
    from marketgpt_signals.ledger import Ledger
    from marketgpt_signals.tuning.judge import check, judge
    from marketgpt_signals.tuning.report import print_report, report_json
    from marketgpt_signals.tuning.search import search

    question, clock = _question(path, **asked), SystemClock()
    check(question)
    with Ledger.open(location) as ledger:
        found = search(question, ledger, clock, storage=study)
        if found.num_before and not as_json:
            click.echo(f"{found.num_before} of {len(found.tried)} trials were there already", err=True)
        judged = judge(question, found, ledger, clock.now())
    if as_json:
        print_json(report_json(question, found, judged))
    else:
        print_report(question, found, judged)


def _question(
    path: Path,
    *,
    source: str,
    strategy: str,
    until: str,
    symbols: str | None,
    horizon: int | None,
    trials: int,
    folds: int,
    embargo: int | None,
    objective: str,
    lower_bound: bool,
    seed: int,
    options: tuple[str, ...],
) -> Any:  # noqa: ANN401 - a Question; its class is imported below
    from marketgpt_core.config import apply_overrides, load_config
    from marketgpt_core.times import to_datetime
    from marketgpt_signals.candle_source import fetch_candles
    from marketgpt_signals.forecasts import one_forecast, only_symbols
    from marketgpt_signals.registry import strategies
    from marketgpt_signals.tuning.search import Question, TuneConfig
    from marketgpt_signals.tuning.space import parse_options

    forecast = only_symbols(one_forecast(path), symbols, where="--symbols")
    costs = apply_overrides({}, [text.removeprefix(_COST) for text in options if text.startswith(_COST)])
    space, fixed = parse_options(
        strategies().load(strategy).Config,
        [text for text in options if not text.startswith(_COST)],
        where=f"strategy {strategy}",
    )
    config = load_config(
        TuneConfig,
        {
            "until": to_datetime(until),
            "horizon_bars": _horizon(forecast, horizon),
            "objective": objective,
            "by_lower_bound": lower_bound,
            "num_trials": trials,
            "num_folds": folds,
            "embargo_bars": embargo,
            "cost": costs,
            "seed": seed,
        },
        where="the command line",
    )
    candles = fetch_candles(source, sorted(set(forecast.symbols)), forecast.interval)
    return Question(strategy, space, fixed, forecast, candles, config)


def _horizon(forecast: Any, horizon: int | None) -> int:  # noqa: ANN401 - a Forecast
    from marketgpt_core.errors import ConfigError

    there = [int(one) for one in forecast.horizons]
    if horizon is not None:
        forecast.horizon_index(horizon)
        return horizon
    if len(there) > 1:
        raise ConfigError(
            f"there are forecasts for {', '.join(map(str, there))} bars: choose one with --horizon"
        )
    return there[0]
