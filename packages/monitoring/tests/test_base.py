from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from marketgpt_core.errors import DataError
from marketgpt_monitoring.base import Alert, DriftPoint, DriftReport, Selection, Severity

AT = datetime(2024, 3, 1, 12, tzinfo=UTC)


def test_alert_is_in_utc_and_its_labels_cannot_change():
    labels = {"horizon": "5"}
    at = datetime(2024, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    alert = Alert("Title", "Text", Severity.INFO, at, key="k", labels=labels)
    labels["horizon"] = "6"
    assert alert.at == AT
    assert alert.at.tzinfo is UTC
    assert alert.labels["horizon"] == "5"
    with pytest.raises(TypeError):
        alert.labels["horizon"] = "7"


def test_alert_refuses_a_naive_time_and_no_title():
    with pytest.raises(DataError, match="must be aware"):
        Alert("Title", "Text", Severity.INFO, datetime(2024, 3, 1), key="k")  # noqa: DTZ001
    with pytest.raises(DataError, match="needs a title and a key"):
        Alert("  ", "Text", Severity.INFO, AT, key="k")
    with pytest.raises(DataError, match="needs a title and a key"):
        Alert("Title", "Text", Severity.INFO, AT, key="")


def test_drift_points_know_their_direction():
    assert DriftPoint(3, before=0.25, after=0.26, statistic=0.8).rose
    assert not DriftPoint(3, before=0.26, after=0.25, statistic=-0.8).rose
    assert not DriftReport((), 5).drifted
    assert DriftReport((DriftPoint(3, 0.25, 0.26, 0.8),), 5).drifted


def test_selection_tells_of_changes_only():
    selection = Selection("AAPL", 5)
    heard = []
    selection.on_change(lambda: heard.append((selection.symbol, selection.horizon_bars)))
    selection.choose(symbol="AAPL")
    selection.choose(symbol="MSFT")
    selection.choose(horizon_bars=21)
    assert heard == [("MSFT", 5), ("MSFT", 21)]
