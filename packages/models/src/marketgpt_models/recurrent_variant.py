"""The variants ``lstm`` and ``gru``: options and size. Importing it brings no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from marketgpt_models.base import InputSpec, ModelVariant
from marketgpt_models.network_config import NetworkConfig, count_inputs_and_heads

if TYPE_CHECKING:
    from marketgpt_models.recurrent import RecurrentNetwork


class RecurrentConfig(NetworkConfig):
    """Options of a recurrent network.

    Attributes:
        num_layers: Recurrent layers, each of width ``dim``.
    """

    num_layers: int = Field(default=2, ge=1)
    dim: int = Field(default=128, ge=2)


class LSTMVariant(ModelVariant):
    """Stacked LSTM layers, with the inputs, heads and losses of MarketGPT.

    Args:
        config: Its options.
    """

    Config = RecurrentConfig
    num_gates: ClassVar[int] = 4

    config: RecurrentConfig

    def __init__(self, config: RecurrentConfig | None = None) -> None:
        super().__init__(config or type(self).Config())

    def build(self, spec: InputSpec) -> RecurrentNetwork:
        """Return a freshly initialised :class:`marketgpt_models.recurrent.RecurrentNetwork`."""
        from torch import nn

        from marketgpt_models.recurrent import RecurrentNetwork

        return RecurrentNetwork(self.config, spec, nn.LSTM)

    def num_parameters(self, spec: InputSpec) -> int:
        """Return how many parameters :meth:`build` gives, without building."""
        width = self.config.dim
        # Two matrices a gate and, as torch has it, two biases.
        layer = self.num_gates * (2 * width * width + 2 * width)
        return self.config.num_layers * layer + width + count_inputs_and_heads(self.config, spec)


class GRUVariant(LSTMVariant):
    """Stacked GRU layers, with the inputs, heads and losses of MarketGPT.

    Args:
        config: Its options.
    """

    num_gates: ClassVar[int] = 3

    def build(self, spec: InputSpec) -> RecurrentNetwork:
        """Return a freshly initialised :class:`marketgpt_models.recurrent.RecurrentNetwork`."""
        from torch import nn

        from marketgpt_models.recurrent import RecurrentNetwork

        return RecurrentNetwork(self.config, spec, nn.GRU)
