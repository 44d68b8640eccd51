"""The conformance suites themselves: each requirement catches an implementation that breaks it."""

from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core.config import Config
from marketgpt_monitoring.base import AlertChannel, DashboardPanel, DriftPoint, DriftReport, Severity
from marketgpt_monitoring.detectors.adwin import AdwinDetector
from marketgpt_monitoring.testing import (
    AlertChannelConformance,
    DashboardPanelConformance,
    DriftDetectorConformance,
)


class Forgetless(AdwinDetector):
    def reset(self):
        if not hasattr(self, "_num_seen"):
            super().reset()


class Chunky(AdwinDetector):
    def update(self, values):
        return super().update(values[:1]) if len(values) > 1 else super().update(values)


class Deaf(AdwinDetector):
    def update(self, values):
        return DriftReport((), super().update(values).num_seen)


class Nervous(AdwinDetector):
    def update(self, values):
        report = super().update(values)
        return DriftReport((*report.points, DriftPoint(0, 0.0, 1.0, 1.0)), report.num_seen)


class Gullible(AdwinDetector):
    def update(self, values):
        return super().update(np.nan_to_num(np.ravel(values)))


class Sharing(AdwinDetector):
    _all: list[float] = []  # noqa: RUF012

    def update(self, values):
        self._all.extend(values.tolist())
        report = super().update(values)
        return DriftReport(report.points, len(self._all))


SUITE = DriftDetectorConformance()


@pytest.mark.parametrize(
    ("cls", "broken"),
    [
        (Forgetless, SUITE.test_reset_forgets_everything),
        (Chunky, SUITE.test_feeding_one_by_one_or_all_at_once_is_the_same),
        (Deaf, lambda one: SUITE.test_alarms_soon_after_a_large_shift(one, 1.0)),
        (Deaf, SUITE.test_alarms_after_a_constant_stream_moves),
        (Nervous, SUITE.test_no_alarm_on_a_constant_stream),
        (Sharing, SUITE.test_instances_share_nothing),
    ],
)
def test_detectors_that_break_the_contract_are_caught(cls, broken):
    with pytest.raises(AssertionError):
        broken(cls(cls.Config()))


def test_a_detector_that_swallows_bad_values_is_caught():
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        SUITE.test_refuses_what_is_no_stream_and_feeds_none_of_it(Gullible(Gullible.Config()), [0.1, np.nan])


class Crashing(AlertChannel):
    def send(self, alert):
        raise OSError("no route to host")


class Meddling(AlertChannel):
    def send(self, alert):
        object.__setattr__(alert, "labels", {})


def test_channels_that_break_the_contract_are_caught():
    suite = AlertChannelConformance()
    with pytest.raises(OSError, match="no route"):
        suite.test_sends_or_raises_delivery_error(Crashing(Config()), Severity.INFO)
    with pytest.raises(AssertionError):
        suite.test_leaves_the_alert_as_it_is_and_may_be_used_again(Meddling(Config()))


class Empty(DashboardPanel):
    title = "Empty"

    def render(self, context):
        pass


class Piling(DashboardPanel):
    title = "Piling"

    def render(self, context):
        from nicegui import ui

        ui.label("one")

    def refresh(self, context):
        from nicegui import ui

        for _ in range(50):
            ui.label("one more")
        return True


class Trusting(DashboardPanel):
    title = "Trusting"

    def render(self, context):
        from nicegui import ui

        ui.label(str(len(context.candles("AAA"))))


@pytest.mark.parametrize(
    ("cls", "requirement", "error"),
    [
        (Empty, "test_shows_something_and_stays_through_refreshes", AssertionError),
        (Piling, "test_shows_something_and_stays_through_refreshes", AssertionError),
        (Trusting, "test_lives_with_signals_but_no_candles", TypeError),
    ],
)
def test_panels_that_break_the_contract_are_caught(cls, requirement, error):
    with pytest.raises(error):
        getattr(DashboardPanelConformance(), requirement)(cls(Config()))
