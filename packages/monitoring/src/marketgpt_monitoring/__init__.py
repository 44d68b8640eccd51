"""Watch what a model's signals came to, raise alerts, and show it live.

Importing this module is cheap on purpose: the names below are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.lazy import lazy_front

if TYPE_CHECKING:
    from marketgpt_monitoring.alerting import Delivery, alert_on
    from marketgpt_monitoring.base import (
        Alert,
        AlertChannel,
        DashboardContext,
        DashboardPanel,
        DeliveryError,
        DriftDetector,
        DriftPoint,
        DriftReport,
        Selection,
        Severity,
    )
    from marketgpt_monitoring.check import MonitorReport, Status, StreamReport
    from marketgpt_monitoring.dashboard import mount_dashboard
    from marketgpt_monitoring.readers import open_ledger
    from marketgpt_monitoring.registry import alert_channels, dashboard_panels, drift_detectors

_HOME = {
    "Alert": "base",
    "AlertChannel": "base",
    "DashboardContext": "base",
    "DashboardPanel": "base",
    "Delivery": "alerting",
    "DeliveryError": "base",
    "DriftDetector": "base",
    "DriftPoint": "base",
    "DriftReport": "base",
    "MonitorReport": "check",
    "Selection": "base",
    "Severity": "base",
    "Status": "check",
    "StreamReport": "check",
    "alert_channels": "registry",
    "alert_on": "alerting",
    "dashboard_panels": "registry",
    "drift_detectors": "registry",
    "mount_dashboard": "dashboard",
    "open_ledger": "readers",
}

__all__ = [
    "Alert",
    "AlertChannel",
    "DashboardContext",
    "DashboardPanel",
    "Delivery",
    "DeliveryError",
    "DriftDetector",
    "DriftPoint",
    "DriftReport",
    "MonitorReport",
    "Selection",
    "Severity",
    "Status",
    "StreamReport",
    "alert_channels",
    "alert_on",
    "dashboard_panels",
    "drift_detectors",
    "mount_dashboard",
    "open_ledger",
]

__getattr__, __dir__ = lazy_front(__name__, _HOME)
