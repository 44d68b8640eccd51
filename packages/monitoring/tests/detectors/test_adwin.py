from __future__ import annotations

import numpy as np
import pytest
from river.drift import ADWIN

from marketgpt_monitoring.calibration import detection_delay, false_alarms
from marketgpt_monitoring.detectors.adwin import AdwinDetector
from marketgpt_monitoring.testing import DriftDetectorConformance


def make():
    return AdwinDetector(AdwinDetector.Config())


class TestConformance(DriftDetectorConformance):
    @pytest.fixture
    def implementation(self):
        return make()


def test_the_default_raises_about_one_false_alarm_in_10_000_values():
    measured = false_alarms(make, num_streams=200, num_points=2_500, seed=0)
    assert 0.4 <= measured.per_10_000 <= 2.0


@pytest.mark.parametrize(("shift", "at_most"), [(0.5, 75), (1.0, 24), (2.0, 11)])
def test_the_default_notices_shifts_in_time(shift, at_most):
    delay = detection_delay(make, shift, num_streams=100, seed=1)
    assert delay.num_missed <= 2
    assert delay.median <= at_most


def test_a_smaller_delta_is_more_patient():
    patient = detection_delay(lambda: AdwinDetector(AdwinDetector.Config(delta=0.001)), 1.0, num_streams=50)
    assert patient.median > detection_delay(make, 1.0, num_streams=50).median


def test_river_on_its_own_is_far_too_slow_for_brier_losses():
    """Why values are standardised: the mean Brier loss of a day moves by hundredths."""
    values = np.random.default_rng(0).normal(0.25, 0.02, 1_000)
    values[500:] += 0.02  # one standard deviation
    plain = ADWIN()
    alarms = []
    for index, value in enumerate(values.tolist()):
        plain.update(value)
        if plain.drift_detected:
            alarms.append(index)
    first = next(point.index for point in make().update(values).points if point.index >= 500)
    assert first < 540
    assert not alarms or alarms[0] > first + 100


def test_the_scale_of_a_stream_does_not_matter():
    values = np.random.default_rng(4).standard_normal(800)
    values[500:] += 1.5
    at = [point.index for point in make().update(values).points]
    assert at
    assert at == [point.index for point in make().update(0.25 + 0.003 * values).points]


def test_detail_says_where_it_stands():
    detector = make()
    assert detector.update(np.zeros(10)).detail == "warming up: 10 of 30 values"
    assert detector.update(np.full(40, 0.0)).detail == "mean 0 over the last 50 of 50 values"
