"""How far runs have come, read from their folders: by whoever asks, while they train and after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketgpt_core.errors import DataError, RunError
from marketgpt_core.files import read_json
from marketgpt_core.run import MANIFEST
from marketgpt_training.checkpoints import CheckpointStore
from marketgpt_training.evaluation import RESULTS_FILE
from marketgpt_training.metrics_log import METRICS_FILE, read_metrics
from marketgpt_training.status_observer import RUNNING, STATUS_FILE

if TYPE_CHECKING:
    from rich.table import Table

FINISHED, EVALUATED, SILENT = "finished", "evaluated", "silent"
# A step of the largest preset on a slow machine takes less.
_SILENT_S = 120.0


def runs_below(folders: Sequence[Path]) -> list[Path]:
    """Return the runs in some folders, begun or finished, by name.

    Raises:
        RunError: when there is none.
    """
    found = sorted(
        {
            file.parent
            for folder in folders
            for name in (STATUS_FILE, MANIFEST)
            for file in folder.glob(f"*/{name}")
        }
    )
    if not found:
        raise RunError(f"no run below {', '.join(map(str, folders))}")
    return found


def status_of(folder: Path, *, now: datetime) -> dict[str, Any]:
    """Return a run's state, JSON values.

    Keys: ``run``; ``state``: running, silent (nothing heard for two minutes), interrupted, failed, trained,
    finished (sealed), evaluated; ``step``, ``total_steps``, ``epoch``, ``loss`` and ``nll`` of the last step
    (nats a candle), ``best_validation_loss``, ``candles_per_s``, ``eta_s`` (None when unknown),
    ``checkpoint_step`` (where it would go on), ``updated_at``, ``host``, ``error``.

    Args:
        folder: The run's folder.
        now: To tell silence by.

    Raises:
        RunError: when it is no run, or what it says of itself cannot be read.
    """
    manifest, said = _object(folder / MANIFEST), _object(folder / STATUS_FILE)
    if not manifest and not said:
        raise RunError(f"{folder} is not a run: it has neither {STATUS_FILE} nor {MANIFEST}")
    state = said.get("state", FINISHED)
    if manifest:
        state = EVALUATED if RESULTS_FILE in manifest.get("files", {}) else FINISHED
    elif state == RUNNING and now - _time(said, folder) > timedelta(seconds=_SILENT_S):
        state = SILENT
    steps = CheckpointStore(folder).steps()
    names = (
        "step",
        "total_steps",
        "epoch",
        "loss",
        "nll",
        "candles_per_s",
        "eta_s",
        "updated_at",
        "host",
        "error",
    )
    return {
        "run": str(folder),
        "state": state,
        **{name: said.get(name) for name in names},
        "best_validation_loss": _best(folder / METRICS_FILE),
        "checkpoint_step": steps[-1] if steps else None,
    }


def status_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return a row a run."""
    from rich.table import Table

    table = Table(caption="loss in nats; go on with --resume from the step last kept", caption_justify="left")
    for name in ("run", "state", "step", "loss", "best", "candles/s", "left", "kept"):
        table.add_column(name, justify="left" if name in {"run", "state"} else "right")
    for row in rows:
        table.add_row(
            row["run"],
            row["state"],
            f"{row['step'] or 0:,}/{row['total_steps'] or 0:,}",
            _number(row["loss"], ".3f"),
            _number(row["best_validation_loss"], ".3f"),
            _number(row["candles_per_s"], ",.0f"),
            ""
            if row["eta_s"] is None or row["state"] != RUNNING
            else str(timedelta(seconds=round(row["eta_s"]))),
            _number(row["checkpoint_step"], ","),
        )
        if row["error"]:
            table.add_row("", row["error"])
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = read_json(path)
    except DataError as error:
        raise RunError(str(error)) from error
    if not isinstance(value, dict):
        raise RunError(f"{path} is not a JSON object")
    return value


def _time(said: dict[str, Any], folder: Path) -> datetime:
    try:
        return datetime.fromisoformat(said["updated_at"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder / STATUS_FILE} does not say when it was written") from error


def _best(path: Path) -> float | None:
    """Return the lowest validation loss of the epochs logged."""
    return min((row["loss"] for row in read_metrics(path) if row["kind"] == "epoch"), default=None)
