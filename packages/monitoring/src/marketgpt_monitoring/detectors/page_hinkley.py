"""The Page-Hinkley test on a standardised stream (Page, Biometrika 41, 1954; river's implementation)."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from river.drift import PageHinkley

from marketgpt_monitoring.detectors.standardised import StandardisedDetector


class PageHinkleyDetector(StandardisedDetector):
    """Adds up how far values lie from their mean so far; an alarm is raised when the sum runs away.

    Looks both ways. Quicker than ADWIN on the shift it is tuned to (twice ``slack``), and it has to be tuned.
    Values are brought to unit variance first; ``threshold`` was found by simulation.
    """

    class Config(StandardisedDetector.Config):
        """Options.

        Attributes:
            slack: Part of a deviation that is let go each time, in standard deviations.
            threshold: Sum that raises the alarm, in standard deviations.
        """

        slack: float = Field(default=0.25, ge=0.0)
        threshold: float = Field(default=18.0, gt=0.0)

    config: Config

    def _fresh_test(self) -> Any:  # noqa: ANN401 - river is not typed
        return PageHinkley(
            min_instances=self.config.warmup_points,
            delta=self.config.slack,
            threshold=self.config.threshold,
            alpha=1.0,  # forget nothing: a forgetting sum has no false-alarm rate one could state
        )
