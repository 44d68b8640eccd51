"""What a detector's settings mean: false alarms on streams without change, delay on streams with one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from marketgpt_monitoring.base import DriftDetector


@dataclass(frozen=True)
class FalseAlarms:
    """Alarms on independent standard normal values, which never change.

    Attributes:
        num_alarms: Alarms raised.
        num_points: Values fed, over all streams.
    """

    num_alarms: int
    num_points: int

    @property
    def per_10_000(self) -> float:
        """Alarms in 10,000 values."""
        return 1e4 * self.num_alarms / self.num_points


@dataclass(frozen=True)
class Delay:
    """Values from a shift of the mean to the alarm.

    Attributes:
        shift: The shift, in standard deviations of one value.
        median, p90: Quantiles over all streams, missed ones counted as longest; None when missed.
        num_missed: Streams without an alarm in the values after the shift.
        num_streams: Streams.
    """

    shift: float
    median: int | None
    p90: int | None
    num_missed: int
    num_streams: int


def false_alarms(
    create: Callable[[], DriftDetector], *, num_streams: int = 100, num_points: int = 2_500, seed: int = 0
) -> FalseAlarms:
    """Count alarms on ``num_streams`` streams of ``num_points`` independent standard normal values."""
    rng = np.random.default_rng(seed)
    alarms = sum(len(create().update(rng.standard_normal(num_points)).points) for _ in range(num_streams))
    return FalseAlarms(alarms, num_streams * num_points)


def detection_delay(
    create: Callable[[], DriftDetector],
    shift: float,
    *,
    num_streams: int = 100,
    num_before: int = 500,
    num_after: int = 1_500,
    seed: int = 0,
) -> Delay:
    """Measure how many values after a shift the first alarm comes.

    Args:
        create: Makes a fresh detector.
        shift: Added to the mean, in standard deviations.
        num_streams: Streams.
        num_before: Values before the shift.
        num_after: Values after it.
        seed: Seed of numpy's generator.
    """
    rng = np.random.default_rng(seed)
    delays: list[float] = []
    for _ in range(num_streams):
        values = rng.standard_normal(num_before + num_after)
        values[num_before:] += shift
        later = [point.index for point in create().update(values).points if point.index >= num_before]
        delays.append(later[0] - num_before + 1 if later else np.inf)
    median, p90 = np.quantile(delays, [0.5, 0.9], method="higher")
    return Delay(shift, _whole(median), _whole(p90), int(np.isinf(delays).sum()), num_streams)


def _whole(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None
