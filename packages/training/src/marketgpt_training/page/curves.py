"""A run's curves from its ``metrics.jsonl``, thinned out as they grow: memory does not grow with the run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from marketgpt_training.metrics_log import METRICS_FILE
from marketgpt_training.page.tail import Tail

#: Metrics of steps that are drawn.
STEP_METRICS = (
    "loss",
    "lr",
    "grad_norm",
    "candles_per_s",
    "rss_gib",
    "gpu_utilisation",
    "gpu_memory_gib",
    "mfu",
)
_MOST_POINTS = 400
_MOST_EVENTS = 50
Point = tuple[float, float]


class Thinned:
    """A curve of at most twice ``most`` points, each the mean of as many values as the next.

    Args:
        most: Points kept when a curve has grown too long.
    """

    def __init__(self, most: int = _MOST_POINTS) -> None:
        self._most, self._stride = most, 1
        self._points: list[Point] = []
        self._sum, self._count, self._step = 0.0, 0, 0.0

    def add(self, step: float, value: float) -> None:
        """Add a value."""
        self._sum, self._count, self._step = self._sum + value, self._count + 1, step
        if self._count == self._stride:
            self._points.append((step, self._sum / self._count))
            self._sum, self._count = 0.0, 0
        if len(self._points) >= 2 * self._most:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [(later[0], (earlier[1] + later[1]) / 2) for earlier, later in pairs]
            self._stride *= 2

    def points(self) -> list[Point]:
        """Return (step, mean) of the values so far; the last may be of fewer."""
        open_ = [(self._step, self._sum / self._count)] if self._count else []
        return [*self._points, *open_]


class Curves:
    """What a run has logged so far.

    Attributes:
        version: Changes whenever there is something new.
        broken: Lines that are none of a training's.
        spoiled: The last batches left out: step, epoch, batch and loss in words.
        best: Step and value of the lowest validation loss.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._tail = Tail(folder / METRICS_FILE)
        self.version = 0
        self._reset()

    def _reset(self) -> None:
        self.broken = 0
        self.spoiled: list[tuple[int, str]] = []
        self.best: Point | None = None
        self._steps = {name: Thinned() for name in STEP_METRICS}
        self._validation = Thinned()

    def update(self) -> bool:
        """Read on, a bounded part; return whether that was all there is.

        Raises:
            OSError: when the file cannot be read.
        """
        began_anew, lines = self._tail.read()
        if began_anew:
            self._reset()
        if began_anew or lines:
            self.version += 1
        for line in lines:
            self._take(line)
        return self._tail.is_at_end

    def points(self, name: str) -> list[Point]:
        """Return a metric's curve; ``validation`` is the loss of validation."""
        return (self._validation if name == "validation" else self._steps[name]).points()

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            kind, step = row["kind"], _finite(row["step"])
            if kind == "step":
                values = {name: _finite(row[name]) for name in STEP_METRICS if name in row}
                for name, value in values.items():
                    self._steps[name].add(step, value)
            elif kind == "epoch":
                self._validated(step, _finite(row["loss"]))
            elif kind == "spoiled":
                self._left_out(int(step), row)
        except (ValueError, TypeError, LookupError, RecursionError, AttributeError):
            self.broken += 1

    def _validated(self, step: float, loss: float) -> None:
        self._validation.add(step, loss)
        if self.best is None or loss < self.best[1]:
            self.best = (step, loss)

    def _left_out(self, step: int, row: dict[str, Any]) -> None:
        said = f"batch {int(row['batch'])} of epoch {int(row['epoch'])}, loss {float(row['loss']):.4g}"
        self.spoiled = [*self.spoiled, (step, said)][-_MOST_EVENTS:]


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("not a finite number")
    return float(value)
