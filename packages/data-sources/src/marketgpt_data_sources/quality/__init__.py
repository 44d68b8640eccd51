"""Whether candles are sound: ``verify`` looks and tells, ``clean`` puts bad rows aside.

Each check is explained in docs/data-quality.md.
"""

from __future__ import annotations

from marketgpt_data_sources.quality.check import Check, Severity
from marketgpt_data_sources.quality.cleaning import Cleaned, clean
from marketgpt_data_sources.quality.config import QualityConfig
from marketgpt_data_sources.quality.report import Issue, QualityReport
from marketgpt_data_sources.quality.table import CHECKS
from marketgpt_data_sources.quality.verifying import verify

__all__ = [
    "CHECKS",
    "Check",
    "Cleaned",
    "Issue",
    "QualityConfig",
    "QualityReport",
    "Severity",
    "clean",
    "verify",
]
