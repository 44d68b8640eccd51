"""How far runs have come, read from their folders: by whoever asks, while they train and after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from marketgpt_core.errors import DataError, RunError
from marketgpt_core.files import read_json
from marketgpt_core.run import MANIFEST
from marketgpt_training.checkpoints import CheckpointStore
from marketgpt_training.evaluation import RESULTS_FILE
from marketgpt_training.meter import MACHINE_METRICS
from marketgpt_training.metrics_log import METRICS_FILE, read_metrics
from marketgpt_training.pace import duration
from marketgpt_training.progress import gpu_words
from marketgpt_training.status_observer import RUNNING, STATUS_FILE

if TYPE_CHECKING:
    from rich.table import Table

FINISHED, EVALUATED, SILENT, UNREADABLE = "finished", "evaluated", "silent", "unreadable"
# A step of the largest preset on a slow machine takes less.
_SILENT_S = 120.0
_NUMBERS = (
    *("step", "total_steps", "epoch", "loss", "nll", "lr", "grad_norm", "validation_loss", *MACHINE_METRICS),
    *("eta_s", "spent_s", "training_s", "starts"),
)
# Longer than any run; a number that cannot be a number of seconds would stop the table.
_HUGE = 1e12


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
    """Return :func:`state_of` a run, and ``best_validation_loss`` of the epochs it logged.

    Raises:
        RunError: when it is no run, or what it says of itself cannot be read.
    """
    found = state_of(folder, now=now)
    try:
        rows = read_metrics(folder / METRICS_FILE)
        found["best_validation_loss"] = min(
            (float(row["loss"]) for row in rows if row.get("kind") == "epoch"), default=None
        )
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise RunError(f"{folder / METRICS_FILE} cannot be read: {error}") from error
    return found


def state_of(folder: Path, *, now: datetime) -> dict[str, Any]:
    """Return what a run says of itself, without reading its curves; JSON values.

    Keys: ``run``; ``state``: running, silent (nothing heard for two minutes), interrupted, failed, trained,
    finished (sealed), evaluated; ``step``, ``total_steps``, ``epoch``, ``loss`` and ``nll`` of the last step
    (nats a candle), what ``meter`` measures; ``eta_s`` (None when unknown; an upper bound where
    ``eta_at_most``), ``spent_s`` and ``training_s`` of all ``starts``, ``elapsed_s`` since the first;
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
    state = _text(said, "state", folder) or FINISHED
    if manifest:
        state = EVALUATED if RESULTS_FILE in _files(manifest, folder) else FINISHED
    elif state == RUNNING and now - _time(said, folder) > timedelta(seconds=_SILENT_S):
        state = SILENT
    steps = CheckpointStore(folder).steps()
    return {
        "run": str(folder),
        "state": state,
        **{name: _number_of(said, name, folder) for name in _NUMBERS},
        "eta_at_most": said.get("eta_at_most") is True,
        "elapsed_s": _elapsed(said, folder, now if state == RUNNING else None),
        **{name: _text(said, name, folder) for name in ("updated_at", "host", "error")},
        "checkpoint_step": steps[-1] if steps else None,
    }


def states_of(folders: Sequence[Path], *, now: datetime, curves: bool = False) -> list[dict[str, Any]]:
    """Return a row a run; one that cannot be read is ``unreadable``, with the reason as its ``error``.

    Args:
        folders: The runs.
        now: To tell silence by.
        curves: Whether to read the best validation loss as well.
    """
    rows = []
    for folder in folders:
        try:
            rows.append((status_of if curves else state_of)(folder, now=now))
        except (RunError, OSError) as error:
            rows.append({"run": str(folder), "state": UNREADABLE, "error": str(error)})
    return rows


def status_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return a row a run."""
    from rich.table import Table
    from rich.text import Text

    table = Table(caption="loss in nats; go on with --resume from the step last kept", caption_justify="left")
    has_gpu = any(gpu_words(row) or row.get("mfu") is not None for row in rows)
    names = ("run", "state", "step", "loss", "best", "candles/s", "spent", "left", "kept")
    for name in (*names, *(("GPU", "MFU") if has_gpu else ())):
        justify: Literal["left", "right"] = "left" if name in {"run", "state"} else "right"
        table.add_column(name, justify=justify, no_wrap=name in {"state", "step"})
    for row in rows:
        machine = [gpu_words(row), _number(row.get("mfu"), ".0%")] if has_gpu else []
        table.add_row(
            # Names are whatever people called their folders: text, not markup.
            Text("\n".join(filter(None, (row["run"], row["error"])))),
            Text(row["state"]),
            f"{row.get('step') or 0:,}/{row.get('total_steps') or 0:,}",
            _number(row.get("loss"), ".3f"),
            _number(row.get("best_validation_loss"), ".3f"),
            _number(row.get("candles_per_s"), ",.0f"),
            duration(row.get("spent_s")),
            duration(row["eta_s"], at_most=row["eta_at_most"]) if row["state"] == RUNNING else "",
            _number(row.get("checkpoint_step"), ","),
            *machine,
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _number_of(said: dict[str, Any], name: str, folder: Path) -> float | None:
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _HUGE:
        raise RunError(f"{folder / STATUS_FILE}: {name} is {str(value)[:60]!r}, not a number")
    return value


def _text(said: dict[str, Any], name: str, folder: Path) -> str | None:
    value = said.get(name)
    if value is not None and not isinstance(value, str):
        raise RunError(f"{folder / STATUS_FILE}: {name} is {str(value)[:60]!r}, not text")
    return value


def _files(manifest: dict[str, Any], folder: Path) -> dict[str, Any]:
    files = manifest.get("files", {})
    if not isinstance(files, dict):
        raise RunError(f"{folder / MANIFEST} names no files")
    return files


def _elapsed(said: dict[str, Any], folder: Path, now: datetime | None) -> float | None:
    """Return the seconds from the first start to now, or to the last word."""
    if said.get("first_started_at") is None:
        return None
    end = now or _time(said, folder)
    return max((end - _time(said, folder, "first_started_at")).total_seconds(), 0.0)


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


def _time(said: dict[str, Any], folder: Path, name: str = "updated_at") -> datetime:
    try:
        moment = datetime.fromisoformat(said[name])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder / STATUS_FILE} does not say when it was written ({name})") from error
    if moment.tzinfo is None:
        raise RunError(f"{folder / STATUS_FILE}: {name} has no time zone")
    return moment
