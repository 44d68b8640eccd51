"""Writes how far a run has come to its ``status.json``, for ``marketgpt train status`` and for anybody else.

An observer like anybody's: a module of hooks, named in the entry-point group ``marketgpt.training``.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketgpt_core.clock import SystemClock
from marketgpt_core.errors import DataError
from marketgpt_core.files import read_json, write_json
from marketgpt_core.plugins.markers import hookimpl
from marketgpt_training.interruption import TrainingInterrupted
from marketgpt_training.meter import MACHINE_METRICS

if TYPE_CHECKING:
    from marketgpt_training.observers import RunInfo

STATUS_FILE = "status.json"
RUNNING, TRAINED, INTERRUPTED, FAILED = "running", "trained", "interrupted", "failed"
_EVERY_S = 2.0
_TOLD = ("loss", "nll", "lr", "grad_norm", *MACHINE_METRICS)
_MOST_EVENTS = 200


class _Status:
    """One start of a run."""

    def __init__(self, run: RunInfo) -> None:
        self._path, self._pace = run.path / STATUS_FILE, run.pace
        now = SystemClock().now().isoformat()
        # A checkpoint knows nothing of the time after it that a kill took; the file does.
        before = _earlier(self._path) if run.pace.starts > 1 else {}
        spent = before.get("spent_s")
        self._earlier_s = max(
            run.pace.spent_s - run.pace.here_s, float(spent) if isinstance(spent, int | float) else 0.0
        )
        first, events = before.get("first_started_at"), before.get("events")
        self.values: dict[str, Any] = {
            "state": RUNNING,
            "host": platform.node(),
            "pid": os.getpid(),
            "total_steps": run.total_steps,
            "num_parameters": run.num_parameters,
            "step": run.pace.step or None,
            "starts": run.pace.starts,
            "first_started_at": first if isinstance(first, str) else now,
            "eta_at_most": run.pace.can_stop_early,
            "events": events[-_MOST_EVENTS:] if isinstance(events, list) else [],
        }
        self.note("start", run.pace.step)
        self.write()

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        self.values |= {"step": step, **{name: metrics[name] for name in _TOLD if name in metrics}}
        if time.monotonic() - self._written >= _EVERY_S:
            self.write()

    def note(self, what: str, step: int) -> None:
        """Keep an event: a start, a checkpoint, or the end."""
        event = {"at": SystemClock().now().isoformat(), "what": what, "step": step}
        self.values["events"] = [*self.values["events"], event][-_MOST_EVENTS:]

    def write(self) -> None:
        self._written = time.monotonic()
        pace = self._pace
        self.values |= {
            "eta_s": None if pace.eta_s is None else round(pace.eta_s, 1),
            "spent_s": round(self._earlier_s + pace.here_s, 3),
            "training_s": round(pace.training_s, 3),
        }
        if self.values["state"] == TRAINED:
            self.values["eta_s"] = 0.0
        write_json(self._path, {**self.values, "updated_at": SystemClock().now().isoformat()})


def _earlier(path: Path) -> dict[str, Any]:
    """Return what an earlier start wrote; nothing where it cannot be read: it is only for people."""
    try:
        value = read_json(path)
    except DataError:
        return {}
    return value if isinstance(value, dict) else {}


_running: dict[Path, _Status] = {}


@hookimpl
def marketgpt_train_start(run: RunInfo) -> None:
    """Begin."""
    _running[run.path] = _Status(run)


@hookimpl
def marketgpt_step_end(run: RunInfo, step: int, metrics: Mapping[str, float]) -> None:
    """Write the step, its metrics, the time spent and left, every two seconds."""
    if run.path in _running:
        _running[run.path].step(step, metrics)


@hookimpl
def marketgpt_epoch_end(run: RunInfo, epoch: int, metrics: Mapping[str, float]) -> None:
    """Write what validation said."""
    if run.path in _running:
        status = _running[run.path]
        status.values |= {"epoch": epoch, "validation_loss": metrics["loss"]}
        status.write()


@hookimpl
def marketgpt_checkpoint_saved(run: RunInfo, step: int) -> None:
    """Note the checkpoint."""
    if run.path in _running:
        _running[run.path].note("checkpoint", step)


@hookimpl
def marketgpt_train_end(run: RunInfo, error: BaseException | None) -> None:
    """Write how it ended."""
    if run.path in _running:
        status = _running.pop(run.path)
        interrupted = isinstance(error, TrainingInterrupted | KeyboardInterrupt)
        state = TRAINED if error is None else INTERRUPTED if interrupted else FAILED
        status.values["state"] = state
        status.note(state, run.pace.step)
        if error is not None:
            status.values["error"] = f"{type(error).__name__}: {error}"
        status.write()
