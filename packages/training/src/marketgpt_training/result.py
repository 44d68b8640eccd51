"""What a training did so far, and where it stands: what a checkpoint keeps beside tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from marketgpt_core.errors import RunError

if TYPE_CHECKING:
    from torch import Tensor


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
        wall_s: Seconds of wall time, validation included, of every start of the run.
        candles_per_s: Target candles trained on per second of training time.
        starts: How often the run was started or resumed.
        spoiled: Batches left out, as [epoch, batch], both from 1.
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
    starts: int = 0
    spoiled: list[list[int]] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def summary(self) -> dict[str, Any]:
        """Return everything but the weights, as JSON values."""
        weights, self.weights = self.weights, {}
        try:
            return {name: value for name, value in asdict(self).items() if name != "weights"}
        finally:
            self.weights = weights


@dataclass
class Position:
    """Where in the data a training stands, and its running numbers.

    Attributes:
        epoch: The epoch under way, from 1.
        batch: Its batches done or left out.
        loss_sum: Of its steps' losses of candles, nats.
        loss_count: Its steps.
        smooth: Running average of the loss of candles; NaN before the first step.
        smooth_loss: Of the whole loss.
        spoiled_in_row: Batches left out since the last step.
        training_s: Seconds spent in steps.
        candles: Target candles trained on.
        log_bytes: Length of ``metrics.jsonl``.
    """

    epoch: int = 1
    batch: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    smooth: float = math.nan
    smooth_loss: float = math.nan
    spoiled_in_row: int = 0
    training_s: float = 0.0
    candles: int = 0
    log_bytes: int = 0


def to_state(result: TrainingResult, position: Position) -> dict[str, Any]:
    """Return both as JSON values; numbers that are not finite become None."""
    return {"result": _finite(result.summary()), "position": _finite(asdict(position))}


def from_state(state: Mapping[str, Any], *, where: str) -> tuple[TrainingResult, Position]:
    """Read what :func:`to_state` gave.

    Raises:
        RunError: when it is something else.
    """
    result, position = TrainingResult(), Position()
    for part, target in (("result", result), ("position", position)):
        values = state.get(part)
        known = {one.name for one in fields(target)} - {"weights"}
        if not isinstance(values, dict) or set(values) != known:
            raise RunError(f"{where} holds no training's {part}")
        for name, value in values.items():
            default = getattr(target, name)
            if value is not None:
                given = float(value) if isinstance(default, float) else value
                if type(given) is not type(default):
                    raise RunError(f"{where}: {part}.{name} is {value!r}, not {type(default).__name__}")
                setattr(target, name, given)
    return result, position


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
