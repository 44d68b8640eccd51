"""Fast decoding of MarketGPT: the prefix of a symbol is encoded once, then shared by all its paths.

What is constant while paths grow is folded into the weights once a pass: the norms' weights, a Monte Carlo
pass's dropout masks, and each position's rotation (the norm of queries and keys commutes with it).

Legend: N rows (one prefix each), S samples a row, P = N * S paths, T positions of the prefix, J own
positions, D width, G query heads a key head, A key heads, E width of a head, K channels, F continuous
inputs, C calendar fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from marketgpt_models.layers import NORM_EPS, Block, HeldDropout, padding_mask, rotary_angles
from marketgpt_models.network_decoder import NetworkDecoder

if TYPE_CHECKING:
    from marketgpt_models.gpt import MarketGPT


class _FoldedBlock:
    """One block's weights with its norms and held dropout masks folded in, laid out for decoding."""

    def __init__(self, block: Block) -> None:
        attention = block.attention
        self.num_heads, self.num_kv_heads = attention.num_heads, attention.num_kv_heads
        self.head_width = attention.head_width
        norm_D = block.attention_norm.weight
        self.query_key = torch.cat((attention.query.weight, attention.key_value.weight.chunk(2)[0])) * norm_D
        self.value = attention.key_value.weight.chunk(2)[1] * norm_D
        self.gain = torch.cat((attention.gain, attention.gain.new_ones(self.num_kv_heads)))[:, None]
        self.scale = self.head_width**-0.5
        self.out = _masked(attention.out.weight, block.attention_dropout).T
        self.gate, self.up = (block.mlp.gate_up.weight * block.mlp_norm.weight).chunk(2)
        self.down = _masked(block.mlp.down.weight, block.mlp_dropout).T

    def rotated(self, position: int) -> Tensor:
        """Return the weights that give queries, keys and values of one position, rotation included."""
        cos, sin = rotary_angles(torch.tensor([position], device=self.value.device), self.head_width)
        heads = self.query_key.view(-1, self.head_width, self.query_key.shape[1])
        first, second = heads.chunk(2, dim=1)
        cos, sin = cos.T, sin.T
        turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=1)
        return torch.cat((turned.flatten(0, 1), self.value))

    def project(self, x_PD: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (P, heads, E), keys and values (P, A, E) of the stream."""
        both, kv = self.num_heads + self.num_kv_heads, self.num_kv_heads
        heads = F.linear(_unit(x_PD), weights).view(-1, both + kv, self.head_width)
        qk = _unit(heads[:, :both]) * self.gain
        return qk[:, : self.num_heads], qk[:, self.num_heads :], heads[:, both:]

    def feed_forward(self, x_PD: Tensor) -> Tensor:
        """Return the stream after the second half of the block."""
        unit = _unit(x_PD)
        gated = F.silu(F.linear(unit, self.gate), inplace=True).mul_(F.linear(unit, self.up))
        return torch.addmm(x_PD, gated, self.down)


def _masked(weight: Tensor, dropout: HeldDropout) -> Tensor:
    return weight if dropout.mask_D is None else weight * dropout.mask_D.to(weight)[:, None]


def _unit(x: Tensor) -> Tensor:
    """Scale the last axis to mean square 1: RMSNorm without weight."""
    return x * torch.rsqrt(torch.linalg.vecdot(x, x).div_(x.shape[-1]).add_(NORM_EPS)).unsqueeze(-1)


class PathCache:
    """Keys and values while paths grow: those of the prefix a row, those of the own candles a path.

    Args:
        keys: Per layer (N, A, T, E).
        values: Per layer (N, A, T, E).
        valid_NT: Which positions of the prefix hold a candle.
        num_samples: S.
        num_steps: Most own candles a path will have.
    """

    def __init__(
        self, keys: list[Tensor], values: list[Tensor], valid_NT: Tensor, num_samples: int, num_steps: int
    ) -> None:
        n, a, t, e = keys[0].shape
        self.num_samples, self.prefix_length, self.length = num_samples, t, 0
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

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """Add one own position a path and attend from it to everything before and itself.

        Args:
            layer: Which.
            q: (P, heads, E), with heads = A * G.
            k: Keys of the new position, (P, A, E).
            v: Its values, (P, A, E).
            scale: Of the scores.

        Returns:
            (P, heads * E).
        """
        s, j = self.num_samples, self.length + 1
        p, a, e = k.shape
        n, g = p // s, q.shape[1] // a
        own_k, own_v = self.own_keys[layer], self.own_values[layer]
        own_k[:, self.length] = k.view(n, s, a, e).transpose(1, 2).reshape(-1, e)
        own_v[:, self.length] = v.reshape(n, s, a, e).transpose(1, 2).reshape(-1, e)
        q = q.reshape(n, s, a, g, e).transpose(1, 2).mul(scale)
        to_prefix = torch.bmm(q.reshape(n * a, s * g, e), self.prefix_keys[layer])
        if self.bias is not None:
            to_prefix += self.bias
        to_own = torch.bmm(q.reshape(n * a * s, g, e), own_k[:, :j].transpose(1, 2))
        weights = torch.cat((to_prefix, to_own.view(n * a, s * g, j)), dim=-1).softmax(dim=-1)
        t = self.prefix_length
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
        self.rotated: dict[int, list[Tensor]] = {}

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
        cos_TR, sin_TR = rotary_angles(torch.arange(t, device=x.device), self.blocks[0].head_width)
        keys, values = [], []
        for block, folded in zip(self.module.layers(), self.blocks, strict=True):
            q, k, v = block.attention.project(block.attention_norm(x), cos_TR, sin_TR)
            keys.append(k.transpose(1, 2))
            values.append(v.transpose(1, 2))
            seen = block.attention.mix(q, k, v, mask)
            x = torch.addmm(x.flatten(0, 1), seen.flatten(0, 1), folded.out)
            x = folded.feed_forward(x).view(n, t, -1)
        cache = PathCache(keys, values, valid_NT, num_samples, num_steps)
        return _unit(x[:, -1]) * self.final_norm, cache

    def extend(
        self, tokens_NSK: Tensor, continuous_NSF: Tensor, calendar_NC: Tensor, cache: PathCache
    ) -> Tensor:
        """Add one candle to every path and return the state after it, (N, S, D)."""
        x = self.embed(tokens_NSK, continuous_NSF, calendar_NC[:, None], cache.identity)
        return self.step(x.flatten(0, 1), cache).view(*tokens_NSK.shape[:2], -1)

    def step(self, x: Tensor, cache: PathCache) -> Tensor:
        """Add one embedded position (P, D) to every path and return the state after it, (P, D)."""
        weights = self._rotated(cache.prefix_length + cache.length)
        for layer, block in enumerate(self.blocks):
            q, k, v = block.project(x, weights[layer])
            x = torch.addmm(x, cache.attend(layer, q, k, v, block.scale), block.out)
            x = block.feed_forward(x)
        cache.length += 1
        return _unit(x) * self.final_norm

    def _rotated(self, position: int) -> list[Tensor]:
        if position not in self.rotated:
            self.rotated[position] = [block.rotated(position) for block in self.blocks]
        return self.rotated[position]
