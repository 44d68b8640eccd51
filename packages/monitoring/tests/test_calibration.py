from __future__ import annotations

import numpy as np

from marketgpt_core.config import Config
from marketgpt_monitoring.base import DriftDetector, DriftPoint, DriftReport
from marketgpt_monitoring.calibration import detection_delay, false_alarms


class Every100th(DriftDetector):
    """Raises an alarm at every hundredth value, whatever it is."""

    def update(self, values):
        points = tuple(DriftPoint(i, 0.0, 1.0, 1.0) for i in range(99, len(values), 100))
        return DriftReport(points, len(values))

    def reset(self):
        pass


class Never(Every100th):
    def update(self, values):
        return DriftReport((), len(values))


def test_false_alarms_are_counted_per_10_000():
    measured = false_alarms(lambda: Every100th(Config()), num_streams=3, num_points=1_000)
    assert (measured.num_alarms, measured.num_points, measured.per_10_000) == (30, 3_000, 100.0)


def test_delay_counts_from_the_first_shifted_value():
    delay = detection_delay(lambda: Every100th(Config()), 1.0, num_streams=2, num_before=450, num_after=100)
    assert (delay.median, delay.p90, delay.num_missed) == (50, 50, 0)


def test_a_missed_shift_is_no_short_delay():
    delay = detection_delay(lambda: Never(Config()), 1.0, num_streams=4, num_before=50, num_after=50)
    assert (delay.median, delay.p90, delay.num_missed) == (None, None, 4)


def test_the_same_seed_measures_the_same():
    class Seen(Never):
        totals: list[float] = []  # noqa: RUF012

        def update(self, values):
            self.totals.append(float(np.sum(values)))
            return super().update(values)

    for _ in range(2):
        false_alarms(lambda: Seen(Config()), num_streams=2, num_points=100, seed=7)
    assert Seen.totals[:2] == Seen.totals[2:]
    assert Seen.totals[0] != Seen.totals[1]
