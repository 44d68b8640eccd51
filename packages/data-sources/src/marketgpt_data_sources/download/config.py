"""The options of a download."""

from __future__ import annotations

from pydantic import Field

from marketgpt_core.config import Config
from marketgpt_data_sources.quality import QualityConfig


class DownloadConfig(Config):
    """How symbols are fetched into a store."""

    strict: bool = Field(
        default=False, description="Refuse a symbol with bad rows instead of setting them aside."
    )
    refresh: bool = Field(default=False, description="Ask even when the store has all that can be known.")
    replace: bool = Field(default=False, description="Accept a history that lacks stored candles.")
    overlap_bars: int = Field(
        default=10, ge=1, le=1000, description="Stored candles asked for again, to notice restated prices."
    )
    grace_s: float = Field(
        default=3600.0,
        ge=0,
        le=86_400,
        description="Time a vendor is given to publish a candle that has ended.",
    )
    quality: QualityConfig = Field(default_factory=QualityConfig, description="What counts as a bad row.")
