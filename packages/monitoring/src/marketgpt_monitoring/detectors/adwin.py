"""ADWIN on a standardised stream (Bifet and Gavalda, SIAM Data Mining 2007; river's implementation)."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from river.drift import ADWIN

from marketgpt_monitoring.detectors.standardised import StandardisedDetector


class AdwinDetector(StandardisedDetector):
    """Keeps the longest window of recent values with one mean; an alarm is raised when it must be cut.

    ADWIN's own bound is for values in [0, 1]. Losses of a daily forecast move by a hundredth of that, and
    with the usual settings an alarm comes hundreds of days late. So values are first brought to unit
    variance, and ``delta`` is a threshold found by simulation, not the bound's promise:
    ``marketgpt monitor calibrate --detector adwin`` measures what it gives (numbers in the README).
    """

    class Config(StandardisedDetector.Config):
        """Options.

        Attributes:
            delta: Sensitivity, in (0, 1). Measured on independent normal values: 0.02 raises about 0.1 false
                alarms in 10,000 values, 0.1 about 1, 0.2 about 3.
            min_window_points: Shortest part that counts as a level of its own.
        """

        delta: float = Field(default=0.1, gt=0.0, lt=1.0)
        min_window_points: int = Field(default=5, ge=2)

    config: Config

    def _fresh_test(self) -> Any:  # noqa: ANN401 - river is not typed
        return ADWIN(
            delta=self.config.delta,
            clock=1,  # look after every value: a day's delay is worth more than the cycles
            min_window_length=self.config.min_window_points,
            grace_period=2 * self.config.min_window_points,
        )
