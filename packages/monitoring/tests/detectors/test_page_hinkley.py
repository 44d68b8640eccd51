from __future__ import annotations

import pytest

from marketgpt_monitoring.calibration import detection_delay, false_alarms
from marketgpt_monitoring.detectors.page_hinkley import PageHinkleyDetector
from marketgpt_monitoring.testing import DriftDetectorConformance


def make():
    return PageHinkleyDetector(PageHinkleyDetector.Config())


class TestConformance(DriftDetectorConformance):
    @pytest.fixture
    def implementation(self):
        return make()


def test_the_default_raises_about_one_false_alarm_in_10_000_values():
    measured = false_alarms(make, num_streams=120, num_points=2_500, seed=0)
    assert 0.2 <= measured.per_10_000 <= 2.0


def test_the_default_notices_a_shift_of_one_standard_deviation_in_time():
    delay = detection_delay(make, 1.0, num_streams=50, seed=1)
    assert delay.num_missed == 0
    assert delay.median <= 26
