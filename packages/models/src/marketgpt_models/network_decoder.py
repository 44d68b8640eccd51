"""What the decoders of all our networks share: the way in, the draw of a candle, the direct heads.

Legend: N rows, S samples a row, D width, K channels, F continuous inputs, C calendar fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from marketgpt_models.network import CandleNetwork


class NetworkDecoder:
    """The parts of a :class:`marketgpt_models.generation.PathDecoder` that do not depend on the trunk.

    It keeps no reference to masks that are held later, so passes can be built one after another and run side
    by side. A subclass adds ``path_bytes``, ``begin`` and ``extend``, and keeps its masks likewise.

    Args:
        module: In evaluation mode, with the dropout masks it is to decode with.
    """

    def __init__(self, module: CandleNetwork) -> None:
        self.network = module
        mask_D = module.input_dropout.mask_D
        self.input_mask = None if mask_D is None else mask_D.to(module.token_embedding.table.weight)

    def embed(self, tokens: Tensor, continuous: Tensor, calendar: Tensor, identity: Tensor | None) -> Tensor:
        """Return the stream (..., D) that enters the trunk; ``calendar`` may lack the axis of samples.

        Args:
            tokens: (..., K) int64.
            continuous: (..., F) float32.
            calendar: (..., C) int64.
            identity: ``module.identity_of(inputs)``.
        """
        network = self.network
        table = network.token_embedding
        ids = (tokens + table.offsets).flatten(0, -2)
        x = F.embedding_bag(ids, table.table.weight, mode="sum").view(*tokens.shape[:-1], -1)
        x += network.continuous_input(continuous)
        if network.calendar_embedding is not None:
            x += network.calendar_embedding(calendar)
        if identity is not None:
            x += identity
        return x if self.input_mask is None else x.mul_(self.input_mask)

    def draw(self, h: Tensor, u: Tensor, temperature: float, cache: Any) -> Tensor:  # noqa: ANN401, ARG002 - the protocol's
        """Draw one candle a state: tokens (..., K) int64, by the inverse cdf at ``u`` (..., K) in [0, 1)."""
        return self.network.candle_head.draw(h, u, temperature)

    def move_probabilities(self, h_ND: Tensor, temperature: float) -> Tensor | None:
        """Return the joint law of the first two channels of the next candle, (N, V_0 * V_1)."""
        head = self.network.candle_head
        laws = []
        for channel in range(2):
            logits = head.channel_logits(channel, h_ND) / temperature
            laws.append(logits.softmax(dim=-1))
            if not channel:
                every = torch.arange(head.vocab_sizes[0], device=h_ND.device).expand(len(h_ND), -1)
                h_ND = head.given(0, h_ND[:, None], every)
        return (laws[0][:, :, None] * laws[1]).flatten(1)

    def horizon_probabilities(self, h_ND: Tensor) -> Tensor | None:
        """Return the direct heads' probabilities (N, H, bins); None without direct heads."""
        head = self.network.horizon_head
        return None if head is None else head(h_ND).softmax(dim=-1)
