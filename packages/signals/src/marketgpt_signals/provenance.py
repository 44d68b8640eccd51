"""What signals and backtests came from: the code that runs, the run of a model, the candles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError
from marketgpt_core.forecast import Forecast
from marketgpt_core.run import Run, code_revision
from marketgpt_core.signal import Signal
from marketgpt_signals.records import BacktestRecord, RunRecord

_RESULTS = "test_results.json"  # which marketgpt-training writes


def running_code() -> str:
    """Return the version of this package, and in a checkout the git revision: ``0.1.0+e2120c6...``."""
    revision, release = code_revision(), version("marketgpt-signals")
    return release if revision == "release" else f"{release}+{revision}"


def run_record(path: Path, forecasts: Sequence[Forecast], now: datetime) -> RunRecord:
    """Return what a ledger writes down of the run behind forecasts.

    Args:
        path: The run's folder.
        forecasts: Whose model it must be.
        now: Aware.

    Raises:
        RunError: when it is no run, or not as it was sealed.
        DataError: when a forecast is another model's.
    """
    run = Run.open(path)
    for forecast in forecasts:
        # A model's id is the name of its kind and the id of its run.
        if forecast.model_id.rpartition("-")[2] != run.id:
            raise DataError(
                f"the forecasts are of model {forecast.model_id}, and not of run {run.id} in {path}"
            )
    metrics = run.json(_RESULTS) if _RESULTS in run.manifest["files"] else {}
    return RunRecord(run_id=run.id, path=str(path.resolve()), metrics=metrics, created_at=now)


def backtest_record(
    summary: Mapping[str, Any], candles: Candles, traded: Sequence[Signal], now: datetime
) -> BacktestRecord:
    """Return what a ledger writes down of a backtest.

    Args:
        summary: Of :meth:`marketgpt_signals.backtest.BacktestResult.to_json`, without the series.
        candles: It traded on.
        traded: The signals, at least one.
        now: Aware.
    """
    moments = [signal.as_of for signal in traded]
    return BacktestRecord(
        config=summary["config"],
        metrics={name: value for name, value in summary.items() if name != "config"},
        data_fingerprint=candles.fingerprint(),
        first_as_of=min(moments),
        last_as_of=max(moments),
        code_revision=running_code(),
        created_at=now,
    )
