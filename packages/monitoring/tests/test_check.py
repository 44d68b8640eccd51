from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_monitoring.check import CheckConfig, MonitorReport, Status, check
from marketgpt_monitoring.detectors.adwin import AdwinDetector
from marketgpt_monitoring.detectors.page_hinkley import PageHinkleyDetector
from marketgpt_monitoring.sample_ledger import MemoryReader, make_signal

START = datetime(2020, 1, 1, tzinfo=UTC)
LATER = FixedClock(datetime(2030, 1, 1, tzinfo=UTC))


def detector():
    return AdwinDetector(AdwinDetector.Config())


def test_a_model_that_keeps_its_word_is_ok(make_history, ledger_of):
    report = check(ledger_of(make_history()), detector(), clock=LATER)
    (stream,) = report.streams
    assert report.status is Status.OK
    assert stream.num_outcomes == 2_000
    assert stream.num_points == 400
    assert stream.drifts == ()
    assert stream.brier == pytest.approx(0.24, abs=0.005)
    assert stream.brier_base_rate == pytest.approx(0.25, abs=0.002)
    assert stream.hit_rate.value == pytest.approx(0.6, abs=0.02)
    assert stream.coverage.low < 0.9 < stream.coverage.high
    assert report.text == "ok: 1 streams (1 ok)"


@pytest.mark.parametrize("make", [detector, lambda: PageHinkleyDetector(PageHinkleyDetector.Config())])
def test_a_model_gone_bad_is_an_alarm_within_weeks(make_history, ledger_of, make):
    report = check(ledger_of(make_history(bad_from=300)), make(), clock=LATER)
    (stream,) = report.streams
    assert stream.status is report.status is Status.ALARM
    (drift,) = stream.drifts
    assert timedelta(days=300) < drift.at - START < timedelta(days=340)
    assert drift.before == pytest.approx(0.24, abs=0.01)
    assert drift.after == pytest.approx(0.28, abs=0.02)
    assert "Brier loss rose from 0.2" in stream.text


def test_only_what_was_written_by_now_counts(make_history, ledger_of):
    """The same ledger, asked on the day before it went bad, and asked without what came later."""
    pairs = make_history(bad_from=300)
    clock = FixedClock(START + timedelta(days=300))
    asked_then = check(ledger_of(pairs), detector(), clock=clock)
    known = [(signal, outcome) for signal, outcome in pairs if outcome.resolved_at <= clock.now()]
    assert asked_then.status is Status.OK
    assert asked_then == check(ledger_of(known), detector(), clock=clock)
    assert asked_then.streams[0].num_outcomes == len(known) < len(pairs)


def test_the_alarm_ends_when_the_loss_comes_back(make_history, ledger_of):
    report = check(ledger_of(make_history(600, bad_from=200, bad_until=300)), detector(), clock=LATER)
    (stream,) = report.streams
    assert [drift.after > drift.before for drift in stream.drifts] == [True, False]
    assert stream.status is Status.OK


def test_a_new_model_starts_with_a_clean_slate(make_history, ledger_of):
    old = make_history(400, bad_from=300)
    new = make_history(100, model_id="model-b", start=START + timedelta(days=400), seed=1)
    report = check(ledger_of(old + new), detector(), clock=LATER)
    assert [(stream.key.model_id, stream.status) for stream in report.streams] == [("model-b", Status.OK)]


def test_bands_that_are_too_narrow_are_a_warning(make_history, ledger_of):
    report = check(ledger_of(make_history(inside_share=0.8)), detector(), clock=LATER)
    (stream,) = report.streams
    assert stream.status is report.status is Status.WARN
    assert "too narrow" in stream.text
    assert stream.coverage.value == pytest.approx(0.8, abs=0.02)


def test_bands_that_are_too_wide_are_a_warning(make_history, ledger_of):
    (stream,) = check(ledger_of(make_history(inside_share=0.98)), detector(), clock=LATER).streams
    assert stream.status is Status.WARN
    assert "too wide" in stream.text


def test_the_worst_stream_decides(make_history, ledger_of):
    good = [(make_signal("X", as_of=START + timedelta(days=day), horizon_bars=5), None) for day in range(400)]
    reader = ledger_of(make_history(bad_from=300))
    reader.append(*(signal for signal, _ in good))
    report = check(reader, detector(), clock=LATER)
    assert {stream.key.horizon_bars: stream.status for stream in report.streams} == {
        1: Status.ALARM,
        5: Status.OK,
    }
    assert report.status is Status.ALARM
    assert report.text == "alarm: 2 streams (1 alarm, 1 ok)"


def test_before_the_first_outcome(candles):
    report = check(MemoryReader([make_signal()]), detector(), clock=LATER)
    (stream,) = report.streams
    assert (stream.status, stream.text) == (Status.OK, "nothing has been resolved yet")
    assert stream.coverage is None
    assert check(MemoryReader(), detector(), clock=LATER).text == "ok: the ledger holds no signals"


def test_a_check_leaves_no_trace_in_the_detector(make_history, ledger_of):
    reader, one = ledger_of(make_history(bad_from=300)), detector()
    assert check(reader, one, clock=LATER) == check(reader, one, clock=LATER)


def test_the_report_is_json(make_history, ledger_of):
    report = check(ledger_of(make_history(bad_from=300)), detector(), clock=LATER)
    value = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert value["status"] == "alarm"
    (stream,) = value["streams"]
    assert (stream["strategy"], stream["model_id"], stream["interval"]) == ("threshold", "model-a", "1d")
    assert stream["drifts"][0]["at"].startswith("2020-1")
    assert stream["coverage"]["num"] == 2_000


def test_config_is_validated():
    assert CheckConfig().stale_after_days == 30
    with pytest.raises(ValueError, match="less than 1"):
        CheckConfig(confidence=1.0)
    assert MonitorReport(LATER.now(), ()).status is Status.OK
