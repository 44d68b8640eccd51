"""Prices that stand still."""

from __future__ import annotations

import numpy as np

from marketgpt_core.times import iso
from marketgpt_data_sources.quality.bars import Bars
from marketgpt_data_sources.quality.check import Finding
from marketgpt_data_sources.quality.config import QualityConfig


def stale_runs(bars: Bars, config: QualityConfig) -> Finding | None:
    """Find runs of ``stale_bars`` or more candles with the same open, high, low and close."""
    if len(bars) < config.stale_bars:
        return None
    same = np.ones(len(bars) - 1, dtype=bool)
    for price in bars.prices:
        same &= price[1:] == price[:-1]
    edges = np.diff(np.concatenate([[0], same.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    lengths = ends - starts + 1
    long = lengths >= config.stale_bars
    if not long.any():
        return None
    starts, lengths = starts[long], lengths[long]
    at = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)])
    worst = int(np.argmax(lengths))
    first = iso(bars.time[starts[worst]])
    details = {
        "runs": [[iso(bars.time[s]), int(n)] for s, n in zip(starts, lengths, strict=True)],
    }
    noun = "run" if len(starts) == 1 else "runs"
    text = f"{len(starts)} stale {noun}, longest {lengths[worst]} candles from {first}"
    return Finding("stale", at, len(at), text, details, float(lengths[worst]))
