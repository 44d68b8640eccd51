from __future__ import annotations

from datetime import UTC, datetime

import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_core.config import Config
from marketgpt_monitoring.alerting import alert_on, alerts_of
from marketgpt_monitoring.base import AlertChannel, DeliveryError, Severity
from marketgpt_monitoring.check import check
from marketgpt_monitoring.detectors.adwin import AdwinDetector

LATER = FixedClock(datetime(2030, 1, 1, tzinfo=UTC))


class Keeping(AlertChannel):
    def __init__(self):
        super().__init__(Config())
        self.kept = []

    def send(self, alert):
        self.kept.append(alert)


class Failing(Keeping):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def send(self, alert):
        raise self.error


@pytest.fixture
def bad_report(make_history, ledger_of):
    detector = AdwinDetector(AdwinDetector.Config())
    return check(ledger_of(make_history(bad_from=300)), detector, clock=LATER)


def test_an_alarm_becomes_one_critical_alert(bad_report):
    (alert,) = alerts_of(bad_report)
    assert alert.severity is Severity.CRITICAL
    assert alert.title == "alarm: 1 x 1d of threshold"
    assert "Brier loss rose" in alert.text
    assert alert.at == LATER.now()
    assert alert.labels["model_id"] == "model-a"


def test_the_same_trouble_has_the_same_key(make_history, ledger_of, bad_report):
    detector = AdwinDetector(AdwinDetector.Config())
    tomorrow = FixedClock(datetime(2030, 1, 2, tzinfo=UTC))
    again = check(ledger_of(make_history(bad_from=300)), detector, clock=tomorrow)
    other = check(ledger_of(make_history(bad_from=300, model_id="model-b")), detector, clock=tomorrow)
    assert alerts_of(again)[0].key == alerts_of(bad_report)[0].key
    assert alerts_of(other)[0].key != alerts_of(bad_report)[0].key


def test_nothing_is_sent_when_all_is_well(make_history, ledger_of):
    report = check(ledger_of(make_history()), AdwinDetector(AdwinDetector.Config()), clock=LATER)
    channel = Keeping()
    assert alert_on(report, {"one": channel}) == []
    assert channel.kept == []


def test_a_failing_channel_keeps_no_other_from_sending(bad_report, caplog):
    last = Keeping()
    channels = {
        "down": Failing(DeliveryError("channel down: connection refused")),
        "broken": Failing(RuntimeError("a defect\nof two lines")),
        "last": last,
    }
    deliveries = {one.channel: one.error for one in alert_on(bad_report, channels)}
    assert deliveries == {
        "down": "DeliveryError: channel down: connection refused",
        "broken": "RuntimeError: a defect of two lines",
        "last": "",
    }
    assert len(last.kept) == 1
    assert "was not delivered by channel broken" in caplog.text
