"""Prices many times their surroundings that come back: decimal slips, pence among pounds."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from marketgpt_data_sources.quality.bars import Bars
from marketgpt_data_sources.quality.config import QualityConfig


def spikes(bars: Bars, config: QualityConfig) -> NDArray[np.bool_]:
    """Return the rows with a price ``spike_ratio`` times too high or low that comes back; shape (T,).

    Two forms. A whole stretch: the open leaves the last close by the ratio, and within ``spike_bars`` candles
    another open comes back to that level. One price: it differs by the ratio from the median, over the last
    close, the candle's open and close, and the next open. A move that stays on its new level is neither.
    """
    found = np.zeros(len(bars), dtype=bool)
    if len(bars) < 3:  # noqa: PLR2004 - before, spike, after
        return found
    limit = math.log(config.spike_ratio)
    open_, high, low, close = (np.log(price) for price in bars.prices)
    gap = open_[1:] - close[:-1]
    leaps = np.flatnonzero(np.abs(gap) >= limit) + 1
    for out, back in _stretches(leaps.tolist(), gap, limit / 2, config.spike_bars):
        found[out:back] = True
    around = np.sort(np.stack([close[:-2], open_[1:-1], close[1:-1], open_[2:]]), axis=0)
    level = (around[1] + around[2]) / 2
    far = np.maximum(high[1:-1] - level, level - low[1:-1]) >= limit
    # Beside a stretch on another level, the level itself is in doubt.
    far &= ~(found[:-2] | found[2:])
    found[1:-1] |= far
    return found


def _stretches(
    leaps: list[int], gap: NDArray[np.float64], near: float, longest: int
) -> Iterator[tuple[int, int]]:
    """Yield (first row, row after the last) of stretches whose leaps add up to about nothing."""
    done = 0
    for place, out in enumerate(leaps):
        total = gap[out - 1]
        for back in leaps[place + 1 :] if out >= done else ():
            if back - out > longest:
                break
            total += gap[back - 1]
            if abs(total) < near:
                yield out, back
                done = back
                break
