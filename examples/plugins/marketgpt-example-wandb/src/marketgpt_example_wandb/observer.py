"""Tells Weights & Biases what a training does. ``WANDB_MODE``, ``WANDB_PROJECT`` and the like work as always.

Importing it imports no wandb, so that listing plugins stays fast.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketgpt_core.plugins import hookimpl

if TYPE_CHECKING:
    from marketgpt_training.observers import RunInfo

PROJECT = "marketgpt"
_open: dict[Path, Any] = {}


def run_id(path: Path) -> str:
    """Return an id that a resumed run has again: the same folder is the same run."""
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]


@hookimpl
def marketgpt_train_start(run: RunInfo) -> None:
    """Begin a run, or go on with it, and give it the configuration."""
    import wandb

    _open[run.path] = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        id=run_id(run.path),
        name=run.path.name,
        # Its files lie beside the run, not in it: a run's folder is sealed.
        dir=os.environ.get("WANDB_DIR", str(run.path.parent)),
        resume="allow",
        config={**run.config, "num_parameters": run.num_parameters, "total_steps": run.total_steps},
    )


@hookimpl
def marketgpt_step_end(run: RunInfo, step: int, metrics: Mapping[str, float]) -> None:
    """Log the step under ``train/``, and the time left in seconds."""
    if run.path in _open:
        logged = {f"train/{name}": value for name, value in metrics.items()}
        if run.pace.eta_s is not None:
            logged["time/eta_s"] = run.pace.eta_s
        _open[run.path].log(logged, step=step)


@hookimpl
def marketgpt_epoch_end(run: RunInfo, epoch: int, metrics: Mapping[str, float]) -> None:
    """Log validation under ``validation/``, beside the step the epoch ended with."""
    if run.path in _open:
        logged = {f"validation/{name}": value for name, value in metrics.items()}
        _open[run.path].log({**logged, "epoch": epoch}, step=run.pace.step)


@hookimpl
def marketgpt_checkpoint_saved(run: RunInfo, step: int, path: Path) -> None:
    """Note the newest checkpoint; its files stay where they are."""
    if run.path in _open:
        _open[run.path].summary.update({"checkpoint/step": step, "checkpoint/path": str(path)})


@hookimpl
def marketgpt_train_end(run: RunInfo, error: BaseException | None) -> None:
    """Finish: well, or with the reason."""
    if run.path in _open:
        logged = _open.pop(run.path)
        logged.summary["ended_with"] = "trained" if error is None else f"{type(error).__name__}: {error}"
        logged.finish(exit_code=0 if error is None else 1)
