"""The exponential moving average of the weights: it is validated and kept while the raw weights train on.

Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; the warm-up of the decay
is TensorFlow's ``ExponentialMovingAverage``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_WARMUP = 10


class WeightAverage:
    """An average of a module's parameters, in float32: in bfloat16 a thousandth of a step would be lost.

    Args:
        module: Whose.
        decay: Share of the old average kept a step; 0 keeps none: the average is the weights themselves.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        named = [(name, one) for name, one in module.named_parameters() if one.requires_grad]
        self._parameters: list[Tensor] = [one for _, one in named]
        self._decay = decay
        self.steps = 0
        self.average: dict[str, Tensor] = {
            name: one.detach().clone().float() for name, one in (named if decay else [])
        }

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step; young averages forget faster."""
        if not self._decay:
            return
        self.steps += 1
        decay = min(self._decay, self.steps / (self.steps + _WARMUP))
        weights = [one if one.dtype == torch.float32 else one.float() for one in self._parameters]
        torch._foreach_lerp_(list(self.average.values()), weights, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the module while the block runs."""
        held = [one.detach().clone() for one in self._parameters] if self.average else []
        self._put(list(self.average.values()))
        try:
            yield
        finally:
            self._put(held)

    @torch.no_grad()
    def load(self, average: Mapping[str, Tensor], steps: int) -> None:
        """Go on from an average held before, by the names of the parameters."""
        self.steps = steps
        for name, tensor in self.average.items():
            tensor.copy_(average[name])

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self._parameters if self.average else [], values, strict=True):
            parameter.copy_(value)
