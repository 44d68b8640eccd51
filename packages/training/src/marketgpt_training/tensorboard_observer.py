"""Writes a run's curves for TensorBoard: ``tensorboard --logdir runs``.

An observer like anybody's: a module of hooks, named in the entry-point group ``marketgpt.training``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketgpt_core.plugins.markers import hookimpl

if TYPE_CHECKING:
    from marketgpt_training.observers import RunInfo

FOLDER = "tensorboard"


class _Curves:
    """One run's file of events, begun at the first step that is told."""

    def __init__(self) -> None:
        self._writer: Any = None
        self._step = 0

    def step(self, run: RunInfo, step: int, metrics: Mapping[str, float]) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # Steps an earlier start came to after its last checkpoint are taken again: theirs are hidden.
            self._writer = SummaryWriter(str(run.path / FOLDER), purge_step=step)
        self._step = step
        self._write("train", metrics)

    def epoch(self, metrics: Mapping[str, float]) -> None:
        self._write("validation", {name: value for name, value in metrics.items() if name != "train_nll"})

    def _write(self, scope: str, metrics: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in metrics.items():
                self._writer.add_scalar(f"{scope}/{name}", value, self._step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


_open: dict[Path, _Curves] = {}


@hookimpl
def marketgpt_train_start(run: RunInfo) -> None:
    """Begin."""
    _open[run.path] = _Curves()


@hookimpl
def marketgpt_step_end(run: RunInfo, step: int, metrics: Mapping[str, float]) -> None:
    """Write the step's metrics under ``train/``."""
    if run.path in _open:
        _open[run.path].step(run, step, metrics)


@hookimpl
def marketgpt_epoch_end(run: RunInfo, metrics: Mapping[str, float]) -> None:
    """Write the validation's metrics under ``validation/``, at the last step."""
    if run.path in _open:
        _open[run.path].epoch(metrics)


@hookimpl
def marketgpt_train_end(run: RunInfo) -> None:
    """Close the file."""
    if run.path in _open:
        _open.pop(run.path).close()
