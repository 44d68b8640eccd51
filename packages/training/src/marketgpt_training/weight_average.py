"""The exponential moving average of the weights: it is validated and kept while the raw weights train on.

Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; the warm-up of the decay
is TensorFlow's ``ExponentialMovingAverage``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_WARMUP = 10


class WeightAverage:
    """An average of weights, in float32: in bfloat16 a thousandth of a step would be lost.

    Args:
        weights: Those this process holds, by the names of the parameters: whole ones, or its slices of them.
        decay: Share of the old average kept a step; 0 keeps none: the average is the weights themselves.
        on_put: Called when other values were put into the weights: whoever has copies has to forget them.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], decay: float, *, on_put: Callable[[], None] = lambda: None
    ) -> None:
        self._weights = list(weights.values()) if decay else []
        self._decay, self._on_put = decay, on_put
        self.steps = 0
        self.average: dict[str, Tensor] = {
            name: one.detach().clone().float() for name, one in (weights.items() if decay else ())
        }

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step; young averages forget faster."""
        if not self._decay:
            return
        self.steps += 1
        decay = min(self._decay, self.steps / (self.steps + _WARMUP))
        weights = [one if one.dtype == torch.float32 else one.float() for one in self._weights]
        torch._foreach_lerp_(list(self.average.values()), weights, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average where the weights are while the block runs."""
        held = [one.detach().clone() for one in self._weights]
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
        if not values:
            return
        for weight, value in zip(self._weights, values, strict=True):
            weight.copy_(value)
        self._on_put()


def trainable(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's parameters that are trained, by name."""
    return {name: one for name, one in module.named_parameters() if one.requires_grad}
