"""MarketGPT: one trunk position a candle, a chained decoder inside the candle, direct horizon heads.

Legend: B batch, T time, D width, K channels, F continuous inputs, C calendar fields, H horizons, N bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from marketgpt_models.base import InputSpec
from marketgpt_models.heads import CandleHead, HorizonHead
from marketgpt_models.layers import Block, HeldDropout, rms_norm, rotary_angles
from marketgpt_models.losses import candle_losses, horizon_loss

if TYPE_CHECKING:
    from marketgpt_models.decoding import GPTDecoder
    from marketgpt_models.gpt_variant import MarketGPTConfig

_EMBEDDING_STD = 0.02


class SummedEmbedding(nn.Module):
    """One table for several fields; the rows of a tuple's fields are summed."""

    offsets: Tensor

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(sizes), width)
        starts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.register_buffer("offsets", starts, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Map (..., fields) int64 to (..., D)."""
        return self.table(ids + self.offsets).sum(dim=-2)  # type: ignore[no-any-return]


class MarketGPT(nn.Module):
    """A causal transformer over candles; see :class:`marketgpt_models.base.CandleModel`.

    Args:
        config: Options of the variant.
        spec: Shapes of the inputs and bins of the horizon targets.
    """

    bin_edges: Tensor

    def __init__(self, config: MarketGPTConfig, spec: InputSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        width = config.dim
        self.token_embedding = SummedEmbedding(spec.vocab_sizes, width)
        self.continuous_input = nn.Linear(spec.num_continuous, width, bias=False)
        self.calendar_embedding = SummedEmbedding(spec.calendar_sizes, width) if spec.calendar_sizes else None
        self.input_dropout = HeldDropout(width, config.dropout)
        self.blocks = nn.ModuleList(
            Block(width, config.num_heads, config.num_kv_heads, config.mlp_width, config.dropout)
            for _ in range(config.num_layers)
        )
        self.final_norm = rms_norm(width)
        self.candle_head = CandleHead(width, config.head_dim_candle, spec.vocab_sizes)
        self.horizon_head = HorizonHead(width, len(spec.horizons), spec.num_bins) if spec.horizons else None
        self.register_buffer("bin_edges", _bin_edges(spec), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=_EMBEDDING_STD)
            elif isinstance(module, nn.Linear):
                # Unit variance stays unit variance: at these widths the usual 0.02 starts more slowly
                # (by 0.08 nats a candle after 300 steps of 2,048 candles; level after 700).
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
        # An untrained network is the identity in its blocks and says "uniform" at its outputs.
        outputs: list[nn.Module] = [*self.candle_head.logits]
        for block in self.layers():
            outputs += [block.attention.out, block.mlp.down]
        if self.horizon_head is not None:
            outputs.append(self.horizon_head.linear)
        for module in outputs:
            nn.init.zeros_(module.weight)  # type: ignore[arg-type]

    def embed(self, tokens_BTK: Tensor, continuous_BTF: Tensor, calendar_BTC: Tensor) -> Tensor:
        """Return the stream (B, T, D) that enters the blocks."""
        x_BTD = self.token_embedding(tokens_BTK) + self.continuous_input(continuous_BTF)
        if self.calendar_embedding is not None:
            x_BTD = x_BTD + self.calendar_embedding(calendar_BTC)
        return self.input_dropout(x_BTD)  # type: ignore[no-any-return]

    def encode(
        self,
        tokens_BTK: Tensor,
        continuous_BTF: Tensor,
        calendar_BTC: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return the normalised stream (B, T, D) after the last block; position t has seen <= t.

        ``mask`` (B, 1, T, T), where given, says which positions may be looked at instead.
        """
        x_BTD = self.embed(tokens_BTK, continuous_BTF, calendar_BTC)
        positions_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
        cos_TR, sin_TR = rotary_angles(positions_T, self.config.head_width)
        for block in self.blocks:
            x_BTD = block(x_BTD, cos_TR, sin_TR, mask)
        return self.final_norm(x_BTD)  # type: ignore[no-any-return]

    def layers(self) -> list[Block]:
        """Return the blocks, first to last."""
        return [block for block in self.blocks if isinstance(block, Block)]

    def decoder(self) -> GPTDecoder:
        """Return what generates paths with the dropout masks held now; see ``generation``."""
        from marketgpt_models.decoding import GPTDecoder

        return GPTDecoder(self)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Score a batch; see :class:`marketgpt_models.base.CandleModel`."""
        h_BTD = self.encode(batch["tokens"], batch["continuous"], batch["calendar"])
        logits = self.candle_head(h_BTD, batch["targets"])
        losses_K = candle_losses(logits, batch["targets"], batch["mask"])
        nll = losses_K.sum()
        horizon_nll = nll.new_zeros(())
        if self.horizon_head is not None:
            horizon_nll = horizon_loss(
                self.horizon_head(h_BTD), batch["horizon_z"], batch["mask"], self.bin_edges
            )
        result = {"loss": nll + self.config.horizon_weight * horizon_nll}
        result |= {"nll": nll.detach(), "horizon_nll": horizon_nll.detach()}
        result |= {f"nll_{k}": value for k, value in enumerate(losses_K.detach())}
        return result


def _bin_edges(spec: InputSpec) -> Tensor:
    """Return the inner edges of the horizon bins, (H, N - 1) float32."""
    from marketgpt_models.horizon_bins import HorizonBins

    if not spec.horizons:
        return torch.zeros(0, 0)
    return torch.from_numpy(HorizonBins.from_json(spec.horizon_bins).edges).float()
