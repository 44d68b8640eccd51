"""The slow way to grow paths, kept as the reference the fast one is tested against.

Legend: N rows, S samples a row, P = N * S paths, T candles so far, D width, K, F, C as in ``generation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class UncachedDecoder:
    """Encodes every path's whole history again after each candle; see ``generation.PathDecoder``."""

    def __init__(self, module: nn.Module) -> None:
        self.module: Any = module

    def path_bytes(self, num_steps: int) -> int:  # noqa: ARG002 - the protocol's
        """Return a generous guess: everything is encoded again, path by path."""
        return 1 << 20

    def begin(
        self,
        inputs: Mapping[str, Tensor],
        *,
        num_samples: int,
        num_steps: int,  # noqa: ARG002 - the protocol's
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the states (N, D) and the histories so far, one copy a path."""
        history = {name: one.repeat_interleave(num_samples, dim=0) for name, one in inputs.items()}
        return self._last(inputs), history

    def _last(self, inputs: Mapping[str, Tensor]) -> Tensor:
        # Without padding no mask: the comparator is to be as fast as it can.
        valid = None if bool(inputs["valid"].all()) else inputs["valid"]
        return self.module.encode(inputs, valid)[:, -1]  # type: ignore[no-any-return]

    def extend(
        self, tokens_NSK: Tensor, continuous_NSF: Tensor, calendar_NC: Tensor, cache: dict[str, Tensor]
    ) -> Tensor:
        """Append one candle to every path and return the states (N, S, D)."""
        n, s, _ = tokens_NSK.shape
        calendar_NSC = calendar_NC[:, None].expand(-1, s, -1)
        added = {"tokens": tokens_NSK, "continuous": continuous_NSF, "calendar": calendar_NSC}
        for name, new in added.items():
            cache[name] = torch.cat((cache[name], new.reshape(n * s, 1, -1)), dim=1)
        valid_P1 = torch.ones(n * s, 1, dtype=torch.bool, device=tokens_NSK.device)
        cache["valid"] = torch.cat((cache["valid"], valid_P1), dim=1)
        return self._last(cache).view(n, s, -1)

    def draw(self, h: Tensor, u: Tensor, temperature: float, cache: dict[str, Tensor]) -> Tensor:  # noqa: ARG002 - the protocol's
        """Draw tokens by the module's candle head."""
        return self.module.candle_head.draw(h, u, temperature)  # type: ignore[no-any-return]

    def horizon_probabilities(self, h_ND: Tensor) -> Tensor | None:
        """Return the direct heads' probabilities."""
        head = self.module.horizon_head
        return None if head is None else head(h_ND).softmax(dim=-1)
