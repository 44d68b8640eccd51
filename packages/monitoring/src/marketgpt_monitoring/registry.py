"""The registries of this package."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from marketgpt_core.plugins import Registry

if TYPE_CHECKING:
    from marketgpt_monitoring.base import AlertChannel, DashboardPanel, DriftDetector

_GROUP = "marketgpt.monitoring"
_SPECS = "marketgpt_monitoring.hookspecs"


@cache
def alert_channels() -> Registry[AlertChannel]:
    """Return the registry of alert channels."""
    return Registry(
        kind="alert-channel",
        group=_GROUP,
        specs=_SPECS,
        hook="marketgpt_alert_channels",
        base="marketgpt_monitoring.base:AlertChannel",
        conformance="marketgpt_monitoring.testing:AlertChannelConformance",
    )


@cache
def drift_detectors() -> Registry[DriftDetector]:
    """Return the registry of drift detectors."""
    return Registry(
        kind="drift-detector",
        group=_GROUP,
        specs=_SPECS,
        hook="marketgpt_drift_detectors",
        base="marketgpt_monitoring.base:DriftDetector",
        conformance="marketgpt_monitoring.testing:DriftDetectorConformance",
    )


@cache
def dashboard_panels() -> Registry[DashboardPanel]:
    """Return the registry of dashboard panels."""
    return Registry(
        kind="dashboard-panel",
        group=_GROUP,
        specs=_SPECS,
        hook="marketgpt_dashboard_panels",
        base="marketgpt_monitoring.base:DashboardPanel",
        conformance="marketgpt_monitoring.testing:DashboardPanelConformance",
    )
