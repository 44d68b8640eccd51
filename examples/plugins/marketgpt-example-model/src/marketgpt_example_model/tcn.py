"""A temporal convolution network: dilated causal convolutions of two taps (Bai et al. 2018).

Legend: B batch, T time, D width, N rows, S samples a row, P = N * S paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketgpt_models.base import InputSpec
from marketgpt_models.layers import HeldDropout, rms_norm
from marketgpt_models.network import CandleNetwork
from marketgpt_models.network_decoder import NetworkDecoder

if TYPE_CHECKING:
    from marketgpt_example_model.variant import TCNConfig


class Layer(nn.Module):
    """Adds to each position what it and the one ``dilation`` before it make together."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = rms_norm(width)
        self.taps = nn.Linear(2 * width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.dropout = HeldDropout(width, dropout)

    def forward(self, x: Tensor, now: Tensor, before: Tensor) -> Tensor:
        """Return the stream x (..., D) after the layer, from its norm at two positions."""
        seen: Tensor = self.dropout(self.out(F.silu(self.taps(torch.cat((now, before), dim=-1)))))
        return x + seen


class TCN(CandleNetwork):
    """Dilated convolutions between the inputs and heads of :class:`CandleNetwork`."""

    def __init__(self, config: TCNConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.layers = nn.ModuleList(
            Layer(config.dim, 2**number, config.dropout) for number in range(config.num_layers)
        )
        self.final_norm = rms_norm(config.dim)
        self.initialise([layer.out for layer in self.stack()])

    def stack(self) -> list[Layer]:
        """Return the layers, first to last."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def trunk(self, x_BTD: Tensor, valid_BT: Tensor | None) -> Tensor:
        """Return the normalised stream (B, T, D); position t has seen <= t."""
        return self.run(x_BTD, valid_BT)[0]

    def run(self, x_BTD: Tensor, valid_BT: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Return the normalised stream, and what each layer needs of the past, (B, dilation, D)."""
        pasts = []
        for layer in self.stack():
            now_BTD = layer.norm(x_BTD)
            if valid_BT is not None:
                # As if nothing were there: before the first candle a convolution sees zeros, too.
                now_BTD = now_BTD * valid_BT[..., None]
            padded = F.pad(now_BTD, (0, 0, layer.dilation, 0))
            pasts.append(padded[:, -layer.dilation :])
            x_BTD = layer(x_BTD, now_BTD, padded[:, : -layer.dilation])
        return self.final_norm(x_BTD), pasts

    def decoder(self) -> TCNDecoder:
        """Return what generates paths; :class:`GPTForecaster` asks for it."""
        return TCNDecoder(self)


@dataclass
class TCNCache:
    """Where the paths stand: the last ``dilation`` inputs of each layer (P, dilation, D), and identity."""

    pasts: list[Tensor]
    identity: Tensor | None


class TCNDecoder(NetworkDecoder):
    """Keeps the last inputs of each layer, so that a step costs the same however long the history."""

    def __init__(self, module: TCN) -> None:
        super().__init__(module)
        self.module = module

    def path_bytes(self, num_steps: int) -> int:  # noqa: ARG002 - the protocol's
        """Return what one path takes in the cache, whatever its length."""
        return 4 * self.module.network_config.dim * sum(layer.dilation for layer in self.module.stack())

    def begin(
        self,
        inputs: Mapping[str, Tensor],
        *,
        num_samples: int,
        num_steps: int,  # noqa: ARG002 - the protocol's
    ) -> tuple[Tensor, TCNCache]:
        """Encode histories, left-padded where not ``valid``; return the states (N, D) and a cache."""
        identity = self.module.identity_of(inputs)
        x_NTD = self.embed(inputs["tokens"], inputs["continuous"], inputs["calendar"], identity)
        h_NTD, pasts = self.module.run(x_NTD, inputs["valid"])
        return h_NTD[:, -1], TCNCache([one.repeat_interleave(num_samples, dim=0) for one in pasts], identity)

    def extend(
        self, tokens_NSK: Tensor, continuous_NSF: Tensor, calendar_NC: Tensor, cache: TCNCache
    ) -> Tensor:
        """Add the candle just drawn to every path and return the states (N, S, D)."""
        x_PD = self.embed(tokens_NSK, continuous_NSF, calendar_NC[:, None], cache.identity).flatten(0, 1)
        for number, layer in enumerate(self.module.stack()):
            now_PD, past = layer.norm(x_PD), cache.pasts[number]
            cache.pasts[number] = torch.cat((past[:, 1:], now_PD[:, None]), dim=1)
            x_PD = layer(x_PD, now_PD, past[:, 0])
        return self.module.final_norm(x_PD).view(*tokens_NSK.shape[:2], -1)  # type: ignore[no-any-return]
