"""Tells MLflow what a training does: to the server of ``MLFLOW_TRACKING_URI``, else to a file beside the run.

Importing it imports no mlflow, so that listing plugins stays fast.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketgpt_core.plugins import hookimpl

if TYPE_CHECKING:
    from marketgpt_training.observers import RunInfo

EXPERIMENT = "marketgpt"
# The folder in a form that needs no quoting when it is searched for.
ID_TAG = "marketgpt.folder_id"
# A request a step would slow a fast training down: steps are sent together.
_EVERY_S, _MOST = 5.0, 900
_MOST_TEXT = 500


class _Run:
    """One start of a run; a resumed one goes on with the run of the same folder."""

    def __init__(self, run: RunInfo) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        where = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{run.path.resolve().parent / 'mlflow.db'}")
        self._client = MlflowClient(tracking_uri=where)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        self._id = self._earlier(experiment, run) or self._new(experiment, run)
        self._client.update_run(self._id, status="RUNNING")
        values = {**run.config, "num_parameters": run.num_parameters, "total_steps": run.total_steps}
        params = [Param(name, value) for name, value in flat(values)]
        # What may change in a resumed run (the engine, checkpoints) is kept as it was first: MLflow's rule.
        known = self._client.get_run(self._id).data.params
        self._client.log_batch(self._id, params=[one for one in params if one.key not in known])
        self._waiting: list[Any] = []
        self._sent_at = time.monotonic()

    def _earlier(self, experiment: str, run: RunInfo) -> str | None:
        if run.pace.starts == 1:
            return None
        wanted = f"tags.`{ID_TAG}` = '{folder_id(run.path)}'"
        found = self._client.search_runs([experiment], wanted, max_results=1)
        return found[0].info.run_id if found else None

    def _new(self, experiment: str, run: RunInfo) -> str:
        tags = {"marketgpt.folder": str(run.path.resolve()), ID_TAG: folder_id(run.path)}
        return str(self._client.create_run(experiment, tags=tags, run_name=run.path.name).info.run_id)

    def log(self, scope: str, metrics: Mapping[str, float], step: int) -> None:
        """Keep metrics for the next request, and send it when it is time."""
        from mlflow.entities import Metric

        now = int(time.time() * 1_000)
        self._waiting += [Metric(f"{scope}/{name}", value, now, step) for name, value in metrics.items()]
        if len(self._waiting) >= _MOST or time.monotonic() - self._sent_at >= _EVERY_S:
            self.send()

    def send(self) -> None:
        """Send what waits."""
        waiting, self._waiting, self._sent_at = self._waiting, [], time.monotonic()
        for first in range(0, len(waiting), _MOST):
            self._client.log_batch(self._id, metrics=waiting[first : first + _MOST])

    def tag(self, name: str, value: str) -> None:
        """Set a tag."""
        self._client.set_tag(self._id, name, value)

    def end(self, error: BaseException | None) -> None:
        """Send the rest and say how it ended."""
        self.send()
        if error is not None:
            self.tag("marketgpt.error", f"{type(error).__name__}: {error}"[:_MOST_TEXT])
        self._client.set_terminated(self._id, "FINISHED" if error is None else "FAILED")


def folder_id(path: Path) -> str:
    """Return an id that a resumed run has again: the same folder is the same run."""
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield a nested configuration as ``key.sub`` and text, as MLflow's parameters have to be."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)[:_MOST_TEXT]


_open: dict[Path, _Run] = {}


@hookimpl
def marketgpt_train_start(run: RunInfo) -> None:
    """Begin a run, or go on with it, and give it the configuration."""
    _open[run.path] = _Run(run)


@hookimpl
def marketgpt_step_end(run: RunInfo, step: int, metrics: Mapping[str, float]) -> None:
    """Log the step under ``train/``."""
    if run.path in _open:
        _open[run.path].log("train", metrics, step)


@hookimpl
def marketgpt_epoch_end(run: RunInfo, epoch: int, metrics: Mapping[str, float]) -> None:
    """Log validation under ``validation/``, at the step the epoch ended with."""
    if run.path in _open:
        _open[run.path].log("validation", {**metrics, "epoch": epoch}, run.pace.step)


@hookimpl
def marketgpt_checkpoint_saved(run: RunInfo, step: int, path: Path) -> None:
    """Note the newest checkpoint; its files stay where they are."""
    if run.path in _open:
        _open[run.path].tag("marketgpt.checkpoint_step", str(step))
        _open[run.path].tag("marketgpt.checkpoint_path", str(path))


@hookimpl
def marketgpt_train_end(run: RunInfo, error: BaseException | None) -> None:
    """Finish: well, or with the reason."""
    if run.path in _open:
        _open.pop(run.path).end(error)
