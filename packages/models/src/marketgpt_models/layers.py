"""The trunk's layers: rotary positions, causal attention, SwiGLU, dropout whose mask can be held.

Legend: B batch, T time, D width, H heads, E width of a head, R rotary angles (E / 2).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketgpt_models.fused import NORM_EPS, TurnedUnit, UnitMeanSquare, fuses

_ROTARY_BASE = 10_000.0


class RMSNorm(nn.RMSNorm):
    """RMSNorm (Zhang & Sennrich 2019), on a CPU in a few passes over memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x (..., D) with mean square 1, times the weight."""
        if fuses(x):
            unit: Tensor = UnitMeanSquare.apply(x)
            return unit * self.weight
        return super().forward(x)


def rms_norm(width: int) -> RMSNorm:
    """Return the norm of a stream of ``width``."""
    return RMSNorm(width, eps=NORM_EPS)


class HeldDropout(nn.Module):
    """Dropout that is random in training, off in evaluation, and can hold one mask for a Monte Carlo pass.

    A held mask is shared by all rows and positions: one pass is one thinned network, one opinion (Gal &
    Ghahramani 2016), the same whatever else is in the batch.

    Args:
        width: Size of the last axis.
        rate: Share of units dropped.
    """

    def __init__(self, width: int, rate: float) -> None:
        super().__init__()
        self.width = width
        self.rate = rate
        self.mask_D: Tensor | None = None

    def hold(self, generator: torch.Generator) -> None:
        """Draw a mask from the generator (CPU) and keep it until :meth:`release`."""
        kept = torch.rand(self.width, generator=generator) >= self.rate
        self.mask_D = kept.float() / (1.0 - self.rate)

    def release(self) -> None:
        """Go back to no dropout in evaluation."""
        self.mask_D = None

    def forward(self, x: Tensor) -> Tensor:
        """Return x (..., D) with units dropped."""
        if self.training:
            return F.dropout(x, self.rate)
        if self.mask_D is None:
            return x
        self.mask_D = self.mask_D.to(x)
        return x * self.mask_D


def padding_mask(valid_BT: Tensor) -> Tensor:
    """Return where position t may look, (B, 1, T, T): at valid positions up to t, and at itself."""
    t = valid_BT.shape[1]
    causal_TT = torch.ones(t, t, dtype=torch.bool, device=valid_BT.device).tril()
    # A padded position looks at itself alone: a row of the softmax must not be empty.
    own_TT = torch.eye(t, dtype=torch.bool, device=valid_BT.device)
    return ((causal_TT & valid_BT[:, None]) | own_TT)[:, None]


def rotary_angles(positions: Tensor, head_width: int) -> tuple[Tensor, Tensor]:
    """Return cos and sin, each (T, R), for positions (T,) (Su et al. 2021)."""
    steps = torch.arange(0, head_width, 2, device=positions.device, dtype=torch.float32) / head_width
    angles_TR = positions[:, None].float() * _ROTARY_BASE**-steps
    return angles_TR.cos(), angles_TR.sin()


def rotate(x_THE: Tensor, cos_TR: Tensor, sin_TR: Tensor) -> Tensor:
    """Rotate the two halves of x (..., T, H, E) by each position's angles."""
    first, second = x_THE.chunk(2, dim=-1)
    cos_T1R, sin_T1R = cos_TR[:, None], sin_TR[:, None]
    return torch.cat((first * cos_T1R - second * sin_T1R, second * cos_T1R + first * sin_T1R), dim=-1)


def turned_unit(x_THE: Tensor, cos_TR: Tensor, sin_TR: Tensor) -> Tensor:
    """Return x (..., T, H, E) with mean square 1, rotated."""
    if fuses(x_THE):
        return TurnedUnit.apply(x_THE, cos_TR, sin_TR)  # type: ignore[no-any-return]
    turned = rotate(F.rms_norm(x_THE, x_THE.shape[-1:], eps=NORM_EPS), cos_TR, sin_TR)
    return turned.to(x_THE.dtype)  # angles are float32 whatever the stream is


class Attention(nn.Module):
    """Causal self-attention with rotary positions and normalised queries and keys.

    Queries and keys have unit mean square; one learned gain a head sets how sharp it looks (Henry et al.
    2020). The norm has no weight a unit, so it commutes with the rotation, which generation makes use of.

    Args:
        width: D.
        num_heads: Heads of the queries.
        num_kv_heads: Heads of keys and values, a divisor of ``num_heads`` (Ainslie et al. 2023); fewer make
            the cache of generation smaller.
    """

    def __init__(self, width: int, num_heads: int, num_kv_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads
        self.head_width = width // num_heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * num_kv_heads * self.head_width, bias=False)
        self.gain = nn.Parameter(torch.ones(num_heads))
        self.out = nn.Linear(width, width, bias=False)

    def project(self, x_BTD: Tensor, cos_TR: Tensor, sin_TR: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (B, T, H, E), keys and values (B, T, KV heads, E), positions applied."""
        q = self.query(x_BTD).unflatten(-1, (self.num_heads, self.head_width))
        k, v = self.key_value(x_BTD).unflatten(-1, (2 * self.num_kv_heads, self.head_width)).chunk(2, dim=-2)
        return turned_unit(q, cos_TR, sin_TR) * self.gain[:, None], turned_unit(k, cos_TR, sin_TR), v

    def mix(self, q_BTHE: Tensor, k_BTHE: Tensor, v_BTHE: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (B, T, H * E): causal attention, or attention where ``mask`` (B, 1, T, T) is True."""
        out_BHTE = F.scaled_dot_product_attention(
            q_BTHE.transpose(1, 2),
            k_BTHE.transpose(1, 2),
            v_BTHE.transpose(1, 2),
            attn_mask=mask,
            is_causal=mask is None,
            enable_gqa=self.num_kv_heads != self.num_heads,
        )
        return out_BHTE.transpose(1, 2).flatten(2)

    def forward(self, x_BTD: Tensor, cos_TR: Tensor, sin_TR: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map the normalised stream (B, T, D) to what is added to it."""
        q, k, v = self.project(x_BTD, cos_TR, sin_TR)
        return self.out(self.mix(q, k, v, mask))  # type: ignore[no-any-return]


class SwiGLU(nn.Module):
    """Gated feed-forward layer (Shazeer 2020)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., D) to (..., D)."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm transformer block: attention, then SwiGLU, each added to the stream."""

    def __init__(self, width: int, num_heads: int, num_kv_heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = rms_norm(width)
        self.attention = Attention(width, num_heads, num_kv_heads)
        self.attention_dropout = HeldDropout(width, dropout)
        self.mlp_norm = rms_norm(width)
        self.mlp = SwiGLU(width, hidden)
        self.mlp_dropout = HeldDropout(width, dropout)

    def forward(self, x_BTD: Tensor, cos_TR: Tensor, sin_TR: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the stream (B, T, D); ``mask`` as in :meth:`Attention.mix`."""
        seen = self.attention(self.attention_norm(x_BTD), cos_TR, sin_TR, mask)
        x_BTD = x_BTD + self.attention_dropout(seen)
        return x_BTD + self.mlp_dropout(self.mlp(self.mlp_norm(x_BTD)))  # type: ignore[no-any-return]
