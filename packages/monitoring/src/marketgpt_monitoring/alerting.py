"""From a report to alerts: every channel gets them, whatever becomes of the others."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from marketgpt_monitoring.base import Alert, AlertChannel, Severity
from marketgpt_monitoring.check import MonitorReport, Status, StreamReport

logger = logging.getLogger(__name__)

_SEVERITY = {Status.WARN: Severity.WARNING, Status.ALARM: Severity.CRITICAL}


@dataclass(frozen=True)
class Delivery:
    """What became of one alert on one channel.

    Attributes:
        channel: Name of the channel.
        alert: The alert.
        error: Why it was not delivered; empty when it was.
    """

    channel: str
    alert: Alert
    error: str = ""


def alerts_of(report: MonitorReport) -> list[Alert]:
    """Return one alert for each stream that is not ok."""
    return [_alert(report, stream) for stream in report.streams if stream.status is not Status.OK]


def alert_on(report: MonitorReport, channels: Mapping[str, AlertChannel]) -> list[Delivery]:
    """Send a report's alerts to every channel.

    Args:
        report: The report; nothing is sent when all is well.
        channels: Channels by name.

    Returns:
        One entry per alert and channel. A channel that raises is logged and reported here, never raised: it
        must not keep the others from sending.
    """
    alerts = alerts_of(report)
    return [_deliver(name, channel, alert) for alert in alerts for name, channel in channels.items()]


def _deliver(name: str, channel: AlertChannel, alert: Alert) -> Delivery:
    try:
        channel.send(alert)
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises must harm nobody else
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        logger.warning("alert %s was not delivered by channel %s: %s", alert.key, name, reason)
        return Delivery(name, alert, reason)
    return Delivery(name, alert)


def _alert(report: MonitorReport, stream: StreamReport) -> Alert:
    key = stream.key
    identity = "\0".join((key.strategy, key.model_id, key.interval, str(key.horizon_bars), stream.status))
    return Alert(
        title=f"{stream.status}: {key.horizon_bars} x {key.interval} of {key.strategy}",
        text=stream.text,
        severity=_SEVERITY[stream.status],
        at=report.at,
        key=f"monitor:{hashlib.sha256(identity.encode()).hexdigest()[:16]}",
        labels={
            "strategy": key.strategy,
            "model_id": key.model_id,
            "interval": key.interval.value,
            "horizon_bars": str(key.horizon_bars),
            "status": stream.status.value,
        },
    )
