"""What the detectors made of a river test on a standardised stream share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marketgpt_core.config import Config as BaseConfig
from marketgpt_monitoring.base import DriftDetector, DriftPoint, DriftReport
from marketgpt_monitoring.detectors.standardise import Standardiser, check_values, split_levels


class StandardisedDetector(DriftDetector):
    """Brings a stream to unit variance and feeds it, value by value, to a test of river."""

    class Config(BaseConfig):
        """Options every such detector has.

        Attributes:
            warmup_points: Values the unit of variance is taken from; no alarm before.
        """

        warmup_points: int = Field(default=30, ge=10)

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.reset()

    @abstractmethod
    def _fresh_test(self) -> Any:  # noqa: ANN401 - river is not typed
        """Return river's test, not fed yet: it has ``update(value)`` and ``drift_detected``."""

    def reset(self) -> None:
        """Forget everything; see :meth:`DriftDetector.reset`."""
        self._num_seen = 0
        self._standardiser = Standardiser(self.config.warmup_points)
        self._segment: list[float] = []  # standardised values since the last alarm
        self._test = self._fresh_test()

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
                    self._segment = []  # river, too, starts anew with the next value
        return DriftReport(tuple(points), self._num_seen, self._detail())

    def _point(self) -> DriftPoint:
        # Of all values since the last alarm: what ADWIN keeps after a cut still holds old ones, for it drops
        # one bucket at a time.
        before, after = split_levels(np.asarray(self._segment))
        undo = self._standardiser.undo
        return DriftPoint(self._num_seen - 1, undo(before), undo(after), after - before)

    def _detail(self) -> str:
        if not self._standardiser.ready:
            return f"warming up: {self._num_seen} of {self.config.warmup_points} values"
        level = self._standardiser.undo(float(np.mean(self._segment or [0.0])))
        return f"mean {level:.4g} over the last {len(self._segment)} of {self._num_seen} values"
