"""The training loop: epochs, validation, early stopping, the best weights kept, and going on after a stop."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from marketgpt_core.errors import RunError
from marketgpt_training.base import TrainingEngine
from marketgpt_training.checkpoints import Checkpoint, CheckpointStore
from marketgpt_training.config import TrainConfig
from marketgpt_training.dataset import WindowDataset
from marketgpt_training.interruption import StopRequest, TrainingInterrupted, listening
from marketgpt_training.meter import Meter, device_peak
from marketgpt_training.metrics_log import METRICS_FILE, MetricsLog
from marketgpt_training.observers import Observers, RunInfo
from marketgpt_training.prefetch import prefetched
from marketgpt_training.progress import TrainingProgress
from marketgpt_training.randomness import random_state, restore_random_state
from marketgpt_training.result import Position, TrainingResult, from_state, to_state
from marketgpt_training.resume import find_checkpoint
from marketgpt_training.schedule import learning_rate
from marketgpt_training.spoiled import save_batch

if TYPE_CHECKING:
    from torch import Tensor

_SMOOTHING = 0.95
# Steps before a loss can be called too high: the first ones are.
_STEPS_TO_JUDGE = 20
_BEST = "best/"


class _RolledBack(Exception):  # noqa: N818 - a way out of an epoch, not an error
    """The last checkpoint was loaded: the epoch under way is another one."""


class Trainer:
    """Runs a prepared engine over a dataset.

    Args:
        engine: Holds the model.
        config: The run's configuration.
        train: Training windows.
        validation: Validation windows.
        run: For observers and the metrics' file.
        observers: Told what happens.
        checkpoints: Where to keep what a stop must not lose; None keeps nothing.
        fits: What a checkpoint says of itself, so that it is not taken for another run's.
    """

    def __init__(
        self,
        engine: TrainingEngine,
        config: TrainConfig,
        train: WindowDataset,
        validation: WindowDataset,
        *,
        run: RunInfo,
        observers: Observers,
        checkpoints: CheckpointStore | None = None,
        fits: Mapping[str, object] | None = None,
    ) -> None:
        self._engine, self._config = engine, config
        self._train, self._validation = train, validation
        self._run, self._observers, self._store = run, observers, checkpoints
        self._fits = dict(fits or {})
        self._is_first = engine.rank == 0
        self._result, self._at = TrainingResult(), Position()
        self._saved_at = time.monotonic()
        self._began = time.perf_counter()
        micro = config.loop.micro_batch_size
        self._parts = config.loop.batch_size // engine.world_size // micro if micro else 1
        precision = str(config.engine.options.get("precision", "fp32"))
        self._meter = Meter(
            flops_per_candle=run.flops_per_candle,
            world_size=engine.world_size,
            peak=lambda: device_peak(precision),
        )

    def _tell(self, hook: str, **values: object) -> None:
        if self._is_first:
            self._observers.tell(hook, run=self._run, **values)

    def fit(self, resume: Checkpoint | None = None) -> TrainingResult:
        """Train until the epochs are done or patience runs out.

        Args:
            resume: Go on from here.

        Raises:
            RunError: when losses are not finite, or too high, again and again, or a checkpoint cannot be
                written.
            TrainingInterrupted: when SIGTERM or SIGUSR1 asked for it; a checkpoint is there.
        """
        self._log = MetricsLog(self._run.path / METRICS_FILE if self._is_first else None)
        if resume is None:
            self._log.cut(0)
        else:
            self._restore(resume)
        self._result.starts += 1
        self._run.pace.begin(
            self._run.total_steps,
            step=self._result.steps,
            spent_s=self._result.wall_s,
            training_s=self._at.training_s,
            starts=self._result.starts,
            can_stop_early=self._config.loop.patience_epochs < self._config.loop.max_epochs,
        )
        self._tell("train_start")
        error: BaseException | None = None
        try:
            with (
                listening() as stop,
                TrainingProgress(self._run.pace, show=self._is_first) as progress,
            ):
                while not self._is_over():
                    with suppress(_RolledBack):
                        self._epoch(progress, stop)
            if self._store:
                self._store.wait()
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._log.close()
            if self._store:
                self._store.close()
            self._tell_of_checkpoints()
            self._tell("train_end", error=error)
        self._clock()
        self._result.candles_per_s = self._at.candles / max(self._at.training_s, 1e-9)
        return self._result

    def _clock(self) -> None:
        now = time.perf_counter()
        self._result.wall_s += now - self._began
        self._began = now

    def _is_over(self) -> bool:
        # The last steps count only once their epoch has been validated.
        finished = self._are_steps_done() and self._at.batch == 0
        return self._result.stopped_early or finished or self._at.epoch > self._config.loop.max_epochs

    def _are_steps_done(self) -> bool:
        most = self._config.loop.max_steps
        return most is not None and self._result.steps >= most

    def _epoch(self, progress: TrainingProgress, stop: StopRequest) -> None:
        at, result = self._at, self._result
        batches = self._train.epoch(
            self._config.loop.batch_size,
            seed=self._config.seed,
            epoch=at.epoch,
            rank=self._engine.rank,
            world_size=self._engine.world_size,
            parts=self._parts,
            first_batch=at.batch,
        )
        with closing(prefetched(() if self._are_steps_done() else batches)) as ready:
            for batch in ready:
                at.batch += 1
                if [at.epoch, at.batch] not in result.spoiled:
                    self._step(batch, progress, stop)
                if self._are_steps_done():
                    break
        train_nll = at.loss_sum / max(at.loss_count, 1)
        metrics = {"train_nll": train_nll, **self._validate()}
        epoch, improved = at.epoch, metrics["loss"] < result.best_loss
        if improved:
            result.best_epoch, result.best_loss, result.best_nll = epoch, metrics["loss"], metrics["nll"]
            result.weights = self._engine.weights()
        result.epochs.append({"epoch": epoch, **metrics})
        result.stopped_early = epoch - result.best_epoch >= self._config.loop.patience_epochs
        at.epoch, at.batch, at.loss_sum, at.loss_count = epoch + 1, 0, 0.0, 0
        self._log.write(kind="epoch", epoch=epoch, step=result.steps, **metrics)
        self._tell("epoch_end", epoch=epoch, metrics=metrics)
        self._save()
        if self._is_first:
            line = (
                f"epoch {epoch:>3}  train {train_nll:.4f}  validation {metrics['nll']:.4f} nat/candle"
                f"{'  best' if improved else ''}"
            )
            progress.epoch(line)

    def _step(self, batch: Mapping[str, Tensor], progress: TrainingProgress, stop: StopRequest) -> None:
        at, result, started = self._at, self._result, time.perf_counter()
        lr = learning_rate(result.steps, self._run.total_steps, self._config.optim)
        most = self._most()
        metrics = self._engine.train_step(dict(batch), lr, most=most)
        is_spoiled, is_skipped = metrics.pop("spoiled", 0.0), metrics.pop("skipped", 0.0)
        names = list(metrics)
        # One collective a step: the means that are told, and what ranks have to agree on.
        *means, is_due, is_asked = self._engine.mean(
            [*(metrics[name] for name in names), float(self._is_due()), float(bool(stop))]
        )
        metrics = dict(zip(names, means, strict=True))
        if is_spoiled:
            self._leave_out(batch, metrics["loss"])
        elif is_skipped:
            # No step was done: the rate, and what counts steps, stay where they are.
            where = {"step": result.steps, "epoch": at.epoch, "batch": at.batch}
            self._log.write(kind="skipped", **where, loss_scale=metrics["loss_scale"])
        elif not (metrics["loss"] <= most and math.isfinite(metrics["loss"] + metrics["grad_norm"])):
            self._leave_out(batch, metrics["loss"])
            self._roll_back(metrics["loss"])
        else:
            result.steps += 1
            at.spoiled_in_row = 0
            took, before = time.perf_counter() - started, at.candles
            self._count(batch, metrics, took)
            measured = self._meter.step(at.candles - before, took)
            progress.step(at.smooth, measured)
            logged = {**metrics, "lr": lr, **measured}
            self._log.write(kind="step", step=result.steps, **logged)
            self._tell("step_end", step=result.steps, metrics=logged)
        if is_asked or is_due:
            self._save()
        self._tell_of_checkpoints()
        if is_asked:
            self._stop(stop)

    def _count(self, batch: Mapping[str, Tensor], metrics: Mapping[str, float], took: float) -> None:
        at = self._at
        at.training_s += took
        at.candles += round(float(batch["target_counts"][0]) * self._engine.world_size * self._parts)
        at.loss_sum += metrics["nll"]
        at.loss_count += 1
        at.smooth = _smoothed(at.smooth, metrics["nll"])
        at.smooth_loss = _smoothed(at.smooth_loss, metrics["loss"])
        self._run.pace.advance(self._result.steps, at.training_s)

    def _most(self) -> float:
        """Return the highest loss that is learned from."""
        if self._result.steps < _STEPS_TO_JUDGE:
            return math.inf
        usual = self._at.smooth_loss
        return usual + (self._config.guard.explode_ratio - 1.0) * abs(usual)

    def _leave_out(self, batch: Mapping[str, Tensor], loss: float) -> None:
        """Note a batch that is not learned from, and stop at too many in a row."""
        at, result, guard = self._at, self._result, self._config.guard
        result.spoiled.append([at.epoch, at.batch])
        at.spoiled_in_row += 1
        file = save_batch(self._run.path, batch, epoch=at.epoch, number=at.batch, rank=self._engine.rank)
        self._log.write(kind="spoiled", step=result.steps, epoch=at.epoch, batch=at.batch, loss=str(loss))
        if at.spoiled_in_row >= guard.most_spoiled:
            raise RunError(
                f"the loss is {loss:.4g} after step {result.steps}, {at.spoiled_in_row} batches in a row "
                f"(the last is kept as {file}): lower optim.lr (now {self._config.optim.lr}) or "
                f"optim.grad_clip (now {self._config.optim.grad_clip})"
            )

    def _roll_back(self, loss: float) -> None:
        """Go back to the last checkpoint, with the batches left out so far left out again."""
        spoiled, in_row = self._result.spoiled, self._at.spoiled_in_row
        checkpoint = None
        if self._store:
            self._store.wait()
            # Only the first rank's wait ends with the folder in its place: it says which one to go back to.
            checkpoint = find_checkpoint(self._store, self._engine, self._fits)
        if checkpoint is None:
            raise RunError(
                f"the loss is {loss:.4g} after step {self._result.steps}, a step that cannot be undone, and "
                f"there is no checkpoint to go back to: lower optim.lr (now {self._config.optim.lr})"
            )
        self._restore(checkpoint)
        self._result.spoiled, self._at.spoiled_in_row = spoiled, in_row
        raise _RolledBack

    def _is_due(self) -> bool:
        """Return whether it is time for a checkpoint; the first rank's clock counts."""
        settings = self._config.checkpoint
        by_steps = settings.every_steps and (self._result.steps + 1) % settings.every_steps == 0
        by_time = self._is_first and time.monotonic() - self._saved_at >= settings.every_s
        return self._store is not None and bool(by_steps or by_time)

    def _save(self) -> None:
        if self._store is None:
            return
        self._clock()
        self._at.log_bytes = self._log.length
        tensors = self._engine.state() | random_state(self._engine.rank)
        if self._is_first:
            tensors |= {_BEST + name: value for name, value in self._result.weights.items()}
        state = {"fits": self._fits, **to_state(self._result, self._at)}
        self._store.save(self._result.steps, tensors, state)
        self._saved_at = time.monotonic()

    def _tell_of_checkpoints(self) -> None:
        store = self._store
        if store is None:
            return
        for step in store.finished():
            self._tell("checkpoint_saved", step=step, path=store.path_of(step))

    def _restore(self, checkpoint: Checkpoint) -> None:
        self._result, self._at = from_state(checkpoint.state, where=str(checkpoint.path))
        self._engine.load_state(checkpoint)
        restore_random_state(self._engine.rank, checkpoint)
        self._result.weights = {
            name.removeprefix(_BEST): checkpoint[name] for name in checkpoint if name.startswith(_BEST)
        }
        self._log.cut(self._at.log_bytes)
        self._saved_at = time.monotonic()

    def _stop(self, stop: StopRequest) -> None:
        if self._store is None:
            raise TrainingInterrupted(f"stopped at step {self._result.steps}; no checkpoint was asked for")
        self._store.wait()
        self._engine.mean([0.0])  # who leaves first may take the others along
        by = f" by {stop.signal_name}" if stop else " by another rank"
        raise TrainingInterrupted(
            f"stopped{by} at step {self._result.steps}, which is kept: "
            f"go on with --resume run_dir={self._run.path}"
        )

    def _validate(self) -> dict[str, float]:
        windows = self._validation.windows(None)
        size, rank, world = self._config.loop.batch_size, self._engine.rank, self._engine.world_size
        # Whatever the model scores itself by: a multitask model has losses of its own.
        totals: Counter[str] = Counter()
        weight = 0
        for first in range(0, len(windows), size * world):
            # Ranks without windows of their own still take part: ZeRO 3 gathers weights collectively.
            mine = windows[first : first + size * world][rank::world]
            batch = self._validation.batch(mine if len(mine) else windows[:1])
            count = int(batch["mask"].sum()) if len(mine) else 0
            metrics = self._engine.validate(batch)
            weight += count
            totals.update({name: value * count for name, value in metrics.items()})
        names = list(totals)
        *sums, mean_count = self._engine.mean([*(totals[name] for name in names), float(weight)])
        return {name: value / mean_count for name, value in zip(names, sums, strict=True)}


def _smoothed(before: float, value: float) -> float:
    return value if math.isnan(before) else _SMOOTHING * before + (1 - _SMOOTHING) * value
