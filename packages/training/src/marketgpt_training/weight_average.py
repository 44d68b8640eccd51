"""The exponential moving average of the weights: it is validated and kept while the raw weights train on.

Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; the warm-up of the decay
is TensorFlow's ``ExponentialMovingAverage``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_WARMUP = 10


class WeightAverage:
    """An average of a module's parameters.

    Args:
        module: Whose.
        decay: Share of the old average kept a step; 0 keeps none: the average is the weights themselves.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._parameters: list[Tensor] = [one for one in module.parameters() if one.requires_grad]
        self._decay = decay
        self._steps = 0
        self._average: list[Tensor] = [one.detach().clone() for one in self._parameters] if decay else []

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step; young averages forget faster."""
        if not self._decay:
            return
        self._steps += 1
        decay = min(self._decay, self._steps / (self._steps + _WARMUP))
        torch._foreach_lerp_(self._average, self._parameters, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the module while the block runs."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter, average in zip(self._parameters if self._average else [], self._average, strict=True):
            held = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(held)
