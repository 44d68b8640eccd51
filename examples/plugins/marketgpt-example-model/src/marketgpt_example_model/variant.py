"""The variant ``tcn``: options and size. Importing it brings no torch, so ``marketgpt models`` stays fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from marketgpt_models.base import InputSpec, ModelVariant
from marketgpt_models.network_config import NetworkConfig, count_inputs_and_heads

if TYPE_CHECKING:
    from marketgpt_example_model.tcn import TCN


class TCNConfig(NetworkConfig):
    """Options of the network; ``dim``, ``dropout``, ``context`` and others come with every network.

    Attributes:
        num_layers: Layers, the i-th looking 2**i candles back: 7 see 128 candles.
    """

    num_layers: int = Field(default=7, ge=1, le=16)


class TCNVariant(ModelVariant):
    """A temporal convolution network, with the inputs, heads and losses of MarketGPT.

    Args:
        config: Its options.
    """

    Config = TCNConfig

    config: TCNConfig

    def build(self, spec: InputSpec) -> TCN:
        """Return a freshly initialised module."""
        from marketgpt_example_model.tcn import TCN

        return TCN(self.config, spec)

    def num_parameters(self, spec: InputSpec) -> int:
        """Return how many parameters :meth:`build` gives, without building."""
        width = self.config.dim
        layer = 2 * width * width + width * width + width
        return self.config.num_layers * layer + width + count_inputs_and_heads(self.config, spec)
