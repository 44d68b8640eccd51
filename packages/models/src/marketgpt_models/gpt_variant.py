"""The variants ``market_gpt`` and ``market_gpt_multi``: options and size. Importing it brings no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from marketgpt_models.base import InputSpec, ModelVariant
from marketgpt_models.network_config import NetworkConfig, count_inputs_and_heads

if TYPE_CHECKING:
    from marketgpt_models.gpt import MarketGPT


class MarketGPTConfig(NetworkConfig):
    """Options of MarketGPT.

    Attributes:
        num_layers: Transformer blocks.
        num_heads: Attention heads; ``dim`` is a multiple of 2 * num_heads.
        num_kv_heads: Heads of keys and values; a divisor of num_heads.
        mlp_ratio: Hidden units of the SwiGLU a unit of width, rounded to a multiple of 8.
        layout: How the channels of a candle are drawn from the trunk. ``chained``, each given those before
            it by a small head, is what to use; the others are reference arms: ``parallel``, each by itself;
            ``flattened``, each given those before it by the whole trunk, at K positions a candle.
    """

    num_layers: int = Field(default=4, ge=1)
    num_heads: int = Field(default=4, ge=1)
    num_kv_heads: int = Field(default=1, ge=1)
    mlp_ratio: float = Field(default=8 / 3, gt=0)
    layout: Literal["chained", "parallel", "flattened"] = "chained"

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
        super().__init__(config or type(self).Config())

    def build(self, spec: InputSpec) -> MarketGPT:
        """Return a freshly initialised :class:`marketgpt_models.gpt.MarketGPT`."""
        from marketgpt_models.flattened import FlattenedGPT
        from marketgpt_models.gpt import MarketGPT

        return (FlattenedGPT if self.config.layout == "flattened" else MarketGPT)(self.config, spec)

    def num_parameters(self, spec: InputSpec) -> int:
        """Return how many parameters :meth:`build` gives, without building."""
        outside = count_inputs_and_heads(self.config, spec)
        if self.config.layout == "parallel":
            outside -= sum(spec.vocab_sizes[:-1]) * self.config.dim
        return count_trunk(self.config) + outside


class MarketGPTMultiAssetConfig(MarketGPTConfig):
    """Options of MarketGPT with asset and category embeddings."""

    identity: bool = True


class MarketGPTMultiAssetVariant(MarketGPTVariant):
    """MarketGPT with embeddings of the asset and its category; one never seen is ``<unk>``.

    Args:
        config: Its options.
    """

    Config = MarketGPTMultiAssetConfig

    def build(self, spec: InputSpec) -> MarketGPT:
        """Return a freshly initialised :class:`marketgpt_models.gpt.MarketGPTMultiAsset`."""
        from marketgpt_models.gpt import MarketGPTMultiAsset

        if self.config.layout == "flattened":
            return super().build(spec)
        return MarketGPTMultiAsset(self.config, spec)


def count_trunk(config: MarketGPTConfig) -> int:
    """Return the parameters of the transformer blocks and the last norm."""
    width = config.dim
    kv_width = config.num_kv_heads * config.head_width
    attention = 2 * width * width + 2 * width * kv_width + config.num_heads
    block = attention + 3 * width * config.mlp_width + 2 * width
    return config.num_layers * block + width
