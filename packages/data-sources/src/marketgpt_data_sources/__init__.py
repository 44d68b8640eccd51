"""Candles for MarketGPT: embedded real samples, CSV and Parquet folders, Yahoo and known laws.

Importing this module is cheap: no numpy, pandas or pydantic. The names below are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marketgpt_data_sources.base import DataSource
    from marketgpt_data_sources.quality import QualityReport, verify
    from marketgpt_data_sources.registry import data_sources
    from marketgpt_data_sources.source import load_candles, open_source, parse_source

_HOME = {
    "DataSource": "base",
    "QualityReport": "quality",
    "data_sources": "registry",
    "load_candles": "source",
    "open_source": "source",
    "parse_source": "source",
    "verify": "quality",
}

__all__ = [
    "DataSource",
    "QualityReport",
    "data_sources",
    "load_candles",
    "open_source",
    "parse_source",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
