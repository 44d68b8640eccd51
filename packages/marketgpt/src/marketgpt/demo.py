"""The whole way on embedded real candles: offline, on a CPU, in minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from marketgpt.workspace import Workspace
from marketgpt_core.candles import Candles
from marketgpt_core.clock import Clock, SystemClock
from marketgpt_core.files import atomic_path, write_json
from marketgpt_core.forecast import Forecast
from marketgpt_core.plugins import registry
from marketgpt_core.run import Run
from marketgpt_core.signal import Signal
from marketgpt_core.times import iso
from marketgpt_data_sources.writing import write_parquet
from marketgpt_monitoring.alerting import alert_on
from marketgpt_monitoring.check import MonitorReport, check
from marketgpt_signals.backtest import BacktestConfig, BacktestResult, backtest_signals
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.provenance import run_record, running_code
from marketgpt_signals.resolve import resolve
from marketgpt_signals.trials import charge
from marketgpt_training.config import TrainConfig, preset
from marketgpt_training.evaluation.evaluate import Evaluation
from marketgpt_training.evaluation.of_run import evaluate_candles, record_results
from marketgpt_training.loading import load_candles
from marketgpt_training.pipeline import train

SYMBOL = "AAPL"
SIGNAL_HORIZONS = (5, 10, 21, 42)
TRADED_HORIZON_BARS = 10
NEWEST_SAMPLES = 1_000

Stage = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What a demo made, kept for its report.

    Attributes:
        workspace: Where everything lies.
        config: The training configuration.
        candles: All candles.
        run: The sealed run.
        evaluation: Scores on the test part, and the forecasts behind them.
        newest: The forecast of the last candle of the demo's symbol, one row.
        signals: Every signal written.
        backtest: Of the two-week signals of all test symbols.
        monitor: What the monitor found.
        overrides: What was changed on the preset.
    """

    workspace: Workspace
    config: TrainConfig
    candles: Candles
    run: Run
    evaluation: Evaluation
    newest: Forecast
    signals: list[Signal]
    backtest: BacktestResult
    monitor: MonitorReport
    overrides: tuple[str, ...] = ()


def run_demo(
    folder: Path,
    *,
    seed: int | None = None,
    overwrite: bool = False,
    overrides: tuple[str, ...] = (),
    clock: Clock | None = None,
    on_stage: Stage = lambda _: None,
) -> DemoResult:
    """Run the demo and write its folder.

    Args:
        folder: Where to write.
        seed: Seed of everything random; the preset's when None. Same seed, same numbers.
        overwrite: Replace an earlier demo there.
        overrides: ``key.sub=value`` on the preset ``demo``.
        clock: Tells when.
        on_stage: Told what is being done.

    Raises:
        RunError: when the folder holds a demo already or cannot be written to.
        ConfigError: for an override that does not fit.
    """
    from marketgpt.demo_report import write_report

    clock = clock or SystemClock()
    workspace = Workspace(folder)
    config = preset("demo", (*overrides, *((f"seed={seed}",) if seed is not None else ())))
    workspace.claim(overwrite=overwrite)
    on_stage("load and validate candles")
    candles = load_candles(config)
    write_parquet(candles, workspace.candles)
    on_stage(f"train on {candles.num_candles:,} candles of {len(candles)} symbols with {config.engine.name}")
    run = train(config, workspace.run, candles=candles, clock=clock)
    on_stage("evaluate on the test years")
    evaluation = evaluate_candles(run, candles, seed=config.seed)
    run = record_results(run, evaluation.results)
    on_stage("forecast and write signals to the ledger")
    newest = _newest_forecast(run, candles, config)
    forecasts = evaluation.forecasts["model"]
    _write_forecasts(workspace, forecasts, newest)
    with Ledger.open(workspace.ledger) as ledger:
        signals = _write_signals(ledger, (forecasts, newest), clock)
        ledger.record_run(run_record(run.path, (forecasts, newest), clock.now()))
        resolve(ledger, candles, clock=clock)
        on_stage("backtest against buy and hold")
        result = _backtest(signals, candles, config, ledger, clock)
        on_stage("look for deterioration")
        report = check(ledger, registry("drift-detector").create("adwin"), clock=clock)
        alert_on(report, {"log": registry("alert-channel").create("log", {"path": str(workspace.alerts)})})
    write_json(workspace.backtest, result.to_json())
    made = DemoResult(
        workspace, config, candles, run, evaluation, newest.of(SYMBOL), signals, result, report, overrides
    )
    on_stage("write the report")
    write_report(made)
    write_json(workspace.summary, summary(made))
    return made


