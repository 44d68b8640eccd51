"""Fetching many symbols into the store: side by side, resumable, with an outcome for every symbol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.lazy import lazy_front

if TYPE_CHECKING:
    from marketgpt_data_sources.download.config import DownloadConfig
    from marketgpt_data_sources.download.many import download
    from marketgpt_data_sources.download.outcome import DownloadReport, Outcome, Status

_HOME = {
    "DownloadConfig": "config",
    "DownloadReport": "outcome",
    "Outcome": "outcome",
    "Status": "outcome",
    "download": "many",
}

__all__ = ["DownloadConfig", "DownloadReport", "Outcome", "Status", "download"]

__getattr__, __dir__ = lazy_front(__name__, _HOME)
