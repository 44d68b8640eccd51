"""Candles for MarketGPT: embedded real samples, CSV and Parquet folders, Yahoo and known laws.

Importing this module is cheap: no numpy, pandas or pydantic. The names below are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.lazy import lazy_front

if TYPE_CHECKING:
    from marketgpt_data_sources.base import DataSource
    from marketgpt_data_sources.quality import Cleaned, QualityConfig, QualityReport, clean, verify
    from marketgpt_data_sources.registry import data_sources
    from marketgpt_data_sources.resampling import resample
    from marketgpt_data_sources.source import load_candles, open_source, parse_source

_HOME = {
    "Cleaned": "quality",
    "DataSource": "base",
    "QualityConfig": "quality",
    "QualityReport": "quality",
    "clean": "quality",
    "data_sources": "registry",
    "load_candles": "source",
    "open_source": "source",
    "parse_source": "source",
    "resample": "resampling",
    "verify": "quality",
}

__all__ = [
    "Cleaned",
    "DataSource",
    "QualityConfig",
    "QualityReport",
    "clean",
    "data_sources",
    "load_candles",
    "open_source",
    "parse_source",
    "resample",
    "verify",
]

__getattr__, __dir__ = lazy_front(__name__, _HOME)
