"""The options of the OHLC tokenizer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from marketgpt_core.config import Config
from marketgpt_tokenizer.volatility import CausalVolatility
from marketgpt_tokenizer.volume import CausalVolume


class OHLCConfig(Config):
    """Options of the OHLC tokenizer, and of those that add to it.

    Attributes:
        gap_bins, body_bins, up_bins, low_bins: Quantile bins of each channel; the atom at zero and the
            tail cuts come on top, few or equal training values give fewer.
        tail_masses: The outermost bins are cut again where this share of the values lies beyond.
        clip: Values are cut to +- this many sigma before anything else.
        fast_half_life_bars, slow_half_life_bars: Half-lives of the averages behind sigma, slow_sigma.
        warmup_bars: Candles until the prior variance has no weight left.
        sigma_floor, sigma_ceiling: Sigma stays between them, log return per bar.
        volume_bins: Quantile bins of the volume channel; 0 leaves the channel out.
        volume_level_half_life_bars, volume_scale_half_life_bars: Half-lives of the log volume's level and
            of the spread of its surprises, in candles that have a volume.
    """

    gap_bins: int = Field(default=64, ge=2, le=4096)
    body_bins: int = Field(default=64, ge=2, le=4096)
    up_bins: int = Field(default=32, ge=1, le=4096)
    low_bins: int = Field(default=32, ge=1, le=4096)
    tail_masses: tuple[Annotated[float, Field(gt=0.0, lt=0.5)], ...] = Field(
        default=(0.01, 0.003, 0.001), max_length=16
    )
    clip: float = Field(default=20.0, ge=1.0, le=1000.0)
    fast_half_life_bars: float = Field(default=20.0, gt=0.0, le=1e6)
    slow_half_life_bars: float = Field(default=250.0, gt=0.0, le=1e6)
    warmup_bars: int = Field(default=60, ge=1, le=1_000_000)
    # Below 1e-6 the last bit of a price could move a decoded value into the next bin.
    sigma_floor: float = Field(default=1e-5, ge=1e-6, le=0.1)
    sigma_ceiling: float = Field(default=1.0, ge=0.2, le=10.0)
    volume_bins: int = Field(default=0, ge=0, le=4096)
    volume_level_half_life_bars: float = Field(default=3.0, gt=0.0, le=1e6)
    volume_scale_half_life_bars: float = Field(default=100.0, gt=0.0, le=1e6)

    def dumped(self) -> dict[str, Any]:
        """Return the options as JSON values; without a volume channel nothing is said of it."""
        options = self.model_dump(mode="json")
        if self.volume_bins:
            return options
        return {name: value for name, value in options.items() if not name.startswith("volume_")}

    def volatility(self, prior_variance: float) -> CausalVolatility:
        """Return the causal scale with this prior."""
        return CausalVolatility(
            prior_variance=prior_variance,
            fast_half_life_bars=self.fast_half_life_bars,
            slow_half_life_bars=self.slow_half_life_bars,
            warmup_bars=self.warmup_bars,
            sigma_floor=self.sigma_floor,
            sigma_ceiling=self.sigma_ceiling,
        )

    def volume(self, prior_variance: float) -> CausalVolume | None:
        """Return the causal surprise of the volume with this prior; None without the channel."""
        if not self.volume_bins:
            return None
        return CausalVolume(
            prior_variance=prior_variance,
            level_half_life_bars=self.volume_level_half_life_bars,
            scale_half_life_bars=self.volume_scale_half_life_bars,
            warmup_bars=self.warmup_bars,
        )
