"""The variant ``market_gpt``: its options and its size. Importing it brings no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from marketgpt_models.base import InputSpec, ModelVariant

if TYPE_CHECKING:
    from marketgpt_models.gpt import MarketGPT


class MarketGPTConfig(ModelVariant.Config):
    """Options of MarketGPT.

    Attributes:
        num_layers: Transformer blocks.
        dim: Width of the trunk, a multiple of 2 * num_heads.
        num_heads: Attention heads.
        num_kv_heads: Heads of keys and values; a divisor of num_heads.
        mlp_ratio: Hidden units of the SwiGLU a unit of width, rounded to a multiple of 8.
        dropout: Share of units dropped in training, and in Monte Carlo passes.
        head_dim_candle: Hidden units of each channel in the chained candle head.
        horizon_weight: Weight of the direct horizon heads in the loss.
    """

    num_layers: int = Field(default=4, ge=1)
    dim: int = Field(default=96, ge=2)
    num_heads: int = Field(default=4, ge=1)
    num_kv_heads: int = Field(default=1, ge=1)
    mlp_ratio: float = Field(default=8 / 3, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    head_dim_candle: int = Field(default=128, ge=1)
    horizon_weight: float = Field(default=0.2, ge=0)

    @model_validator(mode="after")
    def _divide(self) -> MarketGPTConfig:
        if self.dim % (2 * self.num_heads):
            raise ValueError(
                f"dim must be a multiple of 2 * num_heads = {2 * self.num_heads}, got {self.dim}"
            )
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_kv_heads must divide num_heads = {self.num_heads}")
        return self

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.dim // self.num_heads

    @property
    def mlp_width(self) -> int:
        """Hidden units of the SwiGLU."""
        return max(8, round(self.mlp_ratio * self.dim / 8) * 8)


class MarketGPTVariant(ModelVariant):
    """The default variant: MarketGPT over one pool of assets, without asset identity.

    Args:
        config: Its options.
    """

    Config = MarketGPTConfig

    config: MarketGPTConfig

    def __init__(self, config: MarketGPTConfig | None = None) -> None:
        super().__init__(config or MarketGPTConfig())

    def build(self, spec: InputSpec) -> MarketGPT:
        """Return a freshly initialised :class:`marketgpt_models.gpt.MarketGPT`."""
        from marketgpt_models.gpt import MarketGPT

        return MarketGPT(self.config, spec)

    def num_parameters(self, spec: InputSpec) -> int:
        """Return how many parameters :meth:`build` gives, without building."""
        return count_parameters(self.config, spec)


def count_parameters(config: MarketGPTConfig, spec: InputSpec) -> int:
    """Return the parameters of MarketGPT, part by part."""
    width, hidden = config.dim, config.head_dim_candle
    kv_width = config.num_kv_heads * config.head_width
    inputs = (sum(spec.vocab_sizes) + spec.num_continuous + sum(spec.calendar_sizes)) * width
    attention = 2 * width * width + 2 * width * kv_width + config.num_heads
    block = attention + 3 * width * config.mlp_width + 2 * width
    channels = len(spec.vocab_sizes)
    candle = sum(spec.vocab_sizes[:-1]) * width + channels * width * hidden + sum(spec.vocab_sizes) * hidden
    horizons = width * len(spec.horizons) * spec.num_bins
    return inputs + config.num_layers * block + width + candle + horizons
