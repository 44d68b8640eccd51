from __future__ import annotations

import pytest

from marketgpt_core.errors import ConfigError, PluginError
from marketgpt_core.plugins import registry
from marketgpt_monitoring.base import AlertChannel, DashboardPanel, DriftDetector
from marketgpt_monitoring.registry import alert_channels, dashboard_panels, drift_detectors


@pytest.mark.parametrize(
    ("kind", "names", "base"),
    [
        ("alert-channel", {"log"}, AlertChannel),
        ("drift-detector", {"adwin", "page_hinkley"}, DriftDetector),
        ("dashboard-panel", {"candles", "signals", "track_record"}, DashboardPanel),
    ],
)
def test_ours_come_in_through_the_entry_points(kind, names, base):
    found = registry(kind)
    assert names <= set(found.names())
    for name in names:
        assert isinstance(found.create(name), base)
        assert found.provider(name).distribution == "marketgpt-monitoring"


def test_registries_are_made_once():
    assert alert_channels() is alert_channels()
    assert {alert_channels().kind, drift_detectors().kind, dashboard_panels().kind} == {
        "alert-channel",
        "drift-detector",
        "dashboard-panel",
    }


def test_mistakes_get_a_hint():
    with pytest.raises(PluginError, match="did you mean 'adwin'"):
        drift_detectors().create("adwim")
    with pytest.raises(ConfigError, match="did you mean 'delta'"):
        drift_detectors().create("adwin", {"delt": 0.1})
    with pytest.raises(ConfigError, match="delta: Input should be less than 1"):
        drift_detectors().create("adwin", {"delta": 1.5})
