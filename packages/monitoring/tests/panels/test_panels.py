"""Every panel of ours against the contract."""

from __future__ import annotations

import pytest

from marketgpt_monitoring.panels.candles import CandlesPanel
from marketgpt_monitoring.panels.signals import SignalsPanel
from marketgpt_monitoring.panels.track_record import TrackRecordPanel
from marketgpt_monitoring.testing import DashboardPanelConformance


class TestCandles(DashboardPanelConformance):
    @pytest.fixture
    def implementation(self):
        return CandlesPanel(CandlesPanel.Config())


class TestSignals(DashboardPanelConformance):
    @pytest.fixture
    def implementation(self):
        return SignalsPanel(SignalsPanel.Config())


class TestTrackRecord(DashboardPanelConformance):
    @pytest.fixture
    def implementation(self):
        return TrackRecordPanel(TrackRecordPanel.Config())
