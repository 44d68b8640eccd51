"""The Page-Hinkley test on a standardised stream (Page, Biometrika 41, 1954; river's implementation)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from river.drift import PageHinkley

from marketgpt_core.config import Config as BaseConfig
from marketgpt_monitoring.base import DriftDetector, DriftPoint, DriftReport
from marketgpt_monitoring.detectors.standardise import Standardiser, check_values, split_levels


class PageHinkleyDetector(DriftDetector):
    """Adds up how far values lie from their mean so far; an alarm is raised when the sum runs away.

    Looks both ways. Quicker than ADWIN on the shift it is tuned to (twice ``slack``), and it has to be tuned.
    Values are brought to unit variance first; ``threshold`` was found by simulation.
    """

    class Config(BaseConfig):
        """Options.

        Attributes:
            slack: Part of a deviation that is let go each time, in standard deviations.
            threshold: Sum that raises the alarm, in standard deviations.
            warmup_points: Values the unit of variance is taken from; no alarm before.
        """

        slack: float = Field(default=0.25, ge=0.0)
        threshold: float = Field(default=18.0, gt=0.0)
        warmup_points: int = Field(default=30, ge=10)

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.reset()

    def reset(self) -> None:
        """Forget everything; see :meth:`DriftDetector.reset`."""
        self._num_seen = 0
        self._standardiser = Standardiser(self.config.warmup_points)
        self._segment: list[float] = []  # standardised values since the last alarm
        self._test = PageHinkley(
            min_instances=self.config.warmup_points,
            delta=self.config.slack,
            threshold=self.config.threshold,
            alpha=1.0,  # forget nothing: a forgetting sum has no false-alarm rate one could state
        )

    def update(self, values: NDArray[np.float64]) -> DriftReport:
        """Feed the next values; see :meth:`DriftDetector.update`."""
        points: list[DriftPoint] = []
        for value in check_values(values, num_seen=self._num_seen).tolist():
            self._num_seen += 1
            for standardised in self._standardiser.feed(value):
                self._segment.append(standardised)
                self._test.update(standardised)
                if self._test.drift_detected:
                    points.append(self._point())
                    self._segment = []
        return DriftReport(tuple(points), self._num_seen, self._detail())

    def _point(self) -> DriftPoint:
        before, after = split_levels(np.asarray(self._segment))
        undo = self._standardiser.undo
        return DriftPoint(self._num_seen - 1, undo(before), undo(after), after - before)

    def _detail(self) -> str:
        if not self._standardiser.ready:
            return f"warming up: {self._num_seen} of {self.config.warmup_points} values"
        level = self._standardiser.undo(float(np.mean(self._segment or [0.0])))
        return f"mean {level:.4g} over the last {len(self._segment)} of {self._num_seen} values"
