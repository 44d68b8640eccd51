"""What a plugin can add to training: engines, and observers of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from marketgpt_core.plugins.markers import hookspec

if TYPE_CHECKING:
    from marketgpt_training.base import TrainingEngine
    from marketgpt_training.observers import RunInfo


@hookspec
def marketgpt_training_engines() -> Mapping[str, str | type[TrainingEngine]]:
    """Return the engines this plugin adds, as ``{name: "module:Class"}``."""
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def marketgpt_train_start(run: RunInfo) -> None:
    """Be told that training starts; rank 0 only."""
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def marketgpt_step_end(run: RunInfo, step: int, metrics: Mapping[str, float]) -> None:
    """Be told that an optimizer step is done; rank 0 only.

    Args:
        run: The run.
        step: Steps done, from 1.
        metrics: ``loss`` and ``nll`` (nats per candle), ``lr``, ``grad_norm``, ``candles_per_s``; where there
            is one to tell, ``model_tflops`` and ``mfu``; about once a second ``rss_gib`` and, on a GPU,
            ``gpu_utilisation`` and ``gpu_memory_gib``. ``run.pace`` tells the time spent and left.
    """
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def marketgpt_epoch_end(run: RunInfo, epoch: int, metrics: Mapping[str, float]) -> None:
    """Be told the validation metrics after an epoch, from 1; rank 0 only."""
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def marketgpt_checkpoint_saved(run: RunInfo, step: int, path: Path) -> None:
    """Be told that a checkpoint is on the disk, whole; rank 0 only.

    Args:
        run: The run.
        step: Steps done by then.
        path: Its folder; it is removed when newer ones take its place.
    """
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def marketgpt_train_end(run: RunInfo, error: BaseException | None) -> None:
    """Be told that training ended, and by which error if it failed; rank 0 only."""
    raise NotImplementedError  # a specification: pluggy never calls it
