"""ADWIN on a standardised stream (Bifet and Gavalda, SIAM Data Mining 2007; river's implementation)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from river.drift import ADWIN

from marketgpt_core.config import Config as BaseConfig
from marketgpt_monitoring.base import DriftDetector, DriftPoint, DriftReport
from marketgpt_monitoring.detectors.standardise import Standardiser, check_values, split_levels


class AdwinDetector(DriftDetector):
    """Keeps the longest window of recent values with one mean; an alarm is raised when it must be cut.

    ADWIN's own bound is for values in [0, 1]. Losses of a daily forecast move by a hundredth of that, and
    with the usual settings an alarm comes hundreds of days late. So values are first brought to unit
    variance, and ``delta`` is a threshold found by simulation, not the bound's promise:
    ``marketgpt monitor calibrate --detector adwin`` measures what it gives (numbers in the README).
    """

    class Config(BaseConfig):
        """Options.

        Attributes:
            delta: Sensitivity, in (0, 1). Measured on independent normal values: 0.02 raises about 0.1 false
                alarms in 10,000 values, 0.1 about 1, 0.2 about 3.
            warmup_points: Values the unit of variance is taken from; no alarm before.
            min_window_points: Shortest part that counts as a level of its own.
        """

        delta: float = Field(default=0.1, gt=0.0, lt=1.0)
        warmup_points: int = Field(default=30, ge=10)
        min_window_points: int = Field(default=5, ge=2)

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.reset()

    def reset(self) -> None:
        """Forget everything; see :meth:`DriftDetector.reset`."""
        self._num_seen = 0
        self._standardiser = Standardiser(self.config.warmup_points)
        self._segment: list[float] = []  # standardised values since the last alarm
        self._window = ADWIN(
            delta=self.config.delta,
            clock=1,  # look after every value: a day's delay is worth more than the cycles
            min_window_length=self.config.min_window_points,
            grace_period=2 * self.config.min_window_points,
        )

    def update(self, values: NDArray[np.float64]) -> DriftReport:
        """Feed the next values; see :meth:`DriftDetector.update`."""
        points: list[DriftPoint] = []
        for value in check_values(values, num_seen=self._num_seen).tolist():
            self._num_seen += 1
            for standardised in self._standardiser.feed(value):
                point = self._look(standardised)
                if point is not None:
                    points.append(point)
        return DriftReport(tuple(points), self._num_seen, self._detail())

    def _look(self, value: float) -> DriftPoint | None:
        self._segment.append(value)
        self._window.update(value)
        if not self._window.drift_detected:
            return None
        # What ADWIN keeps after a cut still holds old values: it drops one bucket at a time.
        before, after = split_levels(np.asarray(self._segment))
        self._segment = []  # river, too, starts a new window with the next value
        undo = self._standardiser.undo
        return DriftPoint(self._num_seen - 1, undo(before), undo(after), after - before)

    def _detail(self) -> str:
        if not self._standardiser.ready:
            return f"warming up: {self._num_seen} of {self.config.warmup_points} values"
        level = self._standardiser.undo(float(np.mean(self._segment or [0.0])))
        return f"mean {level:.4g} over the last {len(self._segment)} of {self._num_seen} values"
