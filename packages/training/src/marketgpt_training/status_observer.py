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
from marketgpt_core.files import write_json
from marketgpt_core.plugins.markers import hookimpl
from marketgpt_training.interruption import TrainingInterrupted

if TYPE_CHECKING:
    from marketgpt_training.observers import RunInfo

STATUS_FILE = "status.json"
RUNNING, TRAINED, INTERRUPTED, FAILED = "running", "trained", "interrupted", "failed"
_EVERY_S = 2.0
_TOLD = ("loss", "nll", "lr", "grad_norm", "candles_per_s")


class _Status:
    """One start of a run."""

    def __init__(self, run: RunInfo) -> None:
        self._path = run.path / STATUS_FILE
        self._began = self._written = time.monotonic()
        self._first_step: int | None = None
        self.values: dict[str, Any] = {
            "state": RUNNING,
            "host": platform.node(),
            "pid": os.getpid(),
            "total_steps": run.total_steps,
            "num_parameters": run.num_parameters,
            "step": None,
            "eta_s": None,
        }
        self.write()

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        now = time.monotonic()
        if self._first_step is None:
            # Loading is over, and the steps of earlier starts were not this one's work.
            self._first_step, self._began = step, now
        done = step - self._first_step
        if done:
            # Validation and checkpoints included, as the time to come will hold them.
            self.values["eta_s"] = round((self.values["total_steps"] - step) * (now - self._began) / done, 1)
        self.values |= {"step": step, **{name: metrics[name] for name in _TOLD if name in metrics}}
        if now - self._written >= _EVERY_S:
            self.write()

    def write(self) -> None:
        self._written = time.monotonic()
        write_json(self._path, {**self.values, "updated_at": SystemClock().now().isoformat()})


_running: dict[Path, _Status] = {}


@hookimpl
def marketgpt_train_start(run: RunInfo) -> None:
    """Begin."""
    _running[run.path] = _Status(run)


@hookimpl
def marketgpt_step_end(run: RunInfo, step: int, metrics: Mapping[str, float]) -> None:
    """Write the step, its metrics and the time left, every two seconds."""
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
def marketgpt_train_end(run: RunInfo, error: BaseException | None) -> None:
    """Write how it ended."""
    if run.path in _running:
        status = _running.pop(run.path)
        interrupted = isinstance(error, TrainingInterrupted | KeyboardInterrupt)
        state = TRAINED if error is None else INTERRUPTED if interrupted else FAILED
        status.values |= {"state": state, "eta_s": 0.0 if error is None else status.values["eta_s"]}
        if error is not None:
            status.values["error"] = f"{type(error).__name__}: {error}"
        status.write()
