"""Our own channels, detectors and panels, registered like a third party's."""

from __future__ import annotations

from marketgpt_core.plugins.markers import hookimpl


@hookimpl
def marketgpt_alert_channels() -> dict[str, str]:
    """Return our alert channels."""
    return {"log": "marketgpt_monitoring.channels.log:LogChannel"}


@hookimpl
def marketgpt_drift_detectors() -> dict[str, str]:
    """Return our drift detectors."""
    return {
        "adwin": "marketgpt_monitoring.detectors.adwin:AdwinDetector",
        "page_hinkley": "marketgpt_monitoring.detectors.page_hinkley:PageHinkleyDetector",
    }


@hookimpl
def marketgpt_dashboard_panels() -> dict[str, str]:
    """Return our dashboard panels."""
    return {
        "candles": "marketgpt_monitoring.panels.candles:CandlesPanel",
        "signals": "marketgpt_monitoring.panels.signals:SignalsPanel",
        "track_record": "marketgpt_monitoring.panels.track_record:TrackRecordPanel",
    }
