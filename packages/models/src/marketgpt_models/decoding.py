"""Fast decoding of MarketGPT: the prefix of a symbol is encoded once, then shared by all its paths.

What is constant while paths grow is folded into the weights once a pass: a Monte Carlo pass's dropout masks,
the scale of attention, and the order of the rows of queries and keys in which their rotation is one complex
product (scores stay as they are when both are reordered alike).

Legend: N rows (one prefix each), S samples a row, P = N * S paths, T positions of the prefix, J own
positions, D width, H query heads, G query heads a key head, A key heads, E width of a head, R rotary angles
(E / 2), K channels, F continuous inputs, C calendar fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from marketgpt_models.fused import NORM_EPS
from marketgpt_models.layers import Block, HeldDropout, padding_mask, rotary_angles
from marketgpt_models.network_decoder import NetworkDecoder

if TYPE_CHECKING:
    from marketgpt_models.gpt import MarketGPT


class _FoldedBlock:
    """One block's weights with held dropout masks folded in, laid out for decoding."""

    def __init__(self, block: Block) -> None:
        attention = block.attention
        self.num_heads, self.num_kv_heads = attention.num_heads, attention.num_kv_heads
        self.head_width = attention.head_width
        key, value = attention.key_value.weight.chunk(2)
        # Rows r and r + R of a head turn together: side by side they are one complex number.
        halves = torch.cat((attention.query.weight, key)).view(-1, 2, self.head_width // 2, value.shape[1])
        self.query_key_value = torch.cat((halves.transpose(1, 2).flatten(0, 2), value))
        # A key of mean square 1 is one of length 1 times sqrt(E); with queries of length 1, times their
        # gain, scores need no further scale.
        keys = attention.gain.new_full((self.num_kv_heads,), self.head_width**0.5)
        self.lengths = torch.cat((attention.gain, keys))
        self.attention_norm, self.mlp_norm = block.attention_norm.weight, block.mlp_norm.weight
        self.out = _masked(attention.out.weight, block.attention_dropout).T
        self.gate_up = block.mlp.gate_up.weight
        self.down = _masked(block.mlp.down.weight, block.mlp_dropout).T

    def project(self, x_PD: Tensor, turn_R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, scaled for the scores, (P, H, E), and keys and values (P, A, E), turned.

        ``turn_R``: the rotation as complex numbers, (R) or (P, 1, R).
        """
        both, kv = self.num_heads + self.num_kv_heads, self.num_kv_heads
        flat = F.linear(_normed(x_PD, self.attention_norm), self.query_key_value)
        heads = flat.view(-1, both + kv, self.head_width)
        qk = heads[:, :both]
        turned = torch.view_as_complex(qk.view(-1, both, self.head_width // 2, 2)) * turn_R
        qk = torch.view_as_real(turned).flatten(-2).mul_((_inverse_length(qk) * self.lengths).unsqueeze(-1))
        return qk[:, : self.num_heads], qk[:, self.num_heads :], heads[:, both:]

    def attend_all(
        self, x_NTD: Tensor, q_NHTE: Tensor, k_NALE: Tensor, v_NALE: Tensor, *, mask: Tensor | None
    ) -> Tensor:
        """Return the stream (N, T, D) after the block, of all positions L or of the last alone (T = 1)."""
        n, t, _ = x_NTD.shape
        seen = F.scaled_dot_product_attention(
            q_NHTE,
            k_NALE,
            v_NALE,
            attn_mask=mask,
            is_causal=mask is None and t == k_NALE.shape[2],
            scale=1.0,
            enable_gqa=self.num_kv_heads != self.num_heads,
        )
        x = torch.addmm(x_NTD.reshape(n * t, -1), seen.transpose(1, 2).reshape(n * t, -1), self.out)
        return self.feed_forward(x).view(n, t, -1)

    def feed_forward(self, x_PD: Tensor) -> Tensor:
        """Return the stream after the second half of the block."""
        gate, up = F.linear(_normed(x_PD, self.mlp_norm), self.gate_up).chunk(2, dim=-1)
        return torch.addmm(x_PD, F.silu(gate).mul_(up), self.down)


def _masked(weight: Tensor, dropout: HeldDropout) -> Tensor:
    return weight if dropout.mask_D is None else weight * dropout.mask_D.to(weight)[:, None]


def _inverse_length(x: Tensor) -> Tensor:
    square: Tensor = torch.linalg.vecdot(x, x)
    return square.add_(x.shape[-1] * NORM_EPS).rsqrt_()


def _normed(x: Tensor, weight_D: Tensor) -> Tensor:
    """Return the RMSNorm: in inference a few small operations, faster than the module."""
    scaled: Tensor = x * _inverse_length(x).mul_(x.shape[-1] ** 0.5).unsqueeze(-1)
    return scaled.mul_(weight_D)


class PathCache:
    """Keys and values while paths grow: those of the prefix a row, those of the own candles a path.

    Args:
        keys: Per layer (N, A, T, E).
        values: Per layer (N, A, T, E).
        valid_NT: Which positions of the prefix hold a candle.
        turns_LR: Rotations of the prefix and of all own positions a path will have, complex.
        num_samples: S.
    """

    def __init__(
        self,
        keys: list[Tensor],
        values: list[Tensor],
        valid_NT: Tensor,
        turns_LR: Tensor,
        num_samples: int,
    ) -> None:
        n, a, t, e = keys[0].shape
        self.num_samples, self.prefix_length, self.length = num_samples, t, 0
        self.turns_LR, num_steps = turns_LR, len(turns_LR) - t
        self.prefix_keys = [k.transpose(2, 3).reshape(n * a, e, t).contiguous() for k in keys]
        self.prefix_values = [v.reshape(n * a, t, e).contiguous() for v in values]
        self.own_keys = [k.new_empty(n * a * num_samples, num_steps, e) for k in keys]
        self.own_values = [v.new_empty(n * a * num_samples, num_steps, e) for v in values]
        self.bias: Tensor | None = None
        # What identity adds to every position of a row, (N, 1, D); set by whoever begins.
        self.identity: Tensor | None = None
        if not bool(valid_NT.all()):
            bias_NT = torch.zeros(valid_NT.shape, device=keys[0].device).masked_fill_(~valid_NT, -torch.inf)
            self.bias = bias_NT.repeat_interleave(a, dim=0)[:, None]

    @property
    def turn(self) -> Tensor:
        """Rotation of the next own position, (R,) complex."""
        return self.turns_LR[self.prefix_length + self.length]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Add one own position a path and attend from it to everything before and itself.

        Args:
            layer: Which.
            q: Scaled queries (P, H, E), with H = A * G.
            k: Keys of the new position, (P, A, E).
            v: Its values, (P, A, E).

        Returns:
            (P, H * E).
        """
        s, j, t = self.num_samples, self.length + 1, self.prefix_length
        p, a, e = k.shape
        n, g = p // s, q.shape[1] // a
        own_k, own_v = self.own_keys[layer], self.own_values[layer]
        for own, new in ((own_k, k), (own_v, v)):
            own.view(n, a, s, -1, e)[..., self.length, :] = new.view(n, s, a, e).transpose(1, 2)
        q = q.reshape(n, s, a, g, e).transpose(1, 2).contiguous()
        to_prefix = torch.bmm(q.view(n * a, s * g, e), self.prefix_keys[layer])
        if self.bias is not None:
            to_prefix += self.bias
        to_own = torch.bmm(q.view(n * a * s, g, e), own_k[:, :j].transpose(1, 2))
        weights = torch.cat((to_prefix, to_own.view(n * a, s * g, j)), dim=-1).softmax(dim=-1)
        seen = torch.bmm(weights[..., :t], self.prefix_values[layer]).view(n * a * s, g, e)
        seen += torch.bmm(weights[..., t:].reshape(n * a * s, g, j), own_v[:, :j])
        return seen.view(n, a, s, g, e).transpose(1, 2).reshape(p, a * g * e)


class GPTDecoder(NetworkDecoder):
    """Decodes paths of one :class:`MarketGPT` in evaluation mode, with the dropout masks it holds now.

    Args:
        module: The model.
    """

    def __init__(self, module: MarketGPT) -> None:
        super().__init__(module)
        self.module = module
        self.blocks = [_FoldedBlock(block) for block in module.layers()]
        self.final_norm = module.final_norm.weight

    def path_bytes(self, num_steps: int) -> int:
        """Return what one path of ``num_steps`` takes in the cache."""
        floats = 2 * sum(block.num_kv_heads * block.head_width for block in self.blocks)
        return 4 * floats * num_steps

    def begin(
        self, inputs: Mapping[str, Tensor], *, num_samples: int, num_steps: int
    ) -> tuple[Tensor, PathCache]:
        """Encode the prefixes, left-padded where ``valid`` is False.

        Returns:
            The state after each prefix's last candle (N, D), and the cache for paths of ``num_steps``.
        """
        identity = self.module.identity_of(inputs)
        x = self.embed(inputs["tokens"], inputs["continuous"], inputs["calendar"], identity)
        h_ND, cache = self.encode(x, inputs["valid"], num_samples=num_samples, num_steps=num_steps)
        cache.identity = identity
        return h_ND, cache

    def encode(
        self, x: Tensor, valid_NT: Tensor, *, num_samples: int, num_steps: int
    ) -> tuple[Tensor, PathCache]:
        """Run the blocks over embedded prefixes (N, T, D); returns what :meth:`begin` does."""
        n, t, _ = x.shape
        mask = None if bool(valid_NT.all()) else padding_mask(valid_NT)
        positions_L = torch.arange(t + num_steps, device=x.device)
        turns_LR = torch.complex(*rotary_angles(positions_L, self.blocks[0].head_width))
        turns_P1R = turns_LR[:t].repeat(n, 1)[:, None]
        keys, values = [], []
        for block in self.blocks:
            q, k, v = (
                one.view(n, t, -1, block.head_width).transpose(1, 2)
                for one in block.project(x.reshape(n * t, -1), turns_P1R)
            )
            keys.append(k)
            values.append(v)
            if block is self.blocks[-1]:
                # Of the last block only the last position is read.
                q, x, mask = q[:, :, -1:], x[:, -1:], None if mask is None else mask[:, :, -1:]
            x = block.attend_all(x, q, k, v, mask=mask)
        cache = PathCache(keys, values, valid_NT, turns_LR, num_samples)
        return _normed(x[:, -1], self.final_norm), cache

    def extend(
        self, tokens_NSK: Tensor, continuous_NSF: Tensor, calendar_NC: Tensor, cache: PathCache
    ) -> Tensor:
        """Add one candle to every path and return the state after it, (N, S, D)."""
        x = self.embed(tokens_NSK, continuous_NSF, calendar_NC[:, None], cache.identity)
        return self.step(x.flatten(0, 1), cache).view(*tokens_NSK.shape[:2], -1)

    def step(self, x: Tensor, cache: PathCache) -> Tensor:
        """Add one embedded position (P, D) to every path and return the state after it, (P, D)."""
        turn_R = cache.turn
        for layer, block in enumerate(self.blocks):
            x = torch.addmm(x, cache.attend(layer, *block.project(x, turn_R)), block.out)
            x = block.feed_forward(x)
        cache.length += 1
        return _normed(x, self.final_norm)
