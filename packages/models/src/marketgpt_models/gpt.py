"""MarketGPT: a causal transformer with one position a candle.

Legend: B batch, T time, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from marketgpt_models.base import InputSpec
from marketgpt_models.heads import CandleHead, ParallelHead
from marketgpt_models.layers import Block, padding_mask, rms_norm, rotary_angles
from marketgpt_models.network import CandleNetwork

if TYPE_CHECKING:
    from marketgpt_models.decoding import GPTDecoder
    from marketgpt_models.gpt_variant import MarketGPTConfig


class MarketGPT(CandleNetwork):
    """Pre-norm transformer blocks between the inputs and heads of :class:`CandleNetwork`.

    Args:
        config: Options of the variant.
        spec: Shapes of the inputs and bins of the horizon targets.
    """

    can_recompute = True

    def __init__(self, config: MarketGPTConfig, spec: InputSpec) -> None:
        super().__init__(config, spec, head=ParallelHead if config.layout == "parallel" else CandleHead)
        self.config = config
        width = config.dim
        self.blocks = nn.ModuleList(
            Block(width, config.num_heads, config.num_kv_heads, config.mlp_width, config.dropout)
            for _ in range(config.num_layers)
        )
        self.final_norm = rms_norm(width)
        self.initialise([layer for block in self.layers() for layer in (block.attention.out, block.mlp.down)])

    def trunk(self, x_BTD: Tensor, valid_BT: Tensor | None) -> Tensor:
        """Run the blocks; see :class:`CandleNetwork`."""
        mask = None if valid_BT is None else padding_mask(valid_BT)
        positions_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
        cos_TR, sin_TR = rotary_angles(positions_T, self.config.head_width)
        for block in self.blocks:
            if self.recompute and self.training:
                x_BTD = checkpoint(block, x_BTD, cos_TR, sin_TR, mask, use_reentrant=False)
            else:
                x_BTD = block(x_BTD, cos_TR, sin_TR, mask)
        return self.final_norm(x_BTD)  # type: ignore[no-any-return]

    def layers(self) -> list[Block]:
        """Return the blocks, first to last."""
        return [block for block in self.blocks if isinstance(block, Block)]

    def decoder(self) -> GPTDecoder:
        """Return what generates paths with the dropout masks held now; see ``generation``."""
        from marketgpt_models.decoding import GPTDecoder

        return GPTDecoder(self)


class MarketGPTMultiAsset(MarketGPT):
    """MarketGPT that knows which asset and which market it forecasts, where training saw them."""