def _newest_forecast(run: Run, candles: Candles, config: TrainConfig) -> Forecast:
    from marketgpt_models.forecaster import load_forecaster

    return load_forecaster(run.path).forecast(
        candles.select([SYMBOL]),
        horizons=config.evaluation.horizons,
        num_samples=NEWEST_SAMPLES,
        seed=config.seed,
    )


def _write_forecasts(workspace: Workspace, *forecasts: Forecast) -> None:
    import pandas as pd

    frame = pd.concat([forecast.to_frame() for forecast in forecasts], ignore_index=True)
    frame = frame.drop_duplicates(["symbol", "as_of", "horizon"], keep="last")
    with atomic_path(workspace.forecasts) as temporary:
        frame.to_parquet(temporary, index=False)


def _write_signals(ledger: Ledger, forecasts: tuple[Forecast, ...], clock: Clock) -> list[Signal]:
    strategy = registry("signal-strategy").create("threshold", {"horizons": SIGNAL_HORIZONS})
    by_id: dict[str, Signal] = {}
    revision = running_code()
    for forecast in forecasts:
        made = strategy.signals(forecast, created_at=clock.now())
        by_id |= {signal.id: replace(signal, code_revision=revision) for signal in made}
    ledger.append(by_id.values())
    return list(by_id.values())


def _backtest(
    signals: list[Signal], candles: Candles, config: TrainConfig, ledger: Ledger, clock: Clock
) -> BacktestResult:
    """Trade the signals while all their symbols have candles, so that nothing is held unsold beyond them."""
    end = min(candles[symbol].time[-1] for symbol in {signal.symbol for signal in signals})
    traded = candles.until(end)
    result = backtest_signals(
        signals, traded, BacktestConfig(horizon_bars=TRADED_HORIZON_BARS, seed=config.seed)
    )
    return charge(result, ledger, traded, signals, clock.now())


def summary(made: DemoResult) -> dict[str, Any]:
    """Return what the demo prints at its end, as JSON values."""
    training = made.run.json("training_summary.json")
    newest = [s for s in made.signals if s.symbol == SYMBOL]
    last = max(signal.as_of for signal in newest)
    net, hold = made.backtest.net, made.backtest.hold
    return {
        "seed": made.config.seed,
        "model_id": made.newest.model_id,
        "parameters": training["num_parameters"],
        "validation_nll": training["best_nll"],
        "test": {
            horizon: {
                "crps": entry["models"]["model"]["crps"],
                "crps_ratio": {name: value["crps_ratio"] for name, value in entry["against"].items()},
                "coverage_90": entry["models"]["model"]["coverage"]["0.90"],
                "direction_accuracy": entry["models"]["model"]["direction_accuracy"],
                "always_up_accuracy": entry["models"]["model"]["always_up_accuracy"],
            }
            for horizon, entry in made.evaluation.results["horizons"].items()
        },
        "signals": {
            "written": len(made.signals),
            "symbol": SYMBOL,
            "as_of": iso(last),
            "newest": {
                str(s.horizon_bars): {"side": s.side, "p_up": s.probability}
                for s in sorted(newest, key=lambda s: s.horizon_bars)
                if s.as_of == last
            },
        },
        "backtest": {
            "horizon_bars": TRADED_HORIZON_BARS,
            "total_return": net.total_return,
            "sharpe": net.sharpe,
            "max_drawdown": net.max_drawdown,
            "buy_and_hold_total_return": hold.total_return,
            "buy_and_hold_sharpe": hold.sharpe,
            "buy_and_hold_max_drawdown": hold.max_drawdown,
        },
        "monitor": made.monitor.text,
    }
