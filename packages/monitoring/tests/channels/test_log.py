from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime

import pytest

from marketgpt_monitoring.base import Alert, DeliveryError, Severity
from marketgpt_monitoring.channels.log import LogChannel
from marketgpt_monitoring.testing import AlertChannelConformance

AT = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)


class TestLogger(AlertChannelConformance):
    @pytest.fixture
    def implementation(self):
        return LogChannel(LogChannel.Config())


class TestFile(AlertChannelConformance):
    @pytest.fixture
    def implementation(self, tmp_path):
        return LogChannel(LogChannel.Config(path=tmp_path / "sub" / "alerts.jsonl"))


def alert(**changes):
    values = {
        "title": "Title",
        "text": "Text",
        "severity": Severity.WARNING,
        "at": AT,
        "key": "k",
        "labels": {},
    }
    return Alert(**(values | changes))


def test_lines_are_json_appended_and_without_secrets(tmp_path):
    path = tmp_path / "alerts.jsonl"
    channel = LogChannel(LogChannel.Config(path=path))
    channel.send(alert(labels={"horizon": "5", "smtp_password": "hunter2"}))
    channel.send(alert(text="two\nlines \u20ac", severity=Severity.CRITICAL))
    first, second = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    assert first == {
        "at": "2024-03-01T12:30:00Z",
        "severity": "warning",
        "key": "k",
        "title": "Title",
        "text": "Text",
        "labels": {"horizon": "5", "smtp_password": "***"},
    }
    assert second["text"] == "two\nlines \u20ac"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_line_is_on_the_disk_before_send_returns(tmp_path, monkeypatch):
    path = tmp_path / "alerts.jsonl"
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    LogChannel(LogChannel.Config(path=path)).send(alert())
    assert synced == [path.stat().st_size]
    assert synced[0] > 0


def test_a_short_write_is_finished(tmp_path, monkeypatch):
    path = tmp_path / "alerts.jsonl"
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: whole(descriptor, data[:7]))
    LogChannel(LogChannel.Config(path=path)).send(alert())
    assert json.loads(path.read_text(encoding="utf-8"))["key"] == "k"


def test_the_record_is_one_line_at_the_level_of_the_severity(caplog):
    with caplog.at_level(logging.INFO, logger="marketgpt.alerts"):
        LogChannel(LogChannel.Config()).send(
            alert(
                text="rose\nFAKE RECORD", severity=Severity.CRITICAL, labels={"token": "t0p", "horizon": "5"}
            )
        )
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert record.getMessage() == "[critical] Title: rose FAKE RECORD (token='***' horizon='5')"


def test_a_file_that_cannot_be_written_is_a_delivery_error(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    channel = LogChannel(LogChannel.Config(path=tmp_path / "file" / "alerts.jsonl"))
    with pytest.raises(DeliveryError, match=r"channel log: cannot append to .*alerts\.jsonl"):
        channel.send(alert())
