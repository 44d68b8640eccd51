"""How many candles a CPU second the tokenizer encodes and decodes on one thread, beside a learned tokenizer.

The comparator is of the kind and shape of Kronos-Tokenizer-base (its code is not at hand where this runs, and
weights do not change the work): windows of 512 candles of six z-scored columns, 3 + 3 pre-RMSNorm transformer
layers of width 256 with RoPE, 4 heads and a SwiGLU of 512, binary spherical quantisation to 20 bits; random
weights, 3.96M parameters, torch in float32. ``pandas.cut`` stands beside the search for bins alone.

``encode`` is all of it: log channels, variance, both causal scales, tokens, from prices. ``decode`` gives
prices. Candles are those of a folder, or random walks. Each is the median of rounds taken by turns, in CPU
seconds. Run it with::

    uv run python benchmarks/tokenizer_speed.py [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, scaled_dot_product_attention, silu

from marketgpt_core import Candles, CandleSeries
from marketgpt_core.testing import make_candles
from marketgpt_tokenizer import MultiTaskTokenizer, OHLCTokenizer

LEAST_ENCODED, LEAST_DECODED = 2e6, 1e6
WINDOW, COLUMNS = 512, 6


class Attention(nn.Module):
    """Causal attention of 4 heads with rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        angle = torch.arange(WINDOW)[:, None] / 1e4 ** (torch.arange(0, width // heads, 2) / (width // heads))
        self.register_buffer("cos", torch.cat([angle, angle], dim=-1).cos())
        self.register_buffer("sin", torch.cat([angle, angle], dim=-1).sin())

    def rotated(self, x: Tensor) -> Tensor:
        """Return heads (B, H, T, D) turned by their positions."""
        first, second = x.chunk(2, dim=-1)
        turned: Tensor = x * self.cos + torch.cat([-second, first], dim=-1) * self.sin
        return turned

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, W) from (B, T, W)."""
        split = [
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        ]
        query, key = self.rotated(split[0]), self.rotated(split[1])
        heads = scaled_dot_product_attention(query, key, split[2], is_causal=True)
        result: Tensor = self.out(heads.transpose(1, 2).flatten(-2))
        return result


class Layer(nn.Module):
    """One pre-norm transformer layer with a SwiGLU."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention = Attention(width, heads)
        self.gate, self.up = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, W) from (B, T, W)."""
        x = x + self.attention(self.norm1(x))
        y = self.norm2(x)
        result: Tensor = x + self.down(silu(self.gate(y)) * self.up(y))
        return result


class LearnedTokenizer(nn.Module):
    """Kronos-Tokenizer-base's shape: 20 bits a candle, ten coarse and ten fine."""

    def __init__(self, width: int = 256, inner: int = 512, heads: int = 4, bits: int = 20) -> None:
        super().__init__()
        self.bits = bits
        self.embed = nn.Linear(COLUMNS, width)
        self.encoder, self.decoder = (
            nn.Sequential(*(Layer(width, inner, heads) for _ in range(3))) for _ in range(2)
        )
        self.to_bits, self.from_bits = nn.Linear(width, bits), nn.Linear(bits, width)
        # The head of the coarse half alone, which training uses; it counts as a parameter, not as work.
        self.from_coarse, self.coarse_head = nn.Linear(bits // 2, width), nn.Linear(width, COLUMNS)
        self.head = nn.Linear(width, COLUMNS)
        self.register_buffer("powers", 2 ** torch.arange(bits // 2))

    def encode(self, x: Tensor) -> Tensor:
        """Return coarse and fine tokens (B, T, 2) of z-scored candles (B, T, 6)."""
        latent = normalize(self.to_bits(self.encoder(self.embed(x))), dim=-1)
        halves = (latent > 0).unflatten(-1, (2, self.bits // 2)).long()
        tokens: Tensor = (halves * self.powers).sum(-1)
        return tokens

    def decode(self, tokens: Tensor) -> Tensor:
        """Return z-scored candles (B, T, 6) of tokens (B, T, 2)."""
        bits = (tokens[..., None] & self.powers).ne(0).float().flatten(-2) * 2 - 1
        decoded: Tensor = self.head(self.decoder(self.from_bits(bits / self.bits**0.5)))
        return decoded


def z_scored(series: CandleSeries, num_windows: int) -> Tensor:
    """Return windows (B, 512, 6) of open, high, low, close, volume, amount, each z-scored on its window."""
    columns = [
        series.open,
        series.high,
        series.low,
        series.close,
        series.volume,
        series.volume * series.close,
    ]
    x = np.stack(columns, axis=1)[: num_windows * WINDOW].reshape(num_windows, WINDOW, COLUMNS)
    x = (x - x.mean(axis=1, keepdims=True)) / (x.std(axis=1, keepdims=True) + 1e-5)
    return torch.tensor(x.clip(-5, 5), dtype=torch.float32)


def candles_of(data: Path | None) -> Candles:
    """Return the candles of a folder, or 2 million of random walks."""
    if data is None:
        return make_candles([f"S{k:03d}" for k in range(400)], num_candles=5_000)
    from marketgpt_data_sources import load_candles

    return load_candles(f"parquet:{data}")


def ways(candles: Candles) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return what is measured: how many candles a call does, and the call."""
    kept = [one for one in candles.values() if len(one) >= 2]  # noqa: PLR2004 - encode takes two
    count = sum(len(one) for one in kept)
    training = Candles(kept)
    tokenizer = OHLCTokenizer().fit(training)
    volume = OHLCTokenizer(OHLCTokenizer.Config(volume_bins=32)).fit(training)
    multi = MultiTaskTokenizer().fit(training)
    rows = [tokenizer.encode(one) for one in kept]
    longest = max(kept, key=len)
    num_windows = min(8, len(longest) // WINDOW)
    learned, x = LearnedTokenizer().eval(), z_scored(longest, num_windows)
    tokens = learned.encode(x)
    state, new = tokenizer.begin_stream(longest[:-1]), longest[-1:]
    edges = [np.concatenate([[-np.inf], bins.edges, [np.inf]]) for bins in tokenizer.bins]
    channels = [one.channels.astype(float).T for one in rows]
    per_window = num_windows * WINDOW
    return {
        "encode": (count, lambda: [tokenizer.encode(one) for one in kept]),
        "encode, volume channel": (count, lambda: [volume.encode(one) for one in kept]),
        "decode": (
            count,
            lambda: [
                tokenizer.decode(row.tokens, row.sigma, float(one.close[0]))
                for row, one in zip(rows, kept, strict=True)
            ],
        ),
        "horizon targets": (count, lambda: [multi.horizon_targets(one) for one in kept]),
        "bins alone": (
            count,
            lambda: [
                [bins.encode(x) for bins, x in zip(tokenizer.bins, one, strict=True)] for one in channels
            ],
        ),
        "bins alone, pandas.cut": (
            count,
            lambda: [
                [pd.cut(x, cuts, labels=False, right=False) for cuts, x in zip(edges, one, strict=True)]
                for one in channels
            ],
        ),
        "learned encode": (per_window, lambda: learned.encode(x)),
        "learned decode": (per_window, lambda: learned.decode(tokens)),
        "one new candle": (1_000, lambda: [tokenizer.encode_next(state, new) for _ in range(1_000)]),
        f"one new candle, all {len(longest)} again": (
            50,
            lambda: [tokenizer.encode(longest) for _ in range(50)],
        ),
    }


def measured(candles: Candles, rounds: int) -> dict[str, Any]:
    """Return candles a CPU second of each way, and the ratios that count."""
    every = ways(candles)
    seconds: dict[str, list[float]] = {name: [] for name in every}
    for turn in range(rounds + 1):
        for name, (_, call) in every.items():
            began = time.process_time()
            call()
            # The first turn fills caches and tables.
            if turn:
                seconds[name].append(time.process_time() - began)
    rates = {name: every[name][0] / statistics.median(taken) for name, taken in seconds.items()}
    return {
        "candles": every["encode"][0],
        "machine": platform.machine(),
        "python": platform.python_version(),
        "parameters_of_learned": sum(one.numel() for one in LearnedTokenizer().parameters()),
        "candles_per_cpu_s": {name: round(rate, 1) for name, rate in rates.items()},
        "encode_times_learned": round(rates["encode"] / rates["learned encode"], 1),
        "decode_times_learned": round(rates["decode"] / rates["learned decode"], 1),
        "holds": rates["encode"] >= LEAST_ENCODED and rates["decode"] >= LEAST_DECODED,
    }


def main() -> int:
    """Print JSON, and return 0 if both rates are reached."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, help="Folder of Parquet files of daily candles; else random walks."
    )
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        found = measured(candles_of(options.data), options.rounds)
    print(json.dumps(found, indent=2))
    return 0 if found["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
