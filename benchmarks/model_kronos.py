"""The forecasting network of Kronos-small, written anew from its description, as a comparator of speed.

Kronos (github.com/shiyu-coder/Kronos) draws a candle as a coarse and a fine token of ten bits each. Here are
the network's layers at the published size of small (24.7 million parameters) with random weights, and its
published loop: every sample is a copy in the batch, and the whole context runs again for every candle. Its
tokenizer is left out, which is in its favour.

Legend: B batch, T time, D width, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, HIDDEN, HEADS, LAYERS, DEPENDENCY_HEADS = 512, 1_024, 8, 8, 4
VOCABULARY = 1_024
STAMP_SIZES = (60, 24, 7, 32, 13)
TOP_P = 0.9


class _Norm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-5) * self.weight


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class _Attention(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.tables: dict[int, tuple[Tensor, Tensor]] = {}

    def _table(self, length: int) -> tuple[Tensor, Tensor]:
        if length not in self.tables:
            half = torch.arange(0, WIDTH // self.heads, 2) / (WIDTH // self.heads)
            angles = torch.outer(torch.arange(length), 10_000.0**-half).repeat(1, 2)
            self.tables[length] = angles.cos(), angles.sin()
        return self.tables[length]

    def forward(self, query: Tensor, memory: Tensor, *, causal: bool) -> Tensor:
        split = [
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.q, query), (self.k, memory), (self.v, memory))
        ]
        # One table for both, as long as the queries: keys of a single query all stand at its position.
        table = self._table(query.shape[1])
        q, k = _rotated(split[0], *table), _rotated(split[1], *table)
        seen = F.scaled_dot_product_attention(q, k, split[2], is_causal=causal)
        return self.out(seen.transpose(1, 2).flatten(2))


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attention, self.mlp_norm = _Norm(), _Attention(HEADS), _Norm()
        self.gate, self.up = (nn.Linear(WIDTH, HIDDEN, bias=False) for _ in range(2))
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        unit = self.norm(x)
        x = x + self.attention(unit, unit, causal=True)
        unit = self.mlp_norm(x)
        return x + self.down(F.silu(self.gate(unit)) * self.up(unit))


class KronosSmall(nn.Module):
    """Coarse and fine tokens in, logits of the coarse one, then of the fine one given it."""

    def __init__(self) -> None:
        super().__init__()
        self.coarse, self.fine = (nn.Embedding(VOCABULARY, WIDTH) for _ in range(2))
        self.fusion = nn.Linear(2 * WIDTH, WIDTH)
        self.stamps = nn.ModuleList(nn.Embedding(size, WIDTH) for size in STAMP_SIZES)
        self.blocks = nn.ModuleList(_Block() for _ in range(LAYERS))
        self.norm = _Norm()
        self.dependency, self.dependency_norm = _Attention(DEPENDENCY_HEADS), _Norm()
        self.coarse_head, self.fine_head = (nn.Linear(WIDTH, VOCABULARY) for _ in range(2))

    def coarse_logits(self, coarse: Tensor, fine: Tensor, stamps: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, T, V) of the coarse token, of tokens (B, T), and the context (B, T, D)."""
        both = torch.cat((self.coarse(coarse), self.fine(fine)), dim=-1) * WIDTH**0.5
        x = self.fusion(both)
        x = x + torch.stack([table(stamps[..., i]) for i, table in enumerate(self.stamps)]).sum(dim=0)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.coarse_head(x), x

    def fine_logits(self, context: Tensor, coarse: Tensor) -> Tensor:
        """Return logits (B, T, V) of the fine token from the context, given the coarse one (B, 1)."""
        seen = self.dependency(self.coarse(coarse), context, causal=False)
        return self.fine_head(self.dependency_norm(context + seen))


def _drawn(logits: Tensor) -> Tensor:
    """Draw one token a row from the smallest set that holds ``TOP_P`` of the probability, (B, 1)."""
    ordered, order = logits.softmax(dim=-1).sort(descending=True)
    kept = ordered * (ordered.cumsum(dim=-1) - ordered <= TOP_P)
    return order.gather(1, torch.multinomial(kept, 1))


@torch.inference_mode()
def generate(
    model: KronosSmall,
    history: Tensor,
    stamps: Tensor,
    *,
    num_steps: int,
    num_samples: int,
    clock: Callable[[], float] = time.process_time,
) -> list[float]:
    """Draw ``num_steps`` candles of ``num_samples`` paths as published; return the seconds of each step.

    Args:
        model: In evaluation mode.
        history: Tokens (T, 2), int64.
        stamps: Calendar (T + num_steps, 5), int64.
        num_steps: Candles ahead.
        num_samples: Copies in the batch.
        clock: What seconds are read from.
    """
    tokens = history.expand(num_samples, -1, -1)
    every = stamps.expand(num_samples, -1, -1)
    took = []
    for _ in range(num_steps):
        began = clock()
        logits, context = model.coarse_logits(tokens[..., 0], tokens[..., 1], every[:, : tokens.shape[1]])
        coarse = _drawn(logits[:, -1])
        fine = _drawn(model.fine_logits(context, coarse)[:, -1])
        tokens = torch.cat((tokens, torch.cat((coarse, fine), dim=1)[:, None]), dim=1)
        took.append(clock() - began)
    return took
