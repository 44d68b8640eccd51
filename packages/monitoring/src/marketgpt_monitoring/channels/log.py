"""The ``log`` channel: Python's logging, and a file of JSON lines where one is asked for."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from pydantic import Field

from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.times import iso
from marketgpt_monitoring.base import Alert, AlertChannel, DeliveryError, Severity
from marketgpt_monitoring.redaction import redact, redact_text

_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.CRITICAL: logging.CRITICAL,
}


class LogChannel(AlertChannel):
    """Writes alerts to a logger and, when given a path, to a file with one JSON object a line.

    The file is only ever appended to, one write and one fsync an alert, so that several processes may share
    it; it is made readable for its owner alone. Values of labels that name secrets are written as ``***``.
    """

    class Config(BaseConfig):
        """Options.

        Attributes:
            logger: Name of the logger.
            path: File for JSON lines; None for none. Its folder is made if need be.
        """

        logger: str = Field(default="marketgpt.alerts", min_length=1)
        path: Path | None = None

    config: Config

    def send(self, alert: Alert) -> None:
        """Log the alert; see :meth:`AlertChannel.send`."""
        if self.config.path is not None:
            self._append(self.config.path, alert)
        labels = " ".join(f"{name}={value!r}" for name, value in redact(alert.labels).items())
        # One record, one line: a line break in a text must not look like another record.
        text = " ".join(redact_text(f"{alert.title}: {alert.text}").split())
        logging.getLogger(self.config.logger).log(
            _LEVELS[alert.severity], "[%s] %s%s", alert.severity, text, f" ({labels})" if labels else ""
        )

    def _append(self, path: Path, alert: Alert) -> None:
        row = {
            "at": iso(alert.at),
            "severity": alert.severity.value,
            "key": alert.key,
            "title": redact_text(alert.title),
            "text": redact_text(alert.text),
            "labels": redact(alert.labels),
        }
        line = json.dumps(row, ensure_ascii=True) + "\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                _write_all(descriptor, line.encode("ascii"))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DeliveryError(f"channel log: cannot append to {path}: {error.strerror}") from error


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
