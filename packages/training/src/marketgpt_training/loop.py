"""The training loop: epochs, validation, early stopping, the best weights kept."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from marketgpt_core.errors import RunError
from marketgpt_training.base import TrainingEngine
from marketgpt_training.config import TrainConfig
from marketgpt_training.dataset import WindowDataset
from marketgpt_training.observers import Observers, RunInfo
from marketgpt_training.progress import TrainingProgress
from marketgpt_training.schedule import learning_rate

if TYPE_CHECKING:
    from torch import Tensor

_SMOOTHING = 0.95


@dataclass
class TrainingResult:
    """What a training did.

    Attributes:
        best_epoch: Epoch of the best validation, from 1.
        best_loss: Its validation loss: of candles and of direct horizons, as the model weighs them.
        best_nll: Its validation loss of candles alone, nats per candle.
        epochs: Validation and training metrics of every epoch.
        steps: Optimizer steps done.
        stopped_early: Whether patience ran out.
        wall_s: Seconds of wall time, validation included.
        candles_per_s: Target candles trained on per second of training time.
        weights: The best weights.
    """

    best_epoch: int = 0
    best_loss: float = math.inf
    best_nll: float = math.inf
    epochs: list[dict[str, float]] = field(default_factory=list)
    steps: int = 0
    stopped_early: bool = False
    wall_s: float = 0.0
    candles_per_s: float = 0.0
    weights: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def summary(self) -> dict[str, object]:
        """Return everything but the weights, as JSON values."""
        weights, self.weights = self.weights, {}
        try:
            return asdict(self)
        finally:
            self.weights = weights


class MetricsLog:
    """``metrics.jsonl``: one JSON object a line, flushed as written."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("w", encoding="utf-8") if path else None

    def write(self, **values: object) -> None:
        """Append one line."""
        if self._file:
            self._file.write(json.dumps(values, allow_nan=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


class Trainer:
    """Runs a prepared engine over a dataset.

    Args:
        engine: Holds the model.
        config: The run's configuration.
        train: Training windows.
        validation: Validation windows.
        run: For observers and the metrics' file.
        observers: Told what happens.
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
    ) -> None:
        self._engine, self._config = engine, config
        self._train, self._validation = train, validation
        self._run, self._observers = run, observers
        self._is_first = engine.rank == 0
        self._log = MetricsLog(run.path / "metrics.jsonl" if self._is_first else None)
        self._smooth = math.nan
        self._training_s = 0.0
        self._candles = 0

    def _tell(self, hook: str, **values: object) -> None:
        if self._is_first:
            self._observers.tell(hook, run=self._run, **values)

    def fit(self) -> TrainingResult:
        """Train until the epochs are done or patience runs out.

        Raises:
            RunError: when the loss is no longer finite.
        """
        result, started = TrainingResult(), time.perf_counter()
        self._tell("train_start")
        error: BaseException | None = None
        try:
            with TrainingProgress(self._run.total_steps, show=self._is_first) as progress:
                for epoch in range(1, self._config.loop.max_epochs + 1):
                    self._epoch(epoch, result, progress)
                    result.wall_s = time.perf_counter() - started
                    if epoch - result.best_epoch >= self._config.loop.patience_epochs:
                        result.stopped_early = True
                    if result.stopped_early or self._done(result):
                        break
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._log.close()
            self._tell("train_end", error=error)
        result.candles_per_s = self._candles / max(self._training_s, 1e-9)
        return result

    def _done(self, result: TrainingResult) -> bool:
        most = self._config.loop.max_steps
        return most is not None and result.steps >= most

    def _epoch(self, epoch: int, result: TrainingResult, progress: TrainingProgress) -> None:
        started = time.perf_counter()
        batches = self._train.epoch(
            self._config.loop.batch_size,
            seed=self._config.seed,
            epoch=epoch,
            rank=self._engine.rank,
            world_size=self._engine.world_size,
        )
        losses = []
        for batch in batches:
            losses.append(self._step(batch, result, progress))
            if self._done(result):
                break
        train_nll = self._engine.mean([sum(losses) / max(len(losses), 1)])[0]
        metrics = {"train_nll": train_nll, **self._validate()}
        took = time.perf_counter() - started
        improved = metrics["loss"] < result.best_loss
        if improved:
            result.best_epoch, result.best_loss, result.best_nll = epoch, metrics["loss"], metrics["nll"]
            result.weights = self._engine.weights()
        result.epochs.append({"epoch": epoch, **metrics})
        self._log.write(kind="epoch", epoch=epoch, step=result.steps, **metrics)
        self._tell("epoch_end", epoch=epoch, metrics=metrics)
        if self._is_first:
            line = (
                f"epoch {epoch:>3}  train {train_nll:.4f}  validation {metrics['nll']:.4f} nat/candle"
                f"{'  best' if improved else ''}"
            )
            progress.epoch(line, eta_s=took * (self._config.loop.max_epochs - epoch))

    def _step(self, batch: Mapping[str, Tensor], result: TrainingResult, progress: TrainingProgress) -> float:
        started = time.perf_counter()
        lr = learning_rate(result.steps, self._run.total_steps, self._config.optim)
        metrics = self._engine.train_step(dict(batch), lr)
        if not math.isfinite(metrics["loss"]):
            raise RunError(
                f"the loss is {metrics['loss']} at step {result.steps + 1}: lower optim.lr "
                f"(now {self._config.optim.lr}) or optim.grad_clip (now {self._config.optim.grad_clip})"
            )
        took = time.perf_counter() - started
        candles = int(batch["mask"].sum()) * self._engine.world_size
        result.steps += 1
        self._training_s += took
        self._candles += candles
        rate = self._candles / self._training_s
        first = math.isnan(self._smooth)
        self._smooth = (
            metrics["nll"] if first else _SMOOTHING * self._smooth + (1 - _SMOOTHING) * metrics["nll"]
        )
        progress.step(self._smooth, rate)
        logged = {**metrics, "lr": lr, "candles_per_s": rate}
        self._log.write(kind="step", step=result.steps, **logged)
        self._tell("step_end", step=result.steps, metrics=logged)
        return metrics["nll"]

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
