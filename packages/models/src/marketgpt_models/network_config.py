"""Options and size of what all our networks share. Importing it brings no torch."""

from __future__ import annotations

from pydantic import Field

from marketgpt_models.base import InputSpec, ModelVariant


class NetworkConfig(ModelVariant.Config):
    """Options every network of ours has.

    Attributes:
        dim: Width of the trunk.
        dropout: Share of units dropped in training, and in Monte Carlo passes.
        head_dim_candle: Hidden units of each channel in the chained candle head.
        horizon_weight: Weight of the direct horizon heads in the loss.
        mirrored_horizons: Share of the direction that the direct heads are kept from learning. All symbols of
            a day share its move: a model that knows the market's state learns the few thousand days by heart.
        identity: Whether embeddings of the asset and its category are added to the inputs.
        unknown_rate: Share of assets and categories replaced by ``<unk>`` in training.
    """

    dim: int = Field(default=96, ge=2)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    head_dim_candle: int = Field(default=128, ge=1)
    horizon_weight: float = Field(default=0.2, ge=0)
    mirrored_horizons: float = Field(default=0.0, ge=0, le=1)
    identity: bool = False
    unknown_rate: float = Field(default=0.25, ge=0, le=1)


def count_inputs_and_heads(config: NetworkConfig, spec: InputSpec) -> int:
    """Return the parameters outside the trunk, part by part."""
    width, hidden = config.dim, config.head_dim_candle
    inputs = (sum(spec.vocab_sizes) + spec.num_continuous + sum(spec.calendar_sizes)) * width
    if config.identity:
        inputs += (2 + len(spec.assets) + len(spec.categories)) * width
    channels = len(spec.vocab_sizes)
    outputs = sum(spec.vocab_sizes) * (hidden + 1)
    candle = sum(spec.vocab_sizes[:-1]) * width + channels * width * hidden + outputs
    horizons = width * len(spec.horizons) * spec.num_bins
    return inputs + candle + horizons
