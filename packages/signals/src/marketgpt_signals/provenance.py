"""What signals came from: the code that runs, and the run of a model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from marketgpt_core.errors import DataError
from marketgpt_core.forecast import Forecast
from marketgpt_core.run import Run, code_revision
from marketgpt_signals.records import RunRecord

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
